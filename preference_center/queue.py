"""The only place that builds an RQ queue or enqueues. Jobs carry ids, as JSON (I12).

Redis is a kick and no more: every method may fail quietly, and the scheduler finds the
same work in the database a few seconds later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import redis
import rq
import structlog
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

log = structlog.get_logger()

NAME = "sync"
JOB = "workers.jobs.sync"
JOB_SECONDS = 180
"""A job that outlives this is ended; its rows come back when the lease is over."""
TICK = 5
"""Seconds. A job works for one tick and the next tick has a job of its own, so that each
slot of a destination has about one job at work, and a lost one is missed for a moment."""

NUDGE_TIMEOUT = 0.05
NUDGE_EVERY = 1.0
BREAKER = 5.0
"""Seconds without a nudge after Redis failed, so that a hung Redis slows no opt-out."""


def connect(redis_url: str, *, timeout: float | None = None) -> redis.Redis:
    """A Redis client. `timeout` in seconds, for connecting and for each answer."""
    return redis.Redis.from_url(redis_url, socket_timeout=timeout, socket_connect_timeout=timeout)


def rq_queue(connection: redis.Redis) -> rq.Queue:
    """The queue that workers listen on."""
    return rq.Queue(
        NAME, connection=connection, serializer=JSONSerializer, default_timeout=JOB_SECONDS
    )


class Queue:
    """Enqueues syncs from one process. Safe for use by several threads."""

    def __init__(
        self,
        redis_url: str,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rq = rq_queue(connect(redis_url, timeout=NUDGE_TIMEOUT))
        self._monotonic = monotonic
        self._wall = wall
        self._quiet_until: dict[int, float] = {}
        self._broken_until = 0.0

    def nudge(self, destinations: Iterable[int]) -> None:
        """Have these destinations synced soon, at most once a second each.

        Never raises, and costs at most 50 ms per step: if Redis is away, the scheduler
        finds the work later (I1).
        """
        now = self._monotonic()
        if now < self._broken_until:
            return
        for destination in destinations:
            if now >= self._quiet_until.get(destination, 0.0):
                self._quiet_until[destination] = now + NUDGE_EVERY
                if not self.enqueue(destination, slot=0):
                    self._broken_until = self._monotonic() + BREAKER
                    return

    def enqueue(self, destination: int, *, slot: int) -> bool:
        """Enqueue one sync for this tick; False if Redis can't be reached.

        The id names the tick, so replicas that tick together enqueue once. A finished job
        leaves nothing behind, so a later change in the same tick is no repeat.
        """
        job_id = f"sync-{destination}-{slot}-{int(self._wall()) // TICK}"
        try:
            self._rq.enqueue_call(
                JOB, args=(destination,), job_id=job_id, result_ttl=0, failure_ttl=60, unique=True
            )
        except DuplicateJobError:
            return True
        except redis.RedisError as error:
            log.warning("redis_away", error=type(error).__name__)
            return False
        return True
