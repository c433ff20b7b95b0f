"""Random histories, as events of the model and as changes of the service.

What the comparison leaves out, and why, is with the strategy that leaves it out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
_KINDS = [Kind.OPTED_OUT, Kind.OPTED_IN, *(kind for kind in Kind)]  # more of what matters most


@dataclass(frozen=True)
class Step:
    """One thing that happens: times in minutes from NOW, `form` is an index of FORMS.

    `own`: of an opt-in that the person made it, of an opt-out that one of our entry points took
    it. `retracts`: the numbers of other steps.
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


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Up to a dozen steps about few forms, scopes and times, so that they meet."""
    some = st.sampled_from
    forms = draw(st.lists(some(range(len(FORMS))), min_size=1, max_size=3, unique=True))
    kinds = draw(st.lists(some(_KINDS), min_size=1, max_size=6))
    acts = draw(st.lists(some(_ACTS), min_size=1, max_size=4))
    receipts = draw(st.lists(some(_RECEIPTS), min_size=1, max_size=3))
    shift = draw(st.integers(0, len(_ENDS) - 1))
    history: list[Step] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(some(kinds))
        retracts: tuple[int, ...] = ()
        if kind is Kind.RETRACTED:
            retracts = tuple(draw(st.lists(st.integers(0, 11), min_size=1, max_size=3)))
        acted, received = draw(some(acts)), draw(some(receipts))
        # Pauses that begin at once end at once: no rule says which of two such counts, and the
        # service takes the one with the higher id.
        until = _ENDS[(min(acted, received) + shift) % len(_ENDS)]
        history.append(
            Step(
                kind,
                draw(some(forms)),
                draw(some(_SCOPES.get(kind, (ALL_MARKETING,)))),
                acted,
                received,
                draw(st.booleans()),
                kind in _HASHABLE and draw(st.integers(0, 3)) == 0,
                until if kind is Kind.PAUSED else None,
                retracts,
            )
        )
    return history


def minutes(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


def address_of(form: int, n: int) -> Address:
    return parse_address(FORMS[form].format(n=n), Channel.EMAIL)


def to_events(history: Sequence[Step], n: int) -> list[Event]:
    """The history as the model takes it."""
    return [_to_event(step, number, n) for number, step in enumerate(history)]


def _to_event(step: Step, number: int, n: int) -> Event:
    acted, received = minutes(step.acted), minutes(step.received)
    if step.kind in _CLOSES:  # dated by its receipt: docs/api.md has no other date
        counts_at = received
    elif step.kind in _LIFTS or step.kind is Kind.PAUSED:
        counts_at = opt_in_counts_at(acted, received)
    else:
        counts_at = opt_out_counts_at(acted, received)
    is_temporary = step.kind is Kind.PAUSED and step.scope == UNDELIVERABLE
    return Event(
        str(number),
        Kind.BOUNCED if is_temporary else step.kind,
        form_of(FORMS[step.form].format(n=n)),
        counts_at,
        step.scope,
        step.hashed,
        step.own or step.scope in (ALL_MARKETING, SHARING),
        None if step.until is None else minutes(step.until),
        frozenset(map(str, step.retracts)),
    )


def number_of(event_id: UUID) -> str:
    """The id in the model of an event of the service."""
    return str((event_id.int & 0xFFFF) >> 1)


def _id(number: int, part: int, n: int) -> UUID:
    return UUID(int=(n << 32) + (number << 1) + part)


def to_change(step: Step, number: int, n: int) -> list[Change | Retraction]:
    """The step as the service takes it; nothing for an address that becomes known."""
    if step.kind is Kind.CONTACT_KNOWN:
        return []
    if step.kind is Kind.RETRACTED:
        named = tuple(_id(each, part, n) for each in step.retracts for part in (0, 1))
        return [Retraction(_id(number, 0, n), named, minutes(step.received), "test", "test")]
    address: Address | HashedAddress = address_of(step.form, n)
    if step.hashed:
        digest = hashlib.sha256(address_of(step.form, n).exact.encode()).hexdigest()
        address = parse_hashed_address(digest, Channel.EMAIL)
    kind = EventKind(step.kind)
    received = minutes(step.received)
    if step.kind in _CLOSES:
        origin = RequestOrigin("test", "test", NOW)
        ids = _id(number, 0, n), _id(number, 1, n)
        return list(build_closure_changes(ids, address, origin, received, kind=kind))
    if kind is EventKind.OPTED_IN and not step.own and step.scope not in (ALL_MARKETING, SHARING):
        kind = EventKind.CONSENTED
    return [
        Change(
            _id(number, 0, n), kind, address, step.scope, minutes(step.acted), received,
            "test", "test",
            # Each with a link of its own: a repeat with the same one is the same act.
            evidence={"message_id": str(number)},
            until=None if step.until is None else minutes(step.until),
            own_act=step.own and kind is EventKind.OPTED_OUT,
        )
    ]  # fmt: skip
