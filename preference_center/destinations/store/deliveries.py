"""These functions read what was pushed to each tool about one address, and count how long it took.

The person, support and the timeline of the address see what was pushed, and what the tool
answered. `list_address_progress` uses primary keys only: a sync state's address has no index, and
destinations are few.

`load_reported_opt_outs` loads opt-outs that a destination itself reported, and the person's own
opt-ins since (I5).

A histogram per day (UTC) says how long opt-outs took until each destination reflected them. A push
adds its counts in the transaction that settles its rows, so each is counted exactly once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from preference_center.core.addresses import Channel
from preference_center.core.events import DESTINATION_SOURCE, OBJECTION_KINDS, EventKind
from preference_center.destinations.rules.delivery import ConnectionStatus as Line
from preference_center.destinations.rules.delivery import (
    Delivery,
    DestinationSummary,
    FinalAnswer,
    SyncSummary,
    VersionedSync,
)
from preference_center.destinations.rules.promise import BucketCount, ReflectionTimes
from preference_center.destinations.rules.states import (
    DestinationStatus,
    ReportedOptOuts,
    Trouble,
    find_trouble,
)
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import is_pushable

_SELECT_DESTINATIONS = f"""
SELECT d.id, d.name, d.status, d.retry_at, d.trouble, d.sends, {is_pushable("a")},
    s.wanted_version IS NOT NULL, s.due_at, s.next_at, s.outcome
FROM address a
JOIN destination d ON a.channel = ANY(d.channels)
LEFT JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = %s ORDER BY d.name
"""  # noqa: S608 - a constant


_SELECT_DELIVERIES = """
SELECT destination_id, outcome, at, COALESCE(ack, note) FROM (
    SELECT DISTINCT ON (destination_id, outcome) * FROM delivery WHERE address_id = %s
    ORDER BY destination_id, outcome, id DESC
) AS newest LEFT JOIN delivery_ack ON delivery_id = id ORDER BY id DESC
"""


_CONNECTION_STATES = {
    DestinationStatus.ACTIVE: Line.OPEN,
    DestinationStatus.PAUSED: Line.PAUSED,
    DestinationStatus.OBSERVE: Line.OBSERVED,
}


_TROUBLES: Mapping[Trouble | None, Line] = {
    Trouble.FAILING: Line.UNREACHABLE,
    Trouble.REFUSED: Line.NO_ACCESS,
}


@dataclass(frozen=True, slots=True)
class AddressProgress:
    """One destination, and what is known of one address there.

    `deliveries` are the newest of each outcome, the newest of all first.
    """

    tool: DestinationSummary
    sync_row: SyncSummary | None
    deliveries: Sequence[Delivery]


def find_address_id(connection: Connection, digest: bytes, channel: Channel) -> int | None:
    """The id of the address with exactly this digest, if it is known (I9)."""
    row = connection.execute(
        "SELECT id FROM address WHERE digest = %s AND channel = %s", (digest, channel)
    ).fetchone()
    return row[0] if row else None


def list_address_progress(
    connection: Connection, address: int, topics: Collection[str]
) -> list[AddressProgress]:
    """Every destination of the address's channel by name; `topics` are those of the channel."""
    deliveries: dict[int, list[Delivery]] = {}
    for number, *delivery in connection.execute(_SELECT_DELIVERIES, (address,)):
        deliveries.setdefault(number, []).append(Delivery(*delivery))
    rows = connection.execute(_SELECT_DESTINATIONS, (address,))
    return [_to_address_progress(row, frozenset(topics), deliveries) for row in rows]


def connection_status(status: str, retry_at: datetime | None, trouble: str | None) -> Line:
    """Whether a destination of this status and trouble can be pushed to; one that is slowed can."""
    found = _CONNECTION_STATES[DestinationStatus(status)]
    if found is not Line.OPEN:
        return found
    return _TROUBLES.get(find_trouble(retry_at, trouble), Line.OPEN)


def _to_address_progress(
    row: tuple[Any, ...], topics: frozenset[str], deliveries: Mapping[int, Sequence[Delivery]]
) -> AddressProgress:
    number, name, status, retry_at, trouble, sends, readable, known, *state = row
    line = connection_status(status, retry_at, trouble)
    tool = DestinationSummary(name, topics & frozenset(sends), line, readable)
    return AddressProgress(tool, SyncSummary(*state) if known else None, deliveries.get(number, ()))


_SELECT_NEWEST = """
SELECT d.id, d.destination_id, d.at, d.outcome, d.note, answered.ack, d.version
FROM (
    SELECT * FROM delivery
    WHERE address_id = %(address)s AND (at, id) < (%(before_at)s, %(before_id)s)
        AND (%(destinations)s::int[] IS NULL OR destination_id = ANY(%(destinations)s))
        AND (%(since)s::timestamptz IS NULL OR (at >= %(since)s AND at < %(until)s))
    ORDER BY at DESC, id DESC LIMIT %(limit)s
) AS d LEFT JOIN delivery_ack answered ON answered.delivery_id = d.id
ORDER BY d.at DESC, d.id DESC
"""


# A delivery answers every event up to its version: the bucket is how many of these versions it has
# reached.
_SELECT_FIRST_ANSWERS = """
SELECT d.destination_id, d.bucket, d.outcome, d.at, COALESCE(answered.ack, ''), d.version
FROM (
    SELECT DISTINCT ON (destination_id, bucket) *
    FROM (
        SELECT *, width_bucket(version, %(versions)s::bigint[]) AS bucket FROM delivery
        WHERE address_id = %(address)s AND version >= %(first)s
            AND outcome IN ('reflected', 'absent')
    ) AS numbered
    ORDER BY destination_id, bucket, id
) AS d LEFT JOIN delivery_ack answered ON answered.delivery_id = d.id
ORDER BY d.id
"""


_SELECT_TOOLS = f"""
SELECT d.id, d.name, d.status, d.retry_at, d.trouble, d.sends, {is_pushable("a")},
    s.reflected_version, s.due_at, s.outcome
FROM address a
JOIN destination d ON a.channel = ANY(d.channels)
LEFT JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = %s ORDER BY d.name
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One delivery. `note` is our own remark; `ack` what the tool answered, if anything."""

    id: int
    destination_id: int
    at: datetime
    outcome: str
    note: str
    ack: str | None
    version: int


@dataclass(frozen=True, slots=True)
class AddressTool:
    """A destination of the address's channel, and the sync state of the address there."""

    destination_id: int
    summary: DestinationSummary
    sync: VersionedSync | None


def list_newest_deliveries(
    connection: Connection,
    address_id: int,
    before: tuple[datetime, int],
    *,
    destinations: Collection[int] | None = None,
    period: tuple[datetime, datetime] | None = None,
    limit: int,
) -> list[StoredDelivery]:
    """The last deliveries about an address before a time and an id, the newest first."""
    since, until = period or (None, None)
    rows = connection.execute(
        _SELECT_NEWEST,
        {
            "address": address_id,
            "before_at": before[0],
            "before_id": before[1],
            "destinations": None if destinations is None else list(destinations),
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    return [StoredDelivery(*row) for row in rows]


def find_first_answers(
    connection: Connection, address_id: int, versions: Collection[int]
) -> Mapping[tuple[int, int], FinalAnswer]:
    """Per destination id and version, the first answer to a push of at least that version."""
    if not versions:
        return {}
    ordered = sorted(versions)
    rows = connection.execute(
        _SELECT_FIRST_ANSWERS, {"address": address_id, "versions": ordered, "first": ordered[0]}
    )
    found: dict[tuple[int, int], FinalAnswer] = {}
    for destination_id, bucket, *answer in rows:
        for version in ordered[:bucket]:
            found.setdefault((destination_id, version), FinalAnswer(*answer))
    return found


def list_tools_of(
    connection: Connection, address_id: int, topics: Collection[str]
) -> Sequence[AddressTool]:
    """Every destination of the address's channel by name; `topics` are those of the channel."""
    found = []
    for number, name, status, retry_at, trouble, sends, readable, *state in connection.execute(
        _SELECT_TOOLS, (address_id,)
    ):
        connected = connection_status(status, retry_at, trouble)
        summary = DestinationSummary(
            name, frozenset(topics) & frozenset(sends), connected, readable
        )
        sync = VersionedSync(*state) if state[0] is not None else None
        found.append(AddressTool(number, summary, sync))
    return found


def list_tools_of_channel(
    connection: Connection, channel: Channel, topics: Collection[str]
) -> list[tuple[DestinationSummary, bool]]:
    """Every destination of a channel by name, and whether it can lift; `topics` are its topics."""
    rows = connection.execute(
        """SELECT name, status, retry_at, trouble, sends, can_lift FROM destination
        WHERE %s = ANY(channels) ORDER BY name""",
        (channel.value,),
    )
    return [
        (
            DestinationSummary(
                name,
                frozenset(topics) & frozenset(sends),
                connection_status(status, retry_at, trouble),
            ),
            can_lift,
        )
        for name, status, retry_at, trouble, sends, can_lift in rows
    ]


def load_reported_opt_outs(
    connection: Connection, destination: str, ids: Collection[int]
) -> dict[int, ReportedOptOuts]:
    """Per address of which this destination reported an opt-out; one look-up by address."""
    found: dict[int, ReportedOptOuts] = {}
    rows = connection.execute(
        """SELECT e.address_id, e.scope, max(e.seq) FILTER (WHERE e.kind <> %(opted_in)s),
            max(e.seq) FILTER (WHERE e.kind = %(opted_in)s)
        FROM event e
        WHERE e.address_id = ANY(%(ids)s) AND (e.kind = %(opted_in)s
                OR (e.kind = ANY(%(opt_outs)s) AND e.source = %(source)s AND e.actor = %(actor)s))
            AND NOT EXISTS (SELECT FROM retraction r WHERE r.event_id = e.id OFFSET 0)
        GROUP BY e.address_id, e.scope""",
        {
            "ids": list(ids),
            "opted_in": EventKind.OPTED_IN.value,
            "opt_outs": [kind.value for kind in OBJECTION_KINDS],
            "source": DESTINATION_SOURCE,
            "actor": destination,
        },
    )
    for address_id, scope, opted_out, opted_in in rows:
        reported = found.setdefault(address_id, ReportedOptOuts())
        if opted_out is not None:
            reported.opt_outs[scope] = opted_out
        if opted_in is not None:
            reported.opt_ins[scope] = opted_in
    return {address_id: reported for address_id, reported in found.items() if reported.opt_outs}


_ADD = """
INSERT INTO reflection_count AS r (day, destination, bucket, count, longest)
SELECT %(day)s, %(destination)s, bucket, count, longest
FROM unnest(%(buckets)s::smallint[], %(counts)s::bigint[], %(longest)s::interval[])
    AS given (bucket, count, longest) ORDER BY bucket
ON CONFLICT (day, destination, bucket) DO UPDATE SET
    count = r.count + EXCLUDED.count, longest = GREATEST(r.longest, EXCLUDED.longest)
"""
"""In order of the buckets: two workers of one destination wait for each other, without deadlock."""


def add_reflections(
    connection: Connection, destination: str, now: datetime, counts: Mapping[int, BucketCount]
) -> None:
    """Add the counts of one push, by bucket. To be called last in its transaction."""
    if not counts:
        return
    connection.execute(
        _ADD,
        {
            "day": now.astimezone(UTC).date(),
            "destination": destination,
            "buckets": list(counts),
            "counts": [each.count for each in counts.values()],
            "longest": [each.longest for each in counts.values()],
        },
    )


def list_reflection_times(connection: Connection, first: date, last: date) -> list[ReflectionTimes]:
    """The times of these days (UTC) per destination, by name."""
    rows = connection.execute(
        """SELECT destination, bucket, sum(count)::bigint, max(longest) FROM reflection_count
        WHERE day BETWEEN %s AND %s GROUP BY destination, bucket ORDER BY destination, bucket""",
        (first, last),
    )
    found: dict[str, dict[int, BucketCount]] = {}
    for destination, bucket, count, longest in rows:
        found.setdefault(destination, {})[bucket] = BucketCount(count, longest)
    return [ReflectionTimes(name, buckets) for name, buckets in found.items()]


def find_first_day(connection: Connection) -> date | None:
    """The first day that has counts."""
    row = connection.execute("SELECT min(day) FROM reflection_count").fetchone()
    assert row  # an aggregate
    first: date | None = row[0]
    return first
