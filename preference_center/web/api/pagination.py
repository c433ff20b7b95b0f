"""Pagination with authenticated cursors.

A cursor identifies the last row that was returned, so rows that are added or removed between
two pages do not shift the others.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar, cast
from urllib.parse import urlencode

from flask import Response, request
from pydantic import BaseModel, Field

from preference_center.infra.context import services
from preference_center.web.api.api_endpoint import json_response
from preference_center.web.api.parsing import QueryParameters, RequestBody
from preference_center.web.api.problems import INVALID_CURSOR, ApiError

T = TypeVar("T")

Position = list[str | int]
"""The sort key of one row. It is part of URLs: no personal data (I12)."""

_MAC_BYTES = 16

Limit = Annotated[int, Field(ge=1, le=1000, description="Maximum number of rows per page")]
Cursor = Annotated[str, Field(max_length=1000, description="`next` of the previous page")]


class PageQuery(QueryParameters):
    """A page of a list, for a GET; further fields filter the list."""

    limit: Limit = 100
    cursor: Cursor | None = None


class PageBody(RequestBody):
    """The same for a POST, where the filter may not be part of a URL (I12)."""

    limit: Limit = 100
    cursor: Cursor | None = None


def cursor_position(query: PageQuery | PageBody) -> Position | None:
    """The `Position` after which the page begins; None for the first. Raises ApiError."""
    if query.cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(query.cursor.encode() + b"==")
    except (binascii.Error, ValueError):
        raw = b""
    mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(query, text)):
        raise ApiError(INVALID_CURSOR, INVALID_CURSOR.remedy)
    return cast("Position", json.loads(text))


def page_response(
    query: PageQuery | PageBody,
    rows: Sequence[T],
    position_of: Callable[[T], Position],
    make_body: Callable[[Sequence[T], str | None], BaseModel],
    resume_at: Position | None = None,
) -> Response:
    """One page: `make_body(rows, next)`, with a Link to the next page of a GET (RFC 8288).

    `rows` are those after `cursor_position(query)`, one more than `query.limit` if there are.
    `resume_at` is where to continue if the search stopped before it found that many.
    """
    shown = rows[: query.limit]
    following = None
    end = position_of(shown[-1]) if len(rows) > query.limit else resume_at
    if end:
        text = json.dumps(end).encode()
        following = base64.urlsafe_b64encode(_mac(query, text) + text).decode().rstrip("=")
    response = json_response(make_body(shown, following))
    if following and request.method == "GET":
        parameters = urlencode(request.args.to_dict() | {"cursor": following})
        root = services().settings.public_url.rstrip("/")
        response.headers["Link"] = f'<{root}{request.path}?{parameters}>; rel="next"'
    return response


def _mac(query: PageQuery | PageBody, text: bytes) -> bytes:
    """Binds a position to its list: the path and all filters."""
    filters = query.model_dump_json(exclude={"limit", "cursor"}).encode()
    message = b"\n".join((b"cursor", request.path.encode(), filters, text))
    return hmac.digest(services().settings.secret_key.encode(), message, "sha256")[:_MAC_BYTES]
