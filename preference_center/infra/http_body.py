"""Reading the body of a request."""

from __future__ import annotations

import time
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from flask import Request, request
from werkzeug.exceptions import RequestEntityTooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class MemoryRequest(Request):
    """A request whose uploaded files are never written to disk, where they would lie unsealed.

    MAX_BODY_BYTES limits them.
    """

    def __init__(self, environ: WSGIEnvironment, *args: Any, **options: Any) -> None:
        super().__init__(environ, *args, **options)
        self.began = time.perf_counter()
        """When this process began to handle it."""

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002 - as in Werkzeug, which documents this hook
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return BytesIO()


def read_body(*, cache: bool = True) -> bytes:
    """The bytes of the body. Raises RequestEntityTooLarge.

    Werkzeug truncates a body without Content-Length at the limit without raising an error.
    """
    raw = request.get_data(cache=cache)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(raw) >= limit:
        raise RequestEntityTooLarge
    return raw
