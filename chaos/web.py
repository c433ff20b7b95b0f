"""The web process as it is, which also says who it is: `WEB_APP=chaos.web:app` of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from preference_center.wsgi import app as service

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from _typeshed import OptExcInfo

HEADER = "X-Process"
"""Holds the id of the process that answers."""
PATH = "/chaos/process"
"""Answered by a process without the service."""


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A WSGI application: the service's answers, with the header."""
    name = (HEADER, str(os.getpid()))
    if environ["PATH_INFO"] == PATH:
        start_response("200 OK", [name, ("Content-Length", "0")])
        return [b""]

    def start(
        status: str, headers: list[tuple[str, str]], error: OptExcInfo | None = None, /
    ) -> object:
        return start_response(status, [*headers, name], error)

    return service(environ, start)  # type: ignore[arg-type]
