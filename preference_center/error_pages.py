"""What a person sees when something fails that no room answers for itself."""

from __future__ import annotations

import structlog
from flask import Flask, Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.exceptions import BadHost, HTTPException, InternalServerError

from preference_center import api, pages
from preference_center.errors import Unavailable
from preference_center.languages import SOURCE, in_language, requested_language

log = structlog.get_logger()

RETRY_AFTER = 10  # seconds

MESSAGES = {
    400: lazy_gettext("The request could not be read. Nothing was changed."),
    404: lazy_gettext("There is no page at this address."),
    405: lazy_gettext("This address can’t be used in that way. Nothing was changed."),
    413: lazy_gettext("What was sent is too large. Nothing was changed."),
    429: lazy_gettext("Too many requests came at once. Please try again in a few minutes."),
    503: lazy_gettext("Nothing was lost, and nothing was saved yet. Please try again shortly."),
}
"""By HTTP status; what isn't here is told as 400 or 500."""


def register_fault_pages(app: Flask) -> None:
    """Have `app` answer faults with a plain page, and log them without the path.

    A path may hold a token (I12), so it never reaches a log: only the endpoint's name.
    """
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    app.register_error_handler(InternalServerError, _failed_again)
    app.logger.disabled = True  # Flask's own line about what `_failed_again` answers: the path


def _unavailable(error: Unavailable) -> Response:
    log.warning(
        "unavailable",
        endpoint=request.endpoint,
        cause=error.cause,
        error=type(error.__cause__ or error).__name__,
    )
    response = _page(503)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _http(error: HTTPException) -> Response:
    if _asks_api():
        return api.respond_to_http(error)
    if isinstance(error, BadHost):  # a page's links are made from the host
        return Response("The Host header names no host.\n", 400, mimetype="text/plain")
    response = _page(error.code or 500)
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


def _unexpected(error: BaseException) -> Response:
    log.error("unexpected", endpoint=request.endpoint, exc_info=error)
    return _page(500)


def _failed_again(error: InternalServerError) -> Response:
    """Answer what failed while a fault was answered: the page for a bad link asks the database."""
    cause = error.original_exception or error
    if isinstance(cause, Unavailable):
        return _unavailable(cause)
    response = _unexpected(cause)
    return api.respond_to_http(error) if _asks_api() else response


def _asks_api() -> bool:
    """By the path, since a wrong one has no blueprint."""
    return f"{request.path}/".startswith(f"{api.PREFIX}/")


def _page(status: int) -> Response:
    # Not the catalogue's default: the database may be what is away.
    with in_language(requested_language() or SOURCE) as language:
        message = MESSAGES.get(status) or (
            MESSAGES[400]
            if status < 500  # noqa: PLR2004 - RFC 9110 15.6: the server's own fault
            else _("Something went wrong on our side. Please try again shortly.")
        )
        html = render_template(
            "error.html",
            language=language,
            status=status,
            message=message,
            can_mail=pages.can_mail(),
            **pages.contacts(),
        )
    response = Response(html, status, mimetype="text/html")
    response.headers["Content-Language"] = language
    response.headers.update(pages.HEADERS)  # a path that no room knows may hold a token too
    return response
