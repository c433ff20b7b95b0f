"""Reading the body of a request, for all doors."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge


def read_body(*, cache: bool = True) -> bytes:
    """What was sent. Raises RequestEntityTooLarge.

    Werkzeug cuts a body that comes without Content-Length at the limit, and says nothing.
    """
    raw = request.get_data(cache=cache)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(raw) >= limit:
        raise RequestEntityTooLarge
    return raw
