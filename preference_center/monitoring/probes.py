"""This module answers probes and `/metrics`, for any process also on a port of its own.

Three probes tell liveness, readiness, and whether deadlines are kept (I3). None of the readiness
checks waits longer than PROBE_TIMEOUT_SECONDS. `/metrics` is on the internal port only.

Every process has that port, which is not for people, if INTERNAL_PORT is set. It runs in threads of
its own, so it answers while the process waits for the database.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request

from preference_center.core.deadlines import WINDOW, RequestStage, deadline_stage, worst_stage
from preference_center.core.errors import ConfigError, Unavailable, UnavailableCause
from preference_center.destinations.store import states, webhooks
from preference_center.destinations.store.states import LateRows
from preference_center.destinations.store.webhooks import OverdueBacklog
from preference_center.inbound import bursts
from preference_center.inbound.store import MAX_OPEN_ITEMS, count_open_items
from preference_center.infra.context import services
from preference_center.infra.db.connections import WEB_TIMEOUTS
from preference_center.infra.db.schema import require_fitting_schema
from preference_center.infra.db.transactions import (
    Connection,
    is_writable,
    override_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.infra.metrics import CONTENT_TYPE, render_metrics
from preference_center.ledger import spool
from preference_center.ledger.feed import cursors
from preference_center.ledger.history_loss import find_history_loss
from preference_center.monitoring.gauges import list_collectors
from preference_center.monitoring.measure import count_due_webhooks, count_rights, measure_queue
from preference_center.rights.erasure.journal_store import MAX_UNWRITTEN, count_unwritten
from preference_center.rights.erasure.tasks import MAX_BY_HAND, OpenErasures, count_open
from preference_center.rights.requests.queue import MAX_STAGES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PROBE_TIMEOUT_SECONDS = 2.0
"""Less than the timeout of common probes, so that they get a response with a reason."""


class DatabaseStatus(StrEnum):
    """The state of the database, as this process sees it."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    """A standby, or a primary set to read only: nothing can be recorded there."""
    UNREACHABLE = "unreachable"
    UNRESPONSIVE = "unresponsive"
    """No response within PROBE_TIMEOUT_SECONDS: frozen, overloaded, or no free connection."""
    REFUSED = "refused"
    """It refuses the log-in, a right, or a function."""
    OTHER_SCHEMA = "other_schema"
    """Its tables are not those that this version needs: an upgrade is not finished."""
    NEWER_KEY = "newer_key"
    """Its digests have a newer key than this process was given."""
    EXHAUSTED = "exhausted"
    """No connection, memory or disk is left."""
    FAILING = "failing"
    """It reports an error of its own."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The state of the database, and what the operator should know of it."""

    status: DatabaseStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """The port on which this process serves requests, together with others of its server."""

    host: str
    port: int

    def accepts_connections(self) -> bool:
        """Whether it can be connected to now: not before the server has started, nor at its end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - any
        try:
            socket.create_connection((host, self.port), PROBE_TIMEOUT_SECONDS / 2).close()
        except OSError:
            return False
        return True


class ReadinessProbe:
    """Runs `check` in a thread of its own, one at a time. Safe for use by several threads.

    A frozen database blocks that one thread, and no request thread: concurrent callers wait
    for the same result, and for PROBE_TIMEOUT_SECONDS at most.
    """

    def __init__(self, check: Callable[[], DatabaseState]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._pending_state: Future[DatabaseState] | None = None

    def __call__(self) -> DatabaseState:
        """What `check` returns, or UNRESPONSIVE. Raises what `check` raises."""
        with self._lock:
            if self._pending_state is None or self._pending_state.done():
                self._pending_state = Future()
                threading.Thread(target=self._run, args=(self._pending_state,), daemon=True).start()
            pending = self._pending_state
        try:
            return pending.result(PROBE_TIMEOUT_SECONDS)
        except TimeoutError:
            return DatabaseState(DatabaseStatus.UNRESPONSIVE)

    def _run(self, pending_state: Future[DatabaseState]) -> None:
        try:
            pending_state.set_result(self._check())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            pending_state.set_exception(error)


class _Blueprint(Blueprint):
    enable_openapi = False
    """APIFlask asks every blueprint that has a `before_request` whether it is to be described."""


blueprint = _Blueprint("probes", __name__)


PROBE_PATHS = frozenset({"/livez", "/readyz", "/healthz"})


INTERNAL = "preference_center.internal"
"""The key of the WSGI environment that a request on the internal port has."""


RECENT_BURSTS_PERIOD = timedelta(days=1)
"""How long a burst of opt-outs is reported."""


LATE_CACHE_LIFETIME = timedelta(seconds=10)
"""How long this process caches its count of late rows."""


LATE_CACHE_KEY = "preference_center.late_rows"


READINESS_KEY = "preference_center.readiness"


LISTENING_KEY = "preference_center.listening_port"


NEEDS_REDIS_KEY = "preference_center.needs_redis"


_ON_TIME = RequestStage.ON_TIME


def require_redis(app: Flask) -> None:
    """From now on this process, a worker, is ready only while Redis takes and gives jobs."""
    app.extensions[NEEDS_REDIS_KEY] = True


@blueprint.before_request
def hide_from_public() -> None:
    """Answer 404 on the public port where there is an internal one: they name destinations."""
    if services().settings.internal_port is not None and INTERNAL not in request.environ:
        abort(404)


@blueprint.get("/livez")
def livez() -> tuple[Response, int]:
    """200 while the process responds. It depends on nothing else: restart on no response."""
    return jsonify(status="alive"), 200


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 while this process can accept an opt-out: into the database, or into the spool.

    `database` is why it can't be the former; requests that need it get a 503 then. A process whose
    version does not fit the tables is not ready, whatever its spool accepts; nor is a web process
    before and after its port accepts connections. `reason` is a sentence for the operator, or
    null. Responds within three seconds in any state of the database. Redis counts for workers
    alone, since no request depends on it: theirs has `redis`, "usable" or its problem.
    """
    state, spooled = _readiness()(), _spool_status()
    ready, reason = _can_accept_opt_outs(state.status, spooled), state.reason
    port: ListeningPort | None = current_app.extensions.get(LISTENING_KEY)
    if ready and port is not None and not port.accepts_connections():
        ready, reason = False, f"port {port.port} accepts no connections: it starts or stops"
    queue = {}
    if NEEDS_REDIS_KEY in current_app.extensions:
        problem = measure_queue().problem
        ready, queue = ready and problem is None, {"redis": problem or "usable"}
    status = "ready" if ready else "unavailable"
    return jsonify(
        status=status,
        database=state.status,
        reason=reason or None,
        spool=_spool_to_json(spooled),
        **queue,
    ), 200 if ready else 503


def _can_accept_opt_outs(status: DatabaseStatus, spooled: spool.SpoolStatus | None) -> bool:
    if status in {DatabaseStatus.WRITABLE, DatabaseStatus.OTHER_SCHEMA}:
        return status is DatabaseStatus.WRITABLE
    return spooled is not None and spooled.is_writable


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 while the database responds; `window` is the worst stage of all pending work.

    That is pending opt-outs, and events that were acknowledged and not decided: rows of
    `late` with `waits_for` (BacklogKind). `late` was counted at `counted_at`, at most
    LATE_CACHE_LIFETIME ago; with `at_least` the count is a lower bound. `bursts` is the
    number of bursts of opt-outs in the last day, `review_queue` that of mails and texts
    that wait for review (up to 1,000). `erasures` counts the tasks of erasing in a tool that wait
    for a person (up to 1,000), and has the time when the address of the earliest open erasure is
    forgotten; `not_in_journal` stays 0 while the erasure journal can be written. `rights` counts
    data-subject requests by RequestStage (up to 10,000), and due webhooks about them and with
    announcements of the privacy policy (up to 1,000 of each). `capped` has the names of the counts
    that stopped at their limit, so that there may be more.
    `feed_held_since` is when the oldest event was recorded that an open transaction keeps from
    readers of the feed, or null: seconds ago at most, as long as transactions end.
    `history_lost` is true while `/v1/` answers nothing, since the database was restored and lacks
    events that it had.
    `spool` is what waits on this host's disk, null where SPOOL_DIR is none; its oldest record
    counts in `window` too.

    A late tool is no reason to take web processes out of service, so it does not change
    the status: alert on `window`. Redis is not checked, since nothing depends on it.
    """
    now, spooled = services().now(), _spool_status()
    try:
        counted_at, late = _cached_late_rows(now)
        burst_count, queued = run_in_transaction(lambda connection: _load_counts(connection, now))
        open_erasures, unwritten = run_in_transaction(_load_erasures)
        rights = run_in_transaction(lambda connection: count_rights(connection, now))
        due = run_in_transaction(lambda connection: count_due_webhooks(connection, now))
        feed_held_since = run_in_transaction(cursors.load_held_since)
        is_history_lost = find_history_loss() is not None
    except Unavailable:
        return jsonify(status="unavailable", window="unknown", spool=_spool_to_json(spooled)), 503
    stages = {row.stage for row in late}
    if spooled is not None and spooled.oldest_received_at is not None:
        stages.add(deadline_stage(spooled.oldest_received_at + WINDOW, now))
    return jsonify(
        status="ok",
        window=worst_stage(stages),
        late=[_late_to_json(each) for each in late],
        counted_at=counted_at.isoformat(),
        bursts=burst_count,
        review_queue=queued,
        erasures=_erasures_to_json(open_erasures, unwritten),
        feed_held_since=feed_held_since.isoformat() if feed_held_since else None,
        history_lost=is_history_lost,
        rights=_rights_to_json(rights, due.count),
        capped=[
            name
            for name, is_capped in (
                ("review_queue", queued >= MAX_OPEN_ITEMS),
                ("by_hand", open_erasures.by_hand >= MAX_BY_HAND),
                ("not_in_journal", unwritten >= MAX_UNWRITTEN),
                ("rights", rights.total() >= MAX_STAGES),
                ("webhooks_due", due.has_more),
            )
            if is_capped
        ],
        spool=_spool_to_json(spooled),
    ), 200


def _late_to_json(late: LateRows | OverdueBacklog) -> dict[str, Any]:
    waits = {"waits_for": late.kind} if isinstance(late, OverdueBacklog) else {}
    return waits | {
        "destination": late.destination,
        "stage": late.stage,
        "pending": late.count,
        "at_least": late.at_least,
        "earliest_due_at": late.due_at.isoformat(),
    }


def _spool_status() -> spool.SpoolStatus | None:
    running = spool.current_spool()
    return None if running is None else running.folder.status()


def _spool_to_json(status: spool.SpoolStatus | None) -> dict[str, Any] | None:
    if status is None:
        return None
    oldest = status.oldest_received_at
    return {
        "waiting": status.pending,
        "oldest_received_at": None if oldest is None else oldest.isoformat(),
        "bytes": status.used_bytes,
        "damaged": status.damaged_files,
        "rejected": status.rejected_files,
        "unreadable": status.unreadable_files,
        "writable": status.is_writable,
    }


def _cached_late_rows(now: datetime) -> tuple[datetime, Sequence[LateRows | OverdueBacklog]]:
    """When this process last counted the late rows, and the result."""
    cached: tuple[datetime, Sequence[LateRows | OverdueBacklog]] | None = (
        current_app.extensions.get(LATE_CACHE_KEY)
    )
    if cached is None or not cached[0] <= now < cached[0] + LATE_CACHE_LIFETIME:
        cached = (now, run_autocommit(lambda connection: _load_late_rows(connection, now)))
        current_app.extensions[LATE_CACHE_KEY] = cached
    return cached


def _load_late_rows(connection: Connection, now: datetime) -> Sequence[LateRows | OverdueBacklog]:
    return [
        *states.list_late(connection, now),
        *webhooks.list_overdue_backlog(connection, now),
    ]


def _load_counts(connection: Connection, now: datetime) -> tuple[int, int]:
    return bursts.count_bursts_since(connection, now - RECENT_BURSTS_PERIOD), count_open_items(
        connection
    )


def _load_erasures(connection: Connection) -> tuple[OpenErasures, int]:
    journaled = services().settings.erasure_journal is not None
    return count_open(connection), count_unwritten(connection) if journaled else 0


def _erasures_to_json(open_erasures: OpenErasures, unwritten: int) -> dict[str, Any]:
    at = open_erasures.forgotten_at
    return {
        "by_hand": open_erasures.by_hand,
        "earliest_forgotten_at": None if at is None else at.isoformat(),
        "not_in_journal": unwritten,
    }


def _rights_to_json(rights: Mapping[RequestStage, int], webhooks_due: int) -> dict[str, int]:
    late = {stage.value: rights.get(stage, 0) for stage in RequestStage if stage is not _ON_TIME}
    return late | {"webhooks_due": webhooks_due}


def _readiness() -> ReadinessProbe:
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way
    probe: ReadinessProbe = app.extensions.setdefault(
        READINESS_KEY, ReadinessProbe(partial(_database_state, app))
    )
    return probe


def _database_state(app: Flask) -> DatabaseState:
    with app.app_context():
        try:
            run_autocommit(require_fitting_schema, never_in_transaction=True)
            writable = run_autocommit(is_writable)
        except Unavailable as error:
            return DatabaseState(_STATUS_BY_CAUSE[error.cause], error.reason)
        return DatabaseState(DatabaseStatus.WRITABLE if writable else DatabaseStatus.READ_ONLY)


_STATUS_BY_CAUSE = {
    UnavailableCause.UNREACHABLE: DatabaseStatus.UNREACHABLE,
    UnavailableCause.READ_ONLY: DatabaseStatus.READ_ONLY,
    UnavailableCause.LOCK_TIMEOUT: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.STATEMENT_TIMEOUT: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.UNRESPONSIVE: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.RESOURCES_EXHAUSTED: DatabaseStatus.EXHAUSTED,
    UnavailableCause.DISK_FULL: DatabaseStatus.EXHAUSTED,
    UnavailableCause.REFUSED: DatabaseStatus.REFUSED,
    UnavailableCause.SCHEMA: DatabaseStatus.OTHER_SCHEMA,
    UnavailableCause.KEYS: DatabaseStatus.NEWER_KEY,
    UnavailableCause.SERVER_ERROR: DatabaseStatus.FAILING,
}


METRICS_PATH = "/metrics"


@blueprint.get(METRICS_PATH)
def metrics() -> Response:
    """What this process counts, and measures now; the web processes of one server answer as one.

    404 on the public port, always: it names destinations and says how much we send.
    """
    if INTERNAL not in request.environ:
        abort(404)
    return Response(render_metrics(list_collectors()), content_type=CONTENT_TYPE)


READ_TIMEOUT = 5.0
"""Seconds that a client may take to send a request."""


def start_internal_server(app: Flask, *, shares_port: bool = False) -> InternalServer | None:
    """Serve probes and metrics from now on, until the process ends; None without INTERNAL_PORT.

    `shares_port`: the web processes of one host answer in turn on one port. Raises ConfigError if
    the port is taken.
    """
    with app.app_context():
        settings = services().settings
    if settings.internal_port is None:
        return None
    if blueprint.name not in app.blueprints:
        app.register_blueprint(blueprint)
    try:
        server = InternalServer(
            app, settings.internal_host, settings.internal_port, shares_port=shares_port
        )
    except OSError as error:
        raise ConfigError(
            f"INTERNAL_PORT {settings.internal_port}: {error.strerror}. Each process of a host"
            " needs one of its own; only the web processes share theirs."
        ) from None
    threading.Thread(target=server.serve_forever, name="internal", daemon=True).start()
    return server


class InternalServer(ThreadingMixIn, WSGIServer):
    """Serves PROBE_PATHS and METRICS_PATH of `app`, and nothing else."""

    daemon_threads = True

    def __init__(self, app: Flask, host: str, port: int, *, shares_port: bool) -> None:
        self.allow_reuse_port = shares_port
        super().__init__((host, port), _Handler)
        self._app = app
        self.set_app(self._respond)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may wait for DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def _respond(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in {METRICS_PATH, *PROBE_PATHS}:
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Not found\n"]
        environ[INTERNAL] = True
        with override_limits(WEB_TIMEOUTS):  # a worker's are too long for a probe
            return self._app(environ, start)


class _Handler(WSGIRequestHandler):
    timeout = READ_TIMEOUT

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a probe every few seconds says nothing."""
