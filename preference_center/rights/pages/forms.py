"""What every form of a page of rights is checked for, and how it becomes a request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidLink
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import RightsVisitor
from preference_center.rights.requests.handle import open_request
from preference_center.rights.rules.model import Extent, IdentityLevel, RequestKind, RequestVia
from preference_center.rights.rules.new_request import MAX_TEXT, NewRequest
from preference_center.rights.rules.request import RightsRequest
from preference_center.rights.rules.rights_status import create_rights_status_token
from preference_center.web.languages import page_language
from preference_center.web.pages.mailed_links import is_cross_site
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import (
    catalogue_or_empty,
    lead_brand,
    open_for_link,
    seal_for_link,
)


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


def redirect_to_status(visitor: RightsVisitor, asked: RightsRequest) -> ResponseReturnValue:
    """To the status page of a request, where its reference is; the visit goes on there."""
    began_at = visitor.link.issued_at if visitor.link and visitor.link.proves_control else None
    context = services()
    token = create_rights_status_token(context.links, asked.id, context.now(), began_at)
    return redirect(url_for("pages.rights_status", token=token, _anchor="result"), 303)
