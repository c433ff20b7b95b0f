"""Histories to try rules on: what people, imports and tools with odd clocks may say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Change,
    Event,
    EventKind,
    FrequencyChoice,
    counts_at,
)
from tests.clock import START

NEWS, OFFERS = "acme.news", "acme.offers"
TOPICS = (NEWS, OFFERS, ALL_MARKETING, SHARING)
FREQUENCIES = [FrequencyChoice(key, rank) for rank, key in enumerate(("daily", "weekly"))]
NOW = START
"""When everything below is looked at; a later date comes from a wrong clock."""


_ONLY_SCOPE = {
    EventKind.REOPENED: EVERYTHING,
    EventKind.BOUNCED: UNDELIVERABLE,
    EventKind.RESTRICTED: RESTRICTION,
    EventKind.UNRESTRICTED: RESTRICTION,
    EventKind.MOVED: ALL_MARKETING,
}
_MORE_SCOPES = {
    EventKind.PAUSED: (UNDELIVERABLE,),
    EventKind.OPTED_OUT: (SHARING,),
    EventKind.OPTED_IN: (SHARING,),
}


def scopes_of(kind: EventKind) -> Sequence[str]:
    """The scopes that an event of this kind may name."""
    if kind in {EventKind.DEACTIVATED, EventKind.ERASED}:
        return (EVERYTHING, ALL_MARKETING)
    if kind in _ONLY_SCOPE:
        return (_ONLY_SCOPE[kind],)
    if kind in {EventKind.CONSENTED, EventKind.FREQUENCY_CHOSEN}:
        return (NEWS, OFFERS)
    return (NEWS, OFFERS, ALL_MARKETING, *_MORE_SCOPES.get(kind, ()))


KINDS = [kind for kind in EventKind if kind is not EventKind.RETRACTED]
# Few moments, so that ties happen; around the 15 minutes that foreign clocks are trusted.
MOMENTS = [NOW + timedelta(minutes=m) for m in (-9000, -60, -45, -30, -16, -15, -14, -1, 0, 1, 600)]


T = TypeVar("T")


def some(values: Sequence[T], most: int) -> st.SearchStrategy[list[T]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


@st.composite
def histories(
    draw: st.DrawFn,
    addresses: Sequence[Address],
    *,
    first: int = 1,
    size: int = 8,
    received: Sequence[datetime],
) -> list[Change]:
    """Up to `size` changes with ids from `first` on.

    Each history has few kinds, scopes and moments, so that its events meet and tie.
    """
    kinds, topics, moments = draw(some(KINDS, 4)), draw(some(TOPICS, 2)), draw(some(MOMENTS, 3))
    arrivals = [m for m in moments if m in received] or list(received[-3:])
    numbers = draw(st.permutations(range(first, first + draw(st.integers(0, size)))))
    return [
        Change(
            id=UUID(int=number),
            kind=(kind := draw(st.sampled_from(kinds))),
            address=draw(st.sampled_from(addresses)),
            scope=draw(
                st.sampled_from([s for s in scopes_of(kind) if s in topics] or scopes_of(kind))
            ),
            occurred_at=draw(st.sampled_from(moments)),
            received_at=draw(st.sampled_from(arrivals)),
            source="test",
            actor="test",
            until=draw(st.sampled_from(MOMENTS)) if kind is EventKind.PAUSED else None,
            frequency=(
                draw(st.sampled_from(FREQUENCIES)) if kind is EventKind.FREQUENCY_CHOSEN else None
            ),
        )
        for number in numbers
    ]


PERSON = [
    parse_address(text, Channel.EMAIL)
    for text in ("j.ane@gmail.com", "jane@gmail.com", "jane+x@gmail.com")
]
PAST = [moment for moment in MOMENTS if moment <= NOW]


def event(change: Change, number: int = 1) -> Event:
    """The event that `change` becomes; forms of PERSON are numbered in their order."""
    return Event(
        id=change.id,
        seq=number,
        kind=change.kind,
        address_id=PERSON.index(change.address),  # type: ignore[arg-type]
        scope=change.scope,
        occurred_at=change.occurred_at,
        received_at=change.received_at,
        recorded_at=NOW,
        counts_at=counts_at(change.kind, change.occurred_at, change.received_at),
        source=change.source,
        actor=change.actor,
        evidence=change.evidence,
        own_act=change.own_act,
        until=change.until,
        frequency=change.frequency,
    )


EVENTS = histories(PERSON, received=PAST).map(
    lambda history: [event(change, number) for number, change in enumerate(history)]
)
