"""What a read-back found counts only for the state that was read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.store import verification
from preference_center.destinations.store.verification import AlreadyOptedOut
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.clock import START
from tests.destinations.steps import ANNA, BO, TOPIC, say, work
from tests.destinations.tool import Tool

LATER = START + timedelta(hours=1)
LEASE = UUID(int=7)
Outcome = Callable[[Connection, int, dict[int, int]], object]

OUTCOMES: dict[str, Outcome] = {
    "confirmed": lambda c, d, versions: verification.record_confirmed(c, d, versions, LATER),
    "not checked": lambda c, d, versions: verification.release_checks(c, d, versions, LATER),
    "absent": lambda c, d, versions: verification.recheck(c, d, versions, LATER),
    "absent, not readable": lambda c, d, versions: verification.probe(c, d, versions, LATER),
    "new": lambda c, d, versions: verification.requeue_push(c, d, versions, LATER, drifted=False),
    "drifted": lambda c, d, versions: verification.requeue_push(
        c, d, versions, LATER, drifted=True
    ),
    "opted out there": lambda c, d, versions: verification.settle_already_opted_out(
        c, d, {n: AlreadyOptedOut(versions[n], frozenset({TOPIC}), None) for n in versions}, LATER
    ),
}
"""Everything that reading a tool may find about a row, as it is recorded."""

every_outcome = pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)


def sync_states() -> dict[int, tuple[Any, ...]]:
    """The rows by address id, each whole."""
    found = run_in_transaction(
        lambda c: c.execute("SELECT address_id, s FROM sync_state s ORDER BY 1").fetchall()
    )
    return dict(found)


def update(assignments: str, address_id: int) -> None:
    run_in_transaction(
        lambda c: c.execute(
            f"UPDATE sync_state SET {assignments} WHERE address_id = %s", (address_id,)
        )
    )


def deliveries() -> list[tuple[Any, ...]]:
    return run_in_transaction(
        lambda c: c.execute("SELECT address_id, outcome FROM delivery ORDER BY id").fetchall()
    )


@pytest.fixture
def versions(destination: int, tool: Tool) -> dict[int, int]:
    """Two rows that were pushed and are to be read back, with their versions."""
    for address in (ANNA, BO):
        say(EventKind.OPTED_OUT, address)
    work(destination, tool)
    found = run_in_transaction(
        lambda c: c.execute(
            """UPDATE sync_state SET verify_at = %s, checks = 1
            RETURNING address_id, wanted_version""",
            (START,),
        ).fetchall()
    )
    return dict(sorted(found))


@every_outcome
def test_what_was_read_back_is_recorded_for_the_state_that_was_read(
    destination: int, versions: dict[int, int], outcome: Outcome
) -> None:
    before = sync_states()
    run_in_transaction(lambda c: outcome(c, destination, versions))
    after = sync_states()
    assert all(after[number] != before[number] for number in versions)


@every_outcome
@pytest.mark.parametrize("newer", ["wanted_version = wanted_version + 1", f"lease = '{LEASE}'"])
def test_a_slow_read_back_leaves_a_newer_state_as_it_is(
    destination: int, versions: dict[int, int], outcome: Outcome, newer: str
) -> None:
    """I3: it knows nothing of an opt-out since, nor of a push under way."""
    anna, bo = versions
    update(newer, anna)
    before, delivered = sync_states(), deliveries()
    run_in_transaction(lambda c: outcome(c, destination, versions))
    after = sync_states()
    assert after[anna] == before[anna]
    assert after[bo] != before[bo]
    assert anna not in {number for number, _ in deliveries()[len(delivered) :]}


@pytest.mark.parametrize(
    "waiting",
    [f"lease = '{LEASE}'", "due_at = verify_at", "wanted_version = wanted_version"],
    ids=["pushed now", "to be pushed", "settled"],
)
def test_what_somebody_turned_on_in_a_tool_counts_only_where_nothing_is_to_be_pushed(
    destination: int, versions: dict[int, int], waiting: str
) -> None:
    """I13: what is off there again is then no echo of ours; a push may have turned it on."""
    anna, bo = versions
    update(waiting, anna)
    run_in_transaction(
        lambda c: verification.record_turned_on(c, destination, {anna: frozenset({TOPIC})})
    )
    found = run_in_transaction(
        lambda c: c.execute("SELECT address_id, turned_off FROM sync_state").fetchall()
    )
    is_settled = waiting.startswith("wanted")
    assert dict(found) == {anna: [] if is_settled else [TOPIC], bo: [TOPIC]}


@pytest.mark.parametrize(
    "excluded",
    [f"lease = '{LEASE}'", "due_at = 'epoch'", "verify_at = 'epoch'", "turned_off = '{}'"],
)
def test_a_sample_is_of_settled_rows_with_something_off(
    destination: int, versions: dict[int, int], excluded: str
) -> None:
    anna, bo = versions
    for number in versions:
        update("verify_at = NULL", number)
    update(excluded, anna)
    before = sync_states()
    count = run_in_transaction(
        lambda c: verification.schedule_sample(c, destination, start_fraction=0, limit=9, now=LATER)
    )
    after = sync_states()
    assert count == 1
    assert after[anna] == before[anna]
    assert after[bo] != before[bo]


def test_a_sample_is_sought_among_ten_times_as_many_rows(
    destination: int,
) -> None:
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO sync_state (destination_id, address_id, wanted_version, turned_off)
            SELECT %s, n, 1, CASE n WHEN 1012 THEN ARRAY['acme.news'] ELSE '{}' END
            FROM generate_series(1001, 1012) n""",
            (destination,),
        )
    )

    def sample(limit: int) -> int:
        return run_in_transaction(
            lambda c: verification.schedule_sample(
                c, destination, start_fraction=0.9, limit=limit, now=LATER
            )
        )

    assert (sample(1), sample(2)) == (0, 1)
