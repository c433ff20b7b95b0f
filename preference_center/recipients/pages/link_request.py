"""`/form`: for people without a link. It emails one to the address they type.

The response and the work done, one row in the outbox, are the same whether the address is
known or not. So nobody can find out here who is in the database.
"""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.outbox import EmailKind
from preference_center.web.pages.mailed_links import (
    GivenAddress,
    address_of_link,
    is_cross_site,
    read_typed_address,
    send_one_time_link,
)
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import can_mail, catalogue_or_empty, render_page


def redirect_to_form() -> ResponseReturnValue:
    """Redirect from the host's root to the form."""
    return redirect(url_for("pages.request_link"))


def request_link() -> ResponseReturnValue:
    """Show the form (GET, HEAD), or email a link to the address in it (POST).

    A page whose link is too old posts that token as `link` instead of an address; the
    email then goes to the token's own address. Raises InvalidLink for a token that isn't
    ours.
    """
    if request.method != "POST":
        return _form_page()
    if not can_mail():
        return _form_page(status=503)
    parsed = _read_address()
    if parsed.address is None:
        return _form_page(parsed.error, parsed.display_address, status=422)
    if is_cross_site():
        return _form_page("cross_site", parsed.display_address, status=403)
    limit_network()
    send_one_time_link(parsed.address, EmailKind.ONE_TIME_LINK, TokenPurpose.EMAILED_LINK, path="m")
    return _render_page("web/pages/link_requested", address=parsed.display_address)


def _read_address() -> GivenAddress:
    token = request.form.get("link")
    if token is None:
        return read_typed_address()
    return address_of_link(services().links.address_of(token))


def _form_page(error: str = "", typed: str = "", *, status: int = 200) -> ResponseReturnValue:
    return _render_page("web/pages/request_link", status=status, error=error, typed=typed)


def _render_page(template: str, *, status: int = 200, **values: str) -> ResponseReturnValue:
    return render_page(
        template,
        status=status,
        brands=tuple(catalogue_or_empty().brands.values()),
        self_path=url_for("pages.request_link", lang=None),
        **values,
    )
