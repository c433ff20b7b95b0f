"""The only place that builds an RQ queue or enqueues. Jobs carry ids, as JSON (I12).

Redis only reduces latency: every method may fail without an error, and the scheduler finds
the same work in the database a few seconds later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from uuid import UUID

import redis
import rq
import structlog
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from rq.timeouts import BaseTimeoutException
from rq.worker_registration import get_keys

from preference_center.infra.redis import connect_redis, error_fields

log = structlog.get_logger()

SYNC_FRESH = "workers.jobs.sync_fresh"
SYNC = "workers.jobs.sync"
SEND_MAIL = "workers.jobs.send_mail"
CONTINUE_IMPORT = "workers.jobs.continue_import"
VERIFY = "workers.jobs.verify"
PROCESS_WEBHOOKS = "workers.jobs.process_webhooks"
BACKFILL = "workers.jobs.backfill"
SEND_RIGHTS_WEBHOOKS = "workers.jobs.send_rights_webhooks"
ERASE = "workers.jobs.erase"
BUILD_ACCESS_FILE = "workers.jobs.build_access_file"
APPLY_RETENTION = "workers.jobs.apply_retention"
JOB_QUEUES = {
    SYNC_FRESH: "fresh",
    SYNC: "sync",
    SEND_MAIL: "mail",
    SEND_RIGHTS_WEBHOOKS: "mail",
    CONTINUE_IMPORT: "lists",
    VERIFY: "lists",
    PROCESS_WEBHOOKS: "lists",
    BACKFILL: "lists",
    ERASE: "lists",
    BUILD_ACCESS_FILE: "lists",
    APPLY_RETENTION: "lists",
}
"""The queue of each job. Workers take from each in turn, so that a tool's backlog does not
delay email, nor a list of millions an opt-out. Jobs in `fresh` are short: recent changes, for
tools that respond quickly. Some workers take no other jobs (I3)."""
QUEUE_NAMES = tuple(dict.fromkeys(JOB_QUEUES.values()))

JOB_TIMEOUT_SECONDS = 180
"""A job that runs longer is killed; its rows are claimed again when the lease expires."""
JobTimedOut = BaseTimeoutException
"""Raised in such a job, wherever it is: not to be caught with all other errors."""
TICK_SECONDS = 5
"""Seconds. A job works for one tick and the next tick has a job of its own, so that each
slot of a destination, or of our email, has about one running job, and a lost one is replaced
within a tick."""

NUDGE_TIMEOUT_SECONDS = 0.05
NUDGE_INTERVAL_SECONDS = 1.0
BREAKER_SECONDS = 5.0
"""Seconds without a nudge after Redis failed, so that a hung Redis slows no opt-out."""


def rq_queue(connection: redis.Redis, name: str) -> rq.Queue:
    """One of the queues that workers listen on; `name` is one of QUEUE_NAMES."""
    return rq.Queue(
        name, connection=connection, serializer=JSONSerializer, default_timeout=JOB_TIMEOUT_SECONDS
    )


def count_workers(connection: redis.Redis, name: str) -> int:
    """How many workers that RQ takes for living ones listen on this queue."""
    keys = get_keys(rq_queue(connection, name))
    return int(connection.exists(*keys)) if keys else 0


class JobQueue:
    """Enqueues jobs from one process. Safe for use by several threads."""

    def __init__(
        self,
        redis_url: str,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        connection = connect_redis(redis_url, timeout=NUDGE_TIMEOUT_SECONDS)
        self._queues = {job: rq_queue(connection, name) for job, name in JOB_QUEUES.items()}
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._quiet_until: dict[str, float] = {}
        self._broken_until = 0.0

    def nudge_sync(self, destination_ids: Iterable[int]) -> None:
        """Enqueue a sync of each of these destinations, at most once a second each.

        Never raises, and takes at most 50 ms per step: if Redis is unavailable, the
        scheduler finds the work later (I1).
        """
        for destination in destination_ids:
            self._nudge(f"fresh-{destination}", SYNC_FRESH, destination)

    def nudge_mail(self) -> None:
        """Enqueue the sending of due emails, in the same way."""
        self._nudge("mail", SEND_MAIL)

    def enqueue_fresh(self, destination: int) -> bool:
        """Enqueue one job for recent changes; False if Redis can't be reached."""
        return self._enqueue(f"fresh-{destination}-0", SYNC_FRESH, destination)

    def enqueue_sync(self, destination: int, *, slot: int) -> bool:
        """Enqueue one sync for this tick; False if Redis can't be reached."""
        return self._enqueue(f"sync-{destination}-{slot}", SYNC, destination)

    def enqueue_mail(self, *, slot: int) -> bool:
        """Enqueue one job that sends emails for this tick; False if Redis can't be reached."""
        return self._enqueue(f"mail-{slot}", SEND_MAIL)

    def enqueue_rights_webhooks(self) -> bool:
        """Enqueue one job that informs the company's program of requests, for this tick."""
        return self._enqueue("rights-webhooks", SEND_RIGHTS_WEBHOOKS)

    def nudge_import(self, import_id: UUID) -> None:
        """Enqueue the continuation of an uploaded import, in the same way."""
        self._nudge(f"import-{import_id}", CONTINUE_IMPORT, str(import_id))

    def enqueue_import(self, import_id: UUID) -> bool:
        """Enqueue one job that continues it for this tick; False if Redis can't be reached."""
        return self._enqueue(f"import-{import_id}-0", CONTINUE_IMPORT, str(import_id))

    def enqueue_verify(self, destination: int, listing_kind: str) -> bool:
        """Enqueue one job that reads one listing of a destination for this tick."""
        return self._enqueue(
            f"verify-{listing_kind}-{destination}", VERIFY, destination, listing_kind
        )

    def nudge_webhooks(self, destination: int) -> None:
        """Enqueue the processing of a destination's webhook requests, in the same way."""
        self._nudge(f"webhooks-{destination}", PROCESS_WEBHOOKS, destination)

    def enqueue_webhooks(self, destination: int, *, slot: int) -> bool:
        """Enqueue one job that processes them for this tick; False if Redis can't be reached."""
        return self._enqueue(f"webhooks-{destination}-{slot}", PROCESS_WEBHOOKS, destination)

    def enqueue_backfill(self, destination: int) -> bool:
        """Enqueue one job that continues its backfill for this tick."""
        return self._enqueue(f"backfill-{destination}", BACKFILL, destination)

    def enqueue_erase(self, destination: int) -> bool:
        """Enqueue one job that erases people there for this tick."""
        return self._enqueue(f"erase-{destination}", ERASE, destination)

    def enqueue_access_file(self, request_id: UUID) -> bool:
        """Enqueue one job that builds the file of a request for access."""
        return self._enqueue(f"access-{request_id}", BUILD_ACCESS_FILE, str(request_id))

    def enqueue_retention(self) -> bool:
        """Enqueue one job that removes what is past its retention for this tick."""
        return self._enqueue("retention", APPLY_RETENTION)

    def _nudge(self, job_key: str, job: str, *args: int | str) -> None:
        now = self._monotonic()
        if now < max(self._broken_until, self._quiet_until.get(job_key, 0.0)):
            return
        self._quiet_until[job_key] = now + NUDGE_INTERVAL_SECONDS
        if not self._enqueue(f"{job_key}-0", job, *args):
            self._broken_until = self._monotonic() + BREAKER_SECONDS

    def _enqueue(self, name: str, job: str, *args: int | str) -> bool:
        """Enqueue a job, unless one of its name waits already.

        Otherwise a backlog would add jobs faster than workers finish them, and an email or
        a list would wait behind them all. The id names the tick, so replicas that tick
        together enqueue once, and a lost job is replaced in the next tick. A finished job
        is deleted, so a later change in the same tick is no duplicate.
        """
        queue = self._queues[job]
        job_id = f"{name}-{int(self._wall_clock()) // TICK_SECONDS}"
        try:
            if name in {waiting.rpartition("-")[0] for waiting in queue.get_job_ids()}:
                return True
            queue.enqueue_call(
                job, args=args, job_id=job_id, result_ttl=0, failure_ttl=60, unique=True
            )
        except DuplicateJobError:
            return True
        except redis.RedisError as error:
            log.warning("redis_unavailable", **error_fields(error))
            return False
        return True
