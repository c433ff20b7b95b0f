"""Reading the body of a request."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge


def read_body(*, cache: bool = True) -> bytes:
    """The bytes of the body. Raises RequestEntityTooLarge.

    Werkzeug truncates a body without Content-Length at the limit without raising an error.
    """
    raw = request.get_data(cache=cache)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(raw) >= limit:
        raise RequestEntityTooLarge
    return raw
