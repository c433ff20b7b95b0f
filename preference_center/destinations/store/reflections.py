"""How long opt-outs took until each destination reflected them: a histogram per day (UTC).

A push adds its counts in the transaction that settles its rows, so each is counted exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from preference_center.destinations.rules.reflection_times import BucketCount, ReflectionTimes
from preference_center.infra.db.transactions import Connection

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
