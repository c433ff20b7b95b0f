"""Write the outcome of a push: settle its rows, or leave them for a later try (I3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from preference_center.core.deadlines import PROBE_INTERVAL, destination_retry
from preference_center.destinations.claim import ClaimedBatch
from preference_center.destinations.leases import LEASE_DURATION
from preference_center.destinations.rules.destination import Destination, DestinationStatus
from preference_center.destinations.rules.outcomes import build_settlement, verify_delay
from preference_center.destinations.rules.reflection_times import count_reflected
from preference_center.destinations.rules.state import Settlement
from preference_center.destinations.store import destinations, reflections, states
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    DeliveryError,
    EndpointGone,
    PushOutcome,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import RateLimited

log = structlog.get_logger()


def settle_batch(
    destination: Destination,
    capabilities: Capabilities,
    batch: ClaimedBatch,
    outcomes: Mapping[int, PushOutcome],
    in_transaction: Callable[[Connection], None] = lambda _: None,
) -> Sequence[Settlement]:
    """Store a batch's outcomes and return them.

    `in_transaction` is called in the same transaction.
    """
    now, random = services().now(), services().random.random
    settlements = []
    for ref, claim in batch.claims.items():
        row = build_settlement(claim, batch.plans.get(ref), outcomes.get(ref), now, random())
        settlements.append(replace(row, verify_after=verify_delay(row, capabilities)))

    def write(connection: Connection) -> int:
        settled = states.settle_rows(connection, destination.id, batch.lease, settlements, now=now)
        late = _repush_late_rows(connection, destination, batch, settlements, settled, now)
        in_transaction(connection)
        if destination.failures or destination.retry_at:
            destinations.close_circuit(connection, destination.id)
        done = {address for address, is_done in settled.items() if is_done}
        counts = count_reflected(batch.claims, settlements, done, now)
        reflections.add_reflections(connection, destination.name, now, counts)
        return late

    late = run_in_transaction(write)
    log.info("synced", destination=destination.id, rows=len(settlements), late=late)
    return settlements


def release_batch(destination: Destination, batch: ClaimedBatch) -> None:
    """Leave a batch whose lease ended to another worker."""
    context = services()
    rows = _unknown_settlements(context, batch)
    run_in_transaction(lambda c: _release(c, destination, batch, rows, context.now()))


def wait_for_rate_limit(destination: Destination, lease: UUID, error: RateLimited) -> None:
    """Leave the rows as they were until the rate limit allows requests again."""
    now = services().now()
    retry_at = now + min(error.retry_after or timedelta(0), PROBE_INTERVAL)

    def write(connection: Connection) -> None:
        states.release_rows(connection, destination.id, lease, retry_at)
        destinations.defer(connection, destination.id, str(error), retry_at)

    run_in_transaction(write)


def record_failure(destination: Destination, batch: ClaimedBatch, error: Exception) -> None:
    """The push failed as a whole: open the circuit, and leave the rows as they were (I3).

    Only a row that failed alone is deferred, so that the next probe is of another.
    """
    context = services()
    now, rows = context.now(), _unknown_settlements(context, batch)
    log.warning("push_failed", destination=destination.id, error=type(error).__name__)

    def write(connection: Connection) -> None:
        if isinstance(error, EndpointGone):
            destinations.set_status(
                connection, destination.id, DestinationStatus.PAUSED, str(error)
            )
        else:
            retry_at = _retry_at(context, destination, error, now)
            destinations.open_circuit(connection, destination.id, safe_message(error), retry_at)
        if len(rows) == 1:
            settled = states.settle_rows(connection, destination.id, batch.lease, rows, now=now)
            _repush_late_rows(connection, destination, batch, rows, settled, now)
        else:
            _release(connection, destination, batch, rows, now)

    run_in_transaction(write)


def _repush_late_rows(
    connection: Connection,
    destination: Destination,
    batch: ClaimedBatch,
    settlements: Sequence[Settlement],
    settled_ids: Collection[int],
    now: datetime,
) -> int:
    """Have rows pushed again that another worker holds by now; how many.

    What was sent while the lease held may take effect after it, and no response may report it.
    """
    sent = {ref for ref, plan in batch.plans.items() if not plan.is_empty}
    late = [row for row in settlements if row.address_id in sent.difference(settled_ids)]
    if late:
        leased_at = batch.ends_at - LEASE_DURATION
        states.requeue_stale(connection, destination.id, late, now, leased_at=leased_at)
    return len(late)


def _retry_at(
    context: Services, destination: Destination, error: Exception, now: datetime
) -> datetime:
    if isinstance(error, UnsupportedByDestination) or getattr(error, "permanent", False):
        return now + PROBE_INTERVAL
    retry_after = error.retry_after if isinstance(error, DeliveryError) else None
    jitter = context.random.random()
    return destination_retry(destination.failures + 1, now, retry_after=retry_after, jitter=jitter)


def _unknown_settlements(context: Services, batch: ClaimedBatch) -> list[Settlement]:
    """For each claimed row, a settlement with an unknown outcome."""
    now, jitter = context.now(), context.random.random()
    return [
        build_settlement(claim, batch.plans.get(ref), None, now, jitter)
        for ref, claim in batch.claims.items()
    ]


def _release(
    connection: Connection,
    destination: Destination,
    batch: ClaimedBatch,
    settlements: Sequence[Settlement],
    now: datetime,
) -> None:
    released = states.release_rows(connection, destination.id, batch.lease, now)
    _repush_late_rows(connection, destination, batch, settlements, released, now)


def safe_message(error: Exception) -> str:
    """Our errors are written to be shown; a library's text might hold an address (I12)."""
    if isinstance(error, DeliveryError | UnsupportedByDestination):
        return str(error)
    return f"the connector failed on the tool's response ({type(error).__name__})"
