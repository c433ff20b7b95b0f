"""Who uses a page of rights: the token in its path, and how sure that makes us."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.cookies.signal import signal_status
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import InvalidLink
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.rights.rules.model import IdentityLevel
from preference_center.web.pages.rendering import (
    catalogue_or_empty,
    render_page,
    use_contact_language,
)


@dataclass(frozen=True, slots=True)
class RightsVisitor:
    """The reader of a page of rights. Without a link nothing is known of them."""

    token: str = field(default="", repr=False)
    link: Link | None = field(default=None, repr=False)

    @property
    def level(self) -> IdentityLevel:
        """How sure it is that they are who they say.

        A visit that has expired is worth no more than a message's link, which somebody else
        may hold.
        """
        if self.link is None:
            return IdentityLevel.NONE
        if self.link.proves_control:
            return IdentityLevel.CONTROLS_ADDRESS
        return IdentityLevel.MESSAGE_LINK

    @property
    def address(self) -> Address | None:
        """The address of their link."""
        return self.link.address if self.link else None

    @property
    def visit_expired(self) -> bool:
        """Whether the page was left open for longer than a visit lasts."""
        return self.link is not None and self.link.expired


def read_visitor(token: str) -> RightsVisitor:
    """The visitor with this token: a message's, a visit's or none. Raises InvalidLink.

    A one-time link is read by its own page only, which uses it up.
    """
    if not token:
        return RightsVisitor()
    link = services().links.read_token(token, services().now())
    use_contact_language(link.address)
    return RightsVisitor(token, link)


def proven_address(visitor: RightsVisitor) -> Address:
    """The address that the visitor controls. For the pages that `identify` has let through."""
    if visitor.address is None or visitor.level < IdentityLevel.CONTROLS_ADDRESS:
        raise InvalidLink("this visit does not prove control of an address")
    return visitor.address


def render_rights_page(
    template: str, visitor: RightsVisitor, *, status: int = 200, **values: Any
) -> ResponseReturnValue:
    """A page of rights: of all brands, with the visitor's address masked (RULES C6).

    The language switch requests this path by GET, also after a POST.
    """
    values.setdefault("self_path", url_for(str(request.endpoint), **_path_values()))
    return render_page(
        template,
        status=status,
        brands=tuple(catalogue_or_empty().brands.values()),
        token=visitor.token,
        rights_token=visitor.token,
        address=mask_address(visitor.address) if visitor.address else None,
        visitor=visitor,
        gpc=signal_status(visitor.link),
        **values,
    )


def _path_values() -> dict[str, Any]:
    return {**(request.view_args or {}), "lang": None}
