"""`/rights/status/<token>`: how far a request is, and its withdrawal.

The token comes by mail and may be forwarded: it shows states and dates, and the address masked.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, mask_address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.rights.request import RightsRequest
from preference_center.domain.rights.transitions import ForbiddenTransition
from preference_center.errors import InvalidLink, UnknownRequest
from preference_center.languages import set_contact_language
from preference_center.links import restore_address
from preference_center.links.rights_status import RightsStatusLink, read_rights_status_token
from preference_center.mailer.right_titles import right_title
from preference_center.pages.rendering import catalogue_or_empty
from preference_center.pages.rights_visitor import RightsVisitor, render_rights_page
from preference_center.rights.requests import PERSON, load_request, open_sealed, withdraw


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A request as its page shows it."""

    link: RightsStatusLink
    asked: RightsRequest
    addresses: tuple[Address, ...]

    @property
    def masked_addresses(self) -> list[str]:
        """The addresses that it is about (RULES C6)."""
        return [mask_address(address) for address in self.addresses]


def rights_status(token: str = "") -> ResponseReturnValue:
    """Show how far a request is (GET), or withdraw it (POST). Raises InvalidLink."""
    page = open_status_page(token)
    if "withdraw" in request.form:
        with suppress(ForbiddenTransition):  # closed meanwhile: the page says how
            withdraw(page.asked.id, PERSON)
        return redirect(url_for("pages.rights_status", token=token), 303)
    catalogue = catalogue_or_empty()
    return render_rights_page(
        "rights_status",
        RightsVisitor(),
        asked=page.asked,
        addresses=page.masked_addresses,
        title=right_title(page.asked.kind),
        proven=page.link.proves_control,
        status_token=token,
        acts_by_itself=page.asked.acts_by_itself(catalogue.rights.closing),
        authorities=_authorities(catalogue),
        now=services().now(),
    )


def open_status_page(token: str) -> StatusPage:
    """The request of a status page's token. Raises InvalidLink."""
    context = services()
    link = read_rights_status_token(context.links, token, context.now())
    try:
        asked = load_request(link.request_id)
    except UnknownRequest:
        raise InvalidLink("this request was forgotten") from None
    set_contact_language(asked.language)
    addresses = open_sealed(asked).addresses
    return StatusPage(
        link, asked, tuple(restore_address(text, Channel(channel)) for channel, text in addresses)
    )


def _authorities(catalogue: Catalogue) -> list[object]:
    return [*catalogue.controller.authorities.values()] if catalogue.controller else []
