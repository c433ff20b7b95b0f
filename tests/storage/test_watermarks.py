"""On the database of this worker: epochs begin by themselves, watermarks hold in one only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.domain.watermarks import Watermark
from preference_center.errors import StaleWatermark
from preference_center.storage import watermarks
from preference_center.storage.database import Connection, run
from tests.clock import START

if TYPE_CHECKING:
    from flask import Flask


def test_the_first_look_begins_the_epoch_and_the_next_finds_it(app: Flask) -> None:
    with app.app_context():
        first, second = run(watermarks.current), run(watermarks.current)
    assert first.epoch == second.epoch
    assert first.place <= second.place
    assert first.seq == 0


@pytest.mark.parametrize(
    "change", ["SET timeline = '00000009'", "SET system = system + 1", "SET timeline = ''"]
)
def test_another_server_or_timeline_begins_a_new_epoch(app: Flask, change: str) -> None:
    with app.app_context():
        old = run(watermarks.current)
        run(lambda connection: connection.execute(f"UPDATE epoch {change}".encode()))
        at = run(watermarks.horizon)
        assert at.line.epoch != old.epoch
        assert run(watermarks.horizon).line == at.line
        with pytest.raises(StaleWatermark):
            watermarks.ensure_followable(old, at)


def test_an_operator_can_begin_one(app: Flask) -> None:
    with app.app_context():
        old = run(watermarks.current)
        line = watermarks.begin_epoch(START)
        assert run(watermarks.horizon).line == line
    assert line.epoch != old.epoch


def test_a_watermark_ahead_of_the_database_is_stale(app: Flask) -> None:
    with app.app_context():
        at = run(watermarks.horizon)
    watermarks.ensure_followable(Watermark(at.line.epoch, at.xmax), at)
    with pytest.raises(StaleWatermark):
        watermarks.ensure_followable(Watermark(at.line.epoch, at.xmax + 1), at)


def test_a_fixed_snapshot_serves_once_the_epoch_is_there(app: Flask) -> None:
    def twice(connection: Connection) -> tuple[Watermark, Watermark]:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return watermarks.current(connection), watermarks.current(connection)

    with app.app_context():
        watermarks.ensure_epoch()
        first, second = run(twice)
    assert first == second
