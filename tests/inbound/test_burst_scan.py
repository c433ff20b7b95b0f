"""Bursts are flagged with their facts, and change nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.bursts import BurstRecord
from preference_center.core.events import (
    ALL_MARKETING,
    Change,
    EventKind,
    format_receipt_code,
    uuid7,
)
from preference_center.core.links.tokens import Link
from preference_center.core.staff import Role
from preference_center.inbound import bursts as stored
from preference_center.inbound.bursts import SCAN_INTERVAL, flag_bursts
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction, transaction
from preference_center.ledger import record
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.ledger.tables import Ledger
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

Press = Callable[..., None]
Look = Callable[[], list[BurstRecord]]

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def press(app: Flask, client: FlaskClient, clock: Clock) -> Press:
    """`press(names, domain)`: a machine follows the link of each of them, a second apart."""
    put_in_force(app)

    def do(names: str, domain: str = "acme.example.com", sent: datetime | None = None) -> None:
        for name in names:
            clock.advance(timedelta(seconds=1))
            address = parse_address(f"{name}@{domain}", Channel.EMAIL)
            link = Link(address, "acme.offers", "spring", sent or clock() - timedelta(minutes=1))
            with app.app_context():
                token = services().links.create_token(link)
            assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 200

    return do


@pytest.fixture
def look(app: Flask, clock: Clock) -> Look:
    """A look by the scheduler, when it is due."""

    def do() -> list[BurstRecord]:
        clock.advance(SCAN_INTERVAL)
        with app.app_context():
            return flag_bursts(clock())

    do()
    return do


def test_a_burst_is_flagged_with_its_facts(app: Flask, press: Press, look: Look) -> None:
    press("x", sent=Clock()() - timedelta(days=9))  # known, and no part of it
    press("abcdef")
    (flag,) = look()
    assert (flag.events, flag.addresses, flag.known_addresses) == (6, 6, 7)
    assert flag.last_at - flag.first_at == timedelta(seconds=5)
    assert flag.first_at - flag.issued_first == timedelta(minutes=1)
    assert list(flag.message_ids) == ["spring"]
    assert look() == []  # reported once


def test_it_is_honoured_all_the_same(app: Flask, press: Press, look: Look, ledger: Ledger) -> None:
    press("abcdef")
    before = ledger.rows()
    assert look()
    assert ledger.rows() == before  # I5: nobody lifts but the person
    assert ledger.kinds() == [(EventKind.OPTED_OUT, "acme.offers")] * 6


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)


def test_a_burst_that_goes_on_is_the_same(press: Press, look: Look) -> None:
    press("abcde")
    (flag,) = look()
    press("fgh")
    (grown,) = look()
    assert (grown.id, grown.detected_at) == (flag.id, flag.detected_at)
    assert (grown.events, grown.addresses) == (8, 8)
    assert grown.last_at > flag.last_at


@pytest.mark.parametrize(
    "names, domain, age",
    [
        ("abcd", "acme.example.com", 1),
        ("abcdef", "gmail.com", 1),
        ("abcdef", "acme.example.com", 60),
    ],
    ids=["few", "a domain that many share", "long after the send"],
)
def test_people_who_say_no_are_no_burst(
    press: Press, look: Look, clock: Clock, names: str, domain: str, age: int
) -> None:
    press(names, domain, clock() - timedelta(minutes=age))
    assert look() == []


def test_only_what_was_pressed_counts(app: Flask, press: Press, look: Look, clock: Clock) -> None:
    evidence = {"issued_at": clock().isoformat()}
    with app.app_context():
        changes = [
            Change(
                services().new_id(),
                EventKind.OPTED_OUT,
                parse_address(f"{name}@acme.example.com", Channel.EMAIL),
                ALL_MARKETING,
                clock(),
                clock(),
                "test",
                "test",
                evidence,
            )
            for name in "abcdef"
        ]
        open_bursts = evidence | {"destination": "1"}  # of a column: it was never sent
        record(changes)
        record(
            [
                replace(c, id=services().new_id(), evidence=open_bursts, own_act=True)
                for c in changes
            ]
        )
    assert look() == []


def test_a_scheduler_that_stood_still_misses_nothing(
    press: Press, look: Look, clock: Clock
) -> None:
    clock.advance(timedelta(hours=2))
    press("abcdef")
    clock.advance(timedelta(hours=30))
    assert [flag.events for _ in range(4) for flag in look()] == [6]


def test_of_many_schedulers_one_looks(app: Flask, press: Press, look: Look, clock: Clock) -> None:
    press("abcdef")
    with app.app_context(), transaction() as connection:
        assert stored.claim_scan(connection, clock() + SCAN_INTERVAL, SCAN_INTERVAL)
        assert look() == []
    assert look()


def test_support_sees_it_at_every_opt_out_of_it(app: Flask, press: Press, look: Look) -> None:
    press("abcdef")
    (flag,) = look()
    grace = staff(app, Role.SUPPORT)
    assert str(flag.id) in grace.get("/console/review").get_data(as_text=True)
    page = grace.get(f"/console/review/bursts/{flag.id}")
    assert "6 opt-outs within 5 s Domain acme.example.com" in words(page)
    assert "Messages spring" in words(page)
    with app.app_context():
        events = run_in_transaction(lambda c: stored.list_event_ids(c, flag.id))
    html = page.get_data(as_text=True)
    for event in events:
        assert f"<li><code>{format_receipt_code(event)}</code></li>" in html

    found = grace.post("/console/people", who=format_receipt_code(events[0]), reason="called")
    assert "one of 6 opt-outs of its domain in 5 s:" in words(grace.get(found.location))


def test_an_unknown_burst_has_no_page(app: Flask) -> None:
    grace, unknown = staff(app, Role.SUPPORT), "0190d5a2-0000-7000-8000-000000000000"
    assert "None was found" in words(grace.get("/console/review"))
    assert grace.get(f"/console/review/bursts/{unknown}").status_code == 404


def test_health_reports_bursts_for_a_day(
    client: FlaskClient, press: Press, look: Look, clock: Clock
) -> None:
    def reported() -> object:
        answer = client.get("/healthz")
        return answer.json and answer.json["bursts"]

    assert reported() == 0
    press("abcdef")
    look()
    assert reported() == 1
    clock.advance(timedelta(days=2))
    assert reported() == 0


def test_a_look_groups_what_came_once_and_not_for_each(app: Flask, clock: Clock) -> None:
    with app.app_context():
        given = {"first": uuid7(clock(), 0), "last": uuid7(clock(), 1), "addresses": 5}
        plan = run_in_transaction(
            lambda c: c.execute(f"EXPLAIN {stored._SELECT_OPT_OUTS}", given).fetchall()
        )
    assert any("hashed SubPlan" in line for (line,) in plan)
