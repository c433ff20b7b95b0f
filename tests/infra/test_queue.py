"""Jobs are kicks: one of each kind that waits is enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from preference_center.infra.job_queue import TICK_SECONDS, JobQueue, rq_queue
from preference_center.infra.redis import connect_redis


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        yield connection


def test_a_backlog_keeps_one_job_of_each_slot_waiting(redis: Redis, redis_url: str) -> None:
    ticks = iter(range(0, 1_000, TICK_SECONDS))
    queue = JobQueue(redis_url, wall_clock=lambda: next(ticks))
    for _ in range(5):
        assert queue.enqueue_sync(1, slot=0)
        assert queue.enqueue_sync(1, slot=1)
        assert queue.enqueue_sync(11, slot=0)
    waiting = rq_queue(redis, "sync")
    names = [job.rpartition("-")[0] for job in waiting.job_ids]
    assert names == ["sync-1-0", "sync-1-1", "sync-11-0"]

    waiting.pop_job_id()  # a worker takes the first: at work, it waits no more
    assert queue.enqueue_sync(1, slot=0)
    assert waiting.job_ids[-1].startswith("sync-1-0-")
    assert len(waiting) == 3
