"""Holds a stand-in and its caller to an OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from io import BytesIO
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest, WerkzeugOpenAPIResponse
from openapi_core.exceptions import OpenAPIError
from werkzeug.wrappers import Request, Response

from tests.integrations.tools.answer_schemas import OpenApiSchemas, Schema


class Description:
    """Checks traffic; what breaks the description ends in `faults`.

    `ignored` are paths that another description has; `fix` corrects what this one is
    known to have wrong, before it is used.
    """

    def __init__(
        self,
        path: Path,
        *,
        ignored: Callable[[str], bool] = lambda _: False,
        fix: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        # The description names the vendor's servers; ours is any.
        spec: dict[str, Any] = json.loads(path.read_text()) | {"servers": [{"url": "/"}]}
        fix(spec)
        self._openapi = OpenAPI.from_dict(spec)
        self._schemas = OpenApiSchemas(spec)
        self._ignored = ignored
        self.faults: list[str] = []
        self.checked = 0
        self._known: set[Hashable] = set()
        """Exchanges without a fault: tests repeat most of them, and to check one takes
        longer than all else that happens in it."""

    def find(self, request: Request, status: int) -> tuple[str, Schema] | None:
        """See AnswerSchemas."""
        return None if self._ignored(request.path) else self._schemas.find(request, status)

    def at(self, schema: Schema, value: Any) -> Schema:
        """See AnswerSchemas."""
        return self._schemas.at(schema, value)

    def watch(self, request: Request, response: Response) -> None:
        """Check one exchange; error answers need no description."""
        if self._ignored(request.path) or response.status_code >= 400:
            return
        self.checked += 1
        exchange = _identify(request, response)
        if exchange in self._known:
            return
        try:
            self._validate(request, response)
        except OpenAPIError as error:
            cause = error.__cause__ or error
            details = getattr(cause, "schema_errors", "")
            self.faults.append(f"{request.method} {request.path}: {cause} {details}")
        else:
            self._known.add(exchange)

    def _validate(self, request: Request, response: Response) -> None:
        # Matched before unquoting: a hole of the path may hold a slash.
        environ = request.environ | {
            "PATH_INFO": request.environ["RAW_URI"].partition("?")[0],
            "wsgi.input": BytesIO(request.get_data()),
        }
        wrapped = WerkzeugOpenAPIRequest(Request(environ, populate_request=False))
        self._openapi.validate_request(wrapped)
        self._openapi.validate_response(wrapped, WerkzeugOpenAPIResponse(response))


def _identify(request: Request, response: Response) -> Hashable:
    """All of an exchange but the stand-in's port, which is another in each test."""
    return (
        request.method,
        request.environ["RAW_URI"],
        tuple((name, value) for name, value in request.headers if name != "Host"),
        request.get_data(),
        response.status_code,
        tuple(response.headers),
        response.get_data(),
    )
