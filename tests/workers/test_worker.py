"""What a worker takes next."""

from __future__ import annotations

from uuid import UUID

import pytest
import redis

from preference_center.infra.job_queue import CONTINUE_IMPORT, SEND_MAIL, SYNC, SYNC_FRESH, JobQueue
from preference_center.infra.redis import connect_redis
from workers.worker import make_worker, parse_queue_names


def test_a_worker_takes_from_each_queue_in_turn(redis_url: str) -> None:
    # I3: a tool's backlog holds up no email and no list, and no list holds up an opt-out.
    queue = JobQueue(redis_url)
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        for destination in range(4):
            assert queue.enqueue_sync(destination, slot=0)
        for n in range(2):
            assert queue.enqueue_import(UUID(int=n))
        assert queue.enqueue_mail(slot=0)

        worker = make_worker(connection)
        taken = []
        while found := worker.dequeue_job_and_maintain_ttl(None):
            taken.append(found[0].func_name)
    assert taken == [SYNC, SEND_MAIL, CONTINUE_IMPORT, SYNC, CONTINUE_IMPORT, SYNC, SYNC]


def test_a_worker_of_the_fresh_queue_takes_nothing_else(redis_url: str) -> None:
    # I3: so no slow tool and no list keeps it waiting.
    queue = JobQueue(redis_url)
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        assert queue.enqueue_sync(1, slot=0)
        assert queue.enqueue_mail(slot=0)
        assert queue.enqueue_fresh(1)
        worker = make_worker(connection, parse_queue_names(["fresh"]))
        taken = []
        while found := worker.dequeue_job_and_maintain_ttl(None):
            taken.append(found[0].func_name)
    assert taken == [SYNC_FRESH]


def test_a_queue_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no such queue: quick\. There are: fresh, sync"):
        parse_queue_names(["quick"])


def test_redis_that_goes_away_after_a_job_is_one_line_of_the_log(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(connect_redis(redis_url))
    try:
        raise redis.ConnectionError("closed")
    except redis.RedisError:
        worker.log.error("Worker %s: quitting", "w", exc_info=True)  # noqa: G201 - as RQ does
    [record] = caplog.records
    assert record.getMessage() == "Worker w: quitting (ConnectionError)"
    assert record.exc_info is None
