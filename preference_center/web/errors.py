"""People see these error pages where no blueprint handles the error itself."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.exceptions import BadHost, HTTPException, InternalServerError

from preference_center.core.errors import Unavailable
from preference_center.web import pages
from preference_center.web.api.endpoint import PREFIX
from preference_center.web.api.errors import handle_http_exception
from preference_center.web.languages import SOURCE_LANGUAGE, in_language, requested_language

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 10  # seconds

STATUS_MESSAGES = {
    400: lazy_gettext("The request could not be read. Nothing was changed."),
    404: lazy_gettext("Please check the link."),
    405: lazy_gettext("You can’t open this page like that. Nothing was changed."),
    413: lazy_gettext("What you sent is too large. Nothing was changed."),
    429: lazy_gettext("Too many requests at once. Please try again in a few minutes."),
    503: lazy_gettext("We can’t show this page at the moment. Please try again in a minute."),
}
"""By HTTP status; other statuses use the text of 400 or 500."""

HEADINGS = {404: lazy_gettext("Page not found")}
"""By HTTP status; the heading of the others says that something went wrong."""


def register_error_pages(app: Flask) -> None:
    """Register handlers that render an error page, and log the endpoint without the path.

    A path may contain a token (I12), so it must not reach a log.
    """
    app.register_error_handler(Unavailable, _handle_unavailable)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(Exception, _handle_unexpected)
    app.register_error_handler(InternalServerError, _handle_internal_error)
    app.logger.disabled = (
        True  # Flask's own line about what `_handle_internal_error` handles has the path
    )


def _handle_unavailable(error: Unavailable) -> Response:
    log.warning(
        "unavailable",
        endpoint=request.endpoint,
        error=type(error.__cause__ or error).__name__,
        **error.log_fields,
    )
    response = _error_page(503)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _handle_http_error(error: HTTPException) -> Response:
    if _is_api_request():
        return handle_http_exception(error)
    if isinstance(error, BadHost):  # a page's links use the host
        return Response("The Host header names no host.\n", 400, mimetype="text/plain")
    response = _error_page(error.code or 500)
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


def _handle_unexpected(error: BaseException) -> Response:
    log.error("unexpected", endpoint=request.endpoint, exc_info=error)
    return _error_page(500)


def _handle_internal_error(error: InternalServerError) -> Response:
    """Handle an error in an error handler: the page for a bad link reads the database."""
    cause = error.original_exception or error
    if isinstance(cause, Unavailable):
        return _handle_unavailable(cause)
    response = _handle_unexpected(cause)
    return handle_http_exception(error) if _is_api_request() else response


def _is_api_request() -> bool:
    """By the path, since an unknown path has no blueprint."""
    return f"{request.path}/".startswith(f"{PREFIX}/")


def _message(status: int) -> str:
    """What the error page says, in the current language."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "POST":
        # Nothing was recorded (I1): the reader must not take it for done.
        return str(
            _("We couldn’t save that. Please press the button again in a minute, or write to us.")
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in STATUS_MESSAGES:
        return str(_("Something went wrong on our side. Please try again in a minute."))
    return str(STATUS_MESSAGES.get(status, STATUS_MESSAGES[400]))


def _error_page(status: int) -> Response:
    if request.blueprint == "console":
        from preference_center.web.console.frame import console_error_page  # noqa: PLC0415 - only where there is a console

        return console_error_page(status)
    # Not the catalogue's default: the database may be unavailable.
    values = pages.error_page_values()
    with in_language(requested_language() or SOURCE_LANGUAGE, values.pop("wording")) as language:
        html = render_template(
            "web/error.html",
            language=language,
            status=status,
            heading=HEADINGS.get(status) or _("Sorry, something went wrong"),
            message=_message(status),
            can_mail=pages.can_mail(),
            **values,
        )
    response = Response(html, status, mimetype="text/html")
    response.headers["Content-Language"] = language
    response.headers.update(pages.SECURITY_HEADERS)  # an unknown path may contain a token too
    return response
