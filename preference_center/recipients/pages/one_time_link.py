"""Links that prove control of the address: `/m/<token>`, emailed, and `/portal/<token>`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from flask import redirect, request
from flask.typing import ResponseReturnValue

from preference_center.cookies.signal import record_signal
from preference_center.core.errors import ExpiredLink, InvalidLink
from preference_center.core.links.tokens import LIFETIMES, Link, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.recipients.pages.press_result import PressKind, read_press_result
from preference_center.recipients.pages.proven_addresses import additional_tokens, page_url
from preference_center.recipients.pages.unsubscribe_page import handle_press, show_opt_out
from preference_center.web.pages import mailed_links
from preference_center.web.pages.rendering import expired_link_page, use_link_language


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
