"""What is texted to somebody follows from their texts, by the simulation's own rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from preference_center.infra.context import EXTENSION_NAME, services
from simulation.acts import Act, Options
from simulation.entry_points import EntryPoints
from simulation.ground import CATALOGUE, Clock
from simulation.history import draw
from simulation.oracle import Oracle
from simulation.people import ALERTS, ALL, FLASH
from simulation.texts import Texts, number_of
from simulation.violation import Violation
from tests.in_force import put_in_force

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def texts(app: Flask, client: Any, monkeypatch: pytest.MonkeyPatch) -> Texts:
    """A second passes before each act."""
    clock, unused = Clock(), lambda *_: None
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    put_in_force(app, CATALOGUE.read_text())
    hosts = EntryPoints(client, Oracle(), clock, [clock.ahead], unused)
    found = Texts(client, hosts)
    found.add_destination()
    return found


def do(texts: Texts, what: str, scope: str = ALL) -> None:
    texts.entry_points.clock.sleep(1)
    act = Act(int(texts.entry_points.clock().timestamp()), what, 3, scope=scope, number=2)
    getattr(texts, what)(act)
    texts.check([3])


def may_send(texts: Texts, topic: str) -> bool | None:
    return texts.oracle.may_send(number_of(3), topic, services().now())


def test_stop_is_about_the_number_that_it_is_texted_to(texts: Texts) -> None:  # I10
    do(texts, "text_stop", FLASH)
    assert (may_send(texts, FLASH), may_send(texts, ALERTS)) == (False, True)
    do(texts, "text_stop")
    assert may_send(texts, ALERTS) is False


def test_a_repeat_of_an_old_text_and_start_change_nothing(texts: Texts) -> None:  # I5
    do(texts, "text_stop")
    do(texts, "text_start")
    assert may_send(texts, ALERTS) is False
    do(texts, "text_opt_in", ALERTS)
    do(texts, "text_again")
    assert (may_send(texts, FLASH), may_send(texts, ALERTS)) == (False, True)


def test_a_number_that_is_denied_without_a_text_is_found(texts: Texts) -> None:  # I5
    do(texts, "text_stop")
    texts.oracle.opt_outs.clear()
    with pytest.raises(Violation, match="I2, I5"):
        texts.check([3])


def test_histories_have_the_same_people_text_and_act_by_email() -> None:
    drawn = [(seed, act) for seed in range(5) for act in draw(str(seed), Options())]
    texted = {(seed, act.who) for seed, act in drawn if act.what == "text_stop"}
    for what in ("text_again", "text_start", "text_opt_in", "one_click", "opt_in"):
        assert texted & {(seed, act.who) for seed, act in drawn if act.what == what}
