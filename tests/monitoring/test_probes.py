"""Alive, ready, and in time: three probes that stay cheap while everything else is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW, DeadlineStage
from preference_center.core.errors import Unavailable
from preference_center.destinations.store import states
from preference_center.infra.config import Settings
from preference_center.infra.context import db
from preference_center.infra.db import transactions
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.monitoring import probes
from preference_center.monitoring.probes import DatabaseState, DatabaseStatus, ReadinessProbe
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change

IMMEDIATELY = timedelta(microseconds=1)


pytestmark = pytest.mark.usefixtures("in_context")


def opt_outs(count: int, clock: Clock, first: int = 1) -> None:
    record(
        [
            change(
                first + n,
                address=parse_address(f"person-{first + n}@example.com", Channel.EMAIL),
                at=clock(),
            )
            for n in range(count)
        ]
    )


def late_of(client: FlaskClient) -> list[tuple[str, int, bool]]:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json
    return [(row["stage"], row["pending"], row["at_least"]) for row in answer.json["late"]]


class TestHealth:
    @pytest.mark.parametrize(
        "waited, stage",
        [
            pytest.param(AT_RISK - IMMEDIATELY, [], id="just before at risk"),
            pytest.param(AT_RISK, [DeadlineStage.AT_RISK], id="at risk"),
            pytest.param(
                TARGET - IMMEDIATELY, [DeadlineStage.AT_RISK], id="just before the target"
            ),
            pytest.param(TARGET, [DeadlineStage.PAST_TARGET], id="past the target"),
            pytest.param(
                WINDOW - IMMEDIATELY, [DeadlineStage.PAST_TARGET], id="just before the end"
            ),
            pytest.param(WINDOW, [DeadlineStage.OVERDUE], id="overdue"),
        ],
    )
    def test_a_row_counts_in_the_stage_that_the_rule_gives_it(
        self, clock: Clock, waited: timedelta, stage: list[DeadlineStage]
    ) -> None:  # I3
        add_destination("mailer", NEWS)
        opt_outs(1, clock)
        clock.advance(waited)
        assert [
            late.stage for late in run_in_transaction(lambda c: states.list_late(c, clock()))
        ] == stage

    def test_each_stage_of_each_destination_is_counted_by_itself(
        self, clock: Clock, client: FlaskClient
    ) -> None:  # I3
        add_destination("mailer", NEWS)
        opt_outs(2, clock)
        clock.advance(WINDOW - AT_RISK)
        opt_outs(3, clock, first=10)
        clock.advance(AT_RISK)
        assert late_of(client) == [("overdue", 2, False), ("at_risk", 3, False)]

    def test_a_count_that_stopped_early_is_marked(
        self, clock: Clock, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I3
        monkeypatch.setattr(states, "MAX_LATE_PER_STAGE", 2)
        add_destination("mailer", NEWS)
        opt_outs(3, clock)
        clock.advance(WINDOW)
        assert late_of(client) == [("overdue", 2, True)]

    def test_many_destinations_share_what_is_counted(
        self, clock: Clock, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I3
        monkeypatch.setattr(states, "MAX_LATE_IN_ALL", 6)
        monkeypatch.setattr(states, "MIN_LATE_PER_STAGE", 1)
        for name in ("mailer", "other", "third"):
            add_destination(name, NEWS)
        opt_outs(3, clock)
        clock.advance(WINDOW)
        assert late_of(client) == [("overdue", 2, True)] * 3

    def test_however_many_destinations_share_each_is_counted_so_far(
        self, clock: Clock, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I3
        monkeypatch.setattr(states, "MAX_LATE_IN_ALL", 1)
        monkeypatch.setattr(states, "MIN_LATE_PER_STAGE", 2)
        for name in ("mailer", "other"):
            add_destination(name, NEWS)
        opt_outs(3, clock)
        clock.advance(WINDOW)
        assert late_of(client) == [("overdue", 2, True)] * 2

    def test_late_rows_are_counted_again_after_ten_seconds(
        self, clock: Clock, client: FlaskClient
    ) -> None:
        add_destination("mailer", NEWS)
        opt_outs(1, clock)
        clock.advance(WINDOW - timedelta(seconds=1))
        assert late_of(client) == [("past_target", 1, False)]
        clock.advance(timedelta(seconds=9))
        assert late_of(client) == [("past_target", 1, False)]
        clock.advance(timedelta(seconds=1))
        assert late_of(client) == [("overdue", 1, False)]

    def test_a_clock_that_was_set_back_does_not_keep_an_old_count(
        self, clock: Clock, client: FlaskClient
    ) -> None:
        add_destination("mailer", NEWS)
        clock.advance(timedelta(hours=1))
        assert late_of(client) == []
        clock.advance(timedelta(hours=-1))
        opt_outs(1, clock)
        run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = %s", (clock(),)))
        assert late_of(client) == [("overdue", 1, False)]

    def test_however_many_are_late_few_are_read(self, clock: Clock) -> None:  # I3
        destination = add_destination("mailer", NEWS)
        clock.advance(WINDOW)
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO sync_state (destination_id, address_id, wanted_version, due_at)
                SELECT %s, n, 1, %s FROM generate_series(1, 3000) AS n""",
                (destination, clock()),
            )
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(states, "MAX_LATE_PER_STAGE", 100)
            before = read_rows()
            run_in_transaction(lambda c: list_late_by_index(c, clock()))
        assert read_rows() - before <= 200


def list_late_by_index(connection: Connection, now: datetime) -> None:
    """As of a long table: one this short may be read whole, by what autovacuum last saw of it."""
    connection.execute("SET LOCAL enable_seqscan = off")
    connection.execute("SET LOCAL enable_bitmapscan = off")
    states.list_late(connection, now)


def read_rows() -> int:
    """How many rows of sync states this session's transactions have read so far."""

    def work(connection: Connection) -> int:
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.commit()
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            """SELECT seq_tup_read + COALESCE((SELECT sum(idx_tup_read)
                FROM pg_stat_user_indexes WHERE relname = 'sync_state'), 0)
            FROM pg_stat_user_tables WHERE relname = 'sync_state'"""
        ).fetchone()
        assert row
        return int(row[0])

    return run_in_transaction(work)


@pytest.fixture
def read_only(settings: Settings) -> Iterator[None]:
    """The database takes no writes, as after a failover to a standby that was not promoted."""
    name = psycopg.conninfo.conninfo_to_dict(settings.database_url)["dbname"]
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


class TestReady:
    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probes, "PROBE_TIMEOUT_SECONDS", 30)

    def test_while_the_database_takes_writes(self, client: FlaskClient) -> None:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json) == (
            200,
            {"status": "ready", "database": "writable", "reason": None, "spool": None},
        )

    @pytest.mark.own_session
    @pytest.mark.usefixtures("read_only")
    def test_not_on_a_database_that_only_reads(self, client: FlaskClient) -> None:  # I1
        db.engine.dispose()
        answer = client.get("/readyz")
        db.engine.dispose()
        assert (answer.status_code, answer.json) == (
            503,
            {"status": "unavailable", "database": "read_only", "reason": None, "spool": None},
        )

    def test_not_while_the_database_is_away(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise Unavailable("the database can't be reached")

        monkeypatch.setattr("preference_center.monitoring.probes.run_autocommit", fail)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json) == (
            503,
            {"status": "unavailable", "database": "unreachable", "reason": None, "spool": None},
        )

    def test_a_database_that_does_not_answer_keeps_no_probe_waiting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I2
        monkeypatch.setattr(probes, "PROBE_TIMEOUT_SECONDS", 0.05)
        thawed, asked = threading.Event(), []

        def ask() -> DatabaseState:
            asked.append(1)
            assert thawed.wait(30)
            return DatabaseState(DatabaseStatus.WRITABLE)

        ready = ReadinessProbe(ask)
        unresponsive = DatabaseState(DatabaseStatus.UNRESPONSIVE)
        assert [ready(), ready(), ready()] == [unresponsive] * 3
        assert len(asked) == 1
        thawed.set()
        monkeypatch.setattr(probes, "PROBE_TIMEOUT_SECONDS", 30)
        assert [ready(), ready()] == [DatabaseState(DatabaseStatus.WRITABLE)] * 2


class TestAlive:
    def test_without_asking_anybody(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise AssertionError("nobody is to be asked")

        monkeypatch.setattr(transactions, "_check_out", fail)
        assert client.get("/livez").status_code == 200
