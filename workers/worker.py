"""A worker process: `python -m workers.worker`. Any number of them may run.

`python -m workers.worker fresh` takes jobs of the queue `fresh` only: recent acts of people, for
tools that respond quickly. At least one such process keeps slow tools and long lists from
delaying the others (I3).
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from types import FrameType
from typing import Any

import redis
import structlog
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from structlog.contextvars import bound_contextvars

from preference_center.app.service import create_service
from preference_center.core.occurrences import Occurrence
from preference_center.infra import metrics, occurrences
from preference_center.infra.context import services
from preference_center.infra.db.connections import WORKER_TIMEOUTS
from preference_center.infra.job_queue import JOB_QUEUES, QUEUE_NAMES, rq_queue
from preference_center.infra.redis import connect_redis, error_fields, require_no_cluster
from preference_center.infra.telemetry import capture_standard_logs, span, start_telemetry
from preference_center.monitoring.alerts import report_occurrences, start_host_alerting
from preference_center.monitoring.probes import require_redis, start_internal_server
from workers.process import stop_requested, wait_for_database

log = structlog.get_logger()

RECONNECT_INTERVAL = 1.0
"""Seconds between attempts while Redis is unavailable."""


class _NoTracebackOfRedis(logging.Filter):
    """Log in one line that Redis was unavailable: RQ has a traceback where a job has just ended."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], redis.RedisError):
            record.msg += f" ({', '.join(error_fields(record.exc_info[1]).values())})"
            record.exc_info = None
        return True


_no_traceback_of_redis = _NoTracebackOfRedis()

_JOB_NAMES = frozenset(name.rpartition(".")[2] for name in JOB_QUEUES)
_OTHER_JOB = "other"
"""For metrics: a job that another version of us wrote."""


def _function_name(job: Job) -> str:
    """Without its module; empty if another version of us wrote the job, or something else did."""
    try:
        return str(job.func_name).rpartition(".")[2]
    except DeserializationError:
        return ""


class Worker(SimpleWorker):
    """An RQ worker without a fork per job: after a crash the lease ends and others take over.

    A fork would cost more than all the work of a small batch.
    """

    max_connection_wait_time = RECONNECT_INTERVAL

    def _set_ip_address(self, connection: redis.Redis) -> None:  # noqa: ARG002
        """Do without: RQ lists all clients of the server, which is an administrator's right."""
        self.ip_address = "unknown"

    def reorder_queues(self, reference_queue: Queue) -> None:
        """After a job of this queue the others come first, like RQ's RoundRobinWorker."""
        behind = self._ordered_queues.index(reference_queue) + 1
        self._ordered_queues = self._ordered_queues[behind:] + self._ordered_queues[:behind]

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Run the job; its id is in each line of the log about it."""
        began = time.monotonic()
        with bound_contextvars(job_id=job.id), span("job", job_id=job.id):
            done: bool = super().perform_job(job, queue)
        name = _function_name(job)
        if name in _JOB_NAMES:
            metrics.observe_job(name, time.monotonic() - began)
        return done

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log an error of a job in one line, as those of requests, and count it.

        RQ's own log has many lines.
        """
        name = _function_name(job)
        log.error("job_failed", job=name, job_id=job.id, exc_info=exc_info[1])
        known = name if name in _JOB_NAMES else _OTHER_JOB
        metrics.count_job_failure(known)
        occurrences.note(Occurrence.JOB_FAILED, known)

    def handle_abandoned(self, job: Job, *exc_info: Any) -> None:
        """Log, count and report a job whose worker was killed, which RQ notices minutes later.

        At once: the next job may kill this worker, too.
        """
        self.handle_exception(job, *exc_info)
        report_occurrences()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Let the job finish its current batch, then stop (SIGTERM, SIGINT).

        RQ's own would ask Redis in between, and fail the batch if that is unavailable; and it
        would end the batch at a second signal, which a terminal's Ctrl-C always brings.
        """
        stop_requested.set()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested


def _stop_before_work(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Stop at once: nothing is in hand."""
    stop_requested.set()
    raise StopRequested


def main(queues: Collection[str] = QUEUE_NAMES) -> None:
    """Work on these queues until asked to stop, across outages of Redis and the database."""
    # Until RQ has its own: the first process of a container ignores a signal without a handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_before_work)
    with suppress(StopRequested):
        _work(queues)


def _work(queues: Collection[str]) -> None:
    capture_standard_logs()
    app = create_service(timeouts=WORKER_TIMEOUTS)
    require_redis(app)
    start_internal_server(app)
    start_host_alerting(app, stop_requested)
    for name in (*_JOB_NAMES, _OTHER_JOB):
        metrics.count_job_failure(name, 0)  # from 0 on, else the first is no increase
    with app.app_context():
        start_telemetry(services().settings, "worker")
        wait_for_database()
        while not stop_requested.is_set():
            try:
                connection = connect_redis(services().settings.redis_url)
                require_no_cluster(connection)
                make_worker(connection, queues).work(logging_level="WARNING")
            except redis.RedisError as error:
                log.warning("redis_unavailable", **error_fields(error))
            # RQ also ends by itself, when Redis was slow or had lost the current job.
            stop_requested.wait(RECONNECT_INTERVAL)


def make_worker(connection: redis.Redis, queues: Collection[str] = QUEUE_NAMES) -> Worker:
    """A worker of these queues."""
    worker = Worker(
        [rq_queue(connection, name) for name in queues],
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=60,
        maintenance_interval=30,
    )
    worker.log.addFilter(_no_traceback_of_redis)
    worker.push_exc_handler(worker.handle_abandoned)  # type: ignore[no-untyped-call]
    return worker


def parse_queue_names(arguments: list[str]) -> Collection[str]:
    """The queues that the command line names; all if none. Raises SystemExit for others."""
    unknown = sorted(set(arguments) - set(QUEUE_NAMES))
    if unknown:
        raise SystemExit(
            f"no such queue: {', '.join(unknown)}. There are: {', '.join(QUEUE_NAMES)}."
        )
    return arguments or QUEUE_NAMES


if __name__ == "__main__":
    gc.freeze()  # else the collector scans every module at the end: half a second
    main(parse_queue_names(sys.argv[1:]))
