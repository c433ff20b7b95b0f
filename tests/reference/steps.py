"""Random histories, as events of the model and as changes of the service.

What the comparison leaves out, and why, is with the strategy that leaves it out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st

from preference_center.contacts.rules.account import build_closure_changes
from preference_center.core.addresses import (
    Address,
    Channel,
    HashedAddress,
    parse_address,
    parse_hashed_address,
)
from preference_center.core.events import Change, EventKind, Retraction
from preference_center.ledger.rules import RequestOrigin
from tests.clock import START
from tests.core.histories import NEWS, OFFERS
from tests.reference.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Event,
    Kind,
    form_of,
    opt_in_counts_at,
    opt_out_counts_at,
)

NOW = START
FORMS = (
    "j.ane{n}@gmail.com", "jane{n}@gmail.com", "jane{n}+x@googlemail.com",
    "jo{n}@example.org", "jo{n}+a@example.org", "jo{n}+b@example.org",
)  # fmt: skip
"""Forms of two mailboxes; each recording has a number of its own in them."""

_ACTS = (-120, -61, -60, -46, -45, -30, -16, -15, -1, 0, 5)  # minutes from NOW, so that many tie
_RECEIPTS = (-60, -45, -30, -15, 0)
_ENDS = (-20, 30, 600)
_LIFTS = {Kind.OPTED_IN, Kind.REOPENED, Kind.UNRESTRICTED}
_CLOSES = {Kind.DEACTIVATED, Kind.ERASED}
_HASHABLE = {Kind.OPTED_OUT, Kind.COMPLAINED, Kind.BOUNCED, Kind.DEACTIVATED}
_MARKETING = (NEWS, OFFERS, ALL_MARKETING)
_SCOPES = {
    Kind.OPTED_OUT: (*_MARKETING, SHARING),
    Kind.OPTED_IN: (*_MARKETING, SHARING),
    Kind.COMPLAINED: _MARKETING,
    Kind.PAUSED: (*_MARKETING, UNDELIVERABLE),
    Kind.MOVED: (ALL_MARKETING,),
    Kind.BOUNCED: (UNDELIVERABLE,),
    Kind.REOPENED: (EVERYTHING,),
    Kind.RESTRICTED: (RESTRICTION,),
    Kind.UNRESTRICTED: (RESTRICTION,),
}
_KINDS = [*[Kind.OPTED_OUT, Kind.OPTED_IN] * 4, *Kind]  # more of what matters most


T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One thing that happens: times in minutes from NOW, `form` is an index of FORMS.

    `own`: of an opt-in that the person made it, of an opt-out that one of our entry points took
    it. `link`, `source`: what it was made with. `second`: added to both times. `retracts`: the
    numbers of other steps.
    """

    kind: Kind
    form: int
    scope: str
    acted: int
    received: int
    own: bool
    hashed: bool
    until: int | None = None
    retracts: tuple[int, ...] = ()
    second: int = 0
    link: int = 0
    source: str = "test"

    @property
    def counts_at(self) -> datetime:
        """When it counts from, by the model's rules."""
        acted, received = self.acted_at, self.received_at
        if self.kind in _CLOSES:  # dated by its receipt: docs/api.md has no other date
            return received
        if self.kind in _LIFTS or self.kind is Kind.PAUSED:
            return opt_in_counts_at(acted, received)
        return opt_out_counts_at(acted, received)

    @property
    def acted_at(self) -> datetime:
        return minutes(self.acted) + timedelta(seconds=self.second)

    @property
    def received_at(self) -> datetime:
        return minutes(self.received) + timedelta(seconds=self.second)

    def is_same_act(self, other: Step) -> bool:
        """Whether both are one own opt-out, by a double click or a retry (docs/api.md)."""
        return (
            self.own
            and other.own
            and self.kind is other.kind is Kind.OPTED_OUT
            and (self.form, self.scope, self.link, self.source)
            == (other.form, other.scope, other.link, other.source)
            and abs(self.counts_at - other.counts_at) <= timedelta(seconds=5)
        )


@dataclass(frozen=True)
class _Choice:
    """What the steps of one history are made of: little, so that they meet and tie."""

    forms: Sequence[int]
    kinds: Sequence[Kind]
    left_out: Sequence[str]
    acts: Sequence[int]
    receipts: Sequence[int]
    shift: int


def _some(values: Sequence[T], most: int) -> st.SearchStrategy[list[T]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most)


_CHOICES = st.builds(
    _Choice,
    _some(range(len(FORMS)), 3),
    _some(_KINDS, 4),
    st.sampled_from([(NEWS, SHARING), (OFFERS, SHARING), (OFFERS,)]),
    _some(_ACTS, 4),
    _some(_RECEIPTS, 3),
    st.integers(0, len(_ENDS) - 1),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """A history of up to a dozen steps."""
    choice = draw(_CHOICES)
    history = [_draw_step(draw, choice) for _ in range(draw(st.integers(1, 12)))]
    return [_without_repeats(step, history) for step in history]


def _draw_step(draw: st.DrawFn, choice: _Choice) -> Step:
    kind = draw(st.sampled_from(choice.kinds))
    scopes = [s for s in _SCOPES.get(kind, (ALL_MARKETING,)) if s not in choice.left_out]
    acted, received = draw(st.sampled_from(choice.acts)), draw(st.sampled_from(choice.receipts))
    # Pauses that begin at once end at once: no rule says which of two such counts, and the
    # service takes the one with the higher id.
    until = _ENDS[(min(acted, received) + choice.shift) % len(_ENDS)]
    own = draw(st.integers(0, 3)) > 0
    hashed = kind in _HASHABLE and draw(st.integers(0, 3)) == 0
    return Step(
        kind,
        draw(st.sampled_from(choice.forms)),
        draw(st.sampled_from(scopes)),
        acted,
        received,
        own=own,
        # Only lists state hashes. A click on an address that is known by a hash, repeated with
        # the readable one, would be a repeat that raises nothing for what it reveals.
        hashed=hashed and not (own and kind is Kind.OPTED_OUT),
        until=until if kind is Kind.PAUSED else None,
        retracts=tuple(draw(_some(range(12), 3))) if kind is Kind.RETRACTED else (),
        # At NOW the service knows of a click that it has just received that it is newer than
        # every opt-in so far, whatever the clocks say.
        second=draw(st.sampled_from((0, 0, -3))) if received < 0 else 0,
        link=draw(st.integers(0, 1)),
        source=draw(st.sampled_from(("test", "destination"))),
    )


def _without_repeats(step: Step, history: Sequence[Step]) -> Step:
    """The step, which retracts no repeated act: of that all goes (docs/decisions/0008)."""
    retracts = tuple(
        number
        for number in step.retracts
        if number >= len(history) or sum(map(history[number].is_same_act, history)) <= 1
    )
    return replace(step, retracts=retracts)


def minutes(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


def address_of(form: int, n: int) -> Address:
    return parse_address(FORMS[form].format(n=n), Channel.EMAIL)


def to_events(history: Sequence[Step], n: int) -> list[Event]:
    """The history as the model takes it; repeats of one act have the id of the first."""
    return [
        _to_event(step, first_of_act(number, history), n) for number, step in enumerate(history)
    ]


def first_of_act(number: int, history: Sequence[Step]) -> int:
    """The number of the first step that is the same act: this one, unless it is a repeat."""
    same = (n for n, step in enumerate(history) if step.is_same_act(history[number]))
    return min(same, default=number)


def _to_event(step: Step, number: int, n: int) -> Event:
    is_temporary = step.kind is Kind.PAUSED and step.scope == UNDELIVERABLE
    return Event(
        str(number),
        Kind.BOUNCED if is_temporary else step.kind,
        form_of(FORMS[step.form].format(n=n)),
        step.counts_at,
        step.scope,
        step.hashed,
        step.own or step.scope in (ALL_MARKETING, SHARING),
        None if step.until is None else minutes(step.until),
        frozenset(map(str, step.retracts)),
    )


def number_of(event_id: UUID) -> int:
    """The number of the step that an event of the service is of."""
    return (event_id.int & 0xFFFF) >> 1


def _id(number: int, part: int, n: int) -> UUID:
    return UUID(int=(n << 32) + (number << 1) + part)


def to_change(step: Step, number: int, n: int) -> list[Change | Retraction]:
    """The step as the service takes it; nothing for an address that becomes known."""
    if step.kind is Kind.CONTACT_KNOWN:
        return []
    if step.kind is Kind.RETRACTED:
        named = tuple(_id(each, part, n) for each in step.retracts for part in (0, 1))
        return [Retraction(_id(number, 0, n), named, step.received_at, "test", "test")]
    address: Address | HashedAddress = address_of(step.form, n)
    if step.hashed:
        digest = hashlib.sha256(address_of(step.form, n).exact.encode()).hexdigest()
        address = parse_hashed_address(digest, Channel.EMAIL)
    kind = EventKind(step.kind)
    if step.kind in _CLOSES:
        origin = RequestOrigin("test", "test", NOW)
        ids = _id(number, 0, n), _id(number, 1, n)
        return list(build_closure_changes(ids, address, origin, step.received_at, kind=kind))
    if kind is EventKind.OPTED_IN and not step.own and step.scope not in (ALL_MARKETING, SHARING):
        kind = EventKind.CONSENTED
    return [
        Change(
            _id(number, 0, n), kind, address, step.scope, step.acted_at, step.received_at,
            step.source, "test",
            evidence={"message_id": str(step.link)},
            until=None if step.until is None else minutes(step.until),
            own_act=step.own and kind is EventKind.OPTED_OUT,
        )
    ]  # fmt: skip
