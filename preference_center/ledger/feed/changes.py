"""The feed of the ledger has pages of changes after a watermark, and snapshots to start from.

A page ends at the oldest running transaction of the server, in any of its databases: nothing new
can appear before that. So a reader that continues from its last watermark sees every event
exactly once, however late it was committed.

The JSON of the feed is the same in the API, in a topic and in files (docs/feed.md).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.events import DatedFrequency, Event, EventKind, ScopeState, Timestamped
from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.feed.cursors import (
    FeedLag,
    LedgerSnapshot,
    load_feed_lag,
    open_ledger_snapshot,
)
from preference_center.ledger.store.events import load_events_by_id
from preference_center.ledger.watermarks import (
    Horizon,
    Watermark,
    ensure_followable,
    first_watermark,
    load_horizon,
)

_FETCH_SIZE = 2_000
"""Rows of a snapshot that are fetched at once."""


@dataclass(frozen=True, slots=True)
class FeedScopeStatus:
    """The state of one scope of one address. `address` is None if it is not readable (I6).

    `digest` is the keyed digest of its exact form.
    """

    address_id: int
    channel: Channel
    digest: bytes
    address: str | None
    scope: str
    state: ScopeState


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One event, and the current state of its scope, which may be newer than the event."""

    event: Event
    scope_status: FeedScopeStatus


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Changes in order. `next_watermark` is where to continue, also after an empty page."""

    entries: tuple[FeedEntry, ...]
    next_watermark: Watermark
    has_more: bool
    """Whether there is another page already."""
    lag: FeedLag | None
    """Events that are recorded but can't be delivered in order yet."""


_STATE_COLUMNS = """s.out_at, s.out_event, s.reason, COALESCE(s.own, false),
    s.lift_at, s.lift_event, s.pause_at, s.pause_event, s.pause_until, s.frequency_at,
    s.frequency_rank, s.frequency_event, s.frequency, c.at, c.event"""


_SELECT_BEFORE_EPOCH = """SELECT '0' AS xid, seq, id, address_id, scope FROM event
    WHERE seq > %(seq)s AND seq <= %(floor)s ORDER BY seq LIMIT %(limit)s"""


_SELECT_IN_EPOCH = """SELECT xid::text, seq, id, address_id, scope FROM event
    WHERE (event.xid, seq) > (%(xid)s::xid8, %(seq)s) AND event.xid < %(xmin)s::xid8
        AND seq > %(floor)s
    ORDER BY event.xid, seq LIMIT %(limit)s"""


_SELECT_ENTRIES = f"""
WITH page AS MATERIALIZED ({{page}})
SELECT page.xid, page.seq, page.id, page.address_id, a.channel, a.digest, a.ciphertext,
    page.scope, {_STATE_COLUMNS}
FROM page JOIN address a ON a.id = page.address_id
LEFT JOIN LATERAL (SELECT * FROM suppression
    WHERE address_id = page.address_id AND scope = page.scope OFFSET 0) AS s ON true
LEFT JOIN LATERAL (SELECT * FROM consent
    WHERE address_id = page.address_id AND topic = page.scope OFFSET 0) AS c ON true
ORDER BY page.xid::xid8, page.seq
"""  # noqa: S608 - a constant
"""OFFSET 0 avoids a full scan by a plan that was made while the table was small."""


_SELECT_SNAPSHOT = f"""
SELECT a.id, a.channel, a.digest, a.ciphertext, COALESCE(s.scope, c.topic), {_STATE_COLUMNS}
FROM suppression s
FULL JOIN consent c ON c.address_id = s.address_id AND c.topic = s.scope
JOIN address a ON a.id = COALESCE(s.address_id, c.address_id)
"""  # noqa: S608 - a constant


def list_changes(
    connection: Connection, keys: Keys, after: Watermark | None, page_size: int
) -> FeedPage:
    """Up to `page_size` events after `after`, by default from the first one, in order.

    Raises StaleWatermark if the database is on another timeline than `after`.
    """
    at = load_horizon(connection)
    after = after or first_watermark(at.timeline.epoch)
    ensure_followable(after, at)
    rows = _fetch_rows(connection, after, at, page_size + 1)
    more, rows = len(rows) > page_size, rows[:page_size]
    events = load_events_by_id(connection, [row[2] for row in rows])
    return FeedPage(
        tuple(FeedEntry(events[row[2]], _to_scope_status(row[3:], keys)) for row in rows),
        _next_watermark(after, at, rows if more else ()),
        more,
        None if more else load_feed_lag(connection, at),
    )


def iter_snapshot(keys: Keys) -> Generator[LedgerSnapshot | FeedScopeStatus]:
    """First the snapshot, then the state of every scope of every address in it.

    All as of one point in time, in no order, fetched in batches. Raises Unavailable, also if it is
    read too slowly (`read_snapshot`). Holds a connection until it is exhausted or closed.
    """
    with open_ledger_snapshot() as snapshot:
        yield snapshot
        with snapshot.connection.cursor("snapshot", binary=True) as cursor:
            cursor.itersize = _FETCH_SIZE
            for row in cursor.execute(_SELECT_SNAPSHOT):
                yield _to_scope_status(row, keys)


def _fetch_rows(
    connection: Connection, after: Watermark, horizon: Horizon, limit: int
) -> list[tuple[Any, ...]]:
    """The rows of a page: from before the epoch by `seq`, then by transaction."""
    given: Mapping[str, object] = {
        "xid": str(after.xid),
        "seq": after.seq,
        "xmin": str(horizon.xmin),
        "floor": horizon.timeline.floor,
    }
    rows: list[tuple[Any, ...]] = []
    if after.xid == 0 and after.seq < horizon.timeline.floor:
        older = _SELECT_ENTRIES.format(page=_SELECT_BEFORE_EPOCH)
        rows = connection.execute(older.encode(), {**given, "limit": limit}).fetchall()
    if len(rows) < limit:
        newer = _SELECT_ENTRIES.format(page=_SELECT_IN_EPOCH)
        given = {**given, "limit": limit - len(rows)}
        rows += connection.execute(newer.encode(), given).fetchall()
    return rows


def _next_watermark(
    after: Watermark, horizon: Horizon, rows: Sequence[tuple[Any, ...]]
) -> Watermark:
    """After the last of `rows`; without rows, after all transactions that have ended."""
    epoch = horizon.timeline.epoch
    if rows:
        return Watermark(epoch, int(rows[-1][0]), rows[-1][1])
    return max(after, horizon.watermark, key=lambda watermark: watermark.position)


def _to_scope_status(row: Sequence[Any], keys: Keys) -> FeedScopeStatus:
    address_id, channel, digest, ciphertext, scope, *state = row
    address = None if ciphertext is None else keys.open(ciphertext, context=digest)
    return FeedScopeStatus(
        address_id, Channel(channel), digest, address, scope, _to_scope_state(*state)
    )


def _to_scope_state(
    out_at: Any,
    out_event: UUID | None,
    reason: str | None,
    own: bool,  # noqa: FBT001 - a column
    *times: Any,
) -> ScopeState:
    lift_at, lift_event, pause_at, pause_event, pause_until, *rest = times
    chosen_at, rank, chosen, frequency, consent_at, consent_event = rest
    return ScopeState(
        opt_out=Timestamped(out_at, out_event) if out_at and out_event else None,
        reason=EventKind(reason) if reason else None,
        own_act=own,
        lift=Timestamped(lift_at, lift_event) if lift_at else None,
        pause=Timestamped(pause_at, pause_event) if pause_at else None,
        pause_until=pause_until,
        consent=Timestamped(consent_at, consent_event) if consent_at else None,
        frequency=DatedFrequency(chosen_at, rank, chosen, frequency) if chosen_at else None,
    )


def change_json(change: FeedEntry) -> dict[str, Any]:
    """One event, and how its scope stands by now."""
    event: Event = change.event
    result = {
        "id": str(event.id),
        "kind": event.kind,
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "counts_at": event.counts_at.isoformat(),
        "source": event.source,
        **scope_status_json(change.scope_status),
    }
    if event.until:
        result["until"] = event.until.isoformat()
    if event.frequency:
        result["frequency"] = event.frequency.key
    if event.retracts:
        result["retracts"] = [str(retracted) for retracted in event.retracts]
    return result


def scope_status_json(status: FeedScopeStatus) -> dict[str, Any]:
    """How one scope of one address stands."""
    result = {
        "ref": str(status.address_id),
        "channel": status.channel,
        "address": status.address,
        "scope": status.scope,
        "status": scope_state_json(status.state),
    }
    if status.address is None:
        del result["address"]
    return result


def scope_state_json(state: ScopeState) -> dict[str, Any]:
    """The state; fields that do not apply are left out."""
    result: dict[str, Any] = {"off": state.is_suppressed}
    if state.opt_out:
        result |= {"out_at": state.opt_out.at.isoformat(), "out_reason": state.reason}
    if state.lift:
        result["lifted_at"] = state.lift.at.isoformat()
    if state.pause and state.pause_until:
        result["pause_at"] = state.pause.at.isoformat()
        result["pause_until"] = state.pause_until.isoformat()
    if state.consent:
        result["consent_at"] = state.consent.at.isoformat()
    if state.frequency:
        result["frequency"] = state.frequency.key
        result["frequency_at"] = state.frequency.at.isoformat()
    return result
