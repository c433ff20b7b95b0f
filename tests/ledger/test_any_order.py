"""Own acts seconds apart, in any order: the state is the fold of all acknowledged ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.ledger import record
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.states import rows_of

BEFORE = START - timedelta(hours=1)
"""Nothing is so new that it counts as happening now."""
_examples = itertools.count(1)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@dataclass
class Acknowledged:
    """Every act that `record` returned for, under the event that it is part of."""

    acts: list[tuple[Change, UUID]] = field(default_factory=list)
    taken_back: set[UUID] = field(default_factory=set)

    def newest(self, who: Address, scope: str, kind: EventKind) -> datetime | None:
        found = [
            act.counts_at
            for act, event in self.acts
            if (act.address, act.scope, act.kind) == (who, scope, kind)
            and event not in self.taken_back
        ]
        return max(found, default=None)


@st.composite
def _acts(draw: st.DrawFn) -> list[Change | int]:
    """Acts of two forms, with the undo of the n-th among them, in the order they arrive."""
    n = next(_examples)
    forms = [parse_address(f"jo{n}{tag}@example.org", Channel.EMAIL) for tag in ("", "+a")]
    seconds = draw(st.lists(st.integers(0, 15), min_size=2, max_size=8))
    items: list[Change | int] = []
    for number, second in enumerate(seconds):
        at = BEFORE + timedelta(seconds=second)
        kind = draw(st.sampled_from([EventKind.OPTED_OUT, EventKind.OPTED_OUT, EventKind.OPTED_IN]))
        items.append(
            Change(
                UUID(int=(n << 16) + number),
                kind,
                draw(st.sampled_from(forms)),
                draw(st.sampled_from([NEWS, NEWS, ALL_MARKETING])),
                occurred_at=at,
                received_at=at,
                source=draw(st.sampled_from(["page", "page", "one_click"])),
                actor="recipient",
                own_act=kind is EventKind.OPTED_OUT,
            )
        )
        if draw(st.integers(0, 4)) == 0:
            items.append(draw(st.integers(0, number)))
    return items


def _in_order(items: Sequence[Change | int]) -> Acknowledged:
    known = Acknowledged()
    for item in items:
        if isinstance(item, Change):
            recorded = record([item])
            (event,) = (*recorded.events, *recorded.repeats.values())
            known.acts.append((item, event))
        else:  # undo what is offered for this act
            event = known.acts[item][1]
            back = Retraction(UUID(int=event.int + (1 << 15)), (event,), START, "page", "test")
            record([back])
            known.taken_back.add(event)
    return known


@settings(
    max_examples=150,
    deadline=None,
    # Every example has addresses and ids of its own, so the tables need not be emptied.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_acts())
def test_a_repeat_that_is_dropped_changes_nothing(items: list[Change | int]) -> None:  # I5
    known = _in_order(items)
    for who in {act.address for act, _ in known.acts}:
        assert isinstance(who, Address)
        rows = rows_of(who)
        for scope in (NEWS, ALL_MARKETING):
            row = rows.get(scope)
            opted_out, opted_in = (row.opt_out, row.lift) if row else (None, None)
            assert (opted_out and opted_out[0]) == known.newest(who, scope, EventKind.OPTED_OUT)
            assert (opted_in and opted_in[0]) == known.newest(who, scope, EventKind.OPTED_IN)
