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
from preference_center.api.endpoint import Call, operation
from preference_center.api.gunzip import gunzip, lines
from preference_center.api.parsing import Query
from preference_center.api.problems import (
    FAULT,
    INVALID_BODY,
    NOT_A_LIST,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Problem,
    Refused,
)
from preference_center.api.request_buffer import Backlog
from preference_center.api.requests import MessageTypeKey
from preference_center.api.responses import StreamLine
from preference_center.api.row_formats import COLUMNS, Csv, Ndjson, Row, Sheet, open_csv
from preference_center.api.stream_limit import take_slot
from preference_center.domain.addresses import Channel
from preference_center.domain.decisions import Decision
from preference_center.domain.watermarks import Watermark
from preference_center.errors import CatalogueError, Unavailable, UnreadableBody
from preference_center.extensions import services
from preference_center.storage.access import api_keys
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.ledger.suppression_lookup import facts_as_of

log = structlog.get_logger()

AS_OF = "As-Of"
"""Header of an answer that streams: the watermark that all of it counts."""

PATIENCE = 10.0
"""Seconds in which a client may send the rest of a list that is answered no further."""


class StreamQuery(Query):
    """Which message the list is for, and where a CSV file has the recipients."""

    message_type: MessageTypeKey
    channel: Channel = Channel.EMAIL
    column: Annotated[str, Field(min_length=1, max_length=200)] | None = None


# Any octets will do, so there is no type to hold them to; nor an example, for which tools that
# try the document would have to know how NDJSON is written.
_LIST = {
    Ndjson.mimetype: {
        "schema": {"description": "One JSON value per line: text, or an object with `recipient`."}
    },
    Csv.mimetype: {"schema": {"description": "A header line, then a row per recipient."}},
}
_ANSWER = {
    "headers": {AS_OF: {"schema": {"type": "string"}, "required": True}},
    "content": {
        Csv.mimetype: {"schema": {"type": "string", "description": f"{','.join(COLUMNS)}"}}
    },
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about every recipient, and by whom."""

    key_text: str
    message_type: str
    channel: Channel


@operation(
    "POST",
    "/decisions/stream",
    KeyScope.CHECK,
    query=StreamQuery,
    answer=StreamLine,
    refuses=(NOT_A_LIST, INVALID_BODY),
    extensions={"requestBody": {"content": _LIST}, "responses": {200: _ANSWER}},
)
def post_decisions_stream(call: Call, query: StreamQuery) -> Response:
    """May this message go to the recipients of this list?

    The list is NDJSON or CSV of any length; so is the answer, in the same order. Only if it
    ends by saying so are all rows answered.
    """
    require_message_type(call.key, query.message_type, current_catalogue())
    _, as_of = facts_as_of([])
    with ExitStack() as held:
        held.callback(take_slot().release)
        source = get_input_stream(request.environ, safe_fallback=False)
        backlog = Backlog(source, request.content_length)
        held.callback(backlog.close)
        try:
            sheet, blocks = _open(backlog, query.column)
        except UnreadableBody:
            backlog.close(PATIENCE)
            raise
        stream = _Stream(
            # As Flask's manual has it for what outlives the request.
            current_app._get_current_object(),  # type: ignore[attr-defined]  # noqa: SLF001
            sheet,
            blocks,
            backlog,
            Asked(_key_text(), query.message_type, query.channel),
            as_of,
            held.pop_all(),
        )
    response = Response(stream.answers(), mimetype=sheet.mimetype)
    response.call_on_close(stream.held.close)  # also if nobody asks for the first answer
    response.headers[AS_OF] = str(as_of)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: pass answers on as they come
    return response


def _open(backlog: Backlog, column: str | None) -> tuple[Sheet, Iterator[list[bytes]]]:
    """The sheet by the body's type, and the blocks of its lines.

    Raises Refused for another type, and UnreadableBody if it can't be read.
    """
    encoding = (request.content_encoding or "identity").lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise Refused(NOT_A_LIST, NOT_A_LIST.remedy)
    blocks = lines(backlog if encoding == "identity" else gunzip(backlog))
    if request.mimetype == Csv.mimetype:
        return open_csv(blocks, column)
    if request.mimetype == Ndjson.mimetype:
        return Ndjson(), blocks
    raise Refused(NOT_A_LIST, NOT_A_LIST.remedy)


@dataclass(frozen=True, slots=True)
class _Stream:
    """An answer under way."""

    app: Flask
    sheet: Sheet
    blocks: Iterator[list[bytes]]
    backlog: Backlog
    asked: Asked
    as_of: Watermark
    held: ExitStack
    """Gives back what it holds."""

    def answers(self) -> Iterator[bytes]:
        count = 0
        with self.held:
            if beginning := self.sheet.begin():
                yield beginning
            try:
                for rows in _rows(self.sheet, self.blocks):
                    with self.app.app_context():
                        answered = self.sheet.answers(rows, _decide(rows, self.asked))
                    count += len(rows)
                    yield answered
            except Exception as error:  # noqa: BLE001 - there is no status left to tell it by
                with self.app.app_context():
                    broken_off = self.sheet.break_off(_document(error, count))
                yield broken_off
                self.backlog.close(PATIENCE)
            else:
                yield self.sheet.end(count, self.as_of)


def _rows(sheet: Sheet, blocks: Iterator[list[bytes]]) -> Iterator[list[Row]]:
    for block in blocks:
        if rows := sheet.read(block):
            yield rows
    if rows := sheet.rest():
        yield rows


def _decide(rows: Sequence[Row], asked: Asked) -> list[Decision]:
    """The decisions as of now: the key, the catalogue and the facts are looked up anew."""
    if api_keys.find(asked.key_text) is None:
        raise Refused(UNAUTHENTICATED, "This key was revoked.")
    recipients = [row for row in rows if isinstance(row, str)]
    wired = services()
    decided = decide_all(
        recipients,
        asked.message_type,
        asked.channel,
        current_catalogue(),
        wired.settings.phone_region,
        wired.now(),
    )
    if len(recipients) == len(rows):
        return decided.decisions
    made = iter(decided.decisions)
    return [next(made) if isinstance(row, str) else row for row in rows]


def _document(error: Exception, count: int) -> dict[str, Any]:
    """The problem document of what ended a stream after `count` rows, which is logged."""
    problem, detail = _problem_of(error)
    if problem is FAULT:
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
        case Refused():
            return error.problem, str(error)
        case Unavailable() | CatalogueError():
            return UNAVAILABLE, str(error)
        case UnreadableBody():
            return INVALID_BODY, str(error)
    return FAULT, FAULT.remedy


def _key_text() -> str:
    given = request.authorization
    assert given is not None
    assert given.token is not None  # or the operation would have refused
    return given.token
