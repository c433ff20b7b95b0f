"""The fold: whatever order events arrive in, the state is the same (I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, parse_hashed_address
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESERVED_SCOPES,
    UNDELIVERABLE,
    Change,
    DatedFrequency,
    Event,
    EventKind,
    FrequencyChoice,
    ScopeState,
    Timestamped,
    can_be_hashed,
    counts_at,
    fold,
    is_valid_scope,
)
from tests.core.histories import EVENTS, KINDS, NEWS, NOW, OFFERS, PERSON, event, scopes_of

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NOBODY: frozenset[UUID] = frozenset()


def make_event(number: int, kind: EventKind, minute: int = 0, *, until: int | None = None) -> Event:
    """An event of the first scope of its kind that counts `minute` minutes after NOW."""
    moment = NOW + minute * MINUTE
    change = Change(
        UUID(int=number), kind, PERSON[0], scopes_of(kind)[0], moment, moment, "test", "test",
        until=None if until is None else NOW + until * MINUTE,
    )  # fmt: skip
    return event(change)


def state_of(*events: Event, retracted: frozenset[UUID] = NOBODY) -> ScopeState:
    states = fold(events, retracted)
    assert len(states) <= 1
    return next(iter(states.values()), ScopeState())


# --- when an event counts


@pytest.mark.parametrize(
    "kind,occurred,received,counts",
    [
        pytest.param(
            EventKind.OPTED_OUT, -60, 0, -45, id="a-late-no-counts-15-minutes-after-it-happened"
        ),
        pytest.param(
            EventKind.OPTED_OUT, -15, 0, 0, id="a-no-inside-the-trust-counts-when-received"
        ),
        pytest.param(
            EventKind.OPTED_OUT, 999, 0, 0, id="a-no-of-a-fast-clock-counts-when-received"
        ),
        pytest.param(EventKind.COMPLAINED, -60, 0, -45, id="a-complaint-is-a-no"),
        pytest.param(EventKind.BOUNCED, -60, 0, -45, id="a-bounce-is-a-no"),
        pytest.param(EventKind.DEACTIVATED, -60, 0, -45, id="a-deactivation-is-a-no"),
        pytest.param(EventKind.ERASED, -60, 0, -45, id="an-erasure-is-a-no"),
        pytest.param(
            EventKind.OPTED_IN, -60, 0, -60, id="a-yes-counts-from-when-the-form-was-rendered"
        ),
        pytest.param(EventKind.OPTED_IN, 999, 0, 0, id="a-yes-never-lies-in-the-future"),
        pytest.param(EventKind.REOPENED, 999, 0, 0, id="a-reopening-never-lies-in-the-future"),
        pytest.param(EventKind.CONSENTED, 999, 0, 0, id="a-consent-never-lies-in-the-future"),
        pytest.param(EventKind.PAUSED, -60, 0, -60, id="a-pause-counts-when-asked-for"),
    ],
)
def test_foreign_clocks_are_not_trusted(
    kind: EventKind, occurred: int, received: int, counts: int
) -> None:  # I5
    assert (
        counts_at(kind, NOW + occurred * MINUTE, NOW + received * MINUTE) == NOW + counts * MINUTE
    )


@given(st.sampled_from(KINDS), st.integers(-9999, 9999), st.integers(-9999, 9999))
def test_an_opt_out_never_counts_before_an_opt_in_of_the_same_time(
    kind: EventKind, occurred: int, received: int
) -> None:
    when = counts_at(kind, NOW + occurred * MINUTE, NOW + received * MINUTE)  # I5
    opted_in = counts_at(EventKind.OPTED_IN, NOW + occurred * MINUTE, NOW + received * MINUTE)
    assert opted_in <= when <= NOW + received * MINUTE


# --- what a kind may cover


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", [NEWS, *sorted(RESERVED_SCOPES)])
def test_a_kind_reaches_its_own_scopes_and_no_other(kind: EventKind, scope: str) -> None:
    assert is_valid_scope(kind, scope) == (scope in scopes_of(kind))


@pytest.mark.parametrize(
    "kind,scope",
    [
        (EventKind.OPTED_OUT, EVERYTHING),  # I4: no marketing "no" reaches service mail
        (EventKind.COMPLAINED, EVERYTHING),
        (EventKind.BOUNCED, EVERYTHING),
        (EventKind.BOUNCED, ALL_MARKETING),
        (EventKind.OPTED_IN, EVERYTHING),  # I6: only an explicit reopening
        (EventKind.OPTED_IN, UNDELIVERABLE),
        (EventKind.CONSENTED, ALL_MARKETING),
        (EventKind.RETRACTED, NEWS),  # a retraction names events: there is a type for it
    ],
)
def test_a_change_beyond_its_kind_is_refused(kind: EventKind, scope: str) -> None:
    with pytest.raises(ValueError, match="can't cover"):
        replace(CHANGE, kind=kind, scope=scope)


CHANGE = Change(UUID(int=1), EventKind.OPTED_OUT, PERSON[0], NEWS, NOW, NOW, "test", "test")


def test_a_pause_and_only_a_pause_has_an_end() -> None:
    with pytest.raises(ValueError, match="has an end"):
        replace(CHANGE, kind=EventKind.PAUSED)
    with pytest.raises(ValueError, match="has an end"):
        replace(CHANGE, until=NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hash_can_be_suppressed_and_nothing_else(kind: EventKind) -> None:
    assert can_be_hashed(kind) == (
        kind in {"opted_out", "bounced", "complained", "deactivated", "erased", "moved"}
    )


def test_what_needs_a_readable_address_is_refused_for_a_hash() -> None:
    hashed = parse_hashed_address("0" * 64, Channel.EMAIL)
    assert replace(CHANGE, address=hashed).address == hashed
    with pytest.raises(ValueError, match="not a hash"):
        replace(CHANGE, address=hashed, kind=EventKind.OPTED_IN)


# --- one act


def test_nothing_is_an_own_act_unless_it_says_so() -> None:
    made = Event(UUID(int=1), 1, EventKind.OPTED_OUT, 1, NEWS, NOW, NOW, NOW, NOW, "a", "b", {})
    assert not CHANGE.own_act
    assert not made.own_act
    assert not made.evidence_erased


CLICK = replace(CHANGE, own_act=True, evidence={"message_id": "m-1", "language": "en"})


@pytest.mark.parametrize("after", [timedelta(0), 5 * SECOND, -5 * SECOND], ids=str)
def test_a_second_click_within_five_seconds_is_the_same_act(after: timedelta) -> None:  # I7
    again = replace(CLICK, id=UUID(int=2), received_at=NOW + after, evidence={"message_id": "m-1"})
    assert again.is_repeat_of(CLICK)
    assert CLICK.is_repeat_of(again)


@pytest.mark.parametrize(
    "other",
    [
        replace(CLICK, received_at=NOW + 5.001 * SECOND),
        replace(CLICK, received_at=NOW - 5.001 * SECOND),
        replace(CLICK, evidence={"message_id": "m-2"}),
        replace(CLICK, evidence={}),
        replace(CLICK, scope=OFFERS),
        replace(CLICK, address=PERSON[1]),
        replace(CLICK, source="api"),
        replace(CLICK, kind=EventKind.OPTED_IN),
        replace(CLICK, own_act=False),
    ],
    ids=["later", "earlier", "message", "no message", "topic", "form", "source", "kind", "whose"],
)
def test_other_clicks_are_acts_of_their_own(other: Change) -> None:  # I5
    assert not other.is_repeat_of(CLICK)
    assert not CLICK.is_repeat_of(other)


@pytest.mark.parametrize(
    "change, now, expected",
    [
        (CLICK, NOW, True),
        (CLICK, NOW + 5 * SECOND, True),
        (CLICK, NOW - 5 * SECOND, True),
        (CLICK, NOW + 5.001 * SECOND, False),
        (CLICK, NOW - timedelta(days=40), True),
        (replace(CLICK, own_act=False), NOW, False),
        (replace(CLICK, kind=EventKind.OPTED_IN), NOW, False),
        (replace(CLICK, occurred_at=NOW - SECOND), NOW, False),
    ],
    ids=[
        "now",
        "5 s",
        "-5 s",
        "late",
        "clock went back",
        "by others",
        "opt-in",
        "with a date of its own",
    ],
)
def test_only_an_own_opt_out_of_this_moment_is_just_received(
    change: Change, now: datetime, *, expected: bool
) -> None:  # I5
    assert change.is_just_received(now) is expected


# --- the fold


def test_the_newest_of_each_counts() -> None:
    state = state_of(
        make_event(1, EventKind.OPTED_OUT, 1),
        make_event(2, EventKind.COMPLAINED, 3),
        make_event(3, EventKind.OPTED_OUT, 2),
        make_event(4, EventKind.OPTED_IN, 5),
        make_event(5, EventKind.OPTED_IN, 4),
        make_event(6, EventKind.PAUSED, 7, until=8),
        make_event(7, EventKind.PAUSED, 6, until=99),
        make_event(8, EventKind.CONSENTED, 9),
    )
    assert state == ScopeState(
        opt_out=Timestamped(NOW + 3 * MINUTE, UUID(int=2)),
        reason=EventKind.COMPLAINED,
        lift=Timestamped(NOW + 5 * MINUTE, UUID(int=4)),
        pause=Timestamped(NOW + 7 * MINUTE, UUID(int=6)),
        pause_until=NOW + 8 * MINUTE,
        consent=Timestamped(NOW + 9 * MINUTE, UUID(int=8)),
    )


@pytest.mark.parametrize(
    "opted_out, lifted, expected",
    [(None, None, False), (None, 0, False), (0, None, True), (1, 0, True), (0, 1, False),
     (0, 0, True)],
)  # fmt: skip
def test_an_opt_out_is_active_until_a_newer_lift(
    opted_out: int | None, lifted: int | None, *, expected: bool
) -> None:  # I5: it wins a tie
    out, lift = (
        None if minute is None else Timestamped(NOW + minute * MINUTE, UUID(int=1))
        for minute in (opted_out, lifted)
    )
    assert ScopeState(opt_out=out, lift=lift).is_suppressed is expected


@pytest.mark.parametrize("minute", [-1, 0, 1])
def test_an_erasure_ends_the_choices_before_it_and_no_suppression(minute: int) -> None:  # I6
    at = NOW + minute * MINUTE
    mark = Timestamped(at, UUID(int=1))
    chosen = DatedFrequency(at, 0, UUID(int=1), "daily")
    suppressed = ScopeState(opt_out=mark, reason=EventKind.OPTED_OUT)
    assert suppressed.without_choices_before(NOW) == suppressed
    state = replace(suppressed, consent=mark, frequency=chosen)
    assert state.without_choices_before(NOW) == (state if minute > 0 else suppressed)


def test_a_consent_is_never_a_lift() -> None:  # I5, F4
    assert state_of(make_event(1, EventKind.CONSENTED, 5)).lift is None


def test_an_opt_in_is_a_consent_to_its_topic_only() -> None:
    assert state_of(make_event(1, EventKind.OPTED_IN)).consent == Timestamped(NOW, UUID(int=1))
    assert state_of(replace(make_event(1, EventKind.OPTED_IN), scope=ALL_MARKETING)).consent is None


def test_the_newest_choice_of_a_frequency_counts_and_of_two_at_once_the_less_frequent() -> None:
    def choose(number: int, minute: int, rank: int) -> Event:
        at = NOW + minute * MINUTE
        return replace(
            make_event(number, EventKind.OPTED_OUT),
            kind=EventKind.FREQUENCY_CHOSEN,
            counts_at=at,
            frequency=FrequencyChoice(f"rank {rank}", rank),
        )

    state = state_of(choose(1, 1, 9), choose(4, 2, 1), choose(3, 2, 2), choose(2, 2, 0))
    assert state == ScopeState(frequency=DatedFrequency(NOW + 2 * MINUTE, 2, UUID(int=3), "rank 2"))


def test_whether_the_newest_no_was_their_own_is_known() -> None:  # I7
    own, foreign = (
        replace(make_event(1, EventKind.OPTED_OUT, 1), own_act=True),
        make_event(2, EventKind.OPTED_OUT, 2),
    )
    assert state_of(own).own_act
    assert not state_of(foreign, own).own_act


def test_a_retraction_takes_back_what_it_names_and_all_others_stand() -> None:  # I5
    imported, own = make_event(2, EventKind.OPTED_OUT, 2), make_event(1, EventKind.OPTED_OUT, 1)
    assert state_of(own, imported, retracted=frozenset({imported.id})).opt_out == Timestamped(
        own.counts_at, own.id
    )


def test_the_event_of_a_retraction_changes_nothing_by_itself() -> None:
    assert (
        fold([replace(make_event(1, EventKind.OPTED_OUT), kind=EventKind.RETRACTED)], NOBODY) == {}
    )


@given(EVENTS, st.data())
def test_order_and_repeats_make_no_difference(
    events: list[Event], data: st.DataObject
) -> None:  # I5
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    shuffled = data.draw(st.permutations(events + repeats))
    retracted = frozenset(e.id for e in events if data.draw(st.booleans()))
    assert fold(shuffled, retracted) == fold(events, retracted)


@given(EVENTS, st.data())
def test_taking_back_is_as_if_it_had_never_been(
    events: list[Event], data: st.DataObject
) -> None:  # I5
    retracted = frozenset(e.id for e in events if data.draw(st.booleans()))
    assert fold(events, retracted) == fold([e for e in events if e.id not in retracted], NOBODY)


@given(EVENTS.filter(bool), st.data())
def test_merging_is_commutative_and_idempotent(
    events: list[Event], data: st.DataObject
) -> None:  # I5
    state = ScopeState()
    for before in events:
        state = state.merge(before)
    one, other = data.draw(st.sampled_from(events)), data.draw(st.sampled_from(events))
    assert state.merge(one) == state
    assert ScopeState().merge(one).merge(other) == ScopeState().merge(other).merge(one)


@given(EVENTS, EVENTS, EVENTS)
def test_merging_is_associative(a: list[Event], b: list[Event], c: list[Event]) -> None:  # I5
    # Histories have ids of their own, so they can meet in any grouping.
    parts = [
        [replace(e, id=UUID(int=e.id.int + 1000 * number)) for e in part]
        for number, part in enumerate((a, b, c))
    ]
    assert fold(parts[0] + (parts[1] + parts[2]), NOBODY) == fold(
        parts[2] + (parts[0] + parts[1]), NOBODY
    )
    whole = fold(parts[0] + parts[1] + parts[2], NOBODY)
    for key, state in fold(parts[0], NOBODY).items():
        rest = [e for e in parts[2] + parts[1] if (e.address_id, e.scope) == key]
        for later in rest:
            state = state.merge(later)  # noqa: PLW2901 - continued from a part
        assert state == whole[key]
