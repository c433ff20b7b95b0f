"""What the scheduler does besides waking workers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from preference_center.extensions import services
from preference_center.queue import NEWS, QUEUES, rq_queue
from preference_center.storage.access import idempotency
from preference_center.storage.db.database import run
from preference_center.storage.sync import webhook_inbox
from tests.workers.two_ways import add_destination
from workers import scheduler
from workers.stopping import stopping

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def test_answers_kept_for_repeats_go_after_a_day(app: Flask, clock: Clock) -> None:
    with app.app_context():
        run(lambda c: idempotency.keep(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=23))
        run(lambda c: idempotency.keep(c, b"new", b"sealed", clock()))
        scheduler.tidy(clock())
        assert run(lambda c: idempotency.find(c, b"old", clock())) == b"sealed"
        clock.advance(timedelta(hours=1))
        scheduler.tidy(clock())
        left = run(lambda c: c.execute("SELECT digest FROM kept_answer").fetchall())
    assert left == [(b"new",)]


def test_the_process_tidies_and_looks_for_bursts_besides(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([False, True])
    monkeypatch.setattr(scheduler, "create_app", lambda **_: app)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(stopping, "wait", lambda _: next(turns))
    with app.app_context():
        run(lambda c: idempotency.keep(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=24))
        scheduler.main()
        left = run(lambda c: c.execute("SELECT digest FROM kept_answer").fetchall())
        looked = run(lambda c: c.execute("SELECT looked_at FROM burst_watch").fetchall())
    assert (left, looked) == ([], [(clock(),)])


def test_a_backlog_of_what_one_tool_posted_is_taken_in_by_several(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "BODIES_PER_SLOT", 2)
    with app.app_context():
        context = services()
        busy, quiet = add_destination("busy"), add_destination("quiet")
        for number in (busy, busy, busy, busy, busy, quiet):
            new_id = context.new_id()
            body = new_id.bytes
            run(lambda c: webhook_inbox.keep(c, context.keys, new_id, number, body, clock()))  # noqa: B023 - run at once
        assert run(lambda c: webhook_inbox.due(c, clock())) == {busy: 5, quiet: 1}
        scheduler.tick()
        with Redis.from_url(context.settings.redis_url) as redis:
            jobs = rq_queue(redis, QUEUES[NEWS]).get_jobs()
            args = sorted(job.args[0] for job in jobs if job.func_name == NEWS)
    assert args == [busy] * 3 + [quiet]
