"""What a worker takes next."""

from __future__ import annotations

from uuid import UUID

from preference_center.queue import IMPORT, MAIL, SYNC, Queue, connect
from workers.worker import make_worker


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
