"""The simulation excuses a tool that still mails somebody only while nobody could do more."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from simulation.comparing import RETRIED, WINDOW, Comparison, Difference, Row
from simulation.crew import Redis
from simulation.excuses import Excuse
from simulation.ground import Clock
from simulation.oracle import OptOut, Oracle
from simulation.people import NEWS, SHARING, START, Form, forms_of
from simulation.violation import Violation
from tests.simulation.idle_tool import idle_tool

FORM, *_ = forms_of(2)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def mails(*, asked: float, put_off: float, turned_on: float, now: datetime) -> Counter[str]:
    """What is excused of a tool that mails somebody who opted out after ten minutes."""
    clock, oracle = Clock(), Oracle()
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10)))
    tool = idle_tool(
        clock,
        contacts={FORM.text: START},
        asked_off={(FORM.text, NEWS): at(asked)},
        put_off={FORM.text: at(put_off)},
    )
    known: dict[Form, datetime] = {FORM: at(10)}
    comparison = Comparison(oracle, {"tool-0": tool}, known, Redis(clock), {FORM.text: FORM})
    begun = at(max(10, turned_on))
    found = Difference(tool, FORM, NEWS, begun, caused=turned_on > 10)
    comparison._is_in_time(found, Row(at(10) + WINDOW, None), begun, now)
    return comparison.excused


LATER = at(60) + RETRIED + timedelta(hours=1)


def test_what_a_tool_turns_on_while_it_puts_a_request_off_waits_for_that_request() -> None:  # I3
    excused = mails(asked=11, put_off=12, turned_on=60, now=LATER)
    assert excused == {Excuse.ASKED_TO_WAIT: 1}


def test_a_request_that_was_put_off_may_be_seconds_older_by_the_clock_of_another_host() -> None:
    # I3: and another event had the tool asked again before the hundred hours were over
    excused = mails(asked=100, put_off=9.95, turned_on=0, now=LATER)
    assert excused == {Excuse.ASKED_TO_WAIT: 1}


@pytest.mark.parametrize(
    "asked, put_off",
    [
        pytest.param(30, 12, id="a later request was answered"),
        pytest.param(5, 7, id="it put off a request before the opt-out"),
    ],
)
def test_another_request_that_was_put_off_excuses_nothing(asked: float, put_off: float) -> None:
    with pytest.raises(Violation, match="I3"):
        mails(asked=asked, put_off=put_off, turned_on=60, now=LATER)  # I3


def test_no_tool_puts_an_opt_out_off_beyond_the_window() -> None:  # I3
    with pytest.raises(Violation, match="I3"):
        mails(asked=11, put_off=12, turned_on=0, now=at(13) + WINDOW)


def check_drift(*, found: float, due: float | None, returned: float | None = None) -> None:
    """Drift that was found of somebody, whose tool has deleted them once."""
    comparison = Comparison(Oracle(), {}, {FORM: at(10)}, Redis(Clock()), {FORM.text: FORM})
    tool = idle_tool(forgot={FORM.text: START}, erased_once={FORM.text})
    if returned is None:
        comparison.erased = {FORM: at(0)}
    else:
        comparison.returned = {FORM: at(returned)}
    difference = Difference(tool, FORM, NEWS, at(10), caused=True)
    row = Row(None if due is None else at(due) + WINDOW, at(found))
    comparison._has_deadline(difference, row, at(10))


def test_drift_found_since_somebody_came_back_has_a_deadline_of_then() -> None:  # I3, I13
    check_drift(found=60, due=60, returned=30)
    with pytest.raises(Violation, match="I3"):
        check_drift(found=60, due=None, returned=30)


def test_drift_found_while_somebody_was_erased_has_a_deadline_of_their_return() -> None:  # I3, I6
    check_drift(found=20, due=30, returned=30)
    with pytest.raises(Violation, match="I3"):
        check_drift(found=20, due=40, returned=30)
    check_drift(found=20, due=None)  # not yet back: the tool is to erase them again


@pytest.mark.parametrize("hours, excused", [(1, True), (13, False)])
def test_what_support_writes_down_hours_later_is_prompt_from_then(
    hours: float, *, excused: bool
) -> None:  # I3
    oracle, clock, now = Oracle(), Clock(), at(60 * (20 + hours))
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10), known=at(60 * 20)))
    tool = idle_tool()
    comparison = Comparison(oracle, {"tool-0": tool}, {FORM: at(10)}, Redis(clock), {})
    difference = Difference(tool, FORM, NEWS, at(10), caused=False)
    row = Row(at(10) + WINDOW, None)
    if excused:
        comparison._is_in_time(difference, row, at(10), now)
        assert comparison.excused == {Excuse.WAITING: 1}
    else:
        with pytest.raises(Violation, match="I3"):
            comparison._is_in_time(difference, row, at(10), now)


@pytest.mark.parametrize("hours, excused", [(35, True), (37, False)])
def test_what_support_writes_down_hours_later_is_found_out_from_then(
    hours: float, *, excused: bool
) -> None:  # I3, I13
    oracle, clock, now = Oracle(), Clock(), at(60 * (20 + hours))
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10), known=at(60 * 20)))
    tool = idle_tool()
    comparison = Comparison(oracle, {"tool-0": tool}, {}, Redis(clock), {})
    difference = Difference(tool, FORM, NEWS, at(10), caused=True)
    if excused:
        comparison._is_in_time(difference, Row(None, None), at(10), now)
        assert comparison.excused == {Excuse.FOUND_LATE: 1}
    else:
        with pytest.raises(Violation, match="nobody has found out"):
            comparison._is_in_time(difference, Row(None, None), at(10), now)


@pytest.mark.parametrize("written", [pytest.param(0, id="at once"), pytest.param(40, id="late")])
def test_what_a_tool_turned_on_is_asked_about_once_another_opt_out_is_recorded(
    written: float,
) -> None:
    # I3, I13: its deadline is that of the call, which support wrote down hours later
    called = 30
    oracle, clock = Oracle(), Clock()
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10), known=at(10)))
    known = at(called + 60 * written)
    oracle.add_opt_out(OptOut(FORM, SHARING, at(called), at(called), at(called), known=known))
    tool = idle_tool(clock, asked_off={(FORM.text, NEWS): at(11)})
    comparison = Comparison(oracle, {tool.name: tool}, {FORM: at(10)}, Redis(clock), {})
    difference = Difference(tool, FORM, NEWS, at(20), caused=True)
    row = Row(at(called) + WINDOW, None)
    comparison.done_since = {tool.name: known - timedelta(minutes=1)}
    comparison._is_in_time(difference, row, at(20), known + timedelta(minutes=5))
    assert comparison.excused == {Excuse.WAITING: 1}
    comparison.done_since = {tool.name: known + timedelta(minutes=20)}
    with pytest.raises(Violation, match="was not asked"):
        comparison._is_in_time(difference, row, at(20), known + timedelta(hours=1))


@pytest.mark.parametrize("redis_back", [0, 60])
@pytest.mark.parametrize("asked", [None, 12])
@pytest.mark.parametrize("done, is_late", [(None, False), (14, False), (16, True)])
def test_a_tool_with_nothing_left_to_do_was_asked_within_minutes(
    redis_back: int, asked: int | None, done: int | None, *, is_late: bool
) -> None:  # I3
    clock, oracle = Clock(), Oracle()
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10)))
    tool = idle_tool(clock, asked_off={} if asked is None else {(FORM.text, NEWS): at(asked)})
    comparison = Comparison(oracle, {tool.name: tool}, {FORM: at(10)}, Redis(clock), {})
    comparison.redis.back_at = at(redis_back)
    if done is not None:
        comparison.done_since = {tool.name: at(max(10, redis_back) + done)}
    difference = Difference(tool, FORM, NEWS, at(10), caused=False)
    row, now = Row(at(10) + WINDOW, None), at(120)
    if is_late and asked is None:
        with pytest.raises(Violation, match="was not asked"):
            comparison._is_in_time(difference, row, at(10), now)
    else:
        comparison._is_in_time(difference, row, at(10), now)
        assert comparison.excused == {Excuse.WAITING: 1}


def test_redis_excuses_nothing_but_what_waits_for_it() -> None:  # I3
    clock, oracle = Clock(), Oracle()
    oracle.add_opt_out(OptOut(FORM, NEWS, at(10), at(10), at(10)))
    tool = idle_tool(clock)
    comparison = Comparison(oracle, {tool.name: tool}, {FORM: at(10)}, Redis(clock), {})
    comparison.redis.away = True
    difference, row = Difference(tool, FORM, NEWS, at(10), caused=False), Row(at(10) + WINDOW, None)
    comparison._is_in_time(difference, row, at(10), at(120))
    assert comparison.excused == {Excuse.DOWN: 1}
    comparison.done_since = {tool.name: at(30)}
    with pytest.raises(Violation, match="was not asked"):
        comparison._is_in_time(difference, row, at(10), at(120))
