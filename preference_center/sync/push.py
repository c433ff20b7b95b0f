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

from preference_center.destinations.leases import LEASE, Lease
from preference_center.domain.deadlines import PROBE_EVERY, destination_retry
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.contract import Outcome
from preference_center.domain.sync.destination import Destination, Status
from preference_center.domain.sync.outcomes import settlement, verify_after
from preference_center.domain.sync.plan import Plan, plan, topics_by_channel, without_lifts_before
from preference_center.domain.sync.push_concurrency import SLOW, SLOW_FOR, may_begin
from preference_center.domain.sync.state import BEGINNING, Claim, Settlement, Since
from preference_center.extensions import Services, services
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    Gone,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import LeaseOver
from preference_center.integrations.base.rate_limit import Paced
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.ledger.addresses import readable
from preference_center.storage.ledger.suppression_lookup import NO_FACTS, facts_by_id
from preference_center.storage.sync import active_pushes, destinations, reported_opt_outs, states

log = structlog.get_logger()

ECHO = timedelta(seconds=60)
"""How long after its lease a request may still take effect in a slow tool."""

Connect = Callable[[Destination, Lease], Connector]
"""Makes a destination's connector; the hook says whether the lease allows a request."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed rows and what each of them asks for."""

    lease: UUID
    ends_at: datetime
    claims: Mapping[int, Claim]
    plans: Mapping[int, Plan]
    """Rows whose address can't be read any more have none."""
    then: Since | None
    """Where the next claim begins, if more may be due: see `_next`."""


def sync(
    destination_id: int,
    connect: Connect,
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
    since: Since | None = BEGINNING
    while since and not stop() and context.now() < until:
        destination = run_at_once(lambda c: destinations.by_id(c, context.keys, destination_id))
        if destination is None or not _may_knock(destination, context.now()):
            break
        if fresh and destination.is_slow(context.now()):
            context.queue.enqueue(destination_id, slot=0)
            break
        count, since = _sync_batch(context, destination, connect, since, fresh=fresh)
        total += count
    return total


def _may_knock(destination: Destination, now: datetime) -> bool:
    closed = destination.retry_at is None or destination.retry_at <= now
    return destination.status is Status.ACTIVE and closed


def _sync_batch(
    context: Services, destination: Destination, connect: Connect, since: Since, *, fresh: bool
) -> tuple[int, Since | None]:
    """How many rows were settled, and where to go on; None to stop."""
    lease, ends_at = context.new_id(), context.now() + LEASE
    connector = connect(destination, Lease(ends_at, context.now))
    batch = run(
        lambda c: _claim(c, context, destination, connector, lease, ends_at, since, fresh=fresh)
    )
    if not batch.claims:
        return 0, batch.then
    began = context.now()
    try:
        return _push(context, destination, connector, batch)
    finally:
        now = context.now()
        slow_until = now + SLOW_FOR if now > began + SLOW else None
        run_at_once(lambda c: active_pushes.end(c, lease, slow_until))


def _push(
    context: Services, destination: Destination, connector: Connector, batch: Batch
) -> tuple[int, Since | None]:
    """Tell the tool, and settle; as `_sync_batch`."""
    items = [p.item for p in batch.plans.values() if not p.is_empty]
    lifts = [item.ref for item in items if item.lift]
    if lifts:
        until = batch.ends_at + ECHO
        run_at_once(lambda c: states.announce_lifts(c, destination.id, batch.lease, lifts, until))
    try:
        outcomes = connector.push(items) if items else {}
    except LeaseOver:
        rows = _unanswered(context, batch)
        run(lambda c: _give_back(c, destination, batch, rows, context.now()))
        return 0, None
    except Paced as error:
        _wait(context, destination, batch.lease, error)
        return 0, None
    except Exception as error:  # noqa: BLE001 - whatever a tool's answer did to the connector
        _fail(context, destination, batch, error)
        return 0, None
    settle(context, destination, connector.capabilities, batch, outcomes)
    return len(batch.claims), batch.then


def _claim(
    connection: Connection,
    context: Services,
    destination: Destination,
    connector: Connector,
    lease: UUID,
    ends_at: datetime,
    since: Since,
    *,
    fresh: bool,
) -> Batch:
    """Claim due rows and read what their addresses should be like now.

    None where as much as may be is under way with this tool already: see `may_begin`.
    """
    capabilities = connector.capabilities
    now = context.now()
    began_at = active_pushes.under_way(connection, destination.id, now)
    if not may_begin(began_at, now, slow=destination.is_slow(now), fresh=fresh):
        return Batch(lease, ends_at, {}, {}, then=None)
    # One poisoned row must not hold the rest: see `Destination.failures`.
    limit = max(1, capabilities.batch_size >> destination.failures)
    claims = states.claim(
        connection,
        destination.id,
        lease,
        now=now,
        until=ends_at,
        limit=limit,
        lists=destination.pulled_at is not None
        and not fresh
        and not capabilities.backfills_by_scan,
        since=since,
    )
    if claims:
        active_pushes.begin(connection, destination.id, lease, now, ends_at)
    plans = planned(connection, context, destination, capabilities, lease, claims)
    is_full = fresh or len(claims) >= limit - limit // 10
    then = _next(claims, since, is_full=is_full)
    return Batch(lease, ends_at, {claim.address_id: claim for claim in claims}, plans, then)


def planned(
    connection: Connection,
    context: Services,
    destination: Destination,
    capabilities: Capabilities,
    lease: UUID,
    claims: Sequence[Claim],
) -> dict[int, Plan]:
    """What claimed rows ask for, by address id; that it may be turned off there is noted."""
    now = context.now()
    ids = [claim.address_id for claim in claims]
    addresses = readable(connection, context.keys, ids)
    facts = facts_by_id(connection, ids)
    topics = topics_by_channel(destination, current_catalogue()) if claims else {}
    plans = {
        claim.address_id: plan(
            claim,
            addresses[claim.address_id],
            facts.get(claim.address_id, NO_FACTS),
            topics.get(addresses[claim.address_id][0], frozenset()),
            now,
            can_lift=capabilities.can_lift,
        )
        for claim in claims
        if claim.address_id in addresses
    }
    lifting = [ref for ref, planned in plans.items() if planned.item.lift]
    if lifting:
        reported = reported_opt_outs.of(connection, destination.name, lifting)
        for ref, what in reported.items():
            plans[ref] = without_lifts_before(plans[ref], what)
    to_note = {
        claim.address_id: off
        for claim in claims
        if claim.address_id in plans
        and (off := plans[claim.address_id].item.off - frozenset(claim.told))
    }
    if to_note:
        states.announce_noes(connection, destination.id, lease, to_note)
    return plans


def _next(claims: Sequence[Claim], since: Since, *, is_full: bool) -> Since | None:
    """Where the claim after this one begins; None if nothing that is due may be left.

    `is_full`: whether it was, or one lane's part of it may have been (see `syncs.claim`). In the
    fresh lane any claim counts as full: a click meanwhile found this push under way. A job
    ends with a claim from the beginning, for what came due behind it.
    """
    if claims and is_full:
        return claims[0].reached
    return None if since == BEGINNING else BEGINNING


def settle(
    context: Services,
    destination: Destination,
    capabilities: Capabilities,
    batch: Batch,
    outcomes: Mapping[int, Outcome],
    beside: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Write down what came of a batch; `beside` is done in the same transaction."""
    now, random = context.now(), context.random.random
    settlements = []
    for ref, claim in batch.claims.items():
        row = settlement(claim, batch.plans.get(ref), outcomes.get(ref), now, random())
        settlements.append(replace(row, verify_after=verify_after(row, capabilities)))

    def work(connection: Connection) -> int:
        kept = states.settle(connection, destination.id, batch.lease, settlements, now=now)
        late = _overrule(connection, destination, batch, settlements, kept, now)
        beside(connection)
        if destination.failures or destination.retry_at:
            destinations.closed(connection, destination.id)
        return late

    late = run(work)
    log.info("synced", destination=destination.id, rows=len(settlements), late=late)


def _overrule(
    connection: Connection,
    destination: Destination,
    batch: Batch,
    rows: Sequence[Settlement],
    kept: Collection[int],
    now: datetime,
) -> int:
    """Have pushed anew what was told of rows that are another worker's by now; how many.

    What was sent while the lease held may act after it, and nobody may ever hear that it did.
    """
    spoke = {ref for ref, p in batch.plans.items() if not p.is_empty}
    late = [row for row in rows if row.address_id in spoke.difference(kept)]
    if late:
        states.push_again(connection, destination.id, late, now)
    return len(late)


def _wait(context: Services, destination: Destination, lease: UUID, error: Paced) -> None:
    """The rate limit is used up: leave everything as it was until there is room."""
    now = context.now()
    room_at = now + min(error.retry_after or timedelta(0), PROBE_EVERY)

    def work(connection: Connection) -> None:
        states.release(connection, destination.id, lease, room_at)
        destinations.held(connection, destination.id, str(error), room_at)

    run(work)


def _fail(context: Services, destination: Destination, batch: Batch, error: Exception) -> None:
    """The push failed as a whole: open the circuit, and leave the rows as they were (I3).

    Only a row that failed alone is put off, so that the next probe is of another.
    """
    now, rows = context.now(), _unanswered(context, batch)
    log.warning("push_failed", destination=destination.id, error=type(error).__name__)

    def work(connection: Connection) -> None:
        if isinstance(error, Gone):
            destinations.set_status(connection, destination.id, Status.PAUSED, str(error))
        else:
            retry_at = _retry_at(context, destination, error, now)
            destinations.opened(connection, destination.id, _reason(error), retry_at)
        if len(rows) == 1:
            kept = states.settle(connection, destination.id, batch.lease, rows, now=now)
            _overrule(connection, destination, batch, rows, kept, now)
        else:
            _give_back(connection, destination, batch, rows, now)

    run(work)


def _retry_at(
    context: Services, destination: Destination, error: Exception, now: datetime
) -> datetime:
    if isinstance(error, UnsupportedByDestination) or getattr(error, "permanent", False):
        return now + PROBE_EVERY
    wish = error.retry_after if isinstance(error, DeliveryError) else None
    jitter = context.random.random()
    return destination_retry(destination.failures + 1, now, wish=wish, jitter=jitter)


def _unanswered(context: Services, batch: Batch) -> list[Settlement]:
    """Of each claimed row, that nobody knows what came of it."""
    now, jitter = context.now(), context.random.random()
    return [
        settlement(claim, batch.plans.get(ref), None, now, jitter)
        for ref, claim in batch.claims.items()
    ]


def _give_back(
    connection: Connection,
    destination: Destination,
    batch: Batch,
    rows: Sequence[Settlement],
    now: datetime,
) -> None:
    kept = states.release(connection, destination.id, batch.lease, now)
    _overrule(connection, destination, batch, rows, kept, now)


def _reason(error: Exception) -> str:
    """Ours are written to be shown; a foreign error's text might hold an address (I12)."""
    if isinstance(error, DeliveryError | UnsupportedByDestination):
        return str(error)
    return f"the connector failed on the tool's answer ({type(error).__name__})"
