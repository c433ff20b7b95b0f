"""An audit that finds nothing proves nothing: each kind of fault is planted once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.audit import Found, faults, left_behind
from chaos.people import Person
from chaos.spool import TORN

ANN = Person("ann@example.com", off=True, least=1, most=1)
BEA = Person("bea@example.com", off=False, least=1, most=1)
"""Took it back."""
CLO = Person("clo@example.com", off=None, least=0, most=1)
"""Was never answered."""
PEOPLE = [ANN, BEA, CLO]
HELD = {ANN.address}
FOUND = Found(
    opt_outs={ANN.address: 1, BEA.address: 1},
    strange=[],
    suppressed=HELD,
    denied=HELD,
    tools={"one": HELD, "two": HELD},
    states={ANN.address: 2, BEA.address: 2},
    unproven=set(),
    unsettled=0,
)
BOTH = {ANN.address, CLO.address}


def test_audit_that_balance() -> None:
    assert list(faults(PEOPLE, FOUND)) == []


def test_whoever_was_not_answered_may_be_off_but_then_everywhere() -> None:
    found = replace(
        FOUND,
        opt_outs={**FOUND.opt_outs, CLO.address: 1},
        suppressed=BOTH,
        denied=BOTH,
        tools={"one": BOTH, "two": BOTH},
        states={**FOUND.states, CLO.address: 2},
    )
    assert list(faults(PEOPLE, found)) == []
    assert list(faults(PEOPLE, replace(found, tools={"one": BOTH, "two": HELD}))) == [
        "1 not off at two: clo@example.com"
    ]


@pytest.mark.parametrize(
    "changes, line_part",
    [
        ({"opt_outs": {BEA.address: 1}}, "ann@example.com has 0 opt-outs in the ledger"),
        ({"opt_outs": {**FOUND.opt_outs, ANN.address: 2}}, "ann@example.com has 2 opt-outs"),
        ({"strange": ["? has an event bounced by mailgun"]}, "event bounced"),
        ({"suppressed": set()}, "1 not in the database, though answered"),  # I1
        ({"suppressed": {ANN.address, BEA.address}}, "suppressed in the database, though back"),
        ({"suppressed": {ANN.address, "?"}}, "suppressed in the database, and never came: ?"),
        ({"denied": set()}, "1 allowed, though suppressed: ann@example.com"),  # I2
        ({"denied": {ANN.address, "dot@example.com"}}, "denied, though not suppressed: dot@"),
        ({"tools": {"one": set(), "two": HELD}}, "1 not off at one: ann@example.com"),  # I3
        ({"tools": {"one": BOTH, "two": HELD}}, "off at one, and nowhere else: clo@example.com"),
        ({"states": {ANN.address: 1, BEA.address: 2}}, "with other than 2 sync states: ann@"),
        ({"states": {**FOUND.states, CLO.address: 2}}, "with other than 2 sync states: clo@"),
        ({"unproven": {ANN.address}}, "without a delivery that proves it: ann@example.com"),
        ({"unsettled": 3}, "3 sync states are not settled"),
    ],
)
def test_what_does_not_balance_is_reported(changes: dict[str, Any], line_part: str) -> None:
    assert any(line_part in line for line in faults(PEOPLE, replace(FOUND, **changes)))


def test_a_long_list_is_cut_short() -> None:
    people = [Person(f"p{number:02}@example.com", True, 1, 1) for number in range(12)]
    counts = {person.address: 1 for person in people}
    nobody = replace(FOUND, opt_outs=counts, suppressed=set(), denied=set(), tools={}, states={})
    line = next(line for line in faults(people, nobody) if "database" in line)
    assert line.endswith("p09@example.com and 2 more")


def test_what_is_left_in_the_spool_is_reported(tmp_path: Path) -> None:
    (tmp_path / "1-a.spool").touch()
    for name in ("known.json", "newest_event.json"):
        (tmp_path / name).write_bytes(b"{}")
    assert list(left_behind(tmp_path)) == []
    (tmp_path / "1-c.damaged").write_bytes(b"whole" + TORN)  # by a strike
    assert list(left_behind(tmp_path)) == []
    (tmp_path / "1-b.rejected").write_bytes(b"no")
    assert list(left_behind(tmp_path)) == ["the spool is not empty: 2 bytes in 1-b.rejected"]
