"""Which "no" stands, and how far a tool is with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.domain.decisions import Fact
from preference_center.domain.delivery_status import (
    Connection,
    Hurdle,
    No,
    Progress,
    Row,
    Step,
    Told,
    Tool,
    progress,
    standing_nos,
)
from preference_center.domain.events import (
    ALL_MARKETING,
    EVERYTHING,
    UNDELIVERABLE,
    Kind,
    Mark,
    State,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECEIVED = NOW - timedelta(hours=1)
DUE = RECEIVED + timedelta(hours=72)


def ago(hours: int) -> Mark:
    return Mark(NOW - timedelta(hours=hours), UUID(int=hours))


def out(hours: int, kind: Kind = Kind.OPTED_OUT) -> State:
    return State(out=ago(hours), reason=kind)


def nos(*facts: tuple[str, State]) -> list[tuple[str, Kind]]:
    found = standing_nos([Fact(scope, True, state) for scope, state in facts], NOW)
    return [(no.scope, no.kind) for no in found]


def test_every_no_that_stands_is_listed_the_newest_first() -> None:
    assert nos(("news", out(3)), (ALL_MARKETING, out(1))) == [
        (ALL_MARKETING, Kind.OPTED_OUT),
        ("news", Kind.OPTED_OUT),
    ]


def test_a_lift_ends_its_own_scope_and_an_opt_out_wins_a_tie() -> None:  # I5
    assert nos(("news", replace(out(3), lift=ago(2)))) == []
    assert nos(("news", replace(out(3), lift=ago(3)))) == [("news", Kind.OPTED_OUT)]


def test_a_lift_of_all_marketing_leaves_a_topics_own_no() -> None:  # I5
    wide = replace(out(3), lift=ago(1))
    assert nos((ALL_MARKETING, wide), ("news", out(2))) == [("news", Kind.OPTED_OUT)]


def test_a_topic_turned_on_again_is_told_as_the_exception() -> None:  # I5
    lifted = State(lift=ago(1))
    facts = [Fact(ALL_MARKETING, True, out(3)), Fact("news", True, lifted)]
    assert [no.except_for for no in standing_nos(facts, NOW)] == [("news",)]
    facts[1] = Fact("news", True, replace(out(1), lift=ago(2)))
    assert [no.except_for for no in standing_nos(facts, NOW)] == [(), ()]


def test_a_pause_is_a_no_until_it_ends_or_is_lifted() -> None:
    pause = State(pause=ago(2), pause_until=NOW + timedelta(days=7))
    assert nos(("news", pause)) == [("news", Kind.PAUSED)]
    assert nos(("news", replace(pause, pause_until=NOW))) == []
    assert nos(("news", replace(pause, lift=ago(1)))) == []


def test_a_bounce_ends_with_a_lift_of_all_marketing() -> None:
    bounced = out(3, Kind.BOUNCED)
    assert nos((UNDELIVERABLE, bounced)) == [(UNDELIVERABLE, Kind.BOUNCED)]
    assert nos((UNDELIVERABLE, bounced), (ALL_MARKETING, State(lift=ago(1)))) == []
    assert nos((EVERYTHING, out(3, Kind.ERASED)), (ALL_MARKETING, State(lift=ago(1)))) == [
        (EVERYTHING, Kind.ERASED)
    ]


def test_a_no_of_another_form_is_not_shown() -> None:  # I9
    assert standing_nos([Fact("news", False, out(1))], NOW) == []


def test_a_no_by_mail_beside_what_is_known_counts_if_newer() -> None:
    kept, known = out(1), replace(out(3), lift=ago(2))
    for facts in (("news", kept), ("news", known)), (("news", known), ("news", kept)):
        assert nos(*facts) == [("news", Kind.OPTED_OUT)]


TOOL = Tool("mailer", frozenset({"news", "offers"}), Connection.OPEN)
NEWS = No("news", Kind.OPTED_OUT, UUID(int=1), RECEIVED)
PAUSE = No("news", Kind.PAUSED, UUID(int=1), RECEIVED, NOW + timedelta(days=7))
WAITS = Row(DUE, NOW, None)
DONE = Row(None, None, "reflected")
AT = NOW - timedelta(minutes=30)


def of(
    row: Row | None, *told: Told, tool: Tool = TOOL, no: No = NEWS, now: datetime = NOW
) -> Progress:
    return progress(tool, row, told, [(no, RECEIVED)], now)


def test_a_tool_that_confirmed_was_told_then() -> None:
    assert of(DONE, Told("reflected", AT, "204")) == Progress(Step.TOLD, at=AT, ack="204")


def test_what_was_superseded_since_does_not_hide_the_answer() -> None:
    assert of(DONE, Told("superseded", NOW), Told("reflected", AT)).at == AT


def test_a_tool_that_does_not_know_the_address_is_told_apart() -> None:
    assert of(replace(DONE, outcome="absent"), Told("absent", AT)) == Progress(Step.ABSENT, at=AT)


def test_until_all_is_confirmed_it_waits_with_its_deadline() -> None:
    earlier = Told("reflected", RECEIVED - timedelta(days=9))
    assert of(WAITS, earlier) == Progress(Step.PENDING, due_at=DUE)
    assert not of(WAITS, now=DUE - timedelta(seconds=1)).late
    assert of(WAITS, now=DUE).late


@pytest.mark.parametrize(
    "connection, step, hurdle",
    [
        (Connection.PAUSED, Step.CANNOT, Hurdle.PAUSED),
        (Connection.OBSERVED, Step.CANNOT, Hurdle.OBSERVED),
        (Connection.UNREACHABLE, Step.PENDING, Hurdle.UNREACHABLE),
    ],
)
def test_what_is_in_the_way_is_said_and_the_clock_runs(
    connection: Connection, step: Step, hurdle: Hurdle
) -> None:  # I3
    assert of(WAITS, tool=replace(TOOL, connection=connection)) == Progress(
        step, hurdle, due_at=DUE
    )


def test_a_refusal_is_said_and_the_clock_runs() -> None:  # I3
    found = of(replace(WAITS, outcome="refused"), Told("refused", AT), now=DUE)
    assert found == Progress(Step.CANNOT, Hurdle.REFUSED, due_at=DUE, late=True)


def test_a_closed_circuit_changes_nothing_for_who_was_told() -> None:
    broken = replace(TOOL, connection=Connection.UNREACHABLE)
    assert of(DONE, Told("reflected", AT), tool=broken).step is Step.TOLD


def test_a_tool_that_can_not_hold_a_pause_says_so() -> None:  # I10
    untold = Row(None, None, "untold")
    assert of(untold, no=PAUSE) == Progress(Step.CANNOT, Hurdle.NO_PAUSES)
    assert of(DONE, Told("reflected", AT), no=PAUSE).step is Step.TOLD


def test_an_address_of_which_only_the_digest_is_left_can_not_be_told() -> None:  # I6
    erased = replace(TOOL, readable=False)
    for row in (None, WAITS, Row(None, None, "untold")):
        assert of(row, tool=erased) == Progress(Step.CANNOT, Hurdle.UNREADABLE)
    assert of(DONE, Told("reflected", AT), tool=erased).step is Step.TOLD


def test_a_tool_that_sends_nothing_of_it_is_not_concerned() -> None:
    other = replace(TOOL, sends=frozenset({"events"}))
    wide = No(ALL_MARKETING, Kind.OPTED_OUT, UUID(int=1), RECEIVED)
    assert of(None, tool=other).step is Step.UNCONCERNED
    assert of(None, tool=replace(TOOL, sends=frozenset()), no=wide).step is Step.UNCONCERNED
    excepted = replace(wide, except_for=("news", "offers"))
    assert of(None, no=excepted).step is Step.UNCONCERNED
    assert of(DONE, Told("reflected", AT), tool=other, no=wide).step is Step.TOLD


def test_a_tool_without_a_row_is_due_as_if_it_had_one() -> None:  # I3
    assert of(None) == Progress(Step.PENDING, due_at=DUE)
