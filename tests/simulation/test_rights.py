"""What must be gone after an erasure is looked for by the simulation's own times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center.catalogue.store import current_catalogue
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, build_opt_in_change
from preference_center.rights import holds
from preference_center.rights.rules.requests import Extent
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.entry_points import address, origin
from simulation.ground import Clock
from simulation.holds import Holds
from simulation.making import add_destination
from simulation.oracle import Oracle
from simulation.people import OFFERS, Form
from simulation.rights import Rights
from simulation.violation import Violation
from tests.simulation.idle_tool import idle_tool

pytestmark = pytest.mark.usefixtures("in_context")

ACTS = ("hold", "erase")
WHO = Form(2, "only", "only2@example.net")


def opt_in() -> None:
    proof = ConsentEvidence("page", "Yes, please", "en", services().now())
    change = build_opt_in_change(
        services().new_id(), address(WHO), "acme.offers", proof, origin(), current_catalogue()
    )
    record([change])


@pytest.mark.parametrize("is_erased_later", [False, True])
def test_a_consent_of_before_an_erasure_is_found_though_its_person_is_back(
    is_erased_later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:  # I6
    unused: Any = None
    rights = Rights(unused, unused, unused, {}, unused, Accounts(), unused)
    opt_in()
    after = timedelta(minutes=1) if is_erased_later else -timedelta(minutes=1)
    rights.accounts.erased_last[WHO] = services().now() + after
    if is_erased_later:
        with pytest.raises(Violation, match="consents of before an erasure"):
            rights.check()
    else:
        rights.check()


def test_an_erasure_outranks_what_a_host_whose_clock_is_ahead_recorded_before_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I5, I6
    unused: Any = None
    clock, oracle = Clock(), Oracle()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    with clock.of_host(timedelta(seconds=6)):
        opt_in()
        oracle.add_opt_in(WHO, OFFERS, clock(), clock.now)
    Rights(clock, oracle, unused, {}, unused, Accounts(), unused)._erase(WHO, Extent.MARKETING)
    assert oracle.must_be_off(WHO, OFFERS, clock())


@pytest.mark.parametrize("is_gained_later", [False, True])
def test_a_tool_where_an_erasure_is_stated_as_done_holds_only_whom_it_gained_since(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    is_gained_later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:  # I6
    unused: Any = None
    clock = Clock()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    tool = idle_tool(clock, contacts={WHO.text: clock()})
    add_destination(tool)
    rights = Rights(clock, Oracle(), unused, {tool.name: tool}, unused, Accounts(), unused)
    rights._erase(WHO, Extent.MARKETING)
    tool.asked_to_delete[WHO.text] = clock()
    rights.check()
    run_autocommit(lambda c: c.execute("UPDATE erasure_task SET outcome = 'erased'"))
    if is_gained_later:
        clock.sleep(1)
        tool.contacts[WHO.text] = clock()
        rights.check()
    else:
        with pytest.raises(Violation, match="I6: tool-0 holds"):
            rights.check()


def test_nobody_is_erased_who_is_under_a_hold(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I6
    unused: Any = None
    clock, accounts = Clock(), Accounts()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    held = Holds(lambda *_: None, accounts)
    rights = Rights(clock, Oracle(), unused, {}, unused, accounts, held)
    hold, erase = (Act(0, what, WHO.person, scope="marketing", number=1) for what in ACTS)
    held.hold(hold)
    assert rights.erase(erase) == "under a hold"
    holds.end_hold("case-1", "lawyer")  # and nobody has told the oracle
    with pytest.raises(Violation, match="was under a hold"):
        rights.erase(erase)
    held.end_hold(hold)
    assert rights.erase(erase) == "marketing"
