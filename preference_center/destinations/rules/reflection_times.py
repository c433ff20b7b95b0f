"""How long opt-outs took until a tool reflected them, as a histogram with fixed buckets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW
from preference_center.destinations.rules.state import Settlement, SyncClaim
from preference_center.integrations.base.contract import PushResult

DAY = timedelta(hours=24)

BOUNDS = (
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    DAY,
    AT_RISK,
    TARGET,
    WINDOW,
    timedelta(days=7),
    timedelta(days=30),
)
"""Bucket n has the times from BOUNDS[n - 1], included, to BOUNDS[n].

Never change one: counts of years are stored by their number. The promise's limits are among them,
so what was past one is counted exactly.
"""

_IN_EFFECT = frozenset({PushResult.REFLECTED, PushResult.ABSENT})


@dataclass(frozen=True, slots=True)
class BucketCount:
    """How many times fell into a bucket, and the longest of them."""

    count: int
    longest: timedelta


@dataclass(frozen=True, slots=True)
class ReflectionTimes:
    """The times of one destination, by bucket."""

    destination: str
    buckets: Mapping[int, BucketCount]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(each.count for each in self.buckets.values())

    @property
    def longest(self) -> timedelta:
        """The longest of them, exactly; zero if there are none."""
        return max((each.longest for each in self.buckets.values()), default=timedelta(0))

    def count_from(self, bound: timedelta) -> int:
        """How many took `bound`, which is one of BOUNDS, or longer."""
        first = BOUNDS.index(bound) + 1
        return sum(each.count for bucket, each in self.buckets.items() if bucket >= first)

    def percentile(self, share: float) -> timedelta | None:
        """The time that a `share` (0 to 1) of them did not exceed; None if there are none.

        Interpolated: within a bucket the times are taken to be spread evenly.
        """
        rank, before = share * self.count, 0
        for bucket in sorted(self.buckets):
            found = self.buckets[bucket]
            if found.count and before + found.count >= rank:
                lowest = BOUNDS[bucket - 1] if bucket else timedelta(0)
                highest = min((*BOUNDS[bucket : bucket + 1], found.longest))
                return lowest + (highest - lowest) * ((rank - before) / found.count)
            before += found.count
        return None


def bucket_of(time: timedelta) -> int:
    """The bucket of a time."""
    return bisect_right(BOUNDS, time)


def count_reflected(
    claims: Mapping[int, SyncClaim],
    settlements: Iterable[Settlement],
    settled: Collection[int],
    now: datetime,
) -> dict[int, BucketCount]:
    """By bucket, the times of the opt-outs that the tool reflects with these settlements.

    `settled` are the addresses for which nothing is due any more. The time is that of the earliest
    opt-out that was due, from when it reached the company. What needed no request counts for
    nothing; a contact that the tool does not have counts, since it can't be mailed.
    """
    counts: dict[int, BucketCount] = {}
    for row in settlements:
        due_at = claims[row.address_id].due_at
        if due_at is None or row.outcome not in _IN_EFFECT or row.address_id not in settled:
            continue
        time = max(now - (due_at - WINDOW), timedelta(0))
        found = counts.get(bucket := bucket_of(time), BucketCount(0, time))
        counts[bucket] = BucketCount(found.count + 1, max(found.longest, time))
    return counts
