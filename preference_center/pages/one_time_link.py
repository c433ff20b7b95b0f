"""From a pass to the page: `/m/<token>`, mailed and used once, and `/portal/<token>`."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.errors import ExpiredLink
from preference_center.extensions import services
from preference_center.links import LIFETIMES, Link, TokenPurpose
from preference_center.pages.rendering import (
    expired_link_page,
    render_link_page,
    use_contact_language,
)
from preference_center.storage.access import one_time_tokens
from preference_center.storage.db.database import run_in_transaction


def open_mailed_link(token: str = "") -> ResponseReturnValue:
    """Show a button (GET, HEAD); use the pass up and open the page (POST of the button).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink, and
    ExpiredLink when it is too old or was used.
    """
    context = services()
    now = context.now()
    link = context.links.read_one_time_token(token, TokenPurpose.EMAILED_LINK, now)
    use_contact_language(link.address)
    if "open" not in request.form:
        here = url_for("recipients.open_mailed", token=token, lang=None)
        return render_link_page("open_mailed_link", token, link, here=here)
    ends = link.issued_at + LIFETIMES[TokenPurpose.EMAILED_LINK]
    pass_id = UUID(link.message_id)
    if not run_in_transaction(
        lambda connection: one_time_tokens.consume_token(
            connection, pass_id, now=now, expires_at=ends
        )
    ):
        raise ExpiredLink("this link was used already")
    return _redirect_to_preferences(link)


def open_portal_link(token: str = "") -> ResponseReturnValue:
    """Open the page for somebody whom the company's log-in vouches for; changes nothing."""
    context = services()
    return _redirect_to_preferences(
        context.links.read_one_time_token(token, TokenPurpose.PORTAL, context.now())
    )


def handle_expired_link(_error: Exception) -> ResponseReturnValue:
    """The page for a pass whose time is over."""
    return expired_link_page((request.view_args or {}).get("token", ""))


def _redirect_to_preferences(link: Link) -> ResponseReturnValue:
    """The page keeps the id of what opened it: what is said there can be traced to that."""
    context = services()
    pass_id = UUID(link.message_id)
    page_token = context.links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, link.address, pass_id, context.now()
    )
    return redirect(url_for("recipients.preferences", token=page_token), 303)
