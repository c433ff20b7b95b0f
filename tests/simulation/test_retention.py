"""What retention removes is compared with the periods, by what the simulation knows itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.ledger import record
from preference_center.ledger.rules import ReceivedVia, build_opt_out_change
from simulation.accounts import Accounts
from simulation.crew import Crew
from simulation.entry_points import address, origin
from simulation.ground import CATALOGUE, Clock
from simulation.holds import Holds
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, NEWS, START, Form
from simulation.retention import Retention
from simulation.rights import Rights
from simulation.violation import Violation
from tests.in_force import put_in_force

pytestmark = pytest.mark.usefixtures("in_context")

WHO = Form(2, "only", "only2@example.net")


@pytest.fixture
def retention(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Retention:
    """Somebody opted out of all marketing two days ago."""
    unused: Any = None
    clock, accounts, oracle = Clock(), Accounts(), Oracle()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    put_in_force(app, CATALOGUE.read_text())
    via = ReceivedVia.PHONE
    record(
        [
            build_opt_out_change(
                services().new_id(),
                address(WHO),
                ALL_MARKETING,
                via,
                origin(),
                received_at=START,
                occurred_at=START,
            )
        ]
    )
    oracle.add_opt_out(OptOut(WHO, ALL, START, START, START))
    clock.sleep(timedelta(days=2).total_seconds())
    crew = Crew(app, clock, unused, unused, lambda _: None)
    held = Holds(lambda *_: None, accounts)
    rights = Rights(clock, oracle, crew, {}, lambda *_: None, accounts, held)
    return Retention(oracle, rights, {WHO: START}, lambda _: None)


def test_who_gets_no_marketing_for_so_long_is_erased_and_the_opt_out_stays(
    retention: Retention,
) -> None:  # I6
    retention.run()
    assert retention.rights.accounts.erased.keys() == {WHO}
    assert retention.oracle.must_be_off(WHO, ALL, services().now())


def test_an_erasure_of_somebody_who_gets_marketing_is_found(retention: Retention) -> None:  # I6
    retention.oracle.opt_outs.clear()
    with pytest.raises(Violation, match=r"I6: only2@example\.net is erased by retention"):
        retention.run()


def test_nobody_is_missed_of_whom_a_list_says_that_they_asked_for_something(
    retention: Retention,
) -> None:
    contacts.upsert_contacts([ContactUpdate(addresses=(address(WHO),))], origin())
    retention.oracle.listed.add((WHO, NEWS))
    retention.run()


def test_an_address_that_is_readable_for_too_long_is_found(retention: Retention) -> None:
    contacts.upsert_contacts([ContactUpdate(addresses=(address(WHO),))], origin())
    with pytest.raises(Violation, match="readable for too long"):
        retention.run()


def test_a_decision_that_changes_and_an_opt_out_that_is_lost_are_found(
    retention: Retention,
) -> None:  # I5
    before = retention._stored()
    for change, found in (
        ({"allowed": dict.fromkeys(before.allowed, True)}, "was denied until retention"),
        ({"opt_outs": {}}, "is lost by retention"),
    ):
        with pytest.raises(Violation, match=found):
            retention._compare(before, replace(before, **change), [], services().now())
