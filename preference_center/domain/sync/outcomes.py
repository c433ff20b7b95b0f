"""What came of a push, for each row of it: pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from preference_center.domain.deadlines import refused_retry, row_retry
from preference_center.domain.sync.capabilities import Capabilities, ListingMode
from preference_center.domain.sync.contract import PushOutcome, PushResult
from preference_center.domain.sync.plan import PushPlan
from preference_center.domain.sync.state import (
    ABSENT_RECHECK_INTERVAL,
    NOT_PUSHED,
    READ_BACK_DELAY,
    Settlement,
    SyncClaim,
)

SCANNED_RECHECK_INTERVAL = timedelta(days=30)
"""How long an absent address is left alone where a scan tells that it has come."""


def build_settlement(
    claim: SyncClaim,
    plan: PushPlan | None,
    outcome: PushOutcome | None,
    now: datetime,
    jitter: float,
) -> Settlement:
    """What one row's outcome means for the row."""
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
    outcome = outcome or PushOutcome(PushResult.RETRY_LATER, "no answer for this address")
    settled = replace(settled, outcome=outcome.result, ack=outcome.ack)
    if outcome.result is PushResult.REFLECTED:
        return replace(settled, turned_off=item.off, turned_on=item.lift)
    if outcome.result is PushResult.ABSENT:
        # It turned nothing off. What was turned off before may outlive the contact.
        never_off = item.off - frozenset(claim.turned_off)
        return replace(settled, turned_off=item.off - never_off, turned_on=item.lift | never_off)
    if outcome.result is PushResult.REFUSED:
        again = refused_retry(now, jitter=jitter)
    else:
        again = row_retry(
            claim.attempts + 1, claim.due_at, now, retry_after=outcome.retry_after, jitter=jitter
        )
    # Part of it may have been told: remember, so that it can be taken back.
    return replace(settled, is_done=False, next_at=again, turned_off=item.off)


def verify_delay(settlement: Settlement, capabilities: Capabilities) -> timedelta | None:
    """When to look whether the tool still says so, or has the address by now."""
    if settlement.outcome == PushResult.ABSENT:
        return (
            SCANNED_RECHECK_INTERVAL
            if capabilities.scans is ListingMode.CHANGES
            else ABSENT_RECHECK_INTERVAL
        )
    if settlement.outcome == PushResult.REFLECTED and capabilities.can_read:
        return READ_BACK_DELAY
    return None
