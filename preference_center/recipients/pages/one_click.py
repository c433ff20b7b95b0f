"""`/s/<code>` is a short link for text messages, and `handle_one_click` the POST of RFC 8058.

A short link leads to the page of its token. It needs the database. Without it the response is 503,
for the one-click POST too: nothing that could be recorded is known without the row (I1).

A misspelt path is redirected to the page.
"""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response
from werkzeug.exceptions import NotFound

from preference_center.contacts.choices import ONE_CLICK, opt_out
from preference_center.core.errors import InvalidLink, ProbeLink
from preference_center.core.links import ONE_CLICK as PAIR
from preference_center.core.links.tokens import Link, find_code
from preference_center.infra.context import read_body, services
from preference_center.infra.db.connections import LINK_CLICK_TIMEOUTS
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger.spool import record_or_spool
from preference_center.recipients.pages.confirm import link_from_confirmation
from preference_center.recipients.pages.unsubscribe import PRESS_FIELDS
from preference_center.web.pages.mailed_links import find_path

SHORT_LINK_ENDPOINT = "pages.open_short_link"


_LISTED_ENDPOINTS = {"pages.unsubscribe", SHORT_LINK_ENDPOINT}
"""Where the links of List-Unsubscribe lead."""


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


_NAME, _, _VALUE = PAIR.partition("=")


_MAX_BARE_BODY = 64  # bytes; the pair has 26


_ACCEPTED = 202  # RFC 9110 15.3.3: accepted, and not yet processed


_PAGE_PATHS = {"u", "p", "m", "c", "portal", "w"}


def handle_one_click() -> Response | None:
    """The response to a request that no view needs to handle; None for every other request.

    A POST of `List-Unsubscribe=One-Click` with a token of ours opts out, at any path: a sender
    may have put another of our links, or a misspelt one, into List-Unsubscribe; so does any POST
    to the link itself that is not of the page's form. The response
    is 2xx however often it comes and however old the token is (I7). A GET at a path where
    there is no page, but with a token, is redirected to that token's page.
    """
    not_found = isinstance(request.routing_exception, NotFound)
    is_post = request.method == "POST"
    if request.blueprint not in {None, "pages"} or not (not_found or is_post):
        return None
    if request.endpoint == SHORT_LINK_ENDPOINT:
        return _opt_out_by_code() if is_post and _is_one_click() else None
    token = _find_token()
    if token is None:  # without reading the body
        return None
    if is_post and _is_one_click():
        with override_limits(LINK_CLICK_TIMEOUTS):
            return _opt_out(token)
    return _redirect_to_page(token) if not_found and request.method in {"GET", "HEAD"} else None


def _opt_out(token: str) -> Response | None:
    try:
        link = _read_link(token)
    except ProbeLink:  # `flask check-domain`: the same response, but there is nobody to opt out
        return _unsubscribed_response()
    except InvalidLink:
        return None  # the view responds, or the page for 404
    events = record_or_spool([opt_out(link, link.scope, ONE_CLICK, services().now())])
    return _accepted_response() if events is None else _unsubscribed_response()


def _opt_out_by_code() -> Response | None:
    """Raises Unavailable: without the database nobody knows whose code it is (I1)."""
    try:
        _, token = resolve_code((request.view_args or {})["code"])
    except InvalidLink:
        return None
    with override_limits(LINK_CLICK_TIMEOUTS):
        return _opt_out(token)


def _read_link(token: str) -> Link:
    try:
        return services().links.read_any_token(token)
    except ProbeLink:
        raise
    except InvalidLink:
        return link_from_confirmation(token, services().now())


def _find_token() -> str | None:
    """The token of the page, or the first in a path without a page; None without one."""
    values = request.view_args or {}
    if "token" in values:
        return str(values["token"])
    token = services().links.find_token(request.path)
    return token if token != request.path else None


def _redirect_to_page(token: str) -> Response:
    first = request.path.strip("/").partition("/")[0].lower()
    page = first if first in _PAGE_PATHS else "u"
    return redirect(f"{request.root_path}/{page}/{token}")


def _is_one_click() -> bool:
    """Whether the body is the pair, in any content type, or has it as a form field.

    At an address that List-Unsubscribe names it is one whatever the body, unless that is of the
    page's own form: clients send it empty, as JSON, compressed or cut off, and expect a 2xx to
    mean that they are out.
    """
    body = read_body()
    if len(body) <= _MAX_BARE_BODY and body.strip() == PAIR.encode():
        return True
    if request.form.get(_NAME, "").strip() == _VALUE:
        return True
    return request.endpoint in _LISTED_ENDPOINTS and PRESS_FIELDS.isdisjoint(request.form)


def _unsubscribed_response() -> Response:
    return Response("You are unsubscribed.\n", mimetype="text/plain")


def _accepted_response() -> Response:
    """Durable, and not in the ledger yet: decisions may still allow mail for some moments."""
    text = "Received. You will be unsubscribed within moments.\n"
    return Response(text, _ACCEPTED, mimetype="text/plain")
