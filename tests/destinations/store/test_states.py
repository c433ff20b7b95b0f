"""What a worker is about to do is recorded for the rows of its own lease, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.store import states
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.clock import START
from tests.destinations.steps import ANNA, BO, CY, TOPIC, say

OURS, THEIRS = UUID(int=1), UUID(int=2)
SOON = START + timedelta(minutes=5)


@pytest.fixture
def rows(destination: int) -> Sequence[int]:
    """Three due rows by address id: two are ours, the last one another worker's."""
    for address in (ANNA, BO, CY):
        say(EventKind.OPTED_OUT, address)

    def claim(connection: Connection) -> Sequence[int]:
        claims = [
            states.claim_rows(connection, destination, lease, now=START, until=SOON, limit=limit)
            for lease, limit in ((OURS, 2), (THEIRS, 1))
        ]
        return [row.address_id for claimed in claims for row in claimed]

    return run_in_transaction(claim)


def test_a_lift_marks_no_other_row(destination: int, rows: Sequence[int]) -> None:
    """I5: a marked row counts as reflected only once its lift can't act any more."""
    first, second, theirs = rows
    run_in_transaction(
        lambda c: states.record_pending_lifts(c, destination, OURS, [first, theirs], SOON)
    )
    assert lift_times() == {first: SOON, second: None, theirs: None}


def test_a_lift_does_not_shorten_an_earlier_one(
    destination: int, rows: Sequence[int]
) -> None:  # I5
    later = SOON + timedelta(minutes=1)
    for until in (later, SOON):
        run_in_transaction(
            lambda c, until=until: states.record_pending_lifts(  # type: ignore[misc]
                c, destination, OURS, [rows[0]], until
            )
        )
    assert lift_times()[rows[0]] == later


def test_what_a_push_may_turn_off_is_recorded_for_its_own_rows(
    destination: int, rows: Sequence[int]
) -> None:
    """I13: elsewhere it would pass for our own act, and an opt-out made there for its echo."""
    first, second, theirs = rows
    off = {number: frozenset({TOPIC}) for number in (first, theirs)}
    run_in_transaction(lambda c: states.record_pending_opt_outs(c, destination, OURS, off))
    found = run_in_transaction(
        lambda c: c.execute("SELECT address_id, turned_off FROM sync_state").fetchall()
    )
    assert dict(found) == {first: [TOPIC], second: [], theirs: []}


def lift_times() -> dict[int, datetime | None]:
    """Until when a lift may act, by address id."""
    found = run_in_transaction(
        lambda c: c.execute("SELECT address_id, lift_until FROM sync_state").fetchall()
    )
    return dict(found)
