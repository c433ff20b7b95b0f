"""`read_back` reads what was pushed, and finds missing and additional opt-outs (I13).

A missing opt-out is drift, an additional one is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from preference_center.destinations.claim import plan_current_state
from preference_center.destinations.ingest import ingest
from preference_center.destinations.rules.states import (
    AddressSyncState,
    Destination,
    VerificationStats,
)
from preference_center.destinations.store import listings, verification
from preference_center.destinations.store.verification import AlreadyOptedOut
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.integrations.base.contract import (
    Connector,
    ContactSnapshot,
    PushItem,
    PushResult,
    SupportsRead,
)

SAMPLE_SIZE = 50
"""How many rows are sampled each time, in addition to those that are due."""


@dataclass(slots=True)
class _ReadBackResult:
    """The results, each as address id -> version that was checked."""

    confirmed: dict[int, int] = field(default_factory=dict)
    absent: dict[int, int] = field(default_factory=dict)
    drifted: dict[int, int] = field(default_factory=dict)
    appeared: dict[int, int] = field(default_factory=dict)
    """Absent before, there now, and not suppressed."""
    appeared_suppressed: dict[int, AlreadyOptedOut] = field(default_factory=dict)
    """Absent before, there now, and suppressed."""
    not_read: dict[int, int] = field(default_factory=dict)
    """Not read, while others were: more than the tool reads at once."""


def read_back(
    destination: Destination, connector: Connector, *, until: datetime, sample: bool
) -> bool:
    """Check one batch of the rows that are due. Returns whether there may be more.

    If the worker dies they are checked again at `until`. Raises DeliveryError.
    """
    context, now = services(), services().now()
    limit = connector.capabilities.batch_size
    if sample and connector.capabilities.can_read:
        at = context.random.random()
        size = min(limit, SAMPLE_SIZE)
        run_autocommit(
            lambda c: verification.schedule_sample(
                c, destination.id, start_fraction=at, limit=size, now=now
            )
        )
    states = run_autocommit(
        lambda c: verification.claim_checks(c, destination.id, now=now, until=until, limit=limit)
    )
    # Rows with a pending push are read back after it.
    settled = {number: state for number, state in states.items() if not state.push_pending}
    if not settled:
        return len(states) == limit
    if not connector.capabilities.can_read:
        versions = {number: state.wanted_version for number, state in settled.items()}
        run_in_transaction(lambda c: verification.probe(c, destination.id, versions, now))
        return len(states) == limit
    plans = run_in_transaction(
        lambda c: plan_current_state(c, destination, connector.capabilities, settled.values(), now)
    )
    items = {number: plan.item for number, plan in plans.items()}
    off = cast("SupportsRead", connector).read(list(items.values())) if items else {}
    found = _compare(items, settled, off)
    seen = [
        ContactSnapshot(items[number].address, items[number].channel, there)
        for number, there in off.items()
        if there and there - items[number].off
    ]
    run_in_transaction(lambda c: _store(c, destination, found, now))
    if seen:
        ingest(destination, connector, seen)
    return len(states) == limit or bool(found.not_read)


def _compare(
    items: Mapping[int, PushItem],
    states: Mapping[int, AddressSyncState],
    off: Mapping[int, frozenset[str] | None],
) -> _ReadBackResult:
    found = _ReadBackResult()
    for number, state in states.items():
        item = items.get(number)
        if item is None:
            found.confirmed[number] = state.wanted_version  # nothing readable: nothing to read back
        elif number not in off:
            if off:  # else none could be read: again when the claim ends
                found.not_read[number] = state.wanted_version
        elif (there := off[number]) is None:
            found.absent[number] = state.wanted_version
        elif state.last_outcome == PushResult.ABSENT and item.frequencies:
            found.appeared[number] = state.wanted_version
        elif item.off <= there and state.last_outcome == PushResult.ABSENT:
            found.appeared_suppressed[number] = AlreadyOptedOut(
                state.wanted_version, state.turned_off | item.off, None
            )
        elif item.off <= there:
            found.confirmed[number] = state.wanted_version
        elif state.last_outcome == PushResult.ABSENT:
            found.appeared[number] = state.wanted_version
        else:
            found.drifted[number] = state.wanted_version
    return found


def _store(
    connection: Connection, destination: Destination, result: _ReadBackResult, now: datetime
) -> None:
    number = destination.id
    verification.record_confirmed(connection, number, result.confirmed, now)
    verification.settle_already_opted_out(connection, number, result.appeared_suppressed, now)
    verification.recheck(connection, number, result.absent, now)
    verification.release_checks(connection, number, result.not_read, now)
    raised = verification.requeue_push(connection, number, result.appeared, now, drifted=False)
    drift = verification.requeue_push(connection, number, result.drifted, now, drifted=True)
    groups = (
        result.confirmed,
        result.appeared_suppressed,
        result.absent,
        result.appeared,
        result.drifted,
    )
    checked = sum(len(group) for group in groups)
    listings.add_stats(
        connection, number, VerificationStats(checked=checked, newly_suppressed=raised, drift=drift)
    )
