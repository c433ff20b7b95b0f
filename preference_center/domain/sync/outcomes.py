"""What came of a push, for each row of it: pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from preference_center.domain.deadlines import refused_retry, row_retry
from preference_center.domain.sync.capabilities import Capabilities, Listing
from preference_center.domain.sync.contract import Outcome, Result
from preference_center.domain.sync.plan import Plan
from preference_center.domain.sync.state import LOOK_AGAIN, RECHECK, UNTOLD, Claim, Settlement

LOOK_SELDOM = timedelta(days=30)
"""How long an absent address is left alone where a scan tells that it has come."""


def settlement(
    claim: Claim, planned: Plan | None, outcome: Outcome | None, now: datetime, jitter: float
) -> Settlement:
    """What one row's outcome means for the row."""
    settled = Settlement(
        address_id=claim.address_id,
        version=claim.wanted,
        reflected=claim.reflected,
        outcome=UNTOLD,
        ack="",
        done=True,
        sure=claim.lift_until is None or claim.lift_until <= now,
        next_at=planned.wake_at if planned else None,
    )
    if planned is None or planned.is_empty:
        return settled
    item = planned.item
    outcome = outcome or Outcome(Result.LATER, "no answer for this address")
    settled = replace(settled, outcome=outcome.result, ack=outcome.ack)
    if outcome.result is Result.REFLECTED:
        return replace(settled, off=item.off, lifted=item.lift)
    if outcome.result is Result.ABSENT:
        # It turned nothing off. What was turned off before may outlive the contact.
        never_off = item.off - frozenset(claim.told)
        return replace(settled, off=item.off - never_off, lifted=item.lift | never_off)
    if outcome.result is Result.REFUSED:
        again = refused_retry(now, jitter=jitter)
    else:
        again = row_retry(
            claim.attempts + 1, claim.due_at, now, wish=outcome.retry_after, jitter=jitter
        )
    # Part of it may have been told: remember, so that it can be taken back.
    return replace(settled, done=False, next_at=again, off=item.off)


def verify_after(row: Settlement, capabilities: Capabilities) -> timedelta | None:
    """When to look whether the tool still says so, or has the address by now."""
    if row.outcome == Result.ABSENT:
        return LOOK_SELDOM if capabilities.scans is Listing.CHANGES else LOOK_AGAIN
    if row.outcome == Result.REFLECTED and capabilities.can_read:
        return RECHECK
    return None
