"""What a worker takes next."""

from __future__ import annotations

from uuid import UUID

import pytest

from preference_center.queue import FRESH, IMPORT, MAIL, SYNC, Queue, connect
from workers.worker import make_worker, queues_of


def test_a_worker_takes_from_each_queue_in_turn(redis_url: str) -> None:
    # I3: a tool's backlog holds up no letter and no list, and no list holds up an opt-out.
    queue = Queue(redis_url)
    with connect(redis_url) as connection:
        connection.flushdb()
        for destination in range(4):
            assert queue.enqueue(destination, slot=0)
        for n in range(2):
            assert queue.enqueue_import(UUID(int=n))
        assert queue.enqueue_mail(slot=0)

        worker = make_worker(connection)
        taken = []
        while found := worker.dequeue_job_and_maintain_ttl(None):
            taken.append(found[0].func_name)
    assert taken == [SYNC, MAIL, IMPORT, SYNC, IMPORT, SYNC, SYNC]


def test_a_worker_of_the_fresh_queue_takes_nothing_else(redis_url: str) -> None:
    # I3: so no slow tool and no list keeps it waiting.
    queue = Queue(redis_url)
    with connect(redis_url) as connection:
        connection.flushdb()
        assert queue.enqueue(1, slot=0)
        assert queue.enqueue_mail(slot=0)
        assert queue.enqueue_fresh(1)
        worker = make_worker(connection, queues_of(["fresh"]))
        taken = []
        while found := worker.dequeue_job_and_maintain_ttl(None):
            taken.append(found[0].func_name)
    assert taken == [FRESH]


def test_a_queue_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no such queue: quick\. There are: fresh, sync"):
        queues_of(["quick"])
