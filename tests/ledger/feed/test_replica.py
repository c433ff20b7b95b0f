"""Snapshots, exports and reports read the replica, which may lag; nothing is skipped for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from dev.engines import Engines, for_test
from dev.postgres import Postgres
from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.core.errors import Unavailable
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.feed.changes import iter_snapshot, list_changes
from preference_center.ledger.feed.cursors import LedgerSnapshot, open_ledger_snapshot
from preference_center.ledger.store.lookup import load_facts
from preference_center.ledger.watermarks import load_horizon
from tests.clock import START, Clock
from tests.environment import Emptying, migrate, patient_timeouts, settings_for
from tests.in_force import put_in_force
from tests.ledger.changes import JANE, change
from tests.web.api.sender import make_sender

PATIENCE = 30.0
LAG = timedelta(seconds=90)


class Standby(Postgres):
    name = "postgres-standby"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Engines, Standby]]:
    """A primary with all tables, and a standby that follows it."""
    with for_test(environ={}) as engines:
        primary = engines.database
        assert isinstance(primary, Postgres)
        migrate(settings_for(primary.url, engines.redis.url))
        standby = Standby(engines.folder, primary.account, durable=False)
        try:
            standby.follow(primary)
            yield engines, standby
        finally:
            standby.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def app(servers: tuple[Engines, Standby], clock: Clock) -> Iterator[Flask]:
    """The service on empty tables, with the standby as its replica."""
    engines, standby = servers
    with Emptying(engines.database.url, engines.redis.url) as emptying:
        emptying()
    settings = settings_for(engines.database.url, engines.redis.url).model_copy(
        update={"database_replica_url": standby.url}
    )
    app = create_app(settings, now=clock, timeouts=patient_timeouts())
    put_in_force(app)
    with app.app_context():
        catch_up(standby)
        yield app
        for engine in db.engines.values():
            engine.dispose()


def catch_up(standby: Standby) -> None:
    """Return once the standby has all that is committed."""
    xmin = run_in_transaction(load_horizon).xmin

    def has_all() -> bool:
        query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        return int(on(standby, query)) >= xmin

    assert wait_until(has_all, PATIENCE)


def on(server: Postgres, query: str) -> int:
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return int(row[0] or 0)


@contextmanager
def lagging(standby: Standby) -> Iterator[None]:
    """Inside, the standby replays nothing."""
    on(standby, "SELECT count(pg_wal_replay_pause())")
    try:
        yield
    finally:
        on(standby, "SELECT count(pg_wal_replay_resume())")


def events(connection: Connection) -> int:
    row = connection.execute("SELECT count(*), pg_is_in_recovery() FROM event").fetchone()
    assert row
    return int(row[0])


def is_replica(snapshot: LedgerSnapshot) -> bool:
    row = snapshot.connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return row == (True,)


def test_a_snapshot_is_the_replicas(app: Flask, servers: tuple[Engines, Standby]) -> None:
    record([change(1)])
    catch_up(servers[1])
    with open_ledger_snapshot() as snapshot:
        assert is_replica(snapshot)
        assert events(snapshot.connection) == 1
        assert snapshot.behind == timedelta(0)


def test_it_states_how_far_it_is_behind_and_its_reader_misses_nothing(
    app: Flask, servers: tuple[Engines, Standby], clock: Clock
) -> None:
    record([change(1)])
    catch_up(servers[1])
    with lagging(servers[1]):
        record([change(2, scope="acme.offers")])
        clock.advance(LAG)
        with open_ledger_snapshot() as snapshot:
            assert is_replica(snapshot)
            assert events(snapshot.connection) == 1
            assert snapshot.behind == LAG
            assert snapshot.as_of(clock()) == START
        page = run_in_transaction(
            lambda c: list_changes(c, services().keys, snapshot.watermark, 10)
        )
    assert change(2).id in [entry.event.id for entry in page.entries]


def test_a_decision_sees_what_the_replica_lacks(
    app: Flask, servers: tuple[Engines, Standby]
) -> None:  # I2
    with lagging(servers[1]):
        record([change(1)])
        assert load_facts([JANE])[0]


def test_one_that_is_too_far_behind_is_not_read(
    app: Flask, servers: tuple[Engines, Standby], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with lagging(servers[1]):
        record([change(1)])
        clock.advance(timedelta(seconds=301))
        with open_ledger_snapshot() as snapshot:
            assert not is_replica(snapshot)
            assert snapshot.behind is None
            assert events(snapshot.connection) == 1
    assert '"replica_behind"' in capsys.readouterr().err


def test_one_that_is_away_is_not_read(
    app: Flask, servers: tuple[Engines, Standby], capsys: pytest.CaptureFixture[str]
) -> None:
    record([change(1)])
    servers[1].stop()
    try:
        with open_ledger_snapshot() as snapshot:
            assert snapshot.behind is None
            assert events(snapshot.connection) == 1
    finally:
        servers[1].start()
    assert '"replica_unavailable"' in capsys.readouterr().err


def test_one_that_follows_another_history_is_not_read(
    app: Flask, servers: tuple[Engines, Standby], capsys: pytest.CaptureFixture[str]
) -> None:
    with lagging(servers[1]):
        run_in_transaction(lambda c: c.execute("UPDATE epoch SET name = name"))
        with open_ledger_snapshot() as snapshot:
            assert not is_replica(snapshot)
    assert '"replica_of_another_epoch"' in capsys.readouterr().err


def test_one_that_has_to_replay_what_a_snapshot_needs_ends_it_with_advice(
    app: Flask, servers: tuple[Engines, Standby]
) -> None:
    primary, standby = servers[0].database, servers[1]
    assert isinstance(primary, Postgres)
    set_delay(standby, "SET max_standby_streaming_delay = 0")
    shown = "SELECT (current_setting('max_standby_streaming_delay') = '0')::int"
    assert wait_until(lambda: on(standby, shown) == 1, PATIENCE)
    record([change(1)])
    catch_up(standby)
    try:
        with pytest.raises(Unavailable, match="hot_standby_feedback"):
            read_while_rows_are_removed(primary)
    finally:
        set_delay(standby, "RESET max_standby_streaming_delay")


def test_one_that_ends_the_session_of_an_idle_reader_gives_the_same_advice(
    app: Flask, servers: tuple[Engines, Standby]
) -> None:
    with pytest.raises(Unavailable, match="hot_standby_feedback"):
        read_while_sessions_end(servers[1])


def read_while_sessions_end(standby: Standby) -> None:
    with open_ledger_snapshot() as snapshot:
        events(snapshot.connection)
        with psycopg.connect(standby.url, autocommit=True) as connection:
            connection.execute(
                """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
            )
        events(snapshot.connection)


def set_delay(standby: Standby, setting: str) -> None:
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


def read_while_rows_are_removed(primary: Postgres) -> None:
    with open_ledger_snapshot() as snapshot:
        events(snapshot.connection)
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("UPDATE address_key SET kind = kind")
            connection.execute("VACUUM address_key")

        def ended() -> bool:
            events(snapshot.connection)
            return False

        wait_until(ended, 2 * PATIENCE)


def test_the_feed_states_it_in_the_first_line(app: Flask, servers: tuple[Engines, Standby]) -> None:
    sender = make_sender(app)
    catch_up(servers[1])
    answer = sender.client.get("/v1/changes/snapshot", headers=sender.headers)
    first = json.loads(answer.data.splitlines()[0])
    assert first["behind_seconds"] == 0


def test_an_export_and_a_report_state_it(
    app: Flask, servers: tuple[Engines, Standby], tmp_path: Path
) -> None:
    record([change(1)])
    catch_up(servers[1])
    run = app.test_cli_runner().invoke
    exported = run(args=["export", "--for", "csv", "-o", str(tmp_path / "all.csv")])
    assert exported.exit_code == 0, exported.output
    for result in (exported, run(args=["cookies", "counts"])):
        assert ", from the replica, 0 s behind" in result.stderr


def test_without_a_replica_nothing_is_stated(app: Flask) -> None:
    settings = services().settings.model_copy(update={"database_replica_url": None})
    with create_app(settings, timeouts=patient_timeouts()).app_context():
        first = next(iter_snapshot(services().keys))
        assert isinstance(first, LedgerSnapshot)
        assert str(first).startswith("watermark ")
        assert "replica" not in str(first)
        db.engine.dispose()
