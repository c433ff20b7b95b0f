"""The id of a request: accepted from a proxy or client, else made here, returned and logged.

It has at least 16 characters and no `@` and no `+`, so that it can be neither a telephone number
(ITU-T E.164: 15 digits at most) nor an email address (I12).
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from random import SystemRandom
from typing import Any

from flask import has_request_context, request
from structlog.typing import EventDict, WrappedLogger

HEADER = "X-Request-Id"
_ENVIRON_KEY = "preference_center.request_id"
_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{15,63}")
_random = SystemRandom()


def request_id(environ: MutableMapping[str, Any]) -> str:
    """The id of the request of this WSGI environment, which keeps it."""
    found: str | None = environ.get(_ENVIRON_KEY)
    if found is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        found = given if _ACCEPTED.fullmatch(given) else f"{_random.getrandbits(64):016x}"
        environ[_ENVIRON_KEY] = found
    return found


def add_to_log(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the id of the current request, if there is one, to a line of the log."""
    if has_request_context():
        event.setdefault("request_id", request_id(request.environ))
    return event
