"""Which "no" stands, and how far a tool is with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    UNDELIVERABLE,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from preference_center.destinations.rules.delivery import (
    ActiveSuppression,
    Blocker,
    ConnectionStatus,
    Delivery,
    DeliveryState,
    DeliveryStatus,
    DestinationSummary,
    SyncSummary,
    active_suppressions,
    compute_delivery_status,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECEIVED = NOW - timedelta(hours=1)
DUE = RECEIVED + timedelta(hours=72)


def ago(hours: int) -> Timestamped:
    return Timestamped(NOW - timedelta(hours=hours), UUID(int=hours))


def out(hours: int, kind: EventKind = EventKind.OPTED_OUT) -> ScopeState:
    return ScopeState(opt_out=ago(hours), reason=kind)


def suppressions(*facts: tuple[str, ScopeState]) -> list[tuple[str, EventKind]]:
    found = active_suppressions([ScopeFact(scope, True, state) for scope, state in facts], NOW)
    return [(opted_out.scope, opted_out.kind) for opted_out in found]


def test_every_no_that_stands_is_listed_the_newest_first() -> None:
    assert suppressions(("news", out(3)), (ALL_MARKETING, out(1))) == [
        (ALL_MARKETING, EventKind.OPTED_OUT),
        ("news", EventKind.OPTED_OUT),
    ]


def test_a_lift_ends_its_own_scope_and_an_opt_out_wins_a_tie() -> None:  # I5
    assert suppressions(("news", replace(out(3), lift=ago(2)))) == []
    assert suppressions(("news", replace(out(3), lift=ago(3)))) == [("news", EventKind.OPTED_OUT)]


def test_a_lift_of_all_marketing_leaves_a_topics_own_no() -> None:  # I5
    wide = replace(out(3), lift=ago(1))
    assert suppressions((ALL_MARKETING, wide), ("news", out(2))) == [("news", EventKind.OPTED_OUT)]


def test_a_topic_turned_on_again_is_reported_as_the_exception() -> None:  # I5
    lifted = ScopeState(lift=ago(1))
    facts = [ScopeFact(ALL_MARKETING, True, out(3)), ScopeFact("news", True, lifted)]
    assert [opted_out.exempt_topics for opted_out in active_suppressions(facts, NOW)] == [("news",)]
    facts[1] = ScopeFact("news", True, replace(out(1), lift=ago(2)))
    assert [opted_out.exempt_topics for opted_out in active_suppressions(facts, NOW)] == [(), ()]


def test_a_pause_is_an_opt_out_until_it_ends_or_is_lifted() -> None:
    pause = ScopeState(pause=ago(2), pause_until=NOW + timedelta(days=7))
    assert suppressions(("news", pause)) == [("news", EventKind.PAUSED)]
    assert suppressions(("news", replace(pause, pause_until=NOW))) == []
    assert suppressions(("news", replace(pause, lift=ago(1)))) == []


def test_a_bounce_ends_with_a_lift_of_all_marketing() -> None:
    bounced = out(3, EventKind.BOUNCED)
    assert suppressions((UNDELIVERABLE, bounced)) == [(UNDELIVERABLE, EventKind.BOUNCED)]
    assert suppressions((UNDELIVERABLE, bounced), (ALL_MARKETING, ScopeState(lift=ago(1)))) == []
    assert suppressions(
        (EVERYTHING, out(3, EventKind.ERASED)), (ALL_MARKETING, ScopeState(lift=ago(1)))
    ) == [(EVERYTHING, EventKind.ERASED)]


def test_an_opt_out_of_another_form_is_not_shown() -> None:  # I9
    assert active_suppressions([ScopeFact("news", False, out(1))], NOW) == []


def test_an_opt_out_by_mail_next_to_what_is_known_counts_if_newer() -> None:
    kept, known = out(1), replace(out(3), lift=ago(2))
    for facts in (("news", kept), ("news", known)), (("news", known), ("news", kept)):
        assert suppressions(*facts) == [("news", EventKind.OPTED_OUT)]


TOOL = DestinationSummary("mailer", frozenset({"news", "offers"}), ConnectionStatus.OPEN)
NEWS = ActiveSuppression("news", EventKind.OPTED_OUT, UUID(int=1), RECEIVED)
PAUSE = ActiveSuppression("news", EventKind.PAUSED, UUID(int=1), RECEIVED, NOW + timedelta(days=7))
WAITS = SyncSummary(DUE, NOW, None)
DONE = SyncSummary(None, None, "reflected")
AT = NOW - timedelta(minutes=30)


def of(
    row: SyncSummary | None,
    *deliveries: Delivery,
    tool: DestinationSummary = TOOL,
    opted_out: ActiveSuppression = NEWS,
    now: datetime = NOW,
) -> DeliveryStatus:
    return compute_delivery_status(tool, row, deliveries, [(opted_out, RECEIVED)], now)


def test_a_tool_that_confirmed_was_reached_then() -> None:
    assert of(DONE, Delivery("reflected", AT, "204")) == DeliveryStatus(
        DeliveryState.CONFIRMED, confirmed_at=AT, ack="204"
    )


def test_what_was_superseded_since_does_not_hide_the_answer() -> None:
    assert of(DONE, Delivery("superseded", NOW), Delivery("reflected", AT)).confirmed_at == AT


def test_a_tool_that_does_not_know_the_address_is_distinguished() -> None:
    assert of(replace(DONE, last_outcome="absent"), Delivery("absent", AT)) == DeliveryStatus(
        DeliveryState.ABSENT, confirmed_at=AT
    )


def test_until_all_is_confirmed_it_waits_with_its_deadline() -> None:
    earlier = Delivery("reflected", RECEIVED - timedelta(days=9))
    assert of(WAITS, earlier) == DeliveryStatus(DeliveryState.PENDING, due_at=DUE)
    assert not of(WAITS, now=DUE - timedelta(seconds=1)).late
    assert of(WAITS, now=DUE).late


@pytest.mark.parametrize(
    "connection, step, blocker",
    [
        (ConnectionStatus.PAUSED, DeliveryState.BLOCKED, Blocker.PAUSED),
        (ConnectionStatus.OBSERVED, DeliveryState.BLOCKED, Blocker.OBSERVED),
        (ConnectionStatus.UNREACHABLE, DeliveryState.PENDING, Blocker.UNREACHABLE),
        (ConnectionStatus.NO_ACCESS, DeliveryState.PENDING, Blocker.NO_ACCESS),
    ],
)
def test_a_blocker_is_shown_and_the_clock_runs(
    connection: ConnectionStatus, step: DeliveryState, blocker: Blocker
) -> None:  # I3
    assert of(WAITS, tool=replace(TOOL, connection=connection)) == DeliveryStatus(
        step, blocker, due_at=DUE
    )


def test_a_refusal_is_shown_and_the_clock_runs() -> None:  # I3
    found = of(replace(WAITS, last_outcome="refused"), Delivery("refused", AT), now=DUE)
    assert found == DeliveryStatus(DeliveryState.BLOCKED, Blocker.REFUSED, due_at=DUE, late=True)


def test_a_closed_circuit_changes_nothing_for_who_was_pushed() -> None:
    broken = replace(TOOL, connection=ConnectionStatus.UNREACHABLE)
    assert of(DONE, Delivery("reflected", AT), tool=broken).state is DeliveryState.CONFIRMED


def test_a_tool_that_can_not_hold_a_pause_is_named() -> None:  # I10
    not_pushed = SyncSummary(None, None, "not_pushed")
    assert of(not_pushed, opted_out=PAUSE) == DeliveryStatus(
        DeliveryState.BLOCKED, Blocker.PAUSE_UNSUPPORTED
    )
    assert of(DONE, Delivery("reflected", AT), opted_out=PAUSE).state is DeliveryState.CONFIRMED


def test_an_address_of_which_only_the_digest_is_left_can_not_be_pushed() -> None:  # I6
    erased = replace(TOOL, address_readable=False)
    for row in (None, WAITS, SyncSummary(None, None, "not_pushed")):
        assert of(row, tool=erased) == DeliveryStatus(
            DeliveryState.BLOCKED, Blocker.ADDRESS_UNREADABLE
        )
    assert of(DONE, Delivery("reflected", AT), tool=erased).state is DeliveryState.CONFIRMED


def test_a_tool_that_sends_nothing_of_it_is_not_concerned() -> None:
    other = replace(TOOL, topics=frozenset({"events"}))
    wide = ActiveSuppression(ALL_MARKETING, EventKind.OPTED_OUT, UUID(int=1), RECEIVED)
    assert of(None, tool=other).state is DeliveryState.NOT_APPLICABLE
    assert (
        of(None, tool=replace(TOOL, topics=frozenset()), opted_out=wide).state
        is DeliveryState.NOT_APPLICABLE
    )
    excepted = replace(wide, exempt_topics=("news", "offers"))
    assert of(None, opted_out=excepted).state is DeliveryState.NOT_APPLICABLE
    assert (
        of(DONE, Delivery("reflected", AT), tool=other, opted_out=wide).state
        is DeliveryState.CONFIRMED
    )


def test_a_tool_without_a_row_is_due_as_if_it_had_one() -> None:  # I3
    assert of(None) == DeliveryStatus(DeliveryState.PENDING, due_at=DUE)
