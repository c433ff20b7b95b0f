"""Histories have opt-ins that senders report only after something else was done."""

from __future__ import annotations

from simulation.acts import HOUR, Act, Options
from simulation.history import draw
from simulation.late_reports import MEANWHILE
from simulation.people import ALL


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


def test_people_complain_in_a_tool_whose_sender_reports_an_opt_in_of_before() -> None:  # I5
    found = [
        late
        for acts in drawn()
        for act in acts
        for late in acts
        if act.what == "complaint" and late.what == "opt_in_dated" and late.at > act.at
        if (late.who, late.form) == (act.who, act.form)
        and late.at - late.number < act.at - 8 * HOUR
    ]
    assert len(found) >= 4 * 20


def test_people_opt_out_in_a_tool_and_at_once_in_to_what_was_off_there_before() -> None:  # I5
    found = [
        opt_in
        for acts in drawn()
        for act in acts
        for opt_in in acts
        if act.what == "in_tool" and act.scope == ALL and opt_in.what == "opt_in"
        if (opt_in.who, opt_in.form) == (act.who, act.form) and 0 < opt_in.at - act.at <= MEANWHILE
        if any(
            (off.what, off.who, off.form, off.scope)
            == ("one_click", act.who, act.form, opt_in.scope)
            for off in acts
            if off.at < act.at - 2 * HOUR
        )
    ]
    assert len(found) >= 4 * 20
