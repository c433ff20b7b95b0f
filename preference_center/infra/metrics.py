"""The service counts what it does, and answers with the text that Prometheus reads.

Counting is cheap enough for a decision and an opt-out. The functions take enumerations and names
of destinations, never text of a request (I12).

Whichever web process of a server is asked for metrics must answer for all. Each process counts in
a file of its own in one folder, which the others read. A file outlives its process, so no counter
goes back when a worker is replaced.
"""

from __future__ import annotations

import collections
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from preference_center.core.errors import UnavailableCause
from preference_center.core.events import EventKind
from preference_center.core.links import LinkKeyProblem

log = structlog.get_logger()


SERVER_NAME = "web server"
"""The name of a process that imports this module for workers that it will fork: `workers.web`."""


_PREFIX = "preference-center-metrics"


_FOLDER_MODE = 0o700


def share_between_workers() -> Path | None:
    """Make metrics that are created from now on count in files, if this is one of several workers.

    Workers are processes that another Python process started by `multiprocessing`, as granian
    does, or will be forked by this one, which then has SERVER_NAME. Returns the folder; None where
    this process counts alone in memory, also where no folder can be written.
    """
    parent = multiprocessing.parent_process()
    if parent is None and multiprocessing.current_process().name != SERVER_NAME:
        return None
    server = os.getpid() if parent is None else parent.pid
    if server is None:
        return None
    try:
        folder = _make_folder(Path(tempfile.gettempdir()), server)
    except OSError:
        return None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # where prometheus-client looks for it
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    return folder


def warn_if_not_shared(folder: Path | None) -> None:
    """Log that this worker counts for itself, if it does: metrics jump between workers then."""
    if folder is None and multiprocessing.parent_process() is not None:
        log.warning("metrics_not_shared", remedy="make the temporary directory (TMPDIR) writable")


def _make_folder(parent: Path, server_pid: int) -> Path:
    """The folder of one server's workers, ours alone. Raises OSError."""
    _remove_abandoned(parent)
    folder = parent / f"{_PREFIX}-{os.getuid()}-{server_pid}"
    folder.mkdir(_FOLDER_MODE, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Delete the folders of our servers that have ended."""
    for folder in parent.glob(f"{_PREFIX}-{os.getuid()}-*"):
        pid = folder.name.rpartition("-")[2]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with suppress(OSError):
                shutil.rmtree(folder)
        except (ValueError, PermissionError):
            continue


disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each


SHARED_FOLDER = share_between_workers()  # before the first metric is made


REGISTRY = CollectorRegistry()
"""The metrics of this process, if SHARED_FOLDER is None."""


LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds."""


TOOL_LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds."""


class OptOutOutcome(StrEnum):
    """What became of a person's own opt-out."""

    RECORDED = "recorded"
    """Committed in the database, or found there already."""
    SPOOLED = "spooled"
    REFUSED = "refused"
    """Neither was possible: the answer was an error."""


class PushFailure(StrEnum):
    """Why a batch could not be pushed at all."""

    FAILED = "failed"
    RATE_LIMITED = "rate_limited"
    LEASE_EXPIRED = "lease_expired"


class InboundOutcome(StrEnum):
    """What became of something that a tool or a mail server sent us."""

    ACCEPTED = "accepted"
    """Stored or recorded."""
    REPEATED = "repeated"
    """The same was received before."""
    UNVERIFIED = "unverified"
    """Its signature or secret is not the tool's."""
    UNREADABLE = "unreadable"
    IGNORED = "ignored"
    """It is for none of our addresses."""
    SPOOLED = "spooled"
    FOR_REVIEW = "for_review"
    """A person has to decide."""
    FAILED = "failed"


class InboundKind(StrEnum):
    """The way by which something came in."""

    WEBHOOK = "webhook"
    TEXT = "text"
    MAIL = "mail"


class RowResult(Protocol):
    """A row with an outcome: a `destinations.rules.states.Settlement`."""

    @property
    def outcome(self) -> str:
        """A PushResult, or NOT_PUSHED."""


class Decision(Protocol):
    """What `decisions.rules` decided about one recipient."""

    @property
    def rule(self) -> StrEnum:
        """The rule that decided: a DecisionRule."""

    @property
    def allow(self) -> bool:
        """Whether the message may be sent."""


_HTTP_SECONDS = Histogram(
    "preference_center_http_request_seconds",
    "Time until the response begins, without the time that the request took to arrive.",
    ["endpoint", "status"],
    registry=REGISTRY,
    buckets=LATENCY_BUCKETS,
)


_DECISIONS = Counter(
    "preference_center_decisions",
    "Decisions, by the rule that decided.",
    ["rule", "allow"],
    registry=REGISTRY,
)


_OPT_OUTS = Counter(
    "preference_center_opt_outs",
    "People's own opt-outs, by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)


_EVENTS = Counter(
    "preference_center_events", "Events appended to the ledger.", ["kind"], registry=REGISTRY
)


_UNAVAILABLE = Counter(
    "preference_center_database_unavailable",
    "How often the database did not do what was asked, by cause.",
    ["cause"],
    registry=REGISTRY,
)


_PUSHED = Counter(
    "preference_center_pushed_rows",
    "Rows that were settled after a push, by outcome.",
    ["destination", "outcome"],
    registry=REGISTRY,
)


_PUSH_SECONDS = Histogram(
    "preference_center_push_seconds",
    "Time that a tool took for a batch.",
    ["destination"],
    registry=REGISTRY,
    buckets=TOOL_LATENCY_BUCKETS,
)


_PUSH_FAILURES = Counter(
    "preference_center_push_failures",
    "Batches that could not be pushed at all.",
    ["destination", "reason"],
    registry=REGISTRY,
)


_INBOUND = Counter(
    "preference_center_inbound",
    "What tools and mail servers sent, by outcome; mail is of no destination.",
    ["kind", "outcome", "destination"],
    registry=REGISTRY,
)


_EMAILS = Counter(
    "preference_center_emails",
    "Attempts to send an email of ours, by result.",
    ["kind", "result"],
    registry=REGISTRY,
)


_LINK_KEYS = Counter(
    "preference_center_link_key_problems",
    "Requests with a link whose key is unknown, or only opts out.",
    ["problem"],
    registry=REGISTRY,
)


_JOBS = Histogram(
    "preference_center_job_seconds",
    "Time that a worker's jobs took.",
    ["task"],  # Prometheus has a label `job` of its own
    registry=REGISTRY,
    buckets=TOOL_LATENCY_BUCKETS,
)


_JOBS_FAILED = Counter(
    "preference_center_jobs_failed",
    "Jobs of workers that failed with an error of ours, and webhooks to the company given up.",
    ["task"],
    registry=REGISTRY,
)


# From 0 on: a series that appears with its first problem has no increase.
_DECISIONS.labels("unknown_message_type", "false")
_OPT_OUT_OUTCOMES = {outcome: _OPT_OUTS.labels(outcome) for outcome in OptOutOutcome}


_EVENT_KINDS = {kind: _EVENTS.labels(kind) for kind in EventKind}


for _outcome in InboundOutcome:
    _INBOUND.labels(InboundKind.MAIL, _outcome, "")


_CAUSES = {cause: _UNAVAILABLE.labels(cause) for cause in UnavailableCause}


_LINK_KEY_PROBLEMS = {problem: _LINK_KEYS.labels(problem) for problem in LinkKeyProblem}


_STATUS_CLASSES = {number: f"{number}xx" for number in range(1, 6)}


_http_children: dict[tuple[str, int], Histogram] = {}


_decision_children: dict[tuple[str, bool], Counter] = {}


def observe_request(endpoint: str | None, status: int, seconds: float) -> None:
    """One request; `endpoint` is the name of its route, None if it has none."""
    key = (endpoint or "none", status // 100)
    child = _http_children.get(key)
    if child is None:
        child = _HTTP_SECONDS.labels(key[0], _STATUS_CLASSES.get(key[1], "other"))
        _http_children[key] = child
    child.observe(seconds)


def count_decisions(decisions: Sequence[Decision]) -> None:
    """Decisions that were given. The common ones are always the same objects, so it is fast."""
    if len(decisions) == 1:
        _count_decision(decisions[0], 1)
        return
    by_id = dict(zip(map(id, decisions), decisions, strict=True))
    for number, count in collections.Counter(map(id, decisions)).items():
        _count_decision(by_id[number], count)


def _count_decision(decision: Decision, count: int) -> None:
    key = (decision.rule.value, decision.allow)
    child = _decision_children.get(key)
    if child is None:
        child = _DECISIONS.labels(key[0], "true" if decision.allow else "false")
        _decision_children[key] = child
    child.inc(count)


def count_opt_outs(outcome: OptOutOutcome, count: int = 1) -> None:
    """A person's own opt-outs."""
    _OPT_OUT_OUTCOMES[outcome].inc(count)


def count_events(kinds: Iterable[EventKind]) -> None:
    """Events that were committed."""
    for kind, count in collections.Counter(kinds).items():
        _EVENT_KINDS[kind].inc(count)


def count_unavailable(cause: UnavailableCause) -> None:
    """The database did not do what was asked."""
    _CAUSES[cause].inc()


def observe_push(destination: str, seconds: float, rows: Iterable[RowResult]) -> None:
    """One batch that a tool has answered."""
    _PUSH_SECONDS.labels(destination).observe(seconds)
    for outcome, count in collections.Counter(row.outcome for row in rows).items():
        _PUSHED.labels(destination, outcome).inc(count)


def count_push_failure(destination: str, reason: PushFailure) -> None:
    """One batch that could not be pushed."""
    _PUSH_FAILURES.labels(destination, reason).inc()


def count_inbound(kind: InboundKind, outcome: InboundOutcome, destination: str = "") -> None:
    """One message that came in; `destination` is the name of one that there is, or empty."""
    _INBOUND.labels(kind, outcome, destination).inc()


def count_email(kind: StrEnum, result: StrEnum) -> None:
    """One attempt to send an email: EmailKind and SendResult."""
    _EMAILS.labels(kind, result).inc()


def count_link_key_problem(problem: LinkKeyProblem) -> None:
    """A request with a link that was made with such a key."""
    _LINK_KEY_PROBLEMS[problem].inc()


def observe_job(job: str, seconds: float) -> None:
    """One job of a worker; `job` is the name of its function."""
    _JOBS.labels(job).observe(seconds)


def count_job_failure(job: str, count: int = 1) -> None:
    """A job failed; `job` is the name of its function. With 0: there is such a job."""
    _JOBS_FAILED.labels(job).inc(count)


CONTENT_TYPE = CONTENT_TYPE_LATEST


def render_metrics(
    collectors: Iterable[Collector] = (), shared_folder: Path | None = SHARED_FOLDER
) -> bytes:
    """What this process counts, or all workers of its server; and what `collectors` measure now."""
    registry = CollectorRegistry()
    if shared_folder is None:
        registry.register(_Counted())
    else:
        MultiProcessCollector(registry, path=str(shared_folder))  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


class _Counted(Collector):
    """The metrics of this process as one collector."""

    def collect(self) -> Iterable[object]:  # type: ignore[override]
        return REGISTRY.collect()
