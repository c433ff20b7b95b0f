"""Epochs begin automatically, and watermarks are valid in one only."""

from __future__ import annotations

from threading import Timer
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.domain.events import EventKind
from preference_center.domain.watermarks import Watermark
from preference_center.errors import StaleWatermark
from preference_center.extensions import db
from preference_center.ledger import record
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.feed import watermarks
from tests.clock import START
from tests.domain.histories import NEWS
from tests.ledger.changes import add_destination, change

if TYPE_CHECKING:
    from flask import Flask


def test_the_first_check_begins_the_epoch_and_the_next_finds_it(app: Flask) -> None:
    with app.app_context():
        first, second = (
            run_in_transaction(watermarks.load_watermark),
            run_in_transaction(watermarks.load_watermark),
        )
    assert first.epoch == second.epoch
    assert first.position <= second.position
    assert first.seq == 0


@pytest.mark.parametrize(
    "change", ["SET timeline = '00000009'", "SET system = system + 1", "SET timeline = ''"]
)
def test_another_server_or_timeline_begins_a_new_epoch(app: Flask, change: str) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark)
        run_in_transaction(lambda connection: connection.execute(f"UPDATE epoch {change}".encode()))
        at = run_in_transaction(watermarks.load_horizon)
        assert at.timeline.epoch != old.epoch
        assert run_in_transaction(watermarks.load_horizon).timeline == at.timeline
        with pytest.raises(StaleWatermark):
            watermarks.ensure_followable(old, at)


def test_after_a_restore_an_opt_out_has_a_newer_version_than_any_before(app: Flask) -> None:
    """I3: or a receiver that holds version 502 of the lost history would drop it as older."""
    with app.app_context():
        add_destination("news", NEWS)
        record([change(1)])
        run_in_transaction(lambda c: c.execute("UPDATE epoch SET timeline = '00000009'"))
        db.engine.dispose()  # the old server's connections are gone
        record([change(2, EventKind.COMPLAINED)])
        (row,) = run_in_transaction(
            lambda c: c.execute("SELECT wanted_version FROM sync_state").fetchall()
        )
        (seq,) = run_in_transaction(lambda c: c.execute("SELECT max(seq) FROM event").fetchall())
    assert row == seq
    assert (
        watermarks.EPOCH_SEQ_STEP < row[0] < 2**53
    )  # exact for anyone who reads JSON numbers as doubles


def test_an_epoch_begins_with_the_first_record_on_a_timeline(
    app: Flask,
) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark)
        run_in_transaction(lambda c: c.execute("UPDATE epoch SET timeline = '00000009'"))
        db.engine.dispose()
        record([change(1)])
        newest = run_in_transaction(
            lambda c: c.execute("SELECT name FROM epoch ORDER BY id DESC").fetchone()
        )
    assert newest
    assert newest[0] != old.epoch


def test_an_operator_can_begin_one(app: Flask) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark)
        line = run_in_transaction(lambda connection: watermarks.begin_epoch(connection, START))
        assert run_in_transaction(watermarks.load_horizon).timeline == line
    assert line.epoch != old.epoch


def test_it_begins_though_a_vacuum_of_the_ledger_is_slow_to_release_its_lock(
    app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermarks, "_LOCK_TIMEOUT", "50ms")
    with app.app_context(), psycopg.connect(database_url) as vacuum:
        vacuum.execute("LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE")
        Timer(0.1, vacuum.rollback).start()
        assert run_in_transaction(watermarks.load_watermark).seq == 0


def test_a_watermark_ahead_of_the_database_is_stale(app: Flask) -> None:
    with app.app_context():
        at = run_in_transaction(watermarks.load_horizon)
    watermarks.ensure_followable(Watermark(at.timeline.epoch, at.xmax), at)
    with pytest.raises(StaleWatermark):
        watermarks.ensure_followable(Watermark(at.timeline.epoch, at.xmax + 1), at)


def test_a_fixed_snapshot_can_be_used_once_the_epoch_exists(app: Flask) -> None:
    def twice(connection: Connection) -> tuple[Watermark, Watermark]:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return watermarks.load_watermark(connection), watermarks.load_watermark(connection)

    with app.app_context():
        watermarks.ensure_epoch()
        first, second = run_in_transaction(twice)
    assert first == second
