"""What a person sees when something fails that no room answers for itself."""

from __future__ import annotations

import structlog
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError

from preference_center import senders
from preference_center.errors import Unavailable

log = structlog.get_logger()

RETRY_AFTER = 10  # seconds


def register_fault_pages(app: Flask) -> None:
    """Have `app` answer faults with a plain page, and log them without the path.

    A path may hold a token (I12), so it never reaches a log: only the endpoint's name.
    """
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _unavailable(error: Unavailable) -> Response:
    log.warning("unavailable", endpoint=request.endpoint, error=type(error.__cause__).__name__)
    response = _page(503, "Nothing was lost, and nothing was saved yet. Please try again shortly.")
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _http(error: HTTPException) -> Response:
    if request.path.startswith(f"{senders.PREFIX}/"):  # a wrong path belongs to no blueprint
        return senders.respond_to_http(error)
    response = _page(error.code or 500, error.description or error.name)
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


def _unexpected(error: Exception) -> Response:
    log.error("unexpected", endpoint=request.endpoint, exc_info=error)
    return _page(500, InternalServerError.description)


def _page(status: int, message: str) -> Response:
    response = Response(
        render_template("fault.html", status=status, message=message), status, mimetype="text/html"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
