"""The API responds to a list of any length with decisions, row by row while it is received.

A stream needs the same memory for ten rows and ten million: a block of lines, their decisions,
and what the client sent ahead (`RequestBuffer`). It holds no database connection and no
transaction while it waits for the client: each block is one query. Nothing is written, so a block
that the database did not answer is tried again, for `OUTAGE_PATIENCE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import structlog
from flask import Flask, Response, current_app, request
from pydantic import Field
from werkzeug.wsgi import get_input_stream

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import (
    CatalogueError,
    ReplayPending,
    Unavailable,
    UnreadableBody,
)
from preference_center.decisions.api import DecisionStreamLine, count_denials, decide_all
from preference_center.decisions.api.row_formats import (
    COLUMNS,
    CsvFormat,
    InputRow,
    NdjsonFormat,
    RowFormat,
    open_csv,
)
from preference_center.decisions.rules import Decision
from preference_center.infra.context import services
from preference_center.infra.db.connections import WORKER_TIMEOUTS
from preference_center.infra.db.transactions import OUTAGE_PATIENCE, outlast_outage
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.store.lookup import load_facts_as_of
from preference_center.ledger.watermarks import Watermark
from preference_center.web.api import keys
from preference_center.web.api.bodies import MessageTypeKey
from preference_center.web.api.endpoint import (
    ApiCall,
    endpoint,
    require_message_type,
)
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import QueryParameters
from preference_center.web.api.problems import (
    ERASURES_NOT_REPLAYED,
    INTERNAL_ERROR,
    INVALID_BODY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNSUPPORTED_LIST_FORMAT,
    ApiError,
    Problem,
)
from preference_center.web.api.streams import (
    RequestBuffer,
    acquire_stream_slot,
    gunzip,
    split_lines,
)

log = structlog.get_logger()

AS_OF_HEADER = "As-Of"
"""Response header: the watermark up to which all decisions of a stream consider events."""

DRAIN_TIMEOUT = 10.0
"""Seconds for a client to send the rest of a list after the response to it ended."""


class StreamQuery(QueryParameters):
    """The message that the list is for, and the recipient column of a CSV file."""

    message_type: MessageTypeKey
    channel: Channel = Channel.EMAIL
    column: Annotated[str, Field(min_length=1, max_length=200)] | None = None


# Any bytes are accepted, so the schemas have no type; nor an example, since tools that test
# the document do not know how to encode one as NDJSON.
_REQUEST_CONTENT = {
    NdjsonFormat.mimetype: {
        "schema": {
            "description": "One JSON value per line: a string, or an object with `recipient`."
        }
    },
    CsvFormat.mimetype: {"schema": {"description": "A header line, then a row per recipient."}},
}
_RESPONSE = {
    "headers": {AS_OF_HEADER: {"schema": {"type": "string"}, "required": True}},
    "content": {
        CsvFormat.mimetype: {"schema": {"type": "string", "description": f"{','.join(COLUMNS)}"}}
    },
}


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The API key and the message of a stream."""

    key_text: str
    message_type: str
    channel: Channel


@endpoint(
    "POST",
    "/decisions/stream",
    KeyScope.CHECK,
    query=StreamQuery,
    response=DecisionStreamLine,
    errors=(UNSUPPORTED_LIST_FORMAT, INVALID_BODY),
    extensions={"requestBody": {"content": _REQUEST_CONTENT}, "responses": {200: _RESPONSE}},
)
def post_decisions_stream(call: ApiCall, query: StreamQuery) -> Response:
    """Check a message for a list of recipients of any length.

    The list is NDJSON or CSV; so is the response, in the same order. It is complete only if its
    last line states so.
    """
    require_message_type(call.key, query.message_type, current_catalogue())
    _, as_of = load_facts_as_of([])
    require_complete_database(as_of.epoch)
    with ExitStack() as resources:
        resources.callback(acquire_stream_slot().release)
        source = get_input_stream(request.environ, safe_fallback=False)
        buffer = RequestBuffer(source, request.content_length)
        resources.callback(buffer.close)
        try:
            row_format, blocks = _open_rows(buffer, query.column)
        except UnreadableBody:
            buffer.close(DRAIN_TIMEOUT)
            raise
        stream = _DecisionStream(
            # The stream outlives the request, so it needs the app itself, not the proxy.
            current_app._get_current_object(),  # type: ignore[attr-defined]  # noqa: SLF001
            row_format,
            blocks,
            buffer,
            StreamRequest(_key_text(), query.message_type, query.channel),
            as_of,
            resources.pop_all(),
        )
    response = Response(stream.response_blocks(), mimetype=row_format.mimetype)
    response.call_on_close(stream.resources.close)  # also if no block is ever read
    response.headers[AS_OF_HEADER] = str(as_of)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer the response
    return response


def _open_rows(
    buffer: RequestBuffer, column: str | None
) -> tuple[RowFormat, Iterator[list[bytes]]]:
    """The format for the body's content type, and the blocks of its lines.

    Raises ApiError for an unsupported type, and UnreadableBody if the body is unreadable.
    """
    encoding = (request.content_encoding or "identity").lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise ApiError(UNSUPPORTED_LIST_FORMAT, UNSUPPORTED_LIST_FORMAT.remedy)
    blocks = split_lines(buffer if encoding == "identity" else gunzip(buffer))
    if request.mimetype == CsvFormat.mimetype:
        return open_csv(blocks, column)
    if request.mimetype == NdjsonFormat.mimetype:
        return NdjsonFormat(), blocks
    raise ApiError(UNSUPPORTED_LIST_FORMAT, UNSUPPORTED_LIST_FORMAT.remedy)


@dataclass(frozen=True, slots=True)
class _DecisionStream:
    """One response in progress."""

    app: Flask
    row_format: RowFormat
    blocks: Iterator[list[bytes]]
    buffer: RequestBuffer
    stream_request: StreamRequest
    as_of: Watermark
    resources: ExitStack
    """Released when the response ends."""

    def response_blocks(self) -> Iterator[bytes]:
        count = 0
        with self.resources:
            if header := self.row_format.encode_header():
                yield header
            try:
                for rows in _read_rows(self.row_format, self.blocks):
                    with self.app.app_context():
                        decide = partial(_decide, rows, self.stream_request)
                        decisions = outlast_outage(decide, WORKER_TIMEOUTS, OUTAGE_PATIENCE)
                        encoded = self.row_format.encode_decisions(rows, decisions)
                    count += len(rows)
                    yield encoded
            except Exception as error:  # noqa: BLE001 - the status is sent already
                with self.app.app_context():
                    error_line = self.row_format.encode_error(_problem_document(error, count))
                yield error_line
                self.buffer.close(DRAIN_TIMEOUT)
            else:
                yield self.row_format.encode_end(count, self.as_of)


def _read_rows(row_format: RowFormat, blocks: Iterator[list[bytes]]) -> Iterator[list[InputRow]]:
    for block in blocks:
        if rows := row_format.read_rows(block):
            yield rows
    if rows := row_format.flush():
        yield rows


def _decide(rows: Sequence[InputRow], stream_request: StreamRequest) -> list[Decision]:
    """The decisions as of now: key, catalogue and facts are loaded for every block."""
    key = keys.find_key(stream_request.key_text)
    if key is None:
        raise ApiError(UNAUTHENTICATED, "This key was revoked.")
    recipients = [row for row in rows if isinstance(row, str)]
    context = services()
    decided = decide_all(
        recipients,
        stream_request.message_type,
        stream_request.channel,
        current_catalogue(),
        context.settings.phone_region,
        context.now(),
    )
    count_denials(key.name, decided.decisions, context.now())
    if len(recipients) == len(rows):
        return decided.decisions
    decisions = iter(decided.decisions)
    return [next(decisions) if isinstance(row, str) else row for row in rows]


def _problem_document(error: Exception, count: int) -> dict[str, Any]:
    """Log the error that ended a stream after `count` rows, and return its problem document."""
    problem, detail = _problem_of(error)
    if problem is INTERNAL_ERROR:
        log.error("unexpected", endpoint=post_decisions_stream.view.__name__, exc_info=error)
    else:
        log.warning("stream_aborted", problem=problem.slug, count=count)
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
    }


def _problem_of(error: Exception) -> tuple[Problem, str]:
    match error:
        case ApiError():
            return error.problem, str(error)
        case ReplayPending():
            return ERASURES_NOT_REPLAYED, str(error)
        case Unavailable() | CatalogueError():
            return UNAVAILABLE, str(error)
        case UnreadableBody():
            return INVALID_BODY, str(error)
    return INTERNAL_ERROR, INTERNAL_ERROR.remedy


def _key_text() -> str:
    authorization = request.authorization
    assert authorization is not None
    assert authorization.token is not None  # or the request would not be authenticated
    return authorization.token


ROUTES = (post_decisions_stream,)
