"""These pages handle people without a link, and links that prove control of the address.

`/m/<token>` is emailed; senders ask for `/portal/<token>` by API. `/form` emails a link to the
address that a person types. The response and the work done, one row in the outbox, are the same
whether the address is known or not. So nobody can find out here who is in the database.

At `/emails/<token>` the reader of a mailbox stops the emails that anybody can have sent to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.cookies.signal import record_signal
from preference_center.core.addresses import mask_address
from preference_center.core.errors import ExpiredLink, InvalidLink
from preference_center.core.links.tokens import LIFETIMES, Link, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.infra.outbox import EmailKind
from preference_center.recipients.pages.results import PressKind, read_press_result
from preference_center.recipients.pages.sections import additional_tokens, page_url
from preference_center.recipients.pages.unsubscribe import handle_press, show_opt_out
from preference_center.web.emails import (
    EMAIL_STOP_DURATION,
    allow_emails,
    find_stop,
    read_stop_token,
    stop_emails,
)
from preference_center.web.pages import mailed_links
from preference_center.web.pages.mailed_links import (
    GivenAddress,
    address_of_link,
    is_cross_site,
    read_typed_address,
    send_one_time_link,
)
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import (
    can_mail,
    catalogue_or_empty,
    expired_link_page,
    render_page,
    use_link_language,
)


def open_mailed_link(token: str = "") -> ResponseReturnValue:
    """Show the buttons (GET, HEAD); consume the token and open the page (POST of its button).

    Scanners fetch links, so only a button counts (I7). The other button stops all marketing: it
    consumes nothing and works for ever, as in any link. Raises InvalidLink, and ExpiredLink
    when the token is too old or was used.
    """
    context = services()
    try:
        link = context.links.read_one_time_token(token, TokenPurpose.EMAILED_LINK, context.now())
    except ExpiredLink:
        if "open" in request.form:
            raise
        link = replace(context.links.read_any_token(token), expired=True)
    use_link_language(link)
    if "open" in request.form:
        record_signal(link)
        _consume(link)
        return _redirect_to_preferences(link)
    response = handle_press(token, link)
    result = read_press_result(token)
    # An undo that is refused shows what holds, and anybody can have one refused.
    if response is None and link.expired and (result is None or result.kind is PressKind.TOO_LATE):
        raise ExpiredLink("this link has expired")
    return response or show_opt_out(
        token,
        link,
        ask="web/pages/open_mailed_link",
        already="web/pages/open_mailed_link",
        rights_token=None,
    )


def _consume(link: Link) -> None:
    """Consume the token. Raises ExpiredLink if it was used before."""
    now, token_id = services().now(), UUID(link.message_id)
    expires_at = link.issued_at + LIFETIMES[TokenPurpose.EMAILED_LINK]
    if not run_in_transaction(
        lambda connection: mailed_links.consume_token(
            connection, token_id, now=now, expires_at=expires_at
        )
    ):
        raise ExpiredLink("this link was used already")


def open_portal_link(token: str = "") -> ResponseReturnValue:
    """Open the page for somebody whom the company's log-in has authenticated."""
    link = _read_portal_token(token)
    additional = []
    for each in additional_tokens():
        with suppress(InvalidLink):
            additional.append(_read_portal_token(each))
    return _redirect_to_preferences(link, additional)


def _read_portal_token(token: str) -> Link:
    context = services()
    return context.links.read_one_time_token(token, TokenPurpose.PORTAL, context.now())


def handle_expired_link(_error: Exception) -> ResponseReturnValue:
    """The page for a one-time link that has expired."""
    return expired_link_page((request.view_args or {}).get("token", ""))


def _redirect_to_preferences(link: Link, additional: Sequence[Link] = ()) -> ResponseReturnValue:
    """Redirect to a page visit of each: to the first, with the others."""
    visits = [(_start_visit(each), each) for each in (link, *additional)]
    return redirect(page_url(visits[0][0], visits), 303)


def _start_visit(link: Link) -> str:
    """A page visit with the id of the token that opened it, so that evidence has it."""
    context = services()
    return context.links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, link.address, UUID(link.message_id), context.now()
    )


def redirect_to_form() -> ResponseReturnValue:
    """Redirect from the host's root to the form."""
    return redirect(url_for("pages.request_link"))


def request_link() -> ResponseReturnValue:
    """Show the form (GET, HEAD), or email a link to the address in it (POST).

    A page whose link is too old posts that token as `link` instead of an address; the
    email then goes to the token's own address, and the browser's signal is recorded for it, as
    that page says. Raises InvalidLink for a token that isn't ours.
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
    if token := request.form.get("link"):
        record_signal(services().links.read_any_token(token))
    was_sent = send_one_time_link(
        parsed.address, EmailKind.ONE_TIME_LINK, TokenPurpose.EMAILED_LINK, path="m"
    )
    return _render_page(
        "web/pages/link_requested",
        status=200 if was_sent else 429,
        address=parsed.display_address,
        was_sent=was_sent,
    )


def _read_address() -> GivenAddress:
    token = request.form.get("link")
    if token is None:
        return read_typed_address()
    return address_of_link(services().links.address_of(token))


def _form_page(error: str = "", typed: str = "", *, status: int = 200) -> ResponseReturnValue:
    return _render_page("web/pages/request_link", status=status, error=error, typed=typed)


def _render_page(template: str, *, status: int = 200, **values: object) -> ResponseReturnValue:
    return render_page(
        template,
        status=status,
        brands=tuple(catalogue_or_empty().brands.values()),
        self_path=url_for("pages.request_link", lang=None),
        **values,
    )


def stop_unproven_emails(token: str = "") -> ResponseReturnValue:
    """Show whether they are stopped, with a button (GET, HEAD); stop or allow them (POST).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink.
    """
    context = services()
    now, keys = context.now(), context.keys
    address = read_stop_token(token, now)
    if request.method == "POST" and "stop" in request.form:
        run_in_transaction(lambda c: stop_emails(c, keys, address, now))
        return _redirect(token)
    if request.method == "POST" and "allow" in request.form:
        run_in_transaction(lambda c: allow_emails(c, keys, address))
        return _redirect(token, allowed=True)
    return render_page(
        "recipients/email_stop",
        brands=tuple(catalogue_or_empty().brands.values()),
        token=token,
        address=mask_address(address),
        ends_at=run_autocommit(lambda c: find_stop(c, keys, address, now)),
        days=EMAIL_STOP_DURATION.days,
        allowed="allowed" in request.args,
        self_path=url_for("pages.stop_unproven_emails", token=token, lang=None),
    )


def _redirect(token: str, *, allowed: bool = False) -> ResponseReturnValue:
    """To the same page by GET, which can be reloaded and switched in language."""
    return redirect(
        url_for(
            "pages.stop_unproven_emails",
            token=token,
            allowed="yes" if allowed else None,
            _anchor="result",
        ),
        303,
    )
