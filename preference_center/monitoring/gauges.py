"""Gauges for Prometheus, measured when it asks.

Each process has those of its host. Those of the database and of Redis are the scheduler's alone:
several would ask for the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import cast

import structlog
from flask import Flask, current_app
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from preference_center.core.deadlines import DeadlineStage, RequestStage
from preference_center.core.errors import Unavailable
from preference_center.destinations.rules.promise import BacklogKind, CountedTo, Measurements
from preference_center.infra.context import services
from preference_center.ledger import spool
from preference_center.monitoring.measure import (
    Heartbeat,
    measure_clock,
    measure_database,
    measure_host,
    measure_queue,
)

CACHE_SECONDS = 10.0
"""The database is asked at most this often, however many ask for metrics."""
DESTINATION_STATES = ("observe", "active", "paused", "slowed", "broken")
"""See `destinations.rules.states.status_label`."""
EXTENSION_KEY = "preference_center.collectors"
_COUNTED_BY_SUBJECT = {CountedTo.PENDING, CountedTo.LATE, CountedTo.BACKLOG}
_LATE_STAGES = [stage for stage in DeadlineStage if stage is not DeadlineStage.ON_TIME]

log = structlog.get_logger()


def add_collector(app: Flask, collector: Collector) -> None:
    """Let /metrics of this process have it, too."""
    app.extensions.setdefault(EXTENSION_KEY, []).append(collector)


def list_collectors() -> list[Collector]:
    """Those of the current app."""
    added = cast("list[Collector]", current_app.extensions.get(EXTENSION_KEY, []))
    return [HostCollector(), *added]


class HostCollector(Collector):
    """What this process sees of its host: disks, spool, clock. Needs an application context."""

    def collect(self) -> Iterator[Metric]:
        """Measure now."""
        yield from _disk_gauges()
        yield from _spool_gauges(services().now())
        yield GaugeMetricFamily(
            "preference_center_clock_offset_seconds",
            "How far the host's clock is ahead of the database's.",
            measure_clock().total_seconds(),
        )


def _disk_gauges() -> Iterator[Metric]:
    free = GaugeMetricFamily(
        "preference_center_disk_free_bytes",
        "What this process may still write to the disk of a folder.",
        labels=["folder"],
    )
    size = GaugeMetricFamily(
        "preference_center_disk_size_bytes", "Size of that disk.", labels=["folder"]
    )
    for folder, disk in measure_host().disks.items():
        free.add_metric([folder], disk.free)
        size.add_metric([folder], disk.size)
    yield from (free, size)


def _spool_gauges(now: datetime) -> Iterator[Metric]:
    running = spool.current_spool()
    if running is None:
        return
    status = running.folder.status()
    for name, text, value in (
        ("pending", "Opt-outs on this host's disk that are not recorded yet.", status.pending),
        ("oldest_seconds", "Age of the oldest.", _age(status.oldest_received_at, now)),
        ("bytes", "Size of the spool.", status.used_bytes),
        ("damaged_files", "Files with bytes that are no intact record.", status.damaged_files),
        ("rejected", "Files with records that could not be recorded.", status.rejected_files),
        ("unreadable_files", "Files that this process can't read.", status.unreadable_files),
        ("writable", "1 while it accepts opt-outs.", int(status.is_writable)),
    ):
        yield GaugeMetricFamily(f"preference_center_spool_{name}", text, value)


class SchedulerCollector(Collector):
    """When the scheduler last did its work; without a value until it has."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def collect(self) -> Iterator[Metric]:
        """The times."""
        for name, text, at in (
            ("tick", "When the scheduler last looked for due work.", self._heartbeat.ticked_at),
            (
                "housekeeping",
                "When it last deleted what has expired, and nothing of that failed.",
                self._heartbeat.housekept_at,
            ),
        ):
            yield _labelled(
                f"scheduler_{name}_timestamp_seconds",
                text,
                [],
                [([], at.timestamp())] if at else [],
            )


class QueueCollector(Collector):
    """Redis and the workers, as this process sees them. Needs an application context."""

    def collect(self) -> Iterator[Metric]:
        """Measure now; without Redis nobody knows of workers."""
        measured = measure_queue()
        yield GaugeMetricFamily(
            "preference_center_redis_usable",
            "1 while Redis takes jobs of the scheduler.",
            int(measured.problem is None),
        )
        yield _labelled(
            "workers",
            "Workers that take the jobs of a queue.",
            ["queue"],
            (([name], count) for name, count in measured.workers.items()),
        )


class DatabaseCollector(Collector):
    """What the database knows, cached for CACHE_SECONDS. Needs an application context."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._measured: Measurements | None = None
        self._measured_at = -CACHE_SECONDS

    def collect(self) -> Iterator[Metric]:
        """Measure, unless that was just done; only that the database is unavailable, if it is."""
        with self._lock:
            if self._monotonic() >= self._measured_at + CACHE_SECONDS:
                self._measured = _measure_or_none()
                self._measured_at = self._monotonic()
            measured = self._measured
        yield GaugeMetricFamily(
            "preference_center_database_up",
            "1 while the database answers the scheduler.",
            int(measured is not None),
        )
        if measured is not None:
            yield from database_gauges(measured)


def _measure_or_none() -> Measurements | None:
    try:
        return measure_database(services().now())
    except Unavailable as error:
        log.warning("not_measured", **error.log_fields)
        return None


def database_gauges(measured: Measurements) -> Iterator[Metric]:
    """The gauges of what was measured."""
    yield from _destination_gauges(measured)
    yield _capped_gauge(measured)
    yield _labelled(
        "backlog",
        "What was acknowledged and waits for a person or to be processed, up to 1,000 of a kind.",
        ["kind"],
        (([kind], count) for kind, count in measured.waiting.items()),
    )
    yield _labelled(
        "backlog_oldest_seconds",
        "Age of the oldest of it.",
        ["kind", "destination"],
        (([*each], _age(since, measured.at)) for each, since in measured.waiting_since.items()),
    )
    yield _labelled(
        "backlog_late",
        "What was acknowledged and not decided for 36 hours or more.",
        ["kind", "stage"],
        (
            ([kind, stage], measured.backlog.get((kind, stage), 0))
            for kind in BacklogKind
            for stage in _LATE_STAGES
        ),
    )
    yield _labelled(
        "rights_requests",
        "Open requests of data subjects whose clock runs, up to 10,000, by how late they are.",
        ["stage"],
        (([stage], measured.rights.get(stage, 0)) for stage in RequestStage),
    )
    yield _labelled(
        "feed_publisher_oldest_seconds",
        "Age of the oldest event that a publisher of the feed has not passed on.",
        ["publisher"],
        (([name], _age(since, measured.at)) for name, since in measured.publishers.items()),
    )
    for name, text, value in (
        (
            "rights_webhooks_due",
            "Webhooks to the company: up to 1,000 about requests, 1,000 about policies.",
            measured.rights_webhooks_due,
        ),
        (
            "company_webhooks_failing_seconds",
            "Age of the oldest webhook to the company that failed and is tried again.",
            _age(measured.company_webhooks_failing_since, measured.at),
        ),
        ("emails_due", "Emails of ours that are due, up to 10,000.", measured.emails_due),
        (
            "emails_oldest_seconds",
            "Age of the oldest that is not sent.",
            _age(measured.oldest_email_created_at, measured.at),
        ),
        (
            "emails_refused_share",
            "Share (0 to 1) of the 20 newest of a day that the mail server refused for good.",
            measured.emails_refused_share,
        ),
        (
            "erasures_by_hand",
            "Erasures in tools for a person, up to 1,000.",
            measured.erasures_by_hand,
        ),
        (
            "erasures_not_in_journal",
            "Erasures that the journal lacks, up to 1,000.",
            measured.erasures_not_in_journal,
        ),
        (
            "erasure_journal_closed",
            "1 while the API answers nothing, since erasures of the journal are missing.",
            int(measured.is_journal_closed),
        ),
        (
            "history_lost",
            "1 while the API answers nothing, since the database was restored and lacks events.",
            int(measured.is_history_lost),
        ),
        (
            "feed_held_seconds",
            "For how long a transaction has kept an event from readers of the feed.",
            _age(measured.feed_held_since, measured.at),
        ),
        (
            "key_rotation_seconds",
            "For how long a change of keys has been unfinished.",
            _age(measured.rotation_started_at, measured.at),
        ),
    ):
        yield GaugeMetricFamily(f"preference_center_{name}", text, value)


def _capped_gauge(measured: Measurements) -> Metric:
    names = [each.name for each in measured.destinations]
    counted = [
        *((what, name) for what in (CountedTo.PENDING, CountedTo.LATE) for name in names),
        *((CountedTo.BACKLOG, kind) for kind in measured.waiting),
        *((what, "") for what in CountedTo if what not in _COUNTED_BY_SUBJECT),
    ]
    return _labelled(
        "count_capped",
        "1 while a count has stopped at its limit: it is that number or more.",
        ["count", "of"],
        (([*each], int(each in measured.capped)) for each in counted),
    )


def _destination_gauges(measured: Measurements) -> Iterator[Metric]:
    found, at = measured.destinations, measured.at
    yield _labelled(
        "destination_pending",
        "Addresses that a destination does not reflect yet, counted to a limit.",
        ["destination"],
        (([each.name], each.pending) for each in found),
    )
    yield _labelled(
        "destination_oldest_seconds",
        "Age of the oldest of them that the tool has not refused.",
        ["destination"],
        (([each.name], _age(each.oldest_received_at, at)) for each in found),
    )
    yield _labelled(
        "destination_refused",
        "Those that the tool refuses for an address, counted to the same limit.",
        ["destination"],
        (([each.name], each.refused) for each in found),
    )
    yield _labelled(
        "destination_refused_new",
        "Those of them that no person has accepted.",
        ["destination"],
        (([each.name], each.refused_new) for each in found),
    )
    yield _labelled(
        "destination_absence_accepted",
        "1 while a person has accepted that the tool knows none of these people.",
        ["destination"],
        (([each.name], int(each.is_absence_accepted)) for each in found),
    )
    yield _labelled(
        "destination_absent_share",
        "Share (0 to 1) of its 100 newest deliveries whose address the tool does not know.",
        ["destination"],
        (([each.name], each.absent_share) for each in found),
    )
    yield _labelled(
        "destination_unread_seconds",
        "For how long a reading of it has taken that fails now.",
        ["destination"],
        (([each.name], _age(each.unread_since, at)) for each in found),
    )
    yield _labelled(
        "destination_drift_repeats",
        "1 while a destination loses again opt-outs that it had lost.",
        ["destination"],
        (([each.name], int(each.repeats_drift(at))) for each in found),
    )
    yield _labelled(
        "destination_late",
        "Those at risk (36 h), past target (48 h) or overdue (72 h); no single refused ones.",
        ["destination", "stage"],
        (([each.name, stage], each.count_late(stage)) for each in found for stage in _LATE_STAGES),
    )
    yield _labelled(
        "destination_state",
        "1 for the state that a destination is in; slowed: the tool takes no more requests for now;"
        " broken: its circuit is open.",
        ["destination", "state"],
        (
            ([each.name, state], int(each.state == state))
            for each in found
            for state in DESTINATION_STATES
        ),
    )


def _labelled(
    name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float]]
) -> Metric:
    gauge = GaugeMetricFamily(f"preference_center_{name}", text, labels=labels)
    for values, value in rows:
        gauge.add_metric(values, value)
    return gauge


def _age(since: datetime | None, now: datetime) -> float:
    """Seconds; 0 without a beginning."""
    return 0.0 if since is None else max((now - since) / timedelta(seconds=1), 0.0)
