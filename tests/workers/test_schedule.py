"""What the scheduler does besides waking workers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from preference_center.storage import kept_answers
from preference_center.storage.database import run
from workers import schedule

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def test_answers_kept_for_repeats_go_after_a_day(app: Flask, clock: Clock) -> None:
    with app.app_context():
        run(lambda c: kept_answers.keep(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=23))
        run(lambda c: kept_answers.keep(c, b"new", b"sealed", clock()))
        schedule.tick()
        assert run(lambda c: kept_answers.find(c, b"old", clock())) == b"sealed"
        clock.advance(timedelta(hours=1))
        schedule.tick()
        left = run(lambda c: c.execute("SELECT digest FROM kept_answer").fetchall())
    assert left == [(b"new",)]
