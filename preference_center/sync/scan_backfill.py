"""Lists at a tool that is slow by the address: each pass over its contacts brings them (I3).

A page shows who is there and what is off, so one request serves a thousand addresses where a
push would take two each. What a page shows is settled, put into a job of the tool, or left to
be pushed one by one; who was on no page of a whole pass is not there (decision 49).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from preference_center.domain.sync.contract import Result, Seen
from preference_center.domain.sync.destination import Destination
from preference_center.extensions import services
from preference_center.ingest.plan import by_address
from preference_center.integrations.base.contract import CREATE_CONTACTS, BackFillable, Connector
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.sync import list_states, verification
from preference_center.storage.sync import states as syncs
from preference_center.sync.push import Batch, planned, settle

ROWS_AT_ONCE = 10_000
"""Rows settled in one transaction when a pass has ended."""
SOON = timedelta(minutes=5)
"""When the next pass begins if rows still wait for one, at the earliest."""
CONFIRM_AFTER = timedelta(minutes=30)


def serves(destination: Destination, connector: Connector, begun_at: datetime | None) -> bool:
    """Whether a pass that began then may bring lists: what the tool says itself comes first."""
    pulled_at = destination.pulled_at
    return (
        connector.capabilities.backfills_by_scan
        and pulled_at is not None
        and begun_at is not None
        and pulled_at <= begun_at
    )


def bring(
    destination: Destination,
    connector: Connector,
    rows: Sequence[Seen],
    lease: UUID,
    ends_at: datetime,
) -> None:
    """Bring those on a page that wait in the lane of lists to their state.

    Raises what the connector raises: then the page is to be read again.
    """
    context = services()
    people, _ = by_address(rows)
    now = context.now()
    states = run_at_once(lambda c: verification.by_digest(c, destination.id, list(people), now))
    shown = {state.address_id: people[key].seen for key, state in states.items() if state.waits}
    if not shown:
        return

    def take(connection: Connection) -> Batch:
        claims = list_states.claim(
            connection, destination.id, lease, list(shown), now=now, until=ends_at
        )
        plans = planned(connection, context, destination, connector.capabilities, lease, claims)
        return Batch(lease, ends_at, {c.address_id: c for c in claims}, plans, None)

    batch = run(take)
    if not batch.claims:
        return
    items = [
        (p.item, each)
        for ref, p in batch.plans.items()
        if not p.is_empty and (each := shown[ref]) is not None
    ]
    try:
        outcomes = cast("BackFillable", connector).push_seen(items) if items else {}
    except Exception:  # whatever it was: without the lease the rows wait for the next pass
        run(lambda c: syncs.release(c, destination.id, lease, now))
        raise
    # A later pass shows whether it is still so: to read each back is what is too slow.
    capabilities = replace(connector.capabilities, can_read=False)
    left = [ref for ref, outcome in outcomes.items() if outcome.result is Result.LATER]
    settle(
        context,
        destination,
        capabilities,
        batch,
        outcomes,
        lambda connection: list_states.single_out(connection, destination.id, left),
    )


def end_pass(destination: Destination, begun_at: datetime) -> None:
    """What waited when a whole pass began, and was on none of its pages, is not there."""
    creates = destination.settings.get(CREATE_CONTACTS) == "yes"
    done = ROWS_AT_ONCE
    while done == ROWS_AT_ONCE:
        done = run(lambda c: _settle_unseen(c, destination.id, begun_at, creates=creates))


def _settle_unseen(
    connection: Connection, number: int, begun_at: datetime, *, creates: bool
) -> int:
    if creates:
        return list_states.single_out_unseen(connection, number, begun_at, ROWS_AT_ONCE)
    now = services().now()
    return list_states.absent(connection, number, begun_at, ROWS_AT_ONCE, now)


def next_pass(destination: Destination, now: datetime) -> datetime | None:
    """When the next pass is to begin for the sake of lists; None if none wait."""
    return run_at_once(lambda c: _next_pass(c, destination.id, now))


def _next_pass(connection: Connection, number: int, now: datetime) -> datetime | None:
    if list_states.waits_for_pass(connection, number, now):
        return now + SOON
    return now + CONFIRM_AFTER if list_states.put_off(connection, number, now) else None
