"""What a new version of the privacy policy changes is known to the simulation itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_autocommit
from simulation.accounts import Accounts
from simulation.acts import Act, Options
from simulation.crew import Crew
from simulation.entry_points import address, origin
from simulation.ground import CATALOGUE, Clock
from simulation.history import draw
from simulation.holds import Holds
from simulation.oracle import Oracle
from simulation.people import ASKED_AGAIN, CLUB, START, Form
from simulation.policies import Policies
from simulation.rights import Rights
from simulation.violation import Violation
from tests.in_force import put_in_force

WHO = Form(2, "only", "only2@example.net")
HOUR = timedelta(hours=1)


def test_a_consent_of_before_counts_until_the_policy_asks_again() -> None:  # I11
    oracle = Oracle(asked_again=ASKED_AGAIN)
    oracle.add_opt_in(WHO, CLUB, ASKED_AGAIN - HOUR)
    assert oracle.may_send(WHO, CLUB, ASKED_AGAIN - HOUR / 2)
    assert oracle.may_send(WHO, CLUB, ASKED_AGAIN) is False
    oracle.add_opt_in(WHO, CLUB, ASKED_AGAIN + HOUR)
    assert oracle.may_send(WHO, CLUB, ASKED_AGAIN + HOUR)


@pytest.mark.usefixtures("in_context")
def test_a_notice_that_is_missing_or_outlives_an_erasure_is_found(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I6
    clock, accounts = Clock(), Accounts()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    put_in_force(app, CATALOGUE.read_text())
    crew = Crew(app, clock, None, lambda *_: None, lambda _: None)  # type: ignore[arg-type]
    held = Holds(lambda *_: None, accounts)
    rights = Rights(clock, Oracle(), crew, {}, lambda *_: None, accounts, held)
    policies, act = Policies(rights, {WHO: START}), Act(0, "announce", number=2)
    accounts.open(WHO)
    with pytest.raises(Violation, match="selected 0 times"):
        policies.announce(act)
    contacts.upsert_contacts([ContactUpdate(addresses=(address(WHO),))], origin())
    assert policies.announce(act) == policies.announce(act) == "1 notices"
    accounts.erased_last[WHO] = clock() + HOUR
    with pytest.raises(Violation, match="I6"):
        policies.check()
    run_autocommit(lambda c: c.execute("DELETE FROM policy_notice"))
    policies.check()


def test_histories_announce_a_policy_and_have_consents_from_before_and_since() -> None:
    drawn = [act for seed in range(10) for act in draw(str(seed), Options(hours=48))]
    assert any(act.what == "announce" for act in drawn)
    asked = {START + timedelta(seconds=act.at) for act in drawn if act.scope == CLUB}
    assert min(asked) < ASKED_AGAIN < max(asked)
