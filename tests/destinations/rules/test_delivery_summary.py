"""How far all tools together are, and what other forms of a mailbox have turned off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.events import (
    ALL_MARKETING,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from preference_center.destinations.rules.delivery import (
    ActiveSuppression,
    CompletionState,
    ConnectionStatus,
    DeliveryState,
    DeliveryStatus,
    DeliverySummary,
    DestinationSummary,
    SyncSummary,
    compute_delivery_status,
    is_suppressed_by_other_form,
    summarize_delivery,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DUE, LATER = NOW + timedelta(hours=71), NOW + timedelta(hours=72)
PENDING = DeliveryStatus(DeliveryState.PENDING, due_at=DUE)
CONFIRMED = DeliveryStatus(DeliveryState.CONFIRMED, confirmed_at=NOW)
ABSENT = DeliveryStatus(DeliveryState.ABSENT)
BLOCKED = DeliveryStatus(DeliveryState.BLOCKED)
NOT_APPLICABLE = DeliveryStatus(DeliveryState.NOT_APPLICABLE, due_at=LATER + timedelta(days=1))
TOOL = DestinationSummary("mailer", frozenset({"news", "offers"}), ConnectionStatus.OPEN)


@pytest.mark.parametrize(
    "summary, state",
    [
        (DeliverySummary(0, 0, 0, None), CompletionState.DONE),
        (DeliverySummary(2, 2, 0, None), CompletionState.DONE),
        (DeliverySummary(1, 2, 1, DUE), CompletionState.LATE),
        (DeliverySummary(1, 2, 0, DUE), CompletionState.PENDING),
        (DeliverySummary(1, 2, 0, None), CompletionState.INCOMPLETE),
    ],
)
def test_all_tools_together_have_one_state(
    summary: DeliverySummary, state: CompletionState
) -> None:  # I3
    assert summary.state is state


def test_tools_are_counted_but_for_those_that_send_nothing_of_it() -> None:
    late = replace(PENDING, due_at=LATER, late=True)
    given = [NOT_APPLICABLE, CONFIRMED, ABSENT, PENDING, late, BLOCKED]
    assert summarize_delivery(given) == DeliverySummary(done=2, total=5, late=1, due_at=LATER)
    assert summarize_delivery([NOT_APPLICABLE]) == DeliverySummary(0, 0, 0, None)


def off(scope: str, hours: int, received: datetime) -> tuple[ActiveSuppression, datetime]:
    since = NOW - timedelta(hours=hours)
    return ActiveSuppression(scope, EventKind.OPTED_OUT, UUID(int=hours), since), received


def test_of_several_opt_outs_the_first_received_sets_the_deadline() -> None:  # I3
    first, second = NOW - timedelta(hours=9), NOW - timedelta(hours=1)
    given = [off("news", 1, second), off("offers", 9, first)]
    found = compute_delivery_status(TOOL, None, [], given, NOW)
    assert found.due_at == first + timedelta(hours=72)


def test_an_opt_out_next_to_a_pause_is_not_shown_as_a_pause_that_is_not_supported() -> None:  # I10
    pause, at = off("offers", 2, NOW)
    pause = replace(pause, kind=EventKind.PAUSED, until=NOW + timedelta(days=1))
    not_pushed = SyncSummary(None, None, "not_pushed")
    given = [off("news", 1, NOW), (pause, at)]
    found = compute_delivery_status(TOOL, not_pushed, [], given, NOW)
    assert found == DeliveryStatus(DeliveryState.NOT_APPLICABLE)


def test_a_row_without_a_deadline_waits_only_while_it_is_to_be_tried() -> None:
    tried = SyncSummary(None, NOW, None)
    given = [off("news", 1, NOW)]
    found = compute_delivery_status(TOOL, tried, [], given, NOW)
    assert found == DeliveryStatus(DeliveryState.PENDING)


def fact(scope: str, *, exact: bool, lifted: bool = False) -> ScopeFact:
    out = Timestamped(NOW - timedelta(hours=2), UUID(int=1))
    lift = Timestamped(NOW - timedelta(hours=1), UUID(int=2)) if lifted else None
    return ScopeFact(scope, exact, ScopeState(out, EventKind.OPTED_OUT, lift=lift))


def test_an_opt_out_of_another_form_denies_this_one_and_an_own_does_not_count() -> None:  # I9
    assert is_suppressed_by_other_form([fact("news", exact=False)], NOW)
    assert is_suppressed_by_other_form([fact(ALL_MARKETING, exact=False)], NOW)
    both = [fact("news", exact=False), fact("offers", exact=True)]
    assert is_suppressed_by_other_form(both, NOW)
    assert not is_suppressed_by_other_form([fact("news", exact=True)], NOW)
    assert not is_suppressed_by_other_form([], NOW)


def test_an_own_opt_in_since_ends_what_another_form_turned_off() -> None:  # I5, I9
    own = ScopeFact("news", True, ScopeState(lift=Timestamped(NOW, UUID(int=3))))
    assert not is_suppressed_by_other_form([fact("news", exact=False), own], NOW)
