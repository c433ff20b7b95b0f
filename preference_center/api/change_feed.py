"""Following the ledger: changes after a watermark, and the snapshot to start from."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from flask import Response, request
from pydantic import Field, RootModel

from preference_center.api.endpoint import Call, operation, reply
from preference_center.api.parsing import Query
from preference_center.api.problems import STALE_WATERMARK, InvalidQuery, QueryFault
from preference_center.api.responses import Answer
from preference_center.api.stream_limit import take_slot
from preference_center.domain.addresses import Channel
from preference_center.domain.events import Event, Kind, State
from preference_center.domain.watermarks import Watermark, parse_watermark
from preference_center.errors import InvalidWatermark
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.db.database import run
from preference_center.storage.feed import changes as feed
from preference_center.storage.feed.changes import Entry, Page, Standing
from preference_center.storage.feed.feed_lag import HeldBack

MAX_CHANGES = 10_000
_BLOCK = 1 << 16
"""Octets of a snapshot that are sent at once, before compression."""
_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1
"""Level of compression: ours is not the time of the network, but of the database."""

_WATERMARK = Field(
    json_schema_extra={
        "format": "watermark",
        "pattern": r"^[0-9a-f]{8}\.(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,18})$",
    },
)


class ChangesQuery(Query):
    """Which changes."""

    after: Annotated[str, _WATERMARK] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_CHANGES)] = 1_000


class ScopeStanding(Answer):
    """How one scope of one address stands, by itself: wider scopes count too."""

    off: bool
    out_at: datetime | None = None
    out_reason: Kind | None = None
    lifted_at: datetime | None = None
    pause_at: datetime | None = None
    pause_until: datetime | None = None
    consent_at: datetime | None = None


class StandingTold(Answer):
    """One scope of one address; no `address` where nobody can read it."""

    ref: str
    channel: Channel
    address: str | None = None
    scope: str
    standing: ScopeStanding


class ChangeTold(StandingTold):
    """One event, and how its scope stands by now."""

    id: UUID
    kind: Kind
    occurred_at: datetime
    recorded_at: datetime
    counts_at: datetime
    until: datetime | None = None
    source: str
    retracts: list[UUID] | None = None


class HeldBackTold(Answer):
    """How many events wait for an open transaction, and for how long that has been open."""

    events: int
    seconds: float | None = None


class ChangesTold(Answer):
    """Changes in order, and the watermark to go on from."""

    changes: list[ChangeTold]
    next: str
    more: bool
    held_back: HeldBackTold | None = None


class SnapshotBegun(Answer):
    """The first line: the watermark to go on from."""

    watermark: str
    at: datetime


class SnapshotEnded(Answer):
    """The last line, if nothing is missing between the first and it."""

    end: Literal[True]
    count: int


class SnapshotLine(RootModel[StandingTold | SnapshotBegun | SnapshotEnded]):
    """One line of a snapshot."""

    media_type: ClassVar[str] = "application/x-ndjson"


@operation(
    "GET",
    "/changes",
    KeyScope.READ,
    query=ChangesQuery,
    answer=ChangesTold,
    refuses=(STALE_WATERMARK,),
)
def get_changes(_: Call, query: ChangesQuery) -> Response:
    """What was recorded after this watermark?

    Every event comes once, in one order, and none is skipped. Go on with `next`, also after
    an empty answer. Without `after` it begins with the first event of all.
    """
    try:
        after = None if query.after is None else parse_watermark(query.after)
    except InvalidWatermark as error:
        raise InvalidQuery([QueryFault("after", "invalid-value", str(error))]) from None
    keys = services().keys
    page = run(lambda connection: feed.changes(connection, keys, after, query.limit))
    return reply(json.dumps(_page(page)))


@operation("GET", "/changes/snapshot", KeyScope.READ, answer=SnapshotLine)
def get_changes_snapshot(call: Call) -> Response:
    """How does every scope of every address stand?

    A JSON object per line, all as of one moment. The first line has the watermark to go on
    from. Only with the last line, and as many between them as it counts, is it whole.
    """
    with ExitStack() as held:
        held.callback(take_slot().release)
        run(lambda c: audit.append(c, call.origin.now, call.key.actor, "feed.snapshot", {}))
        rows = feed.snapshot(services().keys)
        held.callback(rows.close)
        first = next(rows)
        begun = {"watermark": str(first), "at": call.origin.now.isoformat()}
        kept = held.pop_all()
    response = _streamed(_blocks(_snapshot(begun, rows, kept)))
    response.call_on_close(kept.close)  # also if nobody reads a line
    return response


def _streamed(blocks: Iterable[bytes]) -> Response:
    """The answer, compressed if that is accepted."""
    response = Response(mimetype=SnapshotLine.media_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: pass it on as it comes
    if request.accept_encodings.best_match(["gzip", "identity"], "identity") == "gzip":
        blocks = _compressed(blocks)
        response.headers["Content-Encoding"] = "gzip"
    response.response = blocks  # begun already, so it needs no context of Flask's any more
    return response


def _page(page: Page) -> dict[str, Any]:
    told: dict[str, Any] = {
        "changes": [_change(entry) for entry in page.entries],
        "next": str(page.next),
        "more": page.more,
    }
    if page.held_back:
        told["held_back"] = _held_back(page.held_back)
    return told


def _change(entry: Entry) -> dict[str, Any]:
    event: Event = entry.event
    told = {
        "id": str(event.id),
        "kind": event.kind,
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "counts_at": event.counts_at.isoformat(),
        "source": event.source,
        **_standing(entry.standing),
    }
    if event.until:
        told["until"] = event.until.isoformat()
    if event.retracts:
        told["retracts"] = [str(retracted) for retracted in event.retracts]
    return told


def _standing(standing: Standing) -> dict[str, Any]:
    told = {
        "ref": str(standing.address_id),
        "channel": standing.channel,
        "address": standing.address,
        "scope": standing.scope,
        "standing": _state(standing.state),
    }
    if standing.address is None:
        del told["address"]
    return told


def _state(state: State) -> dict[str, Any]:
    told: dict[str, Any] = {"off": state.stands}
    if state.out:
        told |= {"out_at": state.out.at.isoformat(), "out_reason": state.reason}
    if state.lift:
        told["lifted_at"] = state.lift.at.isoformat()
    if state.pause and state.pause_until:
        told["pause_at"] = state.pause.at.isoformat()
        told["pause_until"] = state.pause_until.isoformat()
    if state.consent:
        told["consent_at"] = state.consent.at.isoformat()
    return told


def _held_back(held_back: HeldBack) -> dict[str, Any]:
    age = held_back.age
    return {"events": held_back.events} | ({} if age is None else {"seconds": age.total_seconds()})


def _snapshot(
    begun: dict[str, Any], rows: Iterator[Watermark | Standing], held: ExitStack
) -> Iterator[bytes]:
    """The lines; gives `held` back. Should one fail, the answer ends before the last."""
    with held:
        count = 0
        yield _line(begun)
        for row in rows:
            assert isinstance(row, Standing)
            yield _line(_standing(row))
            count += 1
        yield _line({"end": True, "count": count})


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The same in larger pieces."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _compressed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same as gzip (RFC 1952), whose end a reader misses if it is cut."""
    squeeze = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for block in blocks:
        if squeezed := squeeze.compress(block):
            yield squeezed
    yield squeeze.flush()
