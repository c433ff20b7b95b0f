"""From a pass to the page: `/m/<token>`, mailed and used once, and `/portal/<token>`."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.errors import ExpiredLink
from preference_center.extensions import services
from preference_center.links import LIFETIMES, Link, Use
from preference_center.pages.rendering import expired_page, link_page, speak_to
from preference_center.storage.access import one_time_tokens
from preference_center.storage.db.database import run


def open_mailed(token: str = "") -> ResponseReturnValue:
    """Show a button (GET, HEAD); use the pass up and open the page (POST of the button).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink, and
    ExpiredLink when it is too old or was used.
    """
    context = services()
    now = context.now()
    link = context.links.read_pass(token, Use.MAILED, now)
    speak_to(link.address)
    if "open" not in request.form:
        here = url_for("recipients.open_mailed", token=token, lang=None)
        return link_page("open_mailed_link", token, link, here=here)
    ends = link.issued_at + LIFETIMES[Use.MAILED]
    pass_id = UUID(link.message_id)
    if not run(lambda connection: one_time_tokens.spend(connection, pass_id, now=now, ends=ends)):
        raise ExpiredLink("this link was used already")
    return _visit(link)


def open_portal(token: str = "") -> ResponseReturnValue:
    """Open the page for somebody whom the company's log-in vouches for; changes nothing."""
    context = services()
    return _visit(context.links.read_pass(token, Use.PORTAL, context.now()))


def expired_link(_error: Exception) -> ResponseReturnValue:
    """The page for a pass whose time is over."""
    return expired_page((request.view_args or {}).get("token", ""))


def _visit(link: Link) -> ResponseReturnValue:
    """The page keeps the id of what opened it: what is said there can be traced to that."""
    context = services()
    pass_id = UUID(link.message_id)
    page_token = context.links.make_pass(Use.PAGE, link.address, pass_id, context.now())
    return redirect(url_for("recipients.preferences", token=page_token), 303)
