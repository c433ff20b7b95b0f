"""What was pushed to tools about one address, and what they answered, for its timeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.delivery_status import DestinationSummary
from preference_center.destinations.rules.event_delivery import FinalAnswer, VersionedSync
from preference_center.destinations.store.delivery_status import connection_status
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import is_pushable

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
SELECT d.id, d.name, d.status, d.retry_at IS NOT NULL, d.sends, {is_pushable("a")},
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
    for number, name, status, broken, sends, readable, *state in connection.execute(
        _SELECT_TOOLS, (address_id,)
    ):
        connected = connection_status(status, is_broken=broken)
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
        """SELECT name, status, retry_at IS NOT NULL, sends, can_lift FROM destination
        WHERE %s = ANY(channels) ORDER BY name""",
        (channel.value,),
    )
    return [
        (
            DestinationSummary(
                name,
                frozenset(topics) & frozenset(sends),
                connection_status(status, is_broken=broken),
            ),
            can_lift,
        )
        for name, status, broken, sends, can_lift in rows
    ]
