"""Histories have opt-ins that senders report only after something else was done."""

from __future__ import annotations

from simulation.acts import HOUR, Act, Options
from simulation.history import draw


def drawn(seeds: int = 20) -> list[list[Act]]:
    return [draw(str(seed), Options()) for seed in range(seeds)]


def test_opt_ins_are_reported_after_an_opt_out_in_a_tool_that_is_newer_by_hours() -> None:  # I5
    found = [
        late.at - late.number <= act.at - 8 * HOUR
        for acts in drawn()
        for act in acts
        for late in acts
        if act.what == "in_tool" and late.what == "opt_in_dated" and late.at > act.at
        if (late.who, late.form, late.scope) == (act.who, act.form, act.scope)
    ]
    assert found.count(True) > 20


def test_opt_ins_of_before_an_erasure_are_reported_after_the_return() -> None:  # I6
    found = [
        (erase, late)
        for acts in drawn()
        for late in acts
        if late.what == "opt_in_dated"
        for back in acts
        if back.what == "comes_back" and (back.who, back.form) == (late.who, late.form)
        for erase in acts
        if erase.what == "erase" and (erase.who, erase.form) == (late.who, late.form)
        if late.at - late.number < erase.at < back.at < late.at
    ]
    assert len(found) > 10
