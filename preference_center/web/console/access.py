"""Who is signed in, and whether they may do this."""

from __future__ import annotations

from http import HTTPStatus

from flask import abort, g, redirect, request, session, url_for

from preference_center.core.staff import Permission, permissions_of
from preference_center.infra.context import services
from preference_center.web.console.rechecks import recheck
from preference_center.web.console.sessions import actor_of, find_session
from preference_center.web.console.store.staff_sessions import StaffSession

TOKEN_KEY = "staff"  # noqa: S105 - the name of a key
"""Where the cookie has the token of the session."""
LANGUAGE_KEY = "language"
"""Where it has the language that was chosen."""

_SAFE_METHODS = frozenset({"GET", "HEAD"})


def find_staff() -> StaffSession | None:
    """Who is signed in, if anybody is."""
    if "staff" not in g:
        token = session.get(TOKEN_KEY)
        known = find_session(token, is_poll=is_live_poll()) if token else None
        g.staff = recheck(known) if known else None
    found: StaffSession | None = g.staff
    return found


def current_staff() -> StaffSession:
    """Who is signed in, on a page that needs that."""
    staff = find_staff()
    assert staff is not None  # `require` has seen to it
    return staff


def current_actor() -> str:
    """Who acts, for events and the audit: `console:ada`."""
    return actor_of(current_staff())


def may(permission: Permission) -> bool:
    """Whether the person who is signed in has a permission; for templates, too."""
    staff = find_staff()
    return staff is not None and permission in permissions_of(staff.roles)


def require(permission: Permission | None) -> None:
    """Continue if somebody is signed in and has the permission, if one is needed.

    Otherwise the request ends: with a redirect to the page for signing in (401 for what would
    change something), or with 403.
    """
    if find_staff() is None:
        if request.method not in _SAFE_METHODS:
            abort(HTTPStatus.UNAUTHORIZED)
        abort(redirect(url_for("console.sign_in", next=own_path())))
    if permission is not None and not may(permission):
        abort(HTTPStatus.FORBIDDEN)


def is_live_poll() -> bool:
    """Whether the page's script asks for it again, to show what has changed."""
    return request.headers.get("X-Requested-With") == "poll"


def own_path() -> str:
    """The path and query of this request, to come back to."""
    return request.full_path.removesuffix("?")


STREAMED = frozenset({"console.upload_import"})
"""Endpoints that read their form as it arrives: to ask for it before that would load it whole."""


def refuse_nul() -> None:
    """Answer 400 to a path, form or query with NUL, which PostgreSQL has in no text."""
    sent = request.args if request.endpoint in STREAMED else request.values
    if "\0" in request.path or any("\0" in each for texts in sent.listvalues() for each in texts):
        abort(HTTPStatus.BAD_REQUEST)


def hide_from_other_hosts() -> None:
    """Answer 404 on every host but that of CONSOLE_URL, if that is set."""
    host = services().settings.console_host
    if host is not None and request.host.partition(":")[0].lower() != host:
        abort(HTTPStatus.NOT_FOUND)
