"""What is done regularly reads no more when there are four times as many people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.catalogue.apply import review_catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.decisions.api import decide_all
from preference_center.destinations.store import states
from preference_center.destinations.store.listings import list_due_listings
from preference_center.destinations.store.verification import schedule_sample
from preference_center.inbound.bursts import flag_bursts
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.suppressions import (
    count_chosen_frequencies,
    list_suppressed_topics,
)
from preference_center.monitoring.measure import measure_database, record_samples
from preference_center.reports.monthly import count_deliveries
from preference_center.reports.store import count_a_few_events, count_new_events
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.retention import run_retention
from preference_center.web.languages import known_texts
from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import add_destination, change
from workers import scheduler

PEOPLE = 2_000
"""In the smaller database: enough for indexes of two levels, which they also have in the larger."""
TIMES = 4
RUNS = 4
GROWTH = 1.2
"""How many times as many blocks may be read."""
ALLOWANCE = 10
"""Blocks that may be read besides: an index may be split where the smaller one is not."""

_READ = """
SELECT relname, COALESCE(heap_blks_hit, 0) + COALESCE(heap_blks_read, 0)
    + COALESCE(idx_blks_hit, 0) + COALESCE(idx_blks_read, 0) FROM pg_statio_user_tables
"""
_SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'preference-center%'
"""


@pytest.fixture
def admin(admin_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        yield connection


def _address(number: int) -> Address:
    return parse_address(f"p{number}@example.com", Channel.EMAIL)


def _add_people(first: int, last: int, now: Any) -> None:
    """Opted out of everything, which three tools have and were told of."""
    for begin in range(first, last, 500):
        numbers = range(begin, min(begin + 500, last))
        record(
            [
                change(number + 1, scope=ALL_MARKETING, address=_address(number), at=now)
                for number in numbers
            ]
        )


def _settle(admin: psycopg.Connection[Any], now: Any) -> None:
    """As workers leave it: nothing is pending."""
    admin.execute(
        """UPDATE sync_state SET reflected_version = wanted_version, next_at = NULL, due_at = NULL,
            verify_at = NULL, turned_off = '{acme.news}', outcome = 'suppressed'"""
    )
    admin.execute(
        """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
        SELECT destination_id, address_id, wanted_version, 'suppressed', '', %s FROM sync_state s
        WHERE NOT EXISTS (SELECT FROM delivery d WHERE d.address_id = s.address_id)""",
        (now,),
    )
    admin.execute("VACUUM ANALYZE")


def _blocks(admin: psycopg.Connection[Any], work: Callable[[], object]) -> dict[str, float]:
    """How many blocks of each table and its indexes `work` reads, on average."""
    work()  # plans and caches are made
    before = _statistics(admin)
    for _ in range(RUNS):
        work()
    after = _statistics(admin)
    return {name: (after[name] - before[name]) / RUNS for name in after}


def _statistics(admin: psycopg.Connection[Any]) -> dict[str, int]:
    """Once the sessions of the service have ended: then they report what they have read."""
    db.engine.dispose()
    seen: list[dict[str, int]] = []

    def is_settled() -> bool:
        admin.execute("SELECT pg_stat_force_next_flush()")
        if not admin.execute(_SESSIONS).fetchall():
            seen.append(dict(admin.execute(_READ).fetchall()))
        return len(seen) > 1 and seen[-1] == seen[-2]

    assert wait_until(is_settled, 60)
    return seen[-1]


def _work(app: Flask, clock: Clock, destination: int) -> dict[str, Callable[[], object]]:
    def sample() -> None:
        run_in_transaction(
            lambda c: schedule_sample(c, destination, start_fraction=0.3, limit=20, now=clock())
        )
        run_in_transaction(
            lambda c: c.execute(
                "UPDATE sync_state SET verify_at = NULL WHERE verify_at IS NOT NULL"
            )
        )

    def decide() -> None:
        catalogue = current_catalogue()
        text = _address(500).exact
        decide_all([text], "offers.weekly", Channel.EMAIL, catalogue, "IT", clock())

    def opt_out() -> None:
        number = services().new_id().int
        record([change(number, address=_address(700), at=clock())])

    def show() -> None:
        result = app.test_cli_runner().invoke(args=["destinations", "show", "tool-0"])
        assert result.exit_code == 0, result.output

    def review() -> None:
        kept, _, removed = CATALOGUE.partition('[topics."acme.sms"]')
        without = kept + removed[removed.index('[topics."acme.old"]') :]
        found = run_in_transaction(lambda c: review_catalogue(c, without, known_texts()))
        assert any("acme.sms" in change for change in found.changes)

    return {
        "a tick": scheduler.tick,
        "what expires": lambda: scheduler.purge_expired(clock()),
        "clocks of requests": lambda: run_clocks(clock()),
        "bursts": lambda: flag_bursts(clock.advance(timedelta(minutes=10))),
        "counts of events": lambda: count_a_few_events(clock()),
        "counts of deliveries": lambda: count_deliveries(clock()),
        "measurements": lambda: measure_database(clock()),
        "samples": lambda: record_samples(clock()),
        "a sample to read back": sample,
        "listings": lambda: run_in_transaction(lambda c: list_due_listings(c, clock())),
        "late rows": lambda: run_in_transaction(lambda c: states.list_late(c, clock())),
        "a decision": decide,
        "an opt-out": opt_out,
        "a destination is shown": show,
        "a catalogue is reviewed": review,
        "topics in use": lambda: run_in_transaction(
            lambda c: list_suppressed_topics(c, ["acme.sms", "acme.old"], clock())
        ),
        "chosen frequencies": lambda: run_in_transaction(count_chosen_frequencies),
    }


@pytest.mark.usefixtures("in_context")
def test_regular_work_reads_no_more_of_four_times_as_many_people(
    app: Flask, clock: Clock, admin: psycopg.Connection[Any]
) -> None:  # I2
    put_in_force(app)
    tools = [add_destination(f"tool-{number}", "acme.news") for number in range(3)]
    found: list[dict[str, dict[str, float]]] = []
    first = 0
    for people in (PEOPLE, PEOPLE * TIMES):
        _add_people(first, people, clock())
        first = people
        _settle(admin, clock())
        clock.advance(timedelta(days=2))
        count_new_events(clock())
        count_deliveries(clock())
        run_retention(clock())
        admin.execute("VACUUM ANALYZE")
        work = _work(app, clock, tools[0])
        # Twice, since the server now and then reads whole tables for itself.
        measured = [{name: _blocks(admin, each) for name, each in work.items()} for _ in range(2)]
        pick = max if people == PEOPLE else min
        found.append(
            {
                name: {table: pick(each[name][table] for each in measured) for table in blocks}
                for name, blocks in measured[0].items()
            }
        )
    small, large = found
    grown = {
        name: {
            table: (small[name][table], blocks)
            for table, blocks in large[name].items()
            if blocks > small[name][table] * GROWTH + ALLOWANCE
        }
        for name in large
    }
    assert not {name: tables for name, tables in grown.items() if tables}
