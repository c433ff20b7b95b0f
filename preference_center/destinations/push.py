"""`sync` brings one destination to the latest state: claim, push, settle.

What is pushed is the current state, level-triggered, so retries and duplicates do no harm. A worker
that dies loses its lease and no more. One that freezes and sends a request late finds its lease
gone when it settles, and has its addresses pushed again. The outcome of a push settles its rows, or
leaves them for a later try (I3).

How often a person wants a topic is written into the fields of a tool's contacts, after the opt-outs
of the same push. What goes wrong with a field never delays or fails one of those (I3): it is tried
again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog

from preference_center.core.deadlines import PROBE_INTERVAL, destination_retry, slowed_retry
from preference_center.core.errors import PreferenceCenterError
from preference_center.destinations.claim import ClaimedBatch, ClaimRequest, claim_batch
from preference_center.destinations.connect import LEASE_DURATION, ConnectorFactory, Lease
from preference_center.destinations.rules.plan import (
    SLOW_PUSH_DURATION,
    SLOW_STATUS_DURATION,
    build_settlement,
    halvings,
    verify_delay,
)
from preference_center.destinations.rules.promise import count_reflected
from preference_center.destinations.rules.states import (
    LANE_BEGINNING,
    Destination,
    DestinationStatus,
    LanePosition,
    Settlement,
    Trouble,
)
from preference_center.destinations.store import deliveries, destinations, states
from preference_center.infra import metrics
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.metrics import PushFailure
from preference_center.infra.telemetry import span
from preference_center.integrations.base.contract import (
    Capabilities,
    Connector,
    DeliveryError,
    EndpointGone,
    FieldItem,
    LeaseExpired,
    PushItem,
    PushOutcome,
    PushResult,
    RateLimited,
    SupportsContactFields,
    TooManyRequests,
    UnsupportedByDestination,
    parse_frequency_fields,
)

log = structlog.get_logger()


def settle_batch(
    destination: Destination,
    capabilities: Capabilities,
    batch: ClaimedBatch,
    outcomes: Mapping[int, PushOutcome],
    in_transaction: Callable[[Connection], None] = lambda _: None,
) -> Sequence[Settlement]:
    """Store a batch's outcomes and return them, without the DEFERRED, which are as before.

    `in_transaction` is called in the same transaction.
    """
    now, random = services().now(), services().random.random
    settlements, deferred = [], []
    for ref, claim in batch.claims.items():
        if ref in outcomes and outcomes[ref].result is PushResult.DEFERRED:
            deferred.append(claim)
            continue
        row = build_settlement(claim, batch.plans.get(ref), outcomes.get(ref), now, random())
        settlements.append(replace(row, verify_after=verify_delay(row, capabilities)))

    def write(connection: Connection) -> int:
        settled = states.settle_rows(connection, destination.id, batch.lease, settlements, now=now)
        late = _repush_late_rows(connection, destination, batch, settlements, settled, now)
        if deferred:
            states.defer_rows(connection, destination.id, batch.lease, deferred, now)
        in_transaction(connection)
        if destination.failures or destination.retry_at:
            destinations.close_circuit(connection, destination.id, halvings(capabilities))
        done = {address for address, is_done in settled.items() if is_done}
        counts = count_reflected(batch.claims, settlements, done, now)
        deliveries.add_reflections(connection, destination.name, now, counts)
        return late

    late = run_in_transaction(write)
    log.info("synced", **destination.log_fields, rows=len(settlements), late=late)
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
        destinations.defer(connection, destination.id, str(error), retry_at, now)

    run_in_transaction(write)


def record_failure(destination: Destination, batch: ClaimedBatch, error: Exception) -> None:
    """The push failed as a whole: open the circuit, and leave the rows as they were (I3).

    Only a row that failed alone is deferred, so that the next probe is of another. A tool that
    takes no more requests for now is slow, and no row or batch is the cause.
    """
    context = services()
    now, rows = context.now(), _unknown_settlements(context, batch)
    slowed_since = destination.slowed_since(now) if isinstance(error, TooManyRequests) else None
    log_failure("push_slowed" if slowed_since else "push_failed", destination, error)

    def write(connection: Connection) -> None:
        if isinstance(error, EndpointGone):
            _pause_gone(connection, destination, error)
        elif slowed_since:
            _slow_down(context, connection, destination, error, slowed_since)
        else:
            retry_at = _retry_at(context, destination, error, now)
            destinations.open_circuit(
                connection,
                destination.id,
                safe_message(error),
                retry_at,
                Trouble.REFUSED if _is_permanent(error) else Trouble.FAILING,
                now,
            )
        if len(rows) == 1 and not slowed_since:
            settled = states.settle_rows(connection, destination.id, batch.lease, rows, now=now)
            _repush_late_rows(connection, destination, batch, rows, settled, now)
        else:
            _release(connection, destination, batch, rows, now)

    run_in_transaction(write)


def _pause_gone(connection: Connection, destination: Destination, error: EndpointGone) -> None:
    """Pause the destination, unless staff has changed its status or settings since the claim."""
    current = destinations.find_by_name(connection, services().keys, destination.name, lock=True)
    if current and (current.id, current.status, current.settings) == (
        destination.id,
        destination.status,
        destination.settings,
    ):
        destinations.set_status(connection, current.id, DestinationStatus.PAUSED, str(error))


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


def _slow_down(
    context: Services,
    connection: Connection,
    destination: Destination,
    error: Exception,
    since: datetime,
) -> None:
    now, retry_after = context.now(), getattr(error, "retry_after", None)
    jitter = context.random.random()
    retry_at = slowed_retry(since, now, retry_after=retry_after, jitter=jitter)
    destinations.defer(connection, destination.id, str(error), retry_at, now)


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, UnsupportedByDestination) or getattr(error, "permanent", False)


def _retry_at(
    context: Services, destination: Destination, error: Exception, now: datetime
) -> datetime:
    if _is_permanent(error):
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


def log_failure(event: str, destination: Destination, error: Exception, **fields: str) -> None:
    """Log that a request to this tool failed, and why."""
    kind, reason = type(error).__name__, safe_message(error)
    log.warning(event, **destination.log_fields, **fields, error=kind, reason=reason)


def safe_message(error: Exception) -> str:
    """Our errors are written to be shown; a library's text might hold an address (I12)."""
    if isinstance(error, DeliveryError | UnsupportedByDestination | PreferenceCenterError):
        return str(error)
    return f"the connector failed on the tool's response ({type(error).__name__})"


RETRY_INTERVAL = timedelta(minutes=15)
"""When a field of an address is tried again whose opt-outs the tool reflects."""


def push(
    destination: Destination, connector: Connector, items: Sequence[PushItem]
) -> dict[int, PushOutcome]:
    """Push `items`, and write the frequencies that a tool holds in fields.

    Returns and raises like `Connector.push`.
    """
    if connector.capabilities.pushes_frequency:
        return dict(connector.push(items))
    states = [item for item in items if item.off or item.lift]
    outcomes = dict(connector.push(states)) if states else {}
    for topic, field in parse_frequency_fields(destination.settings).items():
        chosen = [i for i in items if topic in i.frequencies and _can_write(i, outcomes)]
        if chosen:
            _write(destination, connector, field, topic, chosen, outcomes)
    return outcomes


def _can_write(item: PushItem, outcomes: Mapping[int, PushOutcome]) -> bool:
    """Whether what came before succeeded; a contact that isn't there has no field."""
    before = outcomes.get(item.ref)
    is_first = before is None and not (item.off or item.lift)
    return is_first or (before is not None and before.result is PushResult.REFLECTED)


def _write(
    destination: Destination,
    connector: Connector,
    field: str,
    topic: str,
    items: Sequence[PushItem],
    outcomes: dict[int, PushOutcome],
) -> None:
    values = [FieldItem(i.ref, i.address, i.channel, i.frequencies[topic]) for i in items]
    problem = "no response for this address"
    try:
        written = cast("SupportsContactFields", connector).write_field(field, values)
    except Exception as error:  # noqa: BLE001 - whatever it is, the opt-outs are settled
        log_failure("field_not_written", destination, error)
        written, problem = {}, safe_message(error)
    for item in items:
        found = written.get(item.ref, PushOutcome(PushResult.RETRY_LATER, problem))
        if item.off or item.lift:
            if found.result is PushResult.RETRY_LATER:
                before = outcomes[item.ref]
                outcomes[item.ref] = replace(before, retry_after=RETRY_INTERVAL)
        else:
            outcomes[item.ref] = found


LATE_EFFECT_WINDOW = timedelta(seconds=60)
"""How long after its lease a request may still take effect in a slow tool."""


def sync(
    destination_id: int,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
    fresh: bool = False,
) -> int:
    """Sync one destination batch by batch until nothing is due; how many rows were settled.

    Starts no batch at or after `until`, nor once `stop()` is true. `fresh`: only what people
    did themselves, and only while the tool responds quickly; a slow one is left to a job that
    may keep its worker (I3).
    """
    context, total = services(), 0
    position: LanePosition | None = LANE_BEGINNING
    while position and not stop() and context.now() < until:
        destination = run_autocommit(
            lambda c: destinations.find_by_id(c, context.keys, destination_id)
        )
        if destination is None or not destination.allows_requests(context.now()):
            break
        if fresh and destination.is_slow(context.now()):
            context.queue.enqueue_sync(destination_id, slot=0)
            break
        count, position = _sync_batch(destination, connect, position, fresh=fresh)
        total += count
    return total


def _sync_batch(
    destination: Destination, connect: ConnectorFactory, position: LanePosition, *, fresh: bool
) -> tuple[int, LanePosition | None]:
    """Push one batch. Returns how many rows were settled, and where to go on; None to stop."""
    context = services()
    lease, now = context.new_id(), context.now()
    ends_at = now + LEASE_DURATION
    connector = connect(destination, Lease(ends_at, context.now))
    request = ClaimRequest(
        destination, connector.capabilities, lease, now, ends_at, position, fresh
    )
    batch = run_in_transaction(lambda c: claim_batch(c, request))
    if not batch.claims:
        return 0, batch.next_position
    started_at = context.now()
    try:
        return _push(destination, connector, batch)
    finally:
        now = context.now()
        slow_until = now + SLOW_STATUS_DURATION if now > started_at + SLOW_PUSH_DURATION else None
        run_autocommit(lambda c: destinations.finish_push(c, lease, slow_until))


def _push(
    destination: Destination, connector: Connector, batch: ClaimedBatch
) -> tuple[int, LanePosition | None]:
    """Push a claimed batch and settle it; returns what `_sync_batch` does."""
    items = [plan.item for plan in batch.plans.values() if not plan.is_empty]
    lifts = [item.ref for item in items if item.lift]
    if lifts:
        until = batch.ends_at + LATE_EFFECT_WINDOW
        run_autocommit(
            lambda c: states.record_pending_lifts(c, destination.id, batch.lease, lifts, until)
        )
    began = time.monotonic()
    try:
        with span("push", destination=destination.name, rows=len(items)):
            outcomes = push(destination, connector, items)
    except LeaseExpired:
        metrics.count_push_failure(destination.name, PushFailure.LEASE_EXPIRED)
        release_batch(destination, batch)
        return 0, None
    except RateLimited as error:
        metrics.count_push_failure(destination.name, PushFailure.RATE_LIMITED)
        wait_for_rate_limit(destination, batch.lease, error)
        return 0, None
    except Exception as error:  # noqa: BLE001 - whatever a tool's response did to the connector
        metrics.count_push_failure(destination.name, PushFailure.FAILED)
        record_failure(destination, batch, error)
        return 0, None
    seconds = time.monotonic() - began
    rows = settle_batch(destination, connector.capabilities, batch, outcomes)
    metrics.observe_push(destination.name, seconds, rows)
    position = batch.next_position
    if rows and len(rows) < len(batch.claims):  # the rest was deferred: claim it at once
        position = position or LANE_BEGINNING
    return len(rows), position
