"""The outcome of a push for each of its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from preference_center.core.deadlines import refused_retry, row_retry
from preference_center.destinations.rules.plan import PushPlan
from preference_center.destinations.rules.state import (
    ABSENT_RECHECK_INTERVAL,
    NOT_PUSHED,
    READ_BACK_DELAY,
    Settlement,
    SyncClaim,
)
from preference_center.integrations.base.contract import (
    Capabilities,
    ListingMode,
    PushOutcome,
    PushResult,
)

SCANNED_RECHECK_INTERVAL = timedelta(days=30)
"""When an absent address is checked again, at a tool whose scan reports new contacts."""


def build_settlement(
    claim: SyncClaim,
    plan: PushPlan | None,
    outcome: PushOutcome | None,
    now: datetime,
    jitter: float,
) -> Settlement:
    """How one claimed row is settled, given its outcome; None if the connector returned none."""
    settled = Settlement(
        address_id=claim.address_id,
        version=claim.wanted_version,
        previous_version=claim.reflected_version,
        outcome=NOT_PUSHED,
        ack="",
        is_done=True,
        is_final=claim.lift_until is None or claim.lift_until <= now,
        next_at=plan.next_change_at if plan else None,
    )
    if plan is None or plan.is_empty:
        return settled
    item = plan.item
    outcome = outcome or PushOutcome(PushResult.RETRY_LATER, "no response for this address")
    settled = replace(settled, outcome=outcome.result, ack=outcome.ack)
    match outcome.result:
        case PushResult.REFLECTED:
            again = [plan.next_change_at, outcome.retry_after and now + outcome.retry_after]
            next_at = min((at for at in again if at), default=None)
            return replace(settled, next_at=next_at, turned_off=item.off, turned_on=item.lift)
        case PushResult.ABSENT:
            # It turned nothing off. What was turned off before may outlive the contact.
            never_off = item.off - frozenset(claim.turned_off)
            return replace(
                settled, turned_off=item.off - never_off, turned_on=item.lift | never_off
            )
        case PushResult.REFUSED:
            retry_at = refused_retry(now, jitter=jitter)
        case PushResult.RETRY_LATER:
            retry_at = row_retry(
                claim.attempts + 1,
                claim.due_at,
                now,
                retry_after=outcome.retry_after,
                jitter=jitter,
            )
        case _:
            assert_never(outcome.result)
    # The tool may have acted on part of it: stored, so that it can be lifted.
    return replace(settled, is_done=False, next_at=retry_at, turned_off=item.off)


def verify_delay(settlement: Settlement, capabilities: Capabilities) -> timedelta | None:
    """When to check whether the tool still has this state, or has the address by now."""
    if settlement.outcome == PushResult.ABSENT:
        return (
            SCANNED_RECHECK_INTERVAL
            if capabilities.scans is ListingMode.CHANGES
            else ABSENT_RECHECK_INTERVAL
        )
    if settlement.outcome == PushResult.REFLECTED and capabilities.can_read:
        return READ_BACK_DELAY
    return None
