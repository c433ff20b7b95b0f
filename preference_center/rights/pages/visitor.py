"""Read who uses a page of rights, check its form and make it a request; list the rights.

The token in the path of a page says how sure it is who uses it. `/rights` lists the rights for
everybody: reading it takes no link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField

from preference_center.catalogue.rules.model import rights_offered
from preference_center.catalogue.rules.privacy import Law
from preference_center.cookies.signal import signal_status
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import ExpiredLink, InvalidLink, UnknownRequest
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.person_words import in_words
from preference_center.rights.requests import store
from preference_center.rights.requests.handle import open_request
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.identity import create_rights_status_token, read_answer_token
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import MAX_TEXT, NewRequest
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia
from preference_center.web.languages import page_language, set_contact_language
from preference_center.web.pages.mailed_links import consume_token, is_cross_site
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import (
    catalogue_or_empty,
    lead_brand,
    open_for_link,
    render_page,
    seal_for_link,
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


_NOBODY = RightsVisitor()


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


_STATUSES = {"": 200, "missing_cookie": 400, "cross_site": 403, "not_identified": 403}
"""By what is wrong with a form; whatever else is typed or chosen wrongly is 422."""


def render_rights_page(
    template: str,
    visitor: RightsVisitor = _NOBODY,
    *,
    error: str = "",
    status: int | None = None,
    **values: Any,
) -> ResponseReturnValue:
    """A page of rights: of all brands, with the visitor's address masked (RULES C6).

    `error` is what is wrong with the posted form, and gives the status. The language switch
    requests this path by GET, also after a POST.
    """
    values.setdefault("self_path", url_for(str(request.endpoint), **_path_values()))
    return render_page(
        f"rights/pages/{template}",
        status=status or _STATUSES.get(error, 422),
        error=error,
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


class RightsForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form: of a proven visitor, its CSRF token shows that it comes from our own page."""

    class Meta:
        """A visit ends long before."""

        csrf_time_limit = int(timedelta(days=1).total_seconds())

    state = HiddenField()
    """The id of the request that the form makes, sealed: sent twice, it makes one."""
    laws: Sequence[Law] = ()
    """Among which the person may say where they live; none where there is nothing to choose."""


def form_of(visitor: RightsVisitor) -> RightsForm:
    """The form to render. Only what takes a proven visitor needs the cookie of its token."""
    form = RightsForm(meta={"csrf": visitor.level >= IdentityLevel.CONTROLS_ADDRESS})
    context = services()
    data = {"id": str(context.new_id())}
    form.state.data = seal_for_link(FormPurpose.RIGHTS, visitor.token, data, context.now())
    form.laws = _laws_to_choose()
    return form


def render_form(
    template: str, visitor: RightsVisitor, kind: RequestKind, **values: Any
) -> ResponseReturnValue:
    """A page of this right with its form; `values` as for `render_rights_page`."""
    return render_rights_page(
        template,
        visitor,
        kind=kind,
        title=in_words(kind),
        form=form_of(visitor),
        **{"max_text": MAX_TEXT, **values},
    )


def find_form_error(visitor: RightsVisitor) -> str:
    """Why this POST can't be taken for the visitor's own: `missing_cookie`, `cross_site` or ``.

    A form that anybody may send counts against its network's limit, with the links that are
    mailed; beyond that it aborts with 429.
    """
    if visitor.level >= IdentityLevel.CONTROLS_ADDRESS:
        return "" if RightsForm().validate() else "missing_cookie"
    if is_cross_site():
        return "cross_site"
    limit_network()
    return ""


def is_switch() -> bool:
    """Whether this POST is a press of the language switch: it shows what was written, again.

    It records nothing and is not counted (I7). A URL can't hold what a person writes.
    """
    return "show" in request.form


def read_text() -> str:
    """What the person wrote. It may be longer than MAX_TEXT: that is for the caller to refuse."""
    return request.form.get("text", "").replace("\r\n", "\n").strip()


def is_too_long(text: str) -> bool:
    """Whether a request can't hold this text."""
    return len(text) > MAX_TEXT


def ask(
    visitor: RightsVisitor,
    kind: RequestKind,
    address: Address,
    *,
    extent: Extent | None = None,
    text: str = "",
) -> RightsRequest:
    """Record the request of a visitor about one address, or find the one that it repeats."""
    brand = lead_brand(tuple(catalogue_or_empty().brands.values()))
    new = NewRequest(
        kind=kind,
        via=RequestVia.PAGE,
        language=page_language(),
        addresses=(address,),
        extent=extent,
        brand=brand.key if brand else None,
        level=visitor.level if address == visitor.address else IdentityLevel.NONE,
        text=text,
        law=_read_law(),
        id=read_form_id(visitor),
    )
    return open_request(new)


def _laws_to_choose() -> Sequence[Law]:
    laws = catalogue_or_empty().rights.laws
    return laws if len(laws) > 1 else ()


def _read_law() -> Law | None:
    """The law of where the person says they live. Without one the earliest date counts."""
    stated = request.form.get("law", "")
    return Law(stated) if stated in _laws_to_choose() else None


def read_form_id(visitor: RightsVisitor) -> UUID | None:
    """The id in the posted form, if we sealed it for this visitor's page."""
    sealed, now = request.form.get("state", ""), services().now()
    try:
        _, data = open_for_link(FormPurpose.RIGHTS, visitor.token, sealed, None, now)
    except InvalidLink:
        return None
    return UUID(data["id"])


def use_up(token_id: UUID, expires_at: datetime) -> None:
    """Use a mailed link up. Raises ExpiredLink if it was used before."""
    now = services().now()
    if not run_in_transaction(
        lambda connection: consume_token(connection, token_id, now=now, expires_at=expires_at)
    ):
        raise ExpiredLink("this link was used already")


def open_answer(purpose: FormPurpose, token: str) -> RightsRequest:
    """The request that a mailed link asks somebody about, however old the link is.

    The page is in the language of the request. Raises InvalidLink.
    """
    context = services()
    try:
        asked = load_request(read_answer_token(context.links, purpose, token, context.now()))
    except UnknownRequest:
        raise InvalidLink("this request was forgotten") from None
    set_contact_language(asked.language)
    return asked


def redirect_to_status(visitor: RightsVisitor, asked: RightsRequest) -> ResponseReturnValue:
    """To the status page of a request, where its reference is; the visit goes on there."""
    began_at = visitor.link.issued_at if visitor.link and visitor.link.proves_control else None
    context = services()
    token = create_rights_status_token(context.links, asked.id, context.now(), began_at)
    return redirect(url_for("pages.rights_status", token=token, _anchor="result"), 303)


LISTED_RIGHTS = (
    RequestKind.ACCESS,
    RequestKind.CORRECT,
    RequestKind.ERASE,
    RequestKind.RESTRICT,
    RequestKind.OBJECT,
    RequestKind.DONT_SELL_OR_SHARE,
    RequestKind.CLOSE,
    RequestKind.REOPEN,
    RequestKind.COMPLAINT,
)
"""In the order of the page. Ending a limit is offered where it is set."""


MAX_OWN_REQUESTS = 20
"""The newest that are listed."""


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request of the visitor, and the token of its status page, which continues the visit."""

    asked: RightsRequest
    title: str
    status_token: str


def list_rights(token: str = "") -> ResponseReturnValue:
    """The list (GET). Raises InvalidLink."""
    visitor = read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor)
    return render_rights_page(
        "list",
        visitor,
        listed=[(kind, in_words(kind)) for kind in LISTED_RIGHTS],
        own_requests=list_own_requests(visitor),
    )


def list_own_requests(visitor: RightsVisitor) -> list[OwnRequest]:
    """The requests of anyone who controls exactly this address (I9); else none.

    Of several addresses that is the first, to which their answers are mailed. What somebody else
    reports about a person is not their request.
    """
    if visitor.link is None or not visitor.link.proves_control:
        return []
    context, began_at = services(), visitor.link.issued_at
    digest = context.keys.exact_digest(visitor.link.address)
    found = run_in_transaction(lambda c: store.list_of_subject(c, [digest]))
    asked = [
        each
        for each in reversed(found)
        if each.subject_digests[0] == digest and each.kind is not RequestKind.MINOR
    ]
    return [
        OwnRequest(
            each,
            in_words(each.kind),
            create_rights_status_token(context.links, each.id, context.now(), began_at),
        )
        for each in asked[:MAX_OWN_REQUESTS]
    ]


def contact_page(visitor: RightsVisitor) -> ResponseReturnValue:
    """Whom to write to: all that is shown until the catalogue says who answers."""
    return render_rights_page("contact", visitor, status=503 if request.method == "POST" else 200)
