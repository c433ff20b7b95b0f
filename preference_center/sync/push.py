"""Bring one destination to the latest state: claim, push, settle.

Level-triggered: what is pushed is the state of now, so retries and duplicates do no harm.
A worker that dies loses its lease and no more. One that freezes and speaks late finds its
lease gone when it settles, and has its addresses pushed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from preference_center.destinations.leases import LEASE_DURATION, Lease
from preference_center.domain.deadlines import PROBE_INTERVAL, destination_retry
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.contract import PushOutcome
from preference_center.domain.sync.destination import Destination, DestinationStatus
from preference_center.domain.sync.outcomes import build_settlement, verify_delay
from preference_center.domain.sync.plan import (
    PushPlan,
    drop_overtaken_lifts,
    plan_push,
    topics_by_channel,
)
from preference_center.domain.sync.push_concurrency import (
    SLOW_PUSH_DURATION,
    SLOW_STATUS_DURATION,
    can_start_push,
)
from preference_center.domain.sync.state import LANE_BEGINNING, LanePosition, Settlement, SyncClaim
from preference_center.extensions import Services, services
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    EndpointGone,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import LeaseExpired
from preference_center.integrations.base.rate_limit import RateLimited
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_autocommit, run_in_transaction
from preference_center.storage.ledger.addresses import load_readable
from preference_center.storage.ledger.suppression_lookup import NO_SCOPE_FACTS, load_facts_by_id
from preference_center.storage.sync import active_pushes, destinations, reported_opt_outs, states

log = structlog.get_logger()

LATE_EFFECT_WINDOW = timedelta(seconds=60)
"""How long after its lease a request may still take effect in a slow tool."""

ConnectorFactory = Callable[[Destination, Lease], Connector]
"""Makes a destination's connector; the hook says whether the lease allows a request."""


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """Claimed rows and what each of them asks for."""

    lease: UUID
    ends_at: datetime
    claims: Mapping[int, SyncClaim]
    plans: Mapping[int, PushPlan]
    """Rows whose address can't be read any more have none."""
    next_position: LanePosition | None
    """Where the next claim begins, if more may be due: see `_next`."""


def sync(
    destination_id: int,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
    fresh: bool = False,
) -> int:
    """Sync one destination batch by batch until nothing is due; how many rows were settled.

    Starts no batch at or after `until`, nor once `stop()` says so. `fresh`: only what people
    did, and only while the tool answers quickly; a slow one is left to a job that may
    keep its worker (I3).
    """
    context, total = services(), 0
    since: LanePosition | None = LANE_BEGINNING
    while since and not stop() and context.now() < until:
        destination = run_autocommit(
            lambda c: destinations.find_by_id(c, context.keys, destination_id)
        )
        if destination is None or not _may_push(destination, context.now()):
            break
        if fresh and destination.is_slow(context.now()):
            context.queue.enqueue_sync(destination_id, slot=0)
            break
        count, since = _sync_batch(context, destination, connect, since, fresh=fresh)
        total += count
    return total


def _may_push(destination: Destination, now: datetime) -> bool:
    closed = destination.retry_at is None or destination.retry_at <= now
    return destination.status is DestinationStatus.ACTIVE and closed


def _sync_batch(
    context: Services,
    destination: Destination,
    connect: ConnectorFactory,
    position: LanePosition,
    *,
    fresh: bool,
) -> tuple[int, LanePosition | None]:
    """How many rows were settled, and where to go on; None to stop."""
    lease, ends_at = context.new_id(), context.now() + LEASE_DURATION
    connector = connect(destination, Lease(ends_at, context.now))
    batch = run_in_transaction(
        lambda c: _claim(c, context, destination, connector, lease, ends_at, position, fresh=fresh)
    )
    if not batch.claims:
        return 0, batch.next_position
    began = context.now()
    try:
        return _push(context, destination, connector, batch)
    finally:
        now = context.now()
        slow_until = now + SLOW_STATUS_DURATION if now > began + SLOW_PUSH_DURATION else None
        run_autocommit(lambda c: active_pushes.finish_push(c, lease, slow_until))


def _push(
    context: Services, destination: Destination, connector: Connector, batch: ClaimedBatch
) -> tuple[int, LanePosition | None]:
    """Tell the tool, and settle; as `_sync_batch`."""
    items = [p.item for p in batch.plans.values() if not p.is_empty]
    lifts = [item.ref for item in items if item.lift]
    if lifts:
        until = batch.ends_at + LATE_EFFECT_WINDOW
        run_autocommit(
            lambda c: states.record_pending_lifts(c, destination.id, batch.lease, lifts, until)
        )
    try:
        outcomes = connector.push(items) if items else {}
    except LeaseExpired:
        rows = _unknown_settlements(context, batch)
        run_in_transaction(lambda c: _release(c, destination, batch, rows, context.now()))
        return 0, None
    except RateLimited as error:
        _wait_for_rate_limit(context, destination, batch.lease, error)
        return 0, None
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        _record_failure(context, destination, batch, error)
        return 0, None
    settle_batch(context, destination, connector.capabilities, batch, outcomes)
    return len(batch.claims), batch.next_position


def _claim(
    connection: Connection,
    context: Services,
    destination: Destination,
    connector: Connector,
    lease: UUID,
    ends_at: datetime,
    position: LanePosition,
    *,
    fresh: bool,
) -> ClaimedBatch:
    """Claim due rows and read what their addresses should be like now.

    None where as much as may be is under way with this tool already: see `may_begin`.
    """
    capabilities = connector.capabilities
    now = context.now()
    began_at = active_pushes.list_push_starts(connection, destination.id, now)
    if not can_start_push(began_at, now, is_slow=destination.is_slow(now), is_fresh_lane=fresh):
        return ClaimedBatch(lease, ends_at, {}, {}, next_position=None)
    # One poisoned row must not hold the rest: see `Destination.failures`.
    limit = max(1, capabilities.batch_size >> destination.failures)
    claims = states.claim_rows(
        connection,
        destination.id,
        lease,
        now=now,
        until=ends_at,
        limit=limit,
        include_bulk=destination.pulled_at is not None
        and not fresh
        and not capabilities.backfills_by_scan,
        since=position,
    )
    if claims:
        active_pushes.insert_push(connection, destination.id, lease, now, ends_at)
    plans = plan_claims(connection, context, destination, capabilities, lease, claims)
    is_full = fresh or len(claims) >= limit - limit // 10
    then = _next_position(claims, position, is_full=is_full)
    return ClaimedBatch(lease, ends_at, {claim.address_id: claim for claim in claims}, plans, then)


def plan_claims(
    connection: Connection,
    context: Services,
    destination: Destination,
    capabilities: Capabilities,
    lease: UUID,
    claims: Sequence[SyncClaim],
) -> dict[int, PushPlan]:
    """What claimed rows ask for, by address id; that it may be turned off there is noted."""
    now = context.now()
    ids = [claim.address_id for claim in claims]
    addresses = load_readable(connection, context.keys, ids)
    facts = load_facts_by_id(connection, ids)
    topics = topics_by_channel(destination, current_catalogue()) if claims else {}
    plans = {
        claim.address_id: plan_push(
            claim,
            addresses[claim.address_id],
            facts.get(claim.address_id, NO_SCOPE_FACTS),
            topics.get(addresses[claim.address_id][0], frozenset()),
            now,
            can_lift=capabilities.can_lift,
        )
        for claim in claims
        if claim.address_id in addresses
    }
    lifting = [ref for ref, planned in plans.items() if planned.item.lift]
    if lifting:
        reported = reported_opt_outs.load_reported_opt_outs(connection, destination.name, lifting)
        for ref, what in reported.items():
            plans[ref] = drop_overtaken_lifts(plans[ref], what)
    to_note = {
        claim.address_id: off
        for claim in claims
        if claim.address_id in plans
        and (off := plans[claim.address_id].item.off - frozenset(claim.turned_off))
    }
    if to_note:
        states.record_pending_opt_outs(connection, destination.id, lease, to_note)
    return plans


def _next_position(
    claims: Sequence[SyncClaim], position: LanePosition, *, is_full: bool
) -> LanePosition | None:
    """Where the claim after this one begins; None if nothing that is due may be left.

    `is_full`: whether it was, or one lane's part of it may have been (see `syncs.claim`). In the
    fresh lane any claim counts as full: a click meanwhile found this push under way. A job
    ends with a claim from the beginning, for what came due behind it.
    """
    if claims and is_full:
        return claims[0].next_position
    return None if position == LANE_BEGINNING else LANE_BEGINNING


def settle_batch(
    context: Services,
    destination: Destination,
    capabilities: Capabilities,
    batch: ClaimedBatch,
    outcomes: Mapping[int, PushOutcome],
    in_transaction: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Write down what came of a batch; `beside` is done in the same transaction."""
    now, random = context.now(), context.random.random
    settlements = []
    for ref, claim in batch.claims.items():
        row = build_settlement(claim, batch.plans.get(ref), outcomes.get(ref), now, random())
        settlements.append(replace(row, verify_after=verify_delay(row, capabilities)))

    def write(connection: Connection) -> int:
        kept = states.settle_rows(connection, destination.id, batch.lease, settlements, now=now)
        late = _repush_late_rows(connection, destination, batch, settlements, kept, now)
        in_transaction(connection)
        if destination.failures or destination.retry_at:
            destinations.close_circuit(connection, destination.id)
        return late

    late = run_in_transaction(write)
    log.info("synced", destination=destination.id, rows=len(settlements), late=late)


def _repush_late_rows(
    connection: Connection,
    destination: Destination,
    batch: ClaimedBatch,
    settlements: Sequence[Settlement],
    settled_ids: Collection[int],
    now: datetime,
) -> int:
    """Have pushed anew what was told of rows that are another worker's by now; how many.

    What was sent while the lease held may act after it, and nobody may ever hear that it did.
    """
    spoke = {ref for ref, p in batch.plans.items() if not p.is_empty}
    late = [row for row in settlements if row.address_id in spoke.difference(settled_ids)]
    if late:
        states.requeue_stale(connection, destination.id, late, now)
    return len(late)


def _wait_for_rate_limit(
    context: Services, destination: Destination, lease: UUID, error: RateLimited
) -> None:
    """The rate limit is used up: leave everything as it was until there is room."""
    now = context.now()
    room_at = now + min(error.retry_after or timedelta(0), PROBE_INTERVAL)

    def write(connection: Connection) -> None:
        states.release_rows(connection, destination.id, lease, room_at)
        destinations.defer(connection, destination.id, str(error), room_at)

    run_in_transaction(write)


def _record_failure(
    context: Services, destination: Destination, batch: ClaimedBatch, error: Exception
) -> None:
    """The push failed as a whole: open the circuit, and leave the rows as they were (I3).

    Only a row that failed alone is put off, so that the next probe is of another.
    """
    now, rows = context.now(), _unknown_settlements(context, batch)
    log.warning("push_failed", destination=destination.id, error=type(error).__name__)

    def write(connection: Connection) -> None:
        if isinstance(error, EndpointGone):
            destinations.set_status(
                connection, destination.id, DestinationStatus.PAUSED, str(error)
            )
        else:
            retry_at = _retry_at(context, destination, error, now)
            destinations.open_circuit(connection, destination.id, _safe_message(error), retry_at)
        if len(rows) == 1:
            kept = states.settle_rows(connection, destination.id, batch.lease, rows, now=now)
            _repush_late_rows(connection, destination, batch, rows, kept, now)
        else:
            _release(connection, destination, batch, rows, now)

    run_in_transaction(write)


def _retry_at(
    context: Services, destination: Destination, error: Exception, now: datetime
) -> datetime:
    if isinstance(error, UnsupportedByDestination) or getattr(error, "permanent", False):
        return now + PROBE_INTERVAL
    wish = error.retry_after if isinstance(error, DeliveryError) else None
    jitter = context.random.random()
    return destination_retry(destination.failures + 1, now, retry_after=wish, jitter=jitter)


def _unknown_settlements(context: Services, batch: ClaimedBatch) -> list[Settlement]:
    """Of each claimed row, that nobody knows what came of it."""
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
    kept = states.release_rows(connection, destination.id, batch.lease, now)
    _repush_late_rows(connection, destination, batch, settlements, kept, now)


def _safe_message(error: Exception) -> str:
    """Ours are written to be shown; a foreign error's text might hold an address (I12)."""
    if isinstance(error, DeliveryError | UnsupportedByDestination):
        return str(error)
    return f"the connector failed on the tool's answer ({type(error).__name__})"
