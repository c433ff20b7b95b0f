"""Destinations with which data is shared: what they are told of, and what others are not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    EventKind,
)
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import backfills, destinations
from preference_center.destinations.store.backfills import backfill
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.clock import START, Clock
from tests.destinations.steps import ANNA, BO, TOPIC, say, state, work
from tests.destinations.tool import Tool

pytestmark = pytest.mark.usefixtures("in_context")

MINUTE = timedelta(minutes=1)


def add(*sends: str, name: str = "audience") -> int:
    def insert(connection: Connection) -> int:
        number = destinations.insert_destination(
            connection, services().keys, name=name, kind="tool", settings={},
            channels=frozenset({Channel.EMAIL}), mapping={}, sends=frozenset(sends),
            sends_service=False, now=services().now(),
        )  # fmt: skip
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        backfills.start_backfill(connection, number, services().now())
        return number

    return run_in_transaction(insert)


def rows(destination: int) -> list[tuple[Any, ...]]:
    query = "SELECT due_at FROM sync_state WHERE destination_id = %s"
    return run_in_transaction(lambda c: c.execute(query, (destination,)).fetchall())


def test_they_are_told_within_the_window(tool: Tool) -> None:  # I3
    audience = add(SHARING)
    say(EventKind.OPTED_OUT, scope=SHARING)
    assert rows(audience) == [(START + WINDOW,)]
    work(audience, tool)
    assert tool.off == {ANNA: {SHARING}}
    assert tool.pushes[0][0].reasons[SHARING].rule == "opted_out_of_sharing"
    assert state(ANNA, "due_at") is None


def test_others_are_not(destination: int, tool: Tool) -> None:
    say(EventKind.OPTED_OUT, scope=SHARING)
    assert rows(destination) == []
    say(EventKind.OPTED_OUT, scope=TOPIC)
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC}}


@pytest.mark.parametrize(
    "kind, scope, removed",
    [
        (EventKind.OPTED_OUT, ALL_MARKETING, True),  # GDPR art. 21(2)
        (EventKind.DEACTIVATED, EVERYTHING, True),
        (EventKind.RESTRICTED, RESTRICTION, True),
        (EventKind.OPTED_OUT, TOPIC, False),
        (EventKind.BOUNCED, UNDELIVERABLE, False),
    ],
)
def test_what_else_takes_somebody_out(
    tool: Tool, kind: EventKind, scope: str, *, removed: bool
) -> None:
    audience = add(SHARING)
    say(kind, scope=scope)
    work(audience, tool)
    assert tool.off.get(ANNA, set()) == ({SHARING} if removed else set())


def test_one_that_also_sends_gets_both_apart(tool: Tool, clock: Clock) -> None:  # I10
    both = add(SHARING, TOPIC)
    say(EventKind.OPTED_OUT, scope=SHARING)
    say(EventKind.OPTED_OUT, BO, scope=TOPIC)
    work(both, tool)
    assert tool.off == {ANNA: {SHARING}, BO: {TOPIC}}
    clock.advance(MINUTE)
    say(EventKind.OPTED_IN, scope=SHARING)
    work(both, tool)
    assert tool.off[ANNA] == set()


@pytest.mark.parametrize(
    "kind, scope",
    [(EventKind.OPTED_OUT, SHARING), (EventKind.RESTRICTED, RESTRICTION)],
)
def test_a_new_one_learns_of_those_who_opted_out_before(
    tool: Tool, kind: EventKind, scope: str
) -> None:
    say(kind, scope=scope)
    audience = add(SHARING)
    assert backfill(audience) == 1
    work(audience, tool)
    assert tool.off == {ANNA: {SHARING}}


def test_a_new_tool_that_only_sends_learns_nothing_of_it() -> None:
    say(EventKind.OPTED_OUT, scope=SHARING)
    assert backfill(add(TOPIC)) == 0
