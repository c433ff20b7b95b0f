"""When the person acted, as far as a tool's own date is plausible (I5).

Foreign clocks are not trusted: a tool may stamp 0, its local time, or the time of an older
act. An opt-out whose date is not plausible counts from when it reached us.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from preference_center.core.events import CLOCK_TOLERANCE
from preference_center.integrations.base.vendor_events import VendorEvent
from preference_center.ledger.rules import EARLIEST_TIME

MAX_RETRY_AGE = timedelta(days=3)
"""How much older than its receipt a webhook's act may be: most vendors retry for hours,
SendGrid for a day, and what Customer.io retries for a week may count from its receipt."""


def plausible_occurred_at(
    event: VendorEvent, now: datetime, opted_in_at: datetime | None = None
) -> datetime | None:
    """The tool's date of the act (UTC) if it is plausible, else None: count from receipt.

    A webhook (`received_at` is set) reports what just happened: its date lies in the three
    days before. A listing may report any act since EARLIEST_TIME. Neither may lie in the future.
    `opted_in_at` is when the person last opted in with us to what this covers: a webhook
    that arrives later and claims an earlier act is late, or its clock is wrong. Which one
    is unknown, so the opt-out wins.
    """
    if event.occurred_at is None:
        return None
    if event.received_at is None:
        return event.occurred_at if EARLIEST_TIME <= event.occurred_at <= now else None
    if not event.received_at - MAX_RETRY_AGE <= event.occurred_at <= event.received_at:
        return None
    if (
        opted_in_at is not None
        and event.occurred_at + CLOCK_TOLERANCE < opted_in_at <= event.received_at
    ):
        return None
    return event.occurred_at
