"""`claim_batch` claims due rows of a destination, and plans what each of them needs pushed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.rules.plan import (
    PushPlan,
    bulk_share,
    can_start_push,
    claim_limit,
    drop_overtaken_lifts,
    hold_lifts,
    includes_bulk_lane,
    next_position,
    plan_push,
    topics_by_channel,
)
from preference_center.destinations.rules.states import (
    Destination,
    LanePosition,
    PlannedRow,
    SyncClaim,
)
from preference_center.destinations.store import deliveries, destinations, states
from preference_center.destinations.validate import topics_with_frequency
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.integrations.base.contract import Capabilities
from preference_center.ledger.history_loss import is_loss_open
from preference_center.ledger.store.addresses import load_pushable
from preference_center.ledger.store.events import load_ended_choices
from preference_center.ledger.store.lookup import NO_SCOPE_FACTS, load_facts_by_id


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What one worker is to claim: rows of `destination` that are due at `now`.

    `ends_at` is when the lease ends; `position` is where the search begins. `fresh`: only the
    lane of what people did themselves.
    """

    destination: Destination
    capabilities: Capabilities
    lease: UUID
    now: datetime
    ends_at: datetime
    position: LanePosition
    fresh: bool


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """Claimed rows and what each of them needs pushed."""

    lease: UUID
    ends_at: datetime
    claims: Mapping[int, SyncClaim]
    plans: Mapping[int, PushPlan]
    """By address id. Rows whose address can't be read any more have none."""
    next_position: LanePosition | None
    """Where the next claim begins; None if nothing that is due may be left."""


def claim_batch(connection: Connection, request: ClaimRequest) -> ClaimedBatch:
    """Claim due rows and plan the state that their addresses should have now.

    No rows where no further push to this destination may start: see `can_start_push`.
    """
    lease, ends_at = request.lease, request.ends_at
    if not _can_start(connection, request):
        return ClaimedBatch(lease, ends_at, {}, {}, next_position=None)
    limit = claim_limit(request.destination, request.capabilities)
    includes_bulk = includes_bulk_lane(
        request.destination, request.capabilities, is_fresh_lane=request.fresh
    )
    share = bulk_share(limit, services().random.random()) if includes_bulk else None
    claims = _claim_rows(connection, request, limit, share)
    plans = plan_claims(
        connection, request.destination, request.capabilities, lease, claims, request.now
    )
    position = next_position(claims, request.position, limit, share, is_fresh_lane=request.fresh)
    return ClaimedBatch(
        lease, ends_at, {claim.address_id: claim for claim in claims}, plans, position
    )


def _can_start(connection: Connection, request: ClaimRequest) -> bool:
    destination, now, fresh = request.destination, request.now, request.fresh
    started_at = destinations.list_push_starts(connection, destination.id, now, lock=fresh)
    return can_start_push(started_at, now, is_slow=destination.is_slow(now), is_fresh_lane=fresh)


def _claim_rows(
    connection: Connection, request: ClaimRequest, limit: int, share: int | None
) -> list[SyncClaim]:
    """Claim up to `limit` rows, and register the push if there are any."""
    destination, now = request.destination, request.now
    claims = states.claim_rows(
        connection,
        destination.id,
        request.lease,
        now=now,
        until=request.ends_at,
        limit=limit,
        bulk_share=share,
        since=request.position,
    )
    if claims:
        destinations.insert_push(connection, destination.id, request.lease, now, request.ends_at)
    return claims


def plan_claims(
    connection: Connection,
    destination: Destination,
    capabilities: Capabilities,
    lease: UUID,
    claims: Sequence[SyncClaim],
    now: datetime,
) -> dict[int, PushPlan]:
    """What each claimed row needs pushed, by address id.

    Records the topics that the push may turn off, so that they can be lifted even if its
    response is lost. While the database lacks events that it had, lifts are held.
    """
    plans = plan_current_state(connection, destination, capabilities, claims, now)
    _drop_overtaken_lifts(connection, destination, plans)
    _hold_lifts_after_loss(connection, plans, now)
    pending_opt_outs = {
        claim.address_id: off
        for claim in claims
        if claim.address_id in plans
        and (off := plans[claim.address_id].item.off - frozenset(claim.turned_off))
    }
    if pending_opt_outs:
        states.record_pending_opt_outs(connection, destination.id, lease, pending_opt_outs)
    return plans


def plan_current_state(
    connection: Connection,
    destination: Destination,
    capabilities: Capabilities,
    rows: Collection[PlannedRow],
    now: datetime,
) -> dict[int, PushPlan]:
    """What the tool should hold of each row now, by address id; none of an unreadable address.

    It is what a push sends, but for lifts that the tool's own report overtook, and what reading
    back expects.
    """
    if not rows:
        return {}
    ids = [row.address_id for row in rows]
    addresses = load_pushable(connection, services().keys, ids, destination.id)
    facts = load_facts_by_id(connection, ids)
    catalogue = current_catalogue()
    topics = topics_by_channel(destination, catalogue)
    held = {each: topics_with_frequency(destination, capabilities, each) for each in Channel}
    ended = load_ended_choices(connection, ids) if any(held.values()) else {}
    return {
        row.address_id: plan_push(
            row,
            address,
            facts.get(row.address_id, NO_SCOPE_FACTS),
            topics.get(address[0], frozenset()),
            now,
            catalogue,
            held[address[0]],
            ended_choices=ended.get(row.address_id, ()),
            can_lift=capabilities.can_lift,
        )
        for row in rows
        if (address := addresses.get(row.address_id))
    }


def _drop_overtaken_lifts(
    connection: Connection, destination: Destination, plans: dict[int, PushPlan]
) -> None:
    """Drop from `plans` the lifts that an opt-out reported by the destination overtook (I5)."""
    lifting = [ref for ref, plan in plans.items() if plan.item.lift]
    if not lifting:
        return
    reported = deliveries.load_reported_opt_outs(connection, destination.name, lifting)
    for ref, opt_outs in reported.items():
        plans[ref] = drop_overtaken_lifts(plans[ref], opt_outs)


def _hold_lifts_after_loss(
    connection: Connection, plans: dict[int, PushPlan], now: datetime
) -> None:
    """Hold the lifts of `plans` while events are missing: a later opt-out may be one (I5)."""
    lifting = [ref for ref, plan in plans.items() if plan.item.lift]
    if lifting and is_loss_open(connection):
        for ref in lifting:
            plans[ref] = hold_lifts(plans[ref], now)
