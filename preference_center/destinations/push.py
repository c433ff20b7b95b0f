"""Bring one destination to the latest state: claim, push, settle.

Level-triggered: what is pushed is the current state, so retries and duplicates do no harm.
A worker that dies loses its lease and no more. One that freezes and sends a request late finds
its lease gone when it settles, and has its addresses pushed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from preference_center.destinations import frequencies
from preference_center.destinations.claim import ClaimedBatch, ClaimRequest, claim_batch
from preference_center.destinations.destinations_connect import ConnectorFactory
from preference_center.destinations.leases import LEASE_DURATION, Lease
from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.rules.push_concurrency import (
    SLOW_PUSH_DURATION,
    SLOW_STATUS_DURATION,
)
from preference_center.destinations.rules.state import LANE_BEGINNING, LanePosition
from preference_center.destinations.settle import (
    record_failure,
    release_batch,
    settle_batch,
    wait_for_rate_limit,
)
from preference_center.destinations.store import active_pushes, destinations, states
from preference_center.infra import metrics
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.infra.metrics import PushFailure
from preference_center.infra.telemetry import span
from preference_center.integrations.base.contract import Connector
from preference_center.integrations.base.http import LeaseExpired, RateLimited

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
        run_autocommit(lambda c: active_pushes.finish_push(c, lease, slow_until))


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
            outcomes = frequencies.push(destination, connector, items)
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
    return len(batch.claims), batch.next_position
