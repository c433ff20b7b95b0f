"""Claims while the rows change under them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind
from preference_center.destinations.rules.states import LANE_BEGINNING
from preference_center.destinations.store import states
from preference_center.infra.db.connections import PLANNER_SETTINGS
from preference_center.infra.db.transactions import Connection, override_limits
from preference_center.ledger import record
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.destinations.steps import ANNA, TOPIC, say, state, work
from tests.destinations.tool import Tool
from tests.ledger.changes import add_destination, change, patient

WORKERS, CLAIMS, LIMIT = 3, 800, 10
PLANNER_OPTIONS = " ".join(f"-c {name}={value}" for name, value in PLANNER_SETTINGS.items())
HOLD_UP = """CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
    CREATE TRIGGER hold_up BEFORE UPDATE OF lease ON sync_state
        FOR EACH STATEMENT EXECUTE FUNCTION hold_up()"""
HELD_UP = """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory'"""
CLICK = """UPDATE sync_state SET wanted_version = wanted_version + 1, bulk = false,
        next_at = LEAST(next_at, %s)
    WHERE address_id IN
    (SELECT address_id FROM sync_state WHERE random() < 0.05 ORDER BY address_id LIMIT 5)"""
DONE = "UPDATE sync_state SET lease = NULL, next_at = %s, bulk = random() < 0.3 WHERE lease = %s"


@pytest.fixture
def clicked(app: Flask, database_url: str, clock: Clock) -> Iterator[int]:
    """A destination with a hundred rows due, changed by what people do, over and over."""
    with app.app_context():
        destination = add_destination("mailer", NEWS)
        people = [
            parse_address(f"person-{number}@example.net", Channel.EMAIL) for number in range(100)
        ]
        record([change(number, address=who) for number, who in enumerate(people, start=1)])
    over = Event()

    def click() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.is_set():
                with suppress(psycopg.errors.DeadlockDetected):
                    connection.execute(CLICK, (clock(),))

    with ThreadPoolExecutor(1) as pool:
        clicking = pool.submit(click)
        try:
            yield destination
        finally:
            over.set()
        clicking.result()


def test_a_claim_takes_no_more_than_a_tool_takes_whatever_people_do_meanwhile(
    database_url: str, clock: Clock, clicked: int
) -> None:  # I10
    now = clock()

    def claim(worker: int) -> int:
        """The most rows that this worker was given at a time."""
        lease, most = UUID(int=worker), 0
        with psycopg.connect(database_url, options=PLANNER_OPTIONS) as connection:
            for _ in range(CLAIMS):
                until = now + timedelta(seconds=90)
                rows = states.claim_rows(
                    connection,
                    clicked,
                    lease,
                    now=now,
                    until=until,
                    limit=LIMIT,
                    bulk_share=LIMIT // 10,
                )
                connection.commit()
                most = max(most, len(rows))
                with suppress(psycopg.errors.DeadlockDetected), connection.transaction():
                    connection.execute(DONE, (now, lease))
        return most

    with ThreadPoolExecutor(WORKERS) as pool:
        assert max(pool.map(claim, range(1, WORKERS + 1))) == LIMIT


SETTLED = "UPDATE sync_state SET lease = NULL, next_at = NULL WHERE lease = %s"
READ = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'sync_state_queue'"


@pytest.mark.parametrize("bulk", [pytest.param(False, id="live"), pytest.param(True, id="list")])
def test_a_claim_reads_no_index_entries_of_rows_that_were_claimed_before_it(
    app: Flask, database_url: str, clock: Clock, *, bulk: bool
) -> None:  # while any snapshot is older, they stay: a dump's, a report's
    with app.app_context():
        destination = add_destination("mailer", NEWS)
        people = [
            parse_address(f"person-{number}@example.net", Channel.EMAIL) for number in range(500)
        ]
        for number, who in enumerate(people, start=1):
            clock.advance(timedelta(seconds=1))
            record([change(number, address=who)], bulk=bulk)
    clock.advance(timedelta(minutes=1))
    now, lease, since = clock(), UUID(int=1), LANE_BEGINNING
    until = now + timedelta(seconds=90)
    # Of a table that autovacuum saw almost empty, all rows may be read to sort them.
    options = f"{PLANNER_OPTIONS} -c enable_bitmapscan=off"
    with (
        psycopg.connect(database_url) as old,
        psycopg.connect(database_url, options=options, autocommit=True) as connection,
    ):
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM sync_state")
        read = []
        for _ in range(500 // LIMIT):
            before = entries_read(connection)
            claims = states.claim_rows(
                connection, destination, lease, now=now, until=until, limit=LIMIT, since=since
            )
            read.append(entries_read(connection) - before)
            assert len(claims) == LIMIT
            since = claims[0].next_position
            connection.execute(SETTLED, (lease,))
    assert max(read) <= 4 * LIMIT  # 509 at the last of them if each begins at the beginning


def entries_read(connection: Connection) -> int:
    """Of the index that is the queue, by anyone so far."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(READ).fetchone()
    assert row
    return int(row[0])


@contextmanager
def claims_held_up(admin_url: str) -> Iterator[psycopg.Connection]:
    """Inside, claims wait before they read any row; until this connection unlocks them."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(HOLD_UP)
        connection.execute("SELECT pg_advisory_lock(1)")
        try:
            yield connection
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            connection.execute("DROP TRIGGER hold_up ON sync_state; DROP FUNCTION hold_up()")


def test_a_claim_pushes_what_was_recorded_just_before_it(
    app: Flask, admin_url: str, clock: Clock, destination: int, tool: Tool
) -> None:  # I5: a plan by older facts would lift, and settle the row as reflecting the opt-out
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)

    def push_meanwhile() -> int:
        with app.app_context(), override_limits(patient()):
            return work(destination, tool)

    with ThreadPoolExecutor(1) as pool, claims_held_up(admin_url) as connection:
        pushed = pool.submit(push_meanwhile)
        assert wait_until(lambda: bool(connection.execute(HELD_UP).fetchall()), 30)
        say(EventKind.OPTED_OUT)
        connection.execute("SELECT pg_advisory_unlock(1)")
        assert pushed.result(30) == 1
    assert tool.off[ANNA] == {TOPIC}
    assert not tool.pushes[-1][0].lift
    assert state(ANNA, "due_at") is None
