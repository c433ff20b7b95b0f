"""What comes of a request follows from the proof of who asks, by the simulation's own rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.rights.requests import handle
from preference_center.rights.rules.requests import IdentityLevel
from simulation.accounts import Accounts
from simulation.acts import Act, Options
from simulation.crew import Crew
from simulation.ground import CATALOGUE, Clock
from simulation.history import draw
from simulation.holds import Holds
from simulation.identity import KINDS, Identity
from simulation.oracle import Oracle
from simulation.people import NEWS, Form
from simulation.rights import Rights
from simulation.violation import Violation
from tests.in_force import put_in_force

pytestmark = pytest.mark.usefixtures("in_context")

WHO = Form(2, "only", "only2@example.net")
RESTRICT, ERASE, UNRESTRICT, ACCESS = range(len(KINDS))


@pytest.fixture
def identity(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Identity:
    clock, accounts = Clock(), Accounts()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    put_in_force(app, CATALOGUE.read_text())
    crew = Crew(app, clock, None, lambda *_: None, lambda _: None)  # type: ignore[arg-type]
    held = Holds(lambda *_: None, accounts)
    rights = Rights(clock, Oracle(), crew, {}, lambda *_: None, accounts, held)
    return Identity(rights, lambda *_: None)


def do(identity: Identity, number: int, *acts: str) -> list[str]:
    """What comes of these acts, with a minute between two."""
    found = []
    for what in acts:
        identity.rights.clock.sleep(60)
        found.append(getattr(identity, what)(Act(0, what, WHO.person, number=number)))
    return found


def test_what_is_proven_is_done_and_nothing_before(identity: Identity) -> None:
    oracle, clock = identity.rights.oracle, identity.rights.clock
    do(identity, RESTRICT, "ask", "forwarded")
    assert not oracle.must_be_off(WHO, NEWS, clock())
    assert do(identity, RESTRICT, "confirm_identity") == ["restrict is done"]
    assert oracle.must_be_off(WHO, NEWS, clock())
    assert do(identity, ACCESS, "ask", "confirm_identity")[-1] == "access is done"
    do(identity, UNRESTRICT, "ask", "confirm_identity")
    assert not oracle.must_be_off(WHO, NEWS, clock())
    do(identity, ERASE, "ask", "confirm_identity")
    assert identity.rights.erased.keys() == {WHO}


@pytest.mark.parametrize("number", [RESTRICT, ERASE, ACCESS])
def test_the_third_failure_refuses_and_thirty_days_end_it(identity: Identity, number: int) -> None:
    failed = do(identity, number, "ask", *["fail_identity"] * 3, "confirm_identity")
    assert failed[1:4] == ["identifying", "identifying", "refused"]
    do(identity, number, "ask")
    for days, state in ((29, "identifying"), (2, "lapsed")):
        identity.rights.clock.sleep(timedelta(days=days).total_seconds())
        identity.run_clocks()
        assert identity.asked[identity.ids[WHO.person, number]].state == state
    assert not identity.rights.oracle.opt_outs


def test_a_request_that_is_done_without_proof_is_found(identity: Identity) -> None:
    do(identity, RESTRICT, "ask")
    request_id = identity.ids[WHO.person, RESTRICT]
    handle.confirm_identity(request_id, IdentityLevel.CONTROLS_ADDRESS, "support")
    with pytest.raises(Violation, match=r"identifying, is done"):
        identity.check()


def test_histories_prove_who_asks_fail_to_and_ask_on() -> None:
    drawn = [(seed, act) for seed in range(10) for act in draw(str(seed), Options())]
    asked = {(seed, act.who, act.number) for seed, act in drawn if act.what == "ask"}
    for what in ("confirm_identity", "forwarded", "fail_identity", "restrict"):
        assert asked & {(seed, act.who, act.number) for seed, act in drawn if act.what == what}
