"""Links that prove control of the address: `/m/<token>`, emailed, and `/portal/<token>`."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.errors import ExpiredLink
from preference_center.links import LIFETIMES, Link, TokenPurpose
from preference_center.pages.rendering import (
    expired_link_page,
    render_link_page,
    use_contact_language,
)
from preference_center.storage.access import one_time_tokens
from preference_center.storage.db.database import run_in_transaction


def open_mailed_link(token: str = "") -> ResponseReturnValue:
    """Show a button (GET, HEAD); consume the token and open the page (POST of the button).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink, and
    ExpiredLink when the token is too old or was used.
    """
    context = services()
    now = context.now()
    link = context.links.read_one_time_token(token, TokenPurpose.EMAILED_LINK, now)
    use_contact_language(link.address)
    if "open" not in request.form:
        self_path = url_for("pages.open_mailed_link", token=token, lang=None)
        return render_link_page(
            "open_mailed_link", token, link, self_path=self_path, rights_token=None
        )
    expires_at = link.issued_at + LIFETIMES[TokenPurpose.EMAILED_LINK]
    token_id = UUID(link.message_id)
    if not run_in_transaction(
        lambda connection: one_time_tokens.consume_token(
            connection, token_id, now=now, expires_at=expires_at
        )
    ):
        raise ExpiredLink("this link was used already")
    return _redirect_to_preferences(link)


def open_portal_link(token: str = "") -> ResponseReturnValue:
    """Open the page for somebody whom the company's log-in has authenticated."""
    context = services()
    return _redirect_to_preferences(
        context.links.read_one_time_token(token, TokenPurpose.PORTAL, context.now())
    )


def handle_expired_link(_error: Exception) -> ResponseReturnValue:
    """The page for a one-time link that has expired."""
    return expired_link_page((request.view_args or {}).get("token", ""))


def _redirect_to_preferences(link: Link) -> ResponseReturnValue:
    """Redirect to a page visit with the id of the token that opened it, so that evidence has it."""
    context = services()
    token_id = UUID(link.message_id)
    page_token = context.links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, link.address, token_id, context.now()
    )
    return redirect(url_for("pages.preferences", token=page_token), 303)
