"""What became of one event at one tool."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from preference_center.core.events import ALL_MARKETING, Event, EventKind
from preference_center.destinations.rules.delivery import (
    Blocker,
    ConnectionStatus,
    DeliveryState,
    DeliveryStatus,
    DestinationSummary,
    FinalAnswer,
    VersionedSync,
    compute_event_delivery,
)
from tests.clock import START

TOOL = DestinationSummary("crm", frozenset({"news"}), ConnectionStatus.OPEN)
DUE = START + timedelta(hours=72)
OPT_OUT = Event(
    UUID(int=1),
    10,
    EventKind.OPTED_OUT,
    1,
    ALL_MARKETING,
    START,
    START,
    START,
    START,
    "cli",
    "x",
    {},
)
PENDING = VersionedSync(9, DUE, None)


def status(
    event: Event = OPT_OUT, tool: DestinationSummary = TOOL, **given: object
) -> DeliveryStatus:
    values = {"sync": PENDING, "answer": None, "now": START, "is_active": True} | given
    return compute_event_delivery(event, tool, **values)  # type: ignore[arg-type]


def test_it_is_pending_until_the_tool_answers_to_its_version() -> None:
    assert status() == DeliveryStatus(DeliveryState.PENDING, due_at=DUE)
    assert status(now=DUE).late
    answer = FinalAnswer("reflected", START, "200", 10)
    assert status(answer=answer) == DeliveryStatus(
        DeliveryState.CONFIRMED, confirmed_at=START, ack="200"
    )
    absent = status(answer=replace(answer, outcome="absent"))
    assert (absent.state, absent.is_done) == (DeliveryState.ABSENT, True)


def test_an_answer_that_is_no_longer_kept_is_still_one() -> None:
    assert status(sync=VersionedSync(10, None, "reflected")).state is DeliveryState.CONFIRMED
    not_needed = status(sync=VersionedSync(10, None, "not_pushed"))
    assert not_needed.state is DeliveryState.NOT_APPLICABLE


@pytest.mark.parametrize(
    "connection", [c for c in ConnectionStatus if c is not ConnectionStatus.OPEN]
)
def test_a_tool_that_can_not_be_pushed_to_keeps_the_deadline(connection: ConnectionStatus) -> None:
    found = status(tool=replace(TOOL, connection=connection))
    assert found.blocker
    assert found.blocker.value == connection.value
    assert found.due_at == DUE  # I3


def test_a_refusal_and_an_address_of_which_only_a_digest_is_left_are_named() -> None:
    assert status(sync=replace(PENDING, last_outcome="refused")).blocker is Blocker.REFUSED
    unreadable = status(tool=replace(TOOL, address_readable=False))
    assert unreadable.blocker is Blocker.ADDRESS_UNREADABLE


def test_a_tool_that_sends_nothing_of_it_is_not_concerned() -> None:
    other = replace(OPT_OUT, scope="offers")
    assert status(other).state is DeliveryState.NOT_APPLICABLE
    assert status(tool=replace(TOOL, topics=frozenset())).state is DeliveryState.NOT_APPLICABLE


def test_without_a_sync_state_only_what_is_active_is_still_to_come() -> None:
    assert status(sync=None).due_at == DUE  # the window, from its receipt
    assert status(sync=None, is_active=False).state is DeliveryState.NOT_APPLICABLE


def test_an_opt_in_has_no_deadline() -> None:
    opt_in = replace(OPT_OUT, kind=EventKind.OPTED_IN)
    assert status(opt_in, sync=replace(PENDING, due_at=None)).due_at is None


def test_consents_and_frequencies_are_not_pushed_as_such() -> None:
    assert {kind for kind in EventKind if not kind.rules.is_pushed} == {
        EventKind.CONSENTED,
        EventKind.FREQUENCY_CHOSEN,
    }
