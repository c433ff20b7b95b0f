"""The API serves the feed of the ledger: changes after a watermark, and the first snapshot."""

from __future__ import annotations

import json
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from flask import Response, request
from pydantic import Field, RootModel

from preference_center.core.addresses import Channel
from preference_center.core.events import EventKind
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.feed import changes as feed
from preference_center.ledger.feed.changes import (
    FeedPage,
    FeedScopeStatus,
    change_json,
    scope_status_json,
)
from preference_center.ledger.feed.cursors import FeedLag, LedgerSnapshot
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import (
    ApiCall,
    endpoint,
    json_response,
)
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import QueryParameters
from preference_center.web.api.problems import STALE_WATERMARK
from preference_center.web.api.streams import (
    WATERMARK_SCHEMA,
    acquire_stream_slot,
    parse_after,
    while_complete,
)

MAX_CHANGES = 10_000
_BLOCK_SIZE = 1 << 16
"""Bytes of a snapshot per block, before compression."""
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_COMPRESSION_LEVEL = 1
"""zlib level: low, since the database is the bottleneck, not the network."""


class ChangesQuery(QueryParameters):
    """Where to continue, and how many changes to return."""

    after: Annotated[str, WATERMARK_SCHEMA] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_CHANGES)] = 1_000


class ScopeStatusBody(ResponseBody):
    """The state of one scope of one address by itself; decisions also consider wider scopes."""

    off: bool
    out_at: datetime | None = None
    out_reason: EventKind | None = None
    lifted_at: datetime | None = None
    pause_at: datetime | None = None
    pause_until: datetime | None = None
    consent_at: datetime | None = None
    frequency: str | None = None
    frequency_at: datetime | None = None


class AddressScopeStatus(ResponseBody):
    """One scope of one address; without `address` where only its digest is stored."""

    ref: str
    channel: Channel
    address: str | None = None
    scope: str
    status: ScopeStatusBody


class ChangeItem(AddressScopeStatus):
    """One event, and the current state of its scope."""

    id: UUID
    kind: EventKind
    occurred_at: datetime
    recorded_at: datetime
    counts_at: datetime
    until: datetime | None = None
    frequency: str | None = None
    source: str
    retracts: list[UUID] | None = None


class FeedLagBody(ResponseBody):
    """Events that wait behind an open transaction, and the age of that transaction."""

    events: int
    seconds: float | None = None


class ChangesResponse(ResponseBody):
    """Changes in order, and the watermark to continue from."""

    changes: list[ChangeItem]
    next: str
    more: bool
    lag: FeedLagBody | None = None


class SnapshotStart(ResponseBody):
    """The first line: the watermark to continue from.

    `behind_seconds`, of a replica, is how old the oldest event is that the snapshot lacks.
    """

    watermark: str
    at: datetime
    behind_seconds: float | None = None


class SnapshotEnd(ResponseBody):
    """The last line of a complete snapshot."""

    end: Literal[True]
    count: int


class SnapshotLine(RootModel[AddressScopeStatus | SnapshotStart | SnapshotEnd]):
    """One line of a snapshot."""

    media_type: ClassVar[str] = "application/x-ndjson"


@endpoint(
    "GET",
    "/changes",
    KeyScope.READ,
    query=ChangesQuery,
    response=ChangesResponse,
    errors=(STALE_WATERMARK,),
)
def get_changes(call: ApiCall, query: ChangesQuery) -> Response:
    """List the changes after a watermark.

    Every event is listed once, in a fixed order, and none is skipped. Continue with `next`, also
    after an empty list. Without `after` the list starts with the oldest event.
    """
    after = parse_after(query.after)
    keys = services().keys
    page = run_in_transaction(
        lambda connection: feed.list_changes(connection, keys, after, query.limit)
    )
    require_complete_database(page.next_watermark.epoch)
    call.count_rows_read(len(page.entries))
    return json_response(json.dumps(_page_json(page)))


@endpoint("GET", "/changes/snapshot", KeyScope.READ, response=SnapshotLine)
def get_changes_snapshot(call: ApiCall) -> Response:
    """Get the state of every scope of every address.

    One JSON object per line, all as of the same time. The first line has the watermark to
    continue from. The snapshot is complete only if it has a last line, and as many lines
    between the two as that line counts.
    """
    with ExitStack() as resources:
        resources.callback(acquire_stream_slot().release)
        run_in_transaction(
            lambda c: audit.insert_audit_entry(
                c, call.origin.now, call.key.actor, "feed.snapshot", {}
            )
        )
        rows = feed.iter_snapshot(services().keys)
        resources.callback(rows.close)
        first = next(rows)
        assert isinstance(first, LedgerSnapshot)
        require_complete_database(first.watermark.epoch)
        first_line = _snapshot_start_json(first, call.origin.now)
        open_resources = resources.pop_all()
    blocks = _blocks(_snapshot_lines(first_line, rows, open_resources))
    response = _stream_response(while_complete(blocks))
    response.call_on_close(open_resources.close)  # also if no line is ever read
    return response


def _snapshot_start_json(snapshot: LedgerSnapshot, now: datetime) -> dict[str, Any]:
    line: dict[str, Any] = {"watermark": str(snapshot.watermark), "at": now.isoformat()}
    if snapshot.behind is not None:
        line["behind_seconds"] = round(snapshot.behind.total_seconds(), 1)
    return line


def _stream_response(blocks: Iterable[bytes]) -> Response:
    """The response, compressed if the client accepts that."""
    response = Response(mimetype=SnapshotLine.media_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer the response
    if request.accept_encodings.best_match(["gzip", "identity"], "identity") == "gzip":
        blocks = _gzip_blocks(blocks)
        response.headers["Content-Encoding"] = "gzip"
    response.response = blocks
    return response


def _page_json(page: FeedPage) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changes": [change_json(entry) for entry in page.entries],
        "next": str(page.next_watermark),
        "more": page.has_more,
    }
    if page.lag:
        result["lag"] = _feed_lag_json(page.lag)
    return result


def _feed_lag_json(lag: FeedLag) -> dict[str, Any]:
    age = lag.blocking_age
    return {"events": lag.events} | ({} if age is None else {"seconds": age.total_seconds()})


def _snapshot_lines(
    first_line: dict[str, Any],
    rows: Iterator[LedgerSnapshot | FeedScopeStatus],
    resources: ExitStack,
) -> Iterator[bytes]:
    """The lines; releases `resources`. If one fails, the response ends without the last line."""
    with resources:
        count = 0
        yield _ndjson_line(first_line)
        for row in rows:
            assert isinstance(row, FeedScopeStatus)
            yield _ndjson_line(scope_status_json(row))
            count += 1
        yield _ndjson_line({"end": True, "count": count})


def _ndjson_line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _blocks(lines: Iterator[bytes]) -> Generator[bytes]:
    """Join lines into blocks of about `_BLOCK_SIZE` bytes."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK_SIZE:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _gzip_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress as gzip (RFC 1952), in which a reader detects truncation."""
    compressor = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    for block in blocks:
        if compressed := compressor.compress(block):
            yield compressed
    yield compressor.flush()


ROUTES = (get_changes, get_changes_snapshot)
