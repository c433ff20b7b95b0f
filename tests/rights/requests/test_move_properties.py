"""Any history of an address, another form of its mailbox and the new one: PostgreSQL decides about
the new one as the oracle does that has heard all of it there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid5

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    UNDELIVERABLE,
    Change,
    EventKind,
)
from preference_center.decisions.rules import decide
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from preference_center.rights.requests.correct import move_address
from tests.clock import START
from tests.core.histories import NEWS, OFFERS, PAST, histories
from tests.ledger.oracle import Oracle
from tests.ledger.test_properties import TOPICS
from tests.rights.requests.test_move import WEEKLY

ORIGIN = RequestOrigin("rights", "person", START)
_examples = itertools.count(1)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@st.composite
def people(draw: st.DrawFn) -> tuple[list[Address], list[Change]]:
    """The old address, another form of it and the new one, and what was said at each."""
    n = next(_examples)
    texts = (f"ada{n}@gmail.com", f"a.da{n}@gmail.com", f"ada{n}@new.example")
    addresses = [parse_address(text, Channel.EMAIL) for text in texts]
    return addresses, draw(histories(addresses, first=n << 32, size=10, received=PAST))


def at_the_new_address(change: Change, addresses: list[Address], move: UUID) -> Change | None:
    """What a change means for the new address after the move; None if nothing.

    With the id of the copy, since ids break ties of pauses.
    """
    old, form, new = addresses
    if change.address == new:
        return change
    kind, scope = change.kind, change.scope
    if kind is EventKind.BOUNCED or scope == UNDELIVERABLE:
        return None
    if change.address == old:
        if kind is EventKind.MOVED or (kind, scope) == (EventKind.ERASED, EVERYTHING):
            return None
        return replace(change, id=uuid5(move, str(change.id)), address=new)
    assert change.address == form
    if kind in {EventKind.OPTED_OUT, EventKind.COMPLAINED, EventKind.PAUSED}:
        return replace(change, id=uuid5(move, f"{change.id}/{kind}"), address=new)
    if kind in {EventKind.DEACTIVATED, EventKind.ERASED, EventKind.MOVED}:
        return replace(change, address=new, kind=EventKind.OPTED_OUT, scope=ALL_MARKETING)
    return None


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(people())
def test_the_new_address_is_decided_by_both_histories(  # I5, I9
    given: tuple[list[Address], list[Change]],
) -> None:
    addresses, history = given
    old, _, new = addresses
    record(history)
    for _ in range(2):  # I7: a repeat changes nothing
        move = move_address(old, new, origin=ORIGIN)
        meant = [at_the_new_address(change, addresses, move.id) for change in history]
        oracle = Oracle([change for change in meant if change], START)
        facts = load_facts([new])[0]
        for key in (NEWS, OFFERS):
            message = replace(WEEKLY, topic=key)
            opt_in = TOPICS[key].default.value == "opt_in"
            decision = decide(message, TOPICS[key], facts, START)
            assert decision.allow == oracle.allows(new, key, opt_in=opt_in), decision
