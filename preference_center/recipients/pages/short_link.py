"""`/s/<code>`: a short link for text messages, which leads to the page of its token.

It needs the database. Without it the response is 503, for the one-click POST too: nothing that
could be recorded is known without the row (I1).
"""

from __future__ import annotations

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.links.tokens import find_code
from preference_center.infra.db.connections import LINK_CLICK_TIMEOUTS
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.web.pages.mailed_links import find_path

SHORT_LINK_ENDPOINT = "pages.open_short_link"

_ENDPOINTS = {"u": "pages.unsubscribe", "m": "pages.open_mailed_link"}
"""By the first part of the path that is stored."""


def open_short_link(code: str) -> ResponseReturnValue:
    """Redirect to the page; the one-click POST is answered before (`one_click`).

    Raises InvalidLink for an unknown code.
    """
    page, token = resolve_code(code)
    return redirect(url_for(_ENDPOINTS[page], token=token), 303)


def resolve_code(code: str) -> tuple[str, str]:
    """The page and the token of a code. Raises InvalidLink, and Unavailable."""
    found = find_code(code)
    with override_limits(LINK_CLICK_TIMEOUTS):
        path = run_in_transaction(lambda connection: find_path(connection, found))
    page, _, token = path.partition("/")
    return page, token
