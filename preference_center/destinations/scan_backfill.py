"""At a tool that is slow address by address, a scan also backfills lists (I3).

A page shows contacts and what is off for them, so one request serves a thousand addresses where a
push would take two each. Rows of a page are settled, put into a job of the tool, or left to be
pushed one by one; an address on no page of a whole pass is absent (decision 49).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from preference_center.destinations.claim import ClaimedBatch, plan_claims
from preference_center.destinations.ingest import group_by_address
from preference_center.destinations.push import settle_batch
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import backfills, verification
from preference_center.destinations.store import states as syncs
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    Connector,
    ContactSnapshot,
    PushOutcome,
    PushResult,
    SupportsScanBackfill,
)

ROWS_PER_TRANSACTION = 10_000
"""Rows settled in one transaction when a pass has ended."""


NEXT_PASS_DELAY = timedelta(minutes=5)
"""When the next pass begins at the earliest, if rows still wait for one."""


RECHECK_DELAY = timedelta(minutes=30)


def can_backfill_by_scan(
    destination: Destination, connector: Connector, started_at: datetime | None
) -> bool:
    """Whether a pass of that start may backfill: the tool's own opt-outs must be read before."""
    pulled_at = destination.pulled_at
    return (
        connector.capabilities.backfills_by_scan
        and pulled_at is not None
        and started_at is not None
        and pulled_at <= started_at
    )


def backfill_page(
    destination: Destination,
    connector: Connector,
    contacts: Sequence[ContactSnapshot],
    lease: UUID,
    ends_at: datetime,
) -> None:
    """Settle or push the rows of lists that are on this page.

    Raises what the connector raises: then the page must be read again.
    """
    context = services()
    contacts_by_address, _ = group_by_address(contacts)
    now = context.now()
    states = run_autocommit(
        lambda c: verification.load_states_by_digest(
            c, destination.id, list(contacts_by_address), now
        )
    )
    shown = {
        state.address_id: contacts_by_address[key].snapshot
        for key, state in states.items()
        if state.push_pending
    }
    if not shown:
        return

    def claim(connection: Connection) -> ClaimedBatch:
        claims = backfills.claim_bulk_rows(
            connection, destination.id, lease, list(shown), now=now, until=ends_at
        )
        plans = plan_claims(connection, destination, connector.capabilities, lease, claims, now)
        return ClaimedBatch(lease, ends_at, {c.address_id: c for c in claims}, plans, None)

    batch = run_in_transaction(claim)
    if not batch.claims:
        return
    items = [
        (p.item, each)
        for ref, p in batch.plans.items()
        if not p.is_empty and not p.item.frequencies and (each := shown[ref]) is not None
    ]
    try:
        outcomes = dict(
            cast("SupportsScanBackfill", connector).push_scanned(items) if items else {}
        )
    except Exception:  # whatever it is: without the lease the rows wait for the next pass
        run_in_transaction(lambda c: syncs.release_rows(c, destination.id, lease, now))
        raise
    # A field of the contact is written by a push.
    waiting = [ref for ref, plan in batch.plans.items() if plan.item.frequencies]
    outcomes |= dict.fromkeys(waiting, PushOutcome(PushResult.RETRY_LATER))
    # A later pass verifies them: reading back each one is too slow.
    capabilities = replace(connector.capabilities, can_read=False)
    to_push = [ref for ref, outcome in outcomes.items() if outcome.is_open]
    settle_batch(
        destination,
        capabilities,
        batch,
        outcomes,
        lambda connection: backfills.move_to_live_lane(connection, destination.id, to_push),
    )


def finish_pass(destination: Destination, started_at: datetime) -> None:
    """Settle as absent the rows that waited when a whole pass began and were on no page of it."""
    creates = destination.settings.get(CREATE_CONTACTS) == "yes"
    done = ROWS_PER_TRANSACTION
    while done == ROWS_PER_TRANSACTION:
        done = run_in_transaction(
            lambda c: _settle_unseen_rows(c, destination.id, started_at, creates_contacts=creates)
        )


def _settle_unseen_rows(
    connection: Connection, destination_id: int, started_at: datetime, *, creates_contacts: bool
) -> int:
    if creates_contacts:
        return backfills.move_unseen_to_live_lane(
            connection, destination_id, started_at, ROWS_PER_TRANSACTION
        )
    now = services().now()
    return backfills.settle_unseen_as_absent(
        connection, destination_id, started_at, ROWS_PER_TRANSACTION, now
    )


def next_pass_at(destination: Destination, now: datetime) -> datetime | None:
    """When the next pass is to begin because of lists; None if no rows wait."""
    return run_autocommit(lambda c: _next_backfill_at(c, destination.id, now))


def _next_backfill_at(
    connection: Connection, destination_id: int, now: datetime
) -> datetime | None:
    if backfills.has_due_bulk_rows(connection, destination_id, now):
        return now + NEXT_PASS_DELAY
    return (
        now + RECHECK_DELAY
        if backfills.has_deferred_rows(connection, destination_id, now)
        else None
    )
