"""A corrected address: what the old one said holds for the new one, with its own times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    Change,
    Event,
    EventKind,
    FrequencyChoice,
    ScopeFact,
    ScopeState,
    Timestamped,
    counts_at,
    fold,
)
from preference_center.decisions.rules import find_denial
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.rules.changes import build_move_changes, check_move
from tests.clock import START
from tests.core.histories import NEWS, OFFERS, PAST, histories

OLD, NEW = (parse_address(f"ada@{name}.example", Channel.EMAIL) for name in ("old", "new"))
MOVE = UUID(int=1 << 100)
ORIGIN = RequestOrigin("rights", "person", START)
DAY = timedelta(days=1)


def event(change: Change, **given: Any) -> Event:
    stored = Event(
        id=change.id,
        seq=1,
        kind=change.kind,
        address_id=1,
        scope=change.scope,
        occurred_at=change.occurred_at,
        received_at=change.received_at,
        recorded_at=START,
        counts_at=counts_at(change.kind, change.occurred_at, change.received_at),
        source=change.source,
        actor=change.actor,
        evidence=change.evidence,
        own_act=change.own_act,
        until=change.until,
        frequency=change.frequency,
    )
    return replace(stored, **given)


def act(
    kind: EventKind = EventKind.OPTED_OUT, scope: str = NEWS, *, days_ago: int = 9, **given: Any
) -> Event:
    at = START - days_ago * DAY
    until = START + DAY if kind is EventKind.PAUSED else None
    chosen = FrequencyChoice("monthly", 1) if kind is EventKind.FREQUENCY_CHOSEN else None
    made = Change(
        UUID(int=days_ago), kind, OLD, scope, at, at, "page", "person",
        until=until, frequency=chosen,
    )  # fmt: skip
    return event(made, **given)


def copies(*events: Event, facts: tuple[ScopeFact, ...] = ()) -> list[Change]:
    known = {event.id for event in events}
    erased = max((e.counts_at for e in events if e.kind is EventKind.ERASED), default=None)
    changes = build_move_changes(MOVE, OLD, NEW, events, facts, known, ORIGIN, erased_at=erased)
    return [change for change in changes if change.address == NEW]


def denied(states: dict[tuple[int, str], ScopeState], scope: str) -> bool:
    facts = [ScopeFact(found, True, state) for (_, found), state in states.items()]
    return find_denial(scope, facts, START) is not None


@pytest.mark.parametrize(
    "kind, scope",
    [
        (EventKind.OPTED_OUT, NEWS),
        (EventKind.OPTED_IN, NEWS),
        (EventKind.CONSENTED, NEWS),
        (EventKind.PAUSED, ALL_MARKETING),
        (EventKind.COMPLAINED, ALL_MARKETING),
        (EventKind.DEACTIVATED, EVERYTHING),
        (EventKind.REOPENED, EVERYTHING),
        (EventKind.RESTRICTED, RESTRICTION),
        (EventKind.UNRESTRICTED, RESTRICTION),
    ],
)
def test_what_the_person_said_is_copied_with_its_own_times(  # I5
    kind: EventKind, scope: str
) -> None:
    said = act(kind, scope, evidence={"wording": "Yes, please"})
    [copy] = copies(said)
    assert (copy.kind, copy.scope, copy.until) == (kind, scope, said.until)
    assert (copy.occurred_at, copy.received_at) == (said.occurred_at, said.received_at)
    assert copy.counts_at == said.counts_at
    assert copy.evidence == {
        "wording": "Yes, please",
        "move": str(MOVE),
        "moved_event": str(said.id),
        "moved_source": "page",
    }


@pytest.mark.parametrize(
    "kind, scope",
    [
        (EventKind.BOUNCED, UNDELIVERABLE),
        (EventKind.PAUSED, UNDELIVERABLE),
        (EventKind.MOVED, ALL_MARKETING),
        (EventKind.ERASED, EVERYTHING),
    ],
)
def test_what_belongs_to_the_mailbox_stays_there(kind: EventKind, scope: str) -> None:
    assert copies(act(kind, scope)) == []


def test_how_often_is_copied_with_its_choice() -> None:
    [copy] = copies(act(EventKind.FREQUENCY_CHOSEN))
    assert copy.frequency == FrequencyChoice("monthly", 1)


def test_marketing_that_an_erasure_left_off_stays_off() -> None:  # I6
    [copy] = copies(act(EventKind.ERASED, ALL_MARKETING), act(EventKind.ERASED, EVERYTHING))
    assert (copy.kind, copy.scope) == (EventKind.OPTED_OUT, ALL_MARKETING)


def test_the_old_address_gets_no_marketing_any_more() -> None:
    [moved] = build_move_changes(MOVE, OLD, NEW, [], [], set(), ORIGIN, erased_at=None)
    assert (moved.kind, moved.scope) == (EventKind.MOVED, ALL_MARKETING)
    assert (moved.address, moved.occurred_at) == (OLD, START)


def test_a_repeated_opt_out_is_copied_as_of_its_last_repeat() -> None:  # I7
    repeated = act(counts_at=START - 2 * DAY)
    [copy] = copies(repeated)
    assert copy.counts_at == START - 2 * DAY


def test_a_repeat_of_the_move_makes_the_same_events() -> None:
    assert copies(act(), act(days_ago=8)) == copies(act(), act(days_ago=8))


def test_an_opt_out_of_another_form_that_covered_the_old_address_covers_the_new_one() -> None:  # I9
    at = Timestamped(START - DAY, UUID(int=77))
    state = ScopeState(
        opt_out=at, reason=EventKind.COMPLAINED, pause=at, pause_until=START + 9 * DAY
    )
    out, pause = copies(facts=(ScopeFact(OFFERS, False, state),))
    assert (out.kind, out.scope, out.counts_at) == (EventKind.COMPLAINED, OFFERS, at.at)
    assert (pause.kind, pause.until) == (EventKind.PAUSED, START + 9 * DAY)
    assert out.evidence == pause.evidence == {"move": str(MOVE)}
    assert out.id != pause.id


def test_another_forms_closed_account_stops_marketing_only() -> None:  # I4
    state = ScopeState(Timestamped(START, UUID(int=7)), EventKind.DEACTIVATED)
    [copy] = copies(facts=(ScopeFact(EVERYTHING, False, state),))
    assert (copy.kind, copy.scope) == (EventKind.OPTED_OUT, ALL_MARKETING)


def test_an_opt_out_by_mail_before_the_address_was_known_is_copied() -> None:
    state = ScopeState(Timestamped(START, UUID(int=7)), EventKind.OPTED_OUT)
    [copy] = copies(act(), facts=(ScopeFact(OFFERS, True, state),))[1:]
    assert copy.scope == OFFERS


@pytest.mark.parametrize(
    "new", [OLD, parse_address("+39 333 1234567", Channel.SMS)], ids=["same", "other channel"]
)
def test_an_address_is_corrected_to_another_of_its_channel(new: Address) -> None:
    with pytest.raises(InvalidInput):
        check_move(OLD, new)


@given(
    histories([OLD], first=1, received=PAST),
    histories([NEW], first=100, received=PAST),
    st.randoms(use_true_random=False),
)
def test_decisions_are_those_of_both_histories_in_any_order(  # I5
    old: list[Change], new: list[Change], random: Random
) -> None:
    """Against the fold of all that was said at either, less what stays with the mailbox.

    An erased opt-in lifts what was said at the old address, as it did there; what was said at the
    new one before it may stay.
    """
    events = [event(change) for change in old]
    made = [event(change) for change in copies(*events)] + [event(change) for change in new]
    random.shuffle(made)
    kept = [
        # Between two of the same moment the id decides, so it is that of the copy.
        replace(
            each,
            id=uuid5(MOVE, str(each.id)),
            kind=EventKind.OPTED_OUT if each.kind is EventKind.ERASED else each.kind,
        )
        for each in events
        if each.kind not in {EventKind.BOUNCED, EventKind.MOVED}
        and each.scope != UNDELIVERABLE
        and (each.kind, each.scope) != (EventKind.ERASED, EVERYTHING)
    ]
    erased = max((e.counts_at for e in events if e.kind is EventKind.ERASED), default=None)
    forgotten = {
        each.id
        for each in kept
        if each.kind is EventKind.OPTED_IN
        and each.scope in {NEWS, OFFERS}
        and erased is not None
        and each.counts_at <= erased
    }
    said = [*kept, *(event(change) for change in new)]
    least, most = fold(said, frozenset()), fold(said, frozenset(forgotten))
    states = fold(made, frozenset())
    for scope in (NEWS, OFFERS, ALL_MARKETING, EVERYTHING):
        assert denied(least, scope) <= denied(states, scope) <= denied(most, scope)


def test_what_was_erased_before_the_person_came_back_is_not_copied() -> None:  # I6
    erased = act(EventKind.ERASED, ALL_MARKETING, days_ago=4)
    before = [
        act(EventKind.OPTED_OUT, NEWS, days_ago=7),
        act(EventKind.OPTED_IN, NEWS, days_ago=6),
        act(EventKind.CONSENTED, OFFERS, days_ago=5),
    ]
    after = act(EventKind.OPTED_IN, OFFERS, days_ago=2)
    states = fold([event(change) for change in copies(*before, erased, after)], frozenset())
    assert not any(scope == NEWS for _, scope in states)
    [offers] = [state for (_, scope), state in states.items() if scope == OFFERS]
    assert offers.consent
    assert offers.consent.at == after.counts_at
    assert denied(states, ALL_MARKETING)
