"""`evaluate_promise` says whether every opt-out reaches every tool inside the window (I3).

It says so from what was measured, of the whole service and of one host. A histogram with fixed
buckets says how long opt-outs took until a tool reflected them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.core.deadlines import (
    AT_RISK,
    TARGET,
    WINDOW,
    DeadlineStage,
    RequestStage,
    deadline_stage,
    worst_stage,
)
from preference_center.destinations.rules.states import Settlement, SyncClaim, repeats_drift
from preference_center.integrations.base.contract import PushResult

MAX_SINGLE_REFUSED = 10
"""Above that number, a tool refuses opt-outs as such, and no longer single addresses."""


@dataclass(frozen=True, slots=True)
class DestinationMeasurement:
    """What waits for one destination, up to a limit of the count.

    `state` is that of `status_label`.
    """

    name: str
    state: str
    pending: int = 0
    oldest_received_at: datetime | None = None
    """When the oldest pending opt-out was received that the tool has not refused."""
    late: Mapping[DeadlineStage, int] = field(default_factory=dict)
    """Pending opt-outs that are at risk or worse."""
    refused: int = 0
    """Pending opt-outs that the tool refuses for an address: a person must help."""
    absent_share: float = 0.0
    """Of the newest addresses pushed there, which the tool did not know."""
    refused_new: int = 0
    """Those of `refused` that no person has accepted."""
    is_absence_accepted: bool = False
    """Whether a person has accepted that the tool holds none of the people."""
    late_refused: Mapping[DeadlineStage, int] = field(default_factory=dict)
    """Those of `late` that it refuses."""
    drift_repeated_at: datetime | None = None
    """When it last lost an opt-out that it had lost before."""
    unread_since: datetime | None = None
    """When the reading of it began that fails now."""

    def count_late(self, stage: DeadlineStage) -> int:
        """Those of `late`; without refused ones, unless the tool refuses more than a few (I3)."""
        single = 0 if self.refused > MAX_SINGLE_REFUSED else self.late_refused.get(stage, 0)
        return self.late.get(stage, 0) - single

    def repeats_drift(self, now: datetime) -> bool:
        """Whether it loses opt-outs again and again, so that people stay mailable there."""
        return repeats_drift(self.drift_repeated_at, now)


class BacklogKind(StrEnum):
    """What waits for a decision, or to be processed."""

    VENDOR_EVENT = "vendor_event"
    """A webhook that was acknowledged and not understood: `/console/review`."""
    WEBHOOK = "webhook"
    """A webhook that was acknowledged and is not processed yet."""
    MAIL_OPT_OUT = "mail_opt_out"
    """An opt-out by mail whose address is not known: `flask inbound pending`."""
    REVIEW_ITEM = "review_item"
    """A mail or text whose meaning is not clear: `/console/review`."""
    DEFERRED_FORMS = "deferred_forms"
    """Forms of a mailbox whose sync states are still to be updated: `ledger.forms`."""


class CountedTo(StrEnum):
    """The counts that have a limit."""

    PENDING = "destination_pending"
    LATE = "destination_late"
    BACKLOG = "backlog"
    EMAILS = "emails_due"
    RIGHTS = "rights_requests"
    WEBHOOKS = "rights_webhooks_due"
    BY_HAND = "erasures_by_hand"
    UNWRITTEN = "erasures_not_in_journal"


@dataclass(frozen=True, slots=True)
class Measurements:
    """What the database knows. Counts have limits, so that measuring costs the same at any size."""

    at: datetime
    destinations: Sequence[DestinationMeasurement] = ()
    backlog: Mapping[tuple[str, DeadlineStage], int] = field(default_factory=dict)
    """What was acknowledged and not decided for 36 hours or more, by BacklogKind and stage."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """All that waits for a decision or to be processed, by BacklogKind."""
    waiting_since: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """When the oldest of it was received, by BacklogKind and destination ("" for mail)."""
    rights: Mapping[RequestStage, int] = field(default_factory=dict)
    """Open requests of data subjects whose clock runs."""
    rights_webhooks_due: int = 0
    company_webhooks_failing_since: datetime | None = None
    """When the oldest webhook to the company was made that failed and is tried again."""
    emails_due: int = 0
    oldest_email_created_at: datetime | None = None
    """When the oldest was enqueued that is not sent, whether it is due or tried again later."""
    emails_refused_share: float = 0.0
    """Of the newest ones, which the mail server refused for good."""
    erasures_by_hand: int = 0
    erasures_not_in_journal: int = 0
    is_journal_closed: bool = False
    """Whether nothing is answered from this database, since the erasure journal is ahead of it."""
    is_history_lost: bool = False
    """Whether nothing is answered from this database, since it was restored and lacks events."""
    rotation_started_at: datetime | None = None
    """When the oldest unfinished change of keys began."""
    capped: Collection[tuple[CountedTo, str]] = frozenset()
    """The counts that stopped at their limit, each with its destination or BacklogKind, or ""."""
    feed_held_since: datetime | None = None
    """When the oldest event was recorded that readers of the feed can't see yet."""
    publishers: Mapping[str, datetime | None] = field(default_factory=dict)
    """When the oldest event was recorded that a publisher of the feed has not passed on."""


class Folder(StrEnum):
    """Where this service writes files."""

    SPOOL = "spool"
    TEMPORARY = "temporary"
    ERASURE_JOURNAL = "erasure_journal"


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of a folder, in bytes. `free` is what this process may use."""

    free: int
    size: int


@dataclass(frozen=True, slots=True)
class SpoolMeasurement:
    """What is in the spool of a host."""

    oldest_received_at: datetime | None = None
    """When the oldest opt-out was received that waits there."""
    damaged_files: int = 0
    rejected_files: int = 0
    unreadable_files: int = 0
    is_writable: bool = True


@dataclass(frozen=True, slots=True)
class HostMeasurements:
    """What one process sees of its host. `spool` is None where it has none."""

    name: str = ""
    disks: Mapping[Folder, Disk] = field(default_factory=dict)
    spool: SpoolMeasurement | None = None
    clock_offset: timedelta = timedelta()
    """How far its clock is ahead of the database's."""


class QueueProblem(StrEnum):
    """Why Redis takes no jobs."""

    UNREACHABLE = "unreachable"
    """Nobody answers in time, or it is starting."""
    REFUSED = "refused"
    """The log-in, or a right."""
    TOO_MANY_CLIENTS = "too_many_clients"
    """It takes no further connection: `maxclients`."""
    REFUSES_WRITES = "refuses_writes"
    """It is full, a replica, or can't write to its disk."""


@dataclass(frozen=True, slots=True)
class QueueMeasurement:
    """What a process sees of Redis: `problem` is None while it takes jobs."""

    problem: QueueProblem | None = None
    workers: Mapping[str, int] = field(default_factory=dict)
    """Living workers by queue, also of queues without any; empty if there is a problem."""


@dataclass(frozen=True, slots=True)
class Promise:
    """How far the promise is kept.

    `stage` is the worst of all that waits, as /healthz reports it; `oldest_received_at` is when
    the oldest opt-out was received that some destination does not reflect, or that is on disk.
    """

    stage: DeadlineStage
    oldest_received_at: datetime | None
    pending: int
    """Addresses that wait, up to the limit of their count; once for each destination."""
    late_destinations: Sequence[str]
    """Those with opt-outs that are at risk or worse."""
    has_late_backlog: bool
    """Whether something that nobody has decided is at risk or worse."""


def evaluate_promise(measured: Measurements, spooled_at: datetime | None = None) -> Promise:
    """The promise at `measured.at`; `spooled_at`: when the oldest of the spool was received."""
    waiting = [each.oldest_received_at for each in measured.destinations if each.oldest_received_at]
    waiting += [spooled_at] if spooled_at else []
    stages = {stage for _, stage in measured.backlog}
    stages |= {stage for each in measured.destinations for stage in each.late}
    stages |= {deadline_stage(at + WINDOW, measured.at) for at in waiting}
    return Promise(
        stage=worst_stage(stages),
        oldest_received_at=min(waiting, default=None),
        pending=sum(each.pending for each in measured.destinations),
        late_destinations=[each.name for each in measured.destinations if any(each.late.values())],
        has_late_backlog=bool(measured.backlog),
    )


_STATE_ORDER = {"broken": 0, "paused": 1, "observe": 2, "slowed": 3, "active": 4}


def sort_worst_first(found: Iterable[DestinationMeasurement]) -> list[DestinationMeasurement]:
    """The destination whose oldest opt-out has waited longest first, then by state and name."""
    return sorted(
        found,
        key=lambda each: (
            each.oldest_received_at is None,
            each.oldest_received_at.timestamp() if each.oldest_received_at else 0,
            _STATE_ORDER.get(each.state, 0),
            each.name,
        ),
    )


def window_share(received_at: datetime | None, now: datetime) -> float:
    """How much of the window has passed since, from 0 to 1."""
    if received_at is None:
        return 0.0
    return min(max((now - received_at) / WINDOW, 0.0), 1.0)


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
