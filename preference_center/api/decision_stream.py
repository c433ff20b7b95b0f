"""Decisions for a list of any length, answered row by row while it comes in.

What a stream takes is the same for ten rows and ten million: a block of lines, their
answers, and whatever the client sent ahead (`Backlog`). It holds no connection to the
database and no transaction while it waits for the client: each block is one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from flask import Flask, Response, current_app, request
from pydantic import Field
from werkzeug.wsgi import get_input_stream

from preference_center.api.authentication import require_message_type
from preference_center.api.decisions import decide_all
from preference_center.api.endpoint import ApiCall, endpoint
from preference_center.api.gunzip import gunzip, split_lines
from preference_center.api.parsing import QueryParameters
from preference_center.api.problems import (
    INTERNAL_ERROR,
    INVALID_BODY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNSUPPORTED_LIST_FORMAT,
    ApiError,
    Problem,
)
from preference_center.api.request_buffer import RequestBuffer
from preference_center.api.requests import MessageTypeKey
from preference_center.api.responses import DecisionStreamLine
from preference_center.api.row_formats import (
    COLUMNS,
    CsvFormat,
    InputRow,
    NdjsonFormat,
    RowFormat,
    open_csv,
)
from preference_center.api.stream_limit import acquire_stream_slot
from preference_center.domain.addresses import Channel
from preference_center.domain.decisions import Decision
from preference_center.domain.watermarks import Watermark
from preference_center.errors import CatalogueError, Unavailable, UnreadableBody
from preference_center.extensions import services
from preference_center.storage.access import api_keys
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.ledger.suppression_lookup import load_facts_as_of

log = structlog.get_logger()

AS_OF_HEADER = "As-Of"
"""Header of an answer that streams: the watermark that all of it counts."""

DRAIN_TIMEOUT = 10.0
"""Seconds in which a client may send the rest of a list that is answered no further."""


class StreamQuery(QueryParameters):
    """Which message the list is for, and where a CSV file has the recipients."""

    message_type: MessageTypeKey
    channel: Channel = Channel.EMAIL
    column: Annotated[str, Field(min_length=1, max_length=200)] | None = None


# Any octets will do, so there is no type to hold them to; nor an example, for which tools that
# try the document would have to know how NDJSON is written.
_REQUEST_CONTENT = {
    NdjsonFormat.mimetype: {
        "schema": {"description": "One JSON value per line: text, or an object with `recipient`."}
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
    """What is asked about every recipient, and by whom."""

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
    """May this message go to the recipients of this list?

    The list is NDJSON or CSV of any length; so is the answer, in the same order. Only if it
    ends by saying so are all rows answered.
    """
    require_message_type(call.key, query.message_type, current_catalogue())
    _, as_of = load_facts_as_of([])
    with ExitStack() as held:
        held.callback(acquire_stream_slot().release)
        source = get_input_stream(request.environ, safe_fallback=False)
        backlog = RequestBuffer(source, request.content_length)
        held.callback(backlog.close)
        try:
            sheet, blocks = _open_rows(backlog, query.column)
        except UnreadableBody:
            backlog.close(DRAIN_TIMEOUT)
            raise
        stream = _DecisionStream(
            # As Flask's manual has it for what outlives the request.
            current_app._get_current_object(),  # type: ignore[attr-defined]  # noqa: SLF001
            sheet,
            blocks,
            backlog,
            StreamRequest(_key_text(), query.message_type, query.channel),
            as_of,
            held.pop_all(),
        )
    response = Response(stream.response_blocks(), mimetype=sheet.mimetype)
    response.call_on_close(stream.resources.close)  # also if nobody asks for the first answer
    response.headers[AS_OF_HEADER] = str(as_of)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: pass answers on as they come
    return response


def _open_rows(
    buffer: RequestBuffer, column: str | None
) -> tuple[RowFormat, Iterator[list[bytes]]]:
    """The sheet by the body's type, and the blocks of its lines.

    Raises Refused for another type, and UnreadableBody if it can't be read.
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
    """An answer under way."""

    app: Flask
    row_format: RowFormat
    blocks: Iterator[list[bytes]]
    buffer: RequestBuffer
    stream_request: StreamRequest
    as_of: Watermark
    resources: ExitStack
    """Gives back what it holds."""

    def response_blocks(self) -> Iterator[bytes]:
        count = 0
        with self.resources:
            if beginning := self.row_format.encode_header():
                yield beginning
            try:
                for rows in _read_rows(self.row_format, self.blocks):
                    with self.app.app_context():
                        answered = self.row_format.encode_decisions(
                            rows, _decide(rows, self.stream_request)
                        )
                    count += len(rows)
                    yield answered
            except Exception as error:  # noqa: BLE001 - there is no status left to tell it by
                with self.app.app_context():
                    broken_off = self.row_format.encode_error(_problem_document(error, count))
                yield broken_off
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
    """The decisions as of now: the key, the catalogue and the facts are looked up anew."""
    if api_keys.find_key(stream_request.key_text) is None:
        raise ApiError(UNAUTHENTICATED, "This key was revoked.")
    recipients = [row for row in rows if isinstance(row, str)]
    wired = services()
    decided = decide_all(
        recipients,
        stream_request.message_type,
        stream_request.channel,
        current_catalogue(),
        wired.settings.phone_region,
        wired.now(),
    )
    if len(recipients) == len(rows):
        return decided.decisions
    made = iter(decided.decisions)
    return [next(made) if isinstance(row, str) else row for row in rows]


def _problem_document(error: Exception, count: int) -> dict[str, Any]:
    """The problem document of what ended a stream after `count` rows, which is logged."""
    problem, detail = _problem_of(error)
    if problem is INTERNAL_ERROR:
        log.error("unexpected", endpoint=post_decisions_stream.__name__, exc_info=error)
    else:
        log.warning("stream_broken_off", problem=problem.slug, count=count)
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
        case Unavailable() | CatalogueError():
            return UNAVAILABLE, str(error)
        case UnreadableBody():
            return INVALID_BODY, str(error)
    return INTERNAL_ERROR, INTERNAL_ERROR.remedy


def _key_text() -> str:
    given = request.authorization
    assert given is not None
    assert given.token is not None  # or the operation would have refused
    return given.token
