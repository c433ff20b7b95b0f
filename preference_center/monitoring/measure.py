"""This module measures what the database knows, Redis, and the host.

It also keeps what waits for each destination over time, of which the scheduler makes a sample every
5 minutes, and when the scheduler last looked for due work, for other threads of its process.

The webhooks that wait for the company (`OUTBOXES`) are those about requests, and announcements of
its privacy policy.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.notices.store import OUTBOX
from preference_center.core.deadlines import WINDOW, DeadlineStage, RequestStage
from preference_center.destinations.rules.promise import (
    BacklogKind,
    CountedTo,
    DestinationMeasurement,
    Disk,
    Folder,
    HostMeasurements,
    Measurements,
    QueueMeasurement,
    QueueProblem,
    SpoolMeasurement,
)
from preference_center.destinations.store import samples, states, webhooks
from preference_center.destinations.store.samples import PendingRows
from preference_center.destinations.store.states import LateRows
from preference_center.infra.company_webhooks import MAX_DUE
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.job_queue import QUEUE_NAMES, count_workers
from preference_center.infra.keys.sealed_columns import list_rotations
from preference_center.infra.outbox import load_refused_share
from preference_center.infra.redis import connect_redis
from preference_center.ledger import spool
from preference_center.ledger.feed import cursors
from preference_center.ledger.history_loss import find_history_loss
from preference_center.rights import webhooks as rights_webhooks
from preference_center.rights.erasure.journal import find_journal_problem
from preference_center.rights.erasure.journal_store import MAX_UNWRITTEN, count_unwritten
from preference_center.rights.erasure.tasks import MAX_BY_HAND, count_open
from preference_center.rights.requests.queue import MAX_STAGES, load_stages
from preference_center.rights.rules.deadlines import request_stage


@dataclass(slots=True)
class Heartbeat:
    """When the scheduler last completed its work; None until it has, since it may never."""

    started_at: datetime
    ticked_at: datetime | None = None
    """It looked for due work."""
    housekept_at: datetime | None = None
    """It deleted what has expired, and did whatever else is due once a minute."""

    def beat(self, now: datetime) -> None:
        """Record a tick that did its work."""
        self.ticked_at = now

    def finish_housekeeping(self, now: datetime) -> None:
        """Record a housekeeping of which no part failed."""
        self.housekept_at = now


def record_samples(now: datetime) -> bool:
    """Make the samples that are due, once for all schedulers; True if there were any.

    With the first of an hour old ones are thinned.
    """
    at = samples.sample_time(now)

    def record(connection: Connection) -> bool:
        if not samples.insert_samples(connection, at):
            return False
        if at.minute == 0:
            samples.thin_samples(connection, now)
        return True

    return run_in_transaction(record)


OUTBOXES = (rights_webhooks.OUTBOX, OUTBOX)


@dataclass(frozen=True, slots=True)
class DueWebhooks:
    """Webhooks to the company that are due; with `has_more` there are more than `count`."""

    count: int
    has_more: bool


def count_due_webhooks(connection: Connection, now: datetime) -> DueWebhooks:
    """How many are due (to MAX_DUE of each kind)."""
    counts = [outbox.count_due(connection, now) for outbox in OUTBOXES]
    return DueWebhooks(sum(counts), max(counts) >= MAX_DUE)


def measure_database(now: datetime) -> Measurements:
    """What the database knows. Raises Unavailable."""
    journaled = services().settings.erasure_journal is not None
    is_journal_closed = find_journal_problem() is not None
    is_history_lost = find_history_loss() is not None

    def load(connection: Connection) -> Measurements:
        emails, oldest = samples.load_due_emails(connection, now)
        pending, late = samples.list_pending(connection), states.list_late(connection, now)
        backlog = webhooks.list_waiting(connection)
        waiting = webhooks.count_waiting(backlog)
        unfinished = [each for each in list_rotations(connection) if each.finished_at is None]
        rights, webhooks_due = count_rights(connection, now), count_due_webhooks(connection, now)
        by_hand = count_open(connection).by_hand
        unwritten = count_unwritten(connection) if journaled else 0
        single = {
            CountedTo.EMAILS: emails >= samples.MAX_EMAILS,
            CountedTo.RIGHTS: rights.total() >= MAX_STAGES,
            CountedTo.WEBHOOKS: webhooks_due.has_more,
            CountedTo.BY_HAND: by_hand >= MAX_BY_HAND,
            CountedTo.UNWRITTEN: unwritten >= MAX_UNWRITTEN,
        }
        return Measurements(
            at=now,
            destinations=_destinations(pending, late, samples.load_absent_shares(connection)),
            backlog=_load_backlog(connection, now),
            waiting={kind.value: count for kind, count in waiting.items()},
            waiting_since={
                (each.kind.value, each.destination or ""): each.oldest_received_at
                for each in backlog
            },
            capped=frozenset(
                [
                    *_list_capped(pending, late, waiting),
                    *((count, "") for count, is_capped in single.items() if is_capped),
                ]
            ),
            rights=rights,
            rights_webhooks_due=webhooks_due.count,
            company_webhooks_failing_since=min(
                filter(None, (outbox.load_failing_since(connection) for outbox in OUTBOXES)),
                default=None,
            ),
            emails_due=emails,
            oldest_email_created_at=oldest,
            emails_refused_share=load_refused_share(connection, now),
            erasures_by_hand=by_hand,
            erasures_not_in_journal=unwritten,
            is_journal_closed=is_journal_closed,
            is_history_lost=is_history_lost,
            rotation_started_at=min((each.started_at for each in unfinished), default=None),
            feed_held_since=cursors.load_held_since(connection),
            publishers=cursors.load_oldest_unpublished(connection),
        )

    return run_in_transaction(load)


def _destinations(
    pending: Iterable[PendingRows], late: Iterable[LateRows], absent: Mapping[str, float]
) -> list[DestinationMeasurement]:
    stages: dict[str, dict[DeadlineStage, int]] = defaultdict(dict)
    refused: dict[str, dict[DeadlineStage, int]] = defaultdict(dict)
    for rows in late:
        stages[rows.destination][rows.stage] = rows.count
        refused[rows.destination][rows.stage] = rows.refused
    return [
        DestinationMeasurement(
            name=each.destination,
            state=each.status_label,
            pending=each.count,
            oldest_received_at=each.due_at and each.due_at - WINDOW,
            drift_repeated_at=each.drift_repeated_at,
            unread_since=each.unread_since,
            late=stages[each.destination],
            refused=each.refused,
            refused_new=each.refused_new,
            is_absence_accepted=each.is_absence_accepted,
            absent_share=absent.get(each.destination, 0.0),
            late_refused=refused[each.destination],
        )
        for each in pending
    ]


def _list_capped(
    pending: Iterable[PendingRows],
    late: Iterable[LateRows],
    waiting: Mapping[BacklogKind, int],
) -> Iterator[tuple[CountedTo, str]]:
    yield from ((CountedTo.PENDING, each.destination) for each in pending if each.has_more)
    yield from ((CountedTo.LATE, each.destination) for each in late if each.at_least)
    for kind, count in waiting.items():
        if count >= states.MAX_LATE_PER_STAGE:
            yield CountedTo.BACKLOG, kind


def _load_backlog(connection: Connection, now: datetime) -> dict[tuple[str, DeadlineStage], int]:
    found: Counter[tuple[str, DeadlineStage]] = Counter()
    for each in webhooks.list_overdue_backlog(connection, now):
        found[each.kind.value, each.stage] += each.count
    return found


def count_rights(connection: Connection, now: datetime) -> Counter[RequestStage]:
    """Open requests of data subjects whose clock runs, by how late they are."""
    target = current_catalogue_or_empty().rights.target
    return Counter(
        request_stage(received_at, deadline, now, target=target)
        for received_at, deadline in load_stages(connection)
    )


REDIS_PROBE_TIMEOUT = 0.8
"""Seconds, for connecting and for each response."""
_PROBE_KEY = "rq:preference-center:probe"
_PROBE_LIFETIME = timedelta(minutes=1)


_NO_CONNECTION_LEFT = "max number of clients reached"
"""Redis' words; its client has no class of its own for them."""


def measure_queue() -> QueueMeasurement:
    """Whether Redis takes a write of ours, and how many workers listen on each queue.

    A worker that was killed counts until it has not reported to RQ for two minutes, or for four if
    it had a job.
    """
    with connect_redis(services().settings.redis_url, timeout=REDIS_PROBE_TIMEOUT) as connection:
        try:
            connection.set(_PROBE_KEY, b"", ex=_PROBE_LIFETIME)
            return QueueMeasurement(
                workers={name: count_workers(connection, name) for name in QUEUE_NAMES}
            )
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
            return QueueMeasurement(QueueProblem.REFUSED)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            is_full = _NO_CONNECTION_LEFT in str(error)
            return QueueMeasurement(
                QueueProblem.TOO_MANY_CLIENTS if is_full else QueueProblem.UNREACHABLE
            )
        except redis.RedisError:  # out of memory, a replica, a disk that fails
            return QueueMeasurement(QueueProblem.REFUSES_WRITES)


def measure_host() -> HostMeasurements:
    """The disks of the folders that this process writes to, its spool and its clock."""
    disks = {}
    for folder, path in _list_folders():
        try:
            usage = shutil.disk_usage(path)
        except OSError:  # it may be created later
            continue
        disks[folder] = Disk(free=usage.free, size=usage.total)
    return HostMeasurements(socket.gethostname(), disks, measure_spool(), measure_clock())


def measure_clock() -> timedelta:
    """How far this host's clock is ahead of the database's."""
    return datetime.now(UTC) - services().now()


def measure_spool() -> SpoolMeasurement | None:
    """What is in the spool of this process; None if it has none."""
    running = spool.current_spool()
    if running is None:
        return None
    status = running.folder.status()
    return SpoolMeasurement(
        oldest_received_at=status.oldest_received_at,
        damaged_files=status.damaged_files,
        rejected_files=status.rejected_files,
        unreadable_files=status.unreadable_files,
        is_writable=status.is_writable,
    )


def _list_folders() -> Iterator[tuple[Folder, Path]]:
    running = spool.current_spool()
    if running is not None:
        yield Folder.SPOOL, running.folder.path
    yield Folder.TEMPORARY, Path(tempfile.gettempdir())
    journal = services().settings.erasure_journal
    if journal is not None and "://" not in journal:
        yield Folder.ERASURE_JOURNAL, Path(journal)
