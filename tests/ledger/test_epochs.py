"""Epochs begin automatically, and watermarks are valid in one only."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from dev.processes import wait_until
from preference_center.core.errors import StaleWatermark, Unavailable
from preference_center.core.events import EventKind
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection, read_snapshot, run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.store.lookup import load_facts_as_of
from preference_center.ledger.watermarks import Timeline, Watermark
from tests.clock import START
from tests.core.histories import NEWS
from tests.environment import with_database
from tests.infra.keys.processes import process_with
from tests.ledger.changes import JANE, add_destination, change
from tests.ledger.feed.reader import held_open

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings


def test_the_first_check_begins_the_epoch_and_the_next_finds_it(app: Flask) -> None:
    with app.app_context():
        run_in_transaction(lambda c: c.execute("DELETE FROM epoch"))  # earlier tests' too
        first, second = (
            run_in_transaction(watermarks.load_watermark),
            run_in_transaction(watermarks.load_watermark),
        )
    assert first.epoch == second.epoch
    assert first.position <= second.position
    assert first.seq == 0


SERVER_WAS_STARTED = """UPDATE epoch
    SET server_started_at = server_started_at - interval '1 us', xid = pg_current_xact_id()"""
DUMP_WAS_LOADED = "UPDATE epoch SET name = name"  # its rows are of another transaction then


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(SERVER_WAS_STARTED, id="start of the server"),
        pytest.param(DUMP_WAS_LOADED, id="dump"),
    ],
)
def test_a_start_of_the_server_or_a_loaded_dump_begins_a_new_epoch(app: Flask, change: str) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark)
        run_in_transaction(lambda connection: connection.execute(change.encode()))
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
        run_in_transaction(lambda c: c.execute(SERVER_WAS_STARTED))
        record([change(2, EventKind.COMPLAINED)])
        (row,) = run_in_transaction(
            lambda c: c.execute("SELECT wanted_version FROM sync_state").fetchall()
        )
        (seq,) = run_in_transaction(lambda c: c.execute("SELECT max(seq) FROM event").fetchall())
    assert row == seq
    assert (
        watermarks.EPOCH_SEQ_STEP < row[0] < 2**53
    )  # exact for anyone who reads JSON numbers as doubles


def test_versions_exceed_those_of_a_lost_history_that_had_several_epochs(app: Flask) -> None:
    """I3: a backup is put back, and the server had been started again since it was taken."""
    with app.app_context():
        # Epochs of other tests may have begun later by their clocks.
        run_in_transaction(lambda c: c.execute("SELECT setval('event_seq_seq', 1)"))
        record([change(1)])
        backup = _last_seq()
        for days in (1, 2, 3):
            run_in_transaction(
                partial(watermarks.begin_epoch, now=START + timedelta(days=days))  # the restarts
            )
        lost = record_seq(2)
        run_in_transaction(lambda c: c.execute("SELECT setval('event_seq_seq', %s)", (backup,)))
        run_in_transaction(partial(watermarks.begin_epoch, now=START + timedelta(days=4)))
        assert record_seq(3) > lost


def record_seq(number: int) -> int:
    record([change(number, EventKind.COMPLAINED)])
    return _last_seq()


def _last_seq() -> int:
    query = "SELECT last_value FROM event_seq_seq"
    return int(run_in_transaction(lambda c: c.execute(query).fetchall())[0][0])


def test_an_epoch_begins_with_the_first_record_after_a_start_of_the_server(
    app: Flask,
) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark)
        run_in_transaction(lambda c: c.execute(SERVER_WAS_STARTED))
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


def test_it_begins_though_a_vacuum_holds_the_ledger(app: Flask, database_url: str) -> None:  # I1
    """One against wraparound gives way to nobody, and may take an hour."""
    with app.app_context(), psycopg.connect(database_url) as vacuum:
        vacuum.execute("LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE")
        run_in_transaction(lambda c: c.execute(SERVER_WAS_STARTED))
        assert record([change(1)]).events


def test_it_begins_after_appends_that_are_under_way(app: Flask) -> None:
    """Else a reader could pass one, listed by its `seq`, before it is committed."""
    with app.app_context():
        record([change(1)])
        before = _last_seq()
        with ThreadPoolExecutor(1) as pool, held_open(app, change(2, EventKind.COMPLAINED)):
            begun = pool.submit(in_app, app, watermarks.begin_epoch)
            # It has raised the sequence, and looks for writers again and again.
            assert wait_until(lambda: _last_seq() > before + 1, 30)
            assert not begun.done()
        line = begun.result()
        (newest,) = run_in_transaction(lambda c: c.execute("SELECT max(seq) FROM event").fetchall())
    assert newest[0] <= line.floor


def in_app(app: Flask, begin: Callable[[Connection, datetime], Timeline]) -> Timeline:
    with app.app_context():
        return run_in_transaction(lambda connection: begin(connection, START))


def test_a_decision_waits_for_no_epoch(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:  # I2
    """Its watermark can't be followed then."""

    def fail(*_: object) -> None:
        raise Unavailable("an append does not end")

    with app.app_context():
        record([change(1)])
        run_in_transaction(lambda c: c.execute(SERVER_WAS_STARTED))
        monkeypatch.setattr(watermarks, "begin_epoch", fail)
        facts, as_of = load_facts_as_of([JANE])
        assert facts[0]
        assert as_of.epoch == watermarks.NO_EPOCH


def test_a_watermark_ahead_of_the_database_is_stale(app: Flask) -> None:
    with app.app_context():
        at = run_in_transaction(watermarks.load_horizon)
    watermarks.ensure_followable(Watermark(at.timeline.epoch, at.xmax), at)
    with pytest.raises(StaleWatermark):
        watermarks.ensure_followable(Watermark(at.timeline.epoch, at.xmax + 1), at)


def test_a_fixed_snapshot_can_be_used_once_the_epoch_exists(app: Flask) -> None:
    with app.app_context():
        watermarks.ensure_epoch()
        with read_snapshot() as connection:
            first = watermarks.load_watermark(connection)
            assert watermarks.load_watermark(connection) == first


def test_a_copy_of_the_database_begins_a_new_epoch(
    app: Flask, settings: Settings, admin_url: str
) -> None:
    """A reader ahead of the copy would miss what is recorded there (I2), and number it again."""
    with app.app_context():
        record([change(1)])
        old = run_in_transaction(watermarks.load_watermark)
        db.engine.dispose()
    name = urlsplit(settings.database_url).path.removeprefix("/")
    copy = sql.Identifier(f"{name}_copy")
    with psycopg.connect(with_database(admin_url, "postgres"), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (name,),
        )
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, sql.Identifier(name)))
        try:
            url = with_database(settings.database_url, f"{name}_copy")
            with process_with(settings, database_url=url):
                record([change(2)])
                assert run_in_transaction(watermarks.load_watermark).epoch != old.epoch
                versions = "SELECT max(seq) - min(seq) FROM event"
                (apart,) = run_in_transaction(lambda c: c.execute(versions).fetchone()) or (0,)
                assert apart >= watermarks.EPOCH_SEQ_STEP
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))
    with app.app_context():
        assert run_in_transaction(watermarks.load_watermark).epoch == old.epoch
