"""These rules decide what a contact that was found in a tool needs there (I13)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.destinations.rules.classify import PROPAGATION_DELAY, AddressContext
from preference_center.destinations.rules.states import AddressSyncState
from preference_center.integrations.base.contract import ContactSnapshot, PushResult

REPUSH_INTERVAL = timedelta(days=1)
"""How often an address is pushed again to a tool that can't be read."""


def _is_recently_pushed(state: AddressSyncState, now: datetime) -> bool:
    return state.last_delivery_at is not None and now - state.last_delivery_at < PROPAGATION_DELAY


class FollowUp(StrEnum):
    """What a contact that was found in the tool needs."""

    NONE = "none"
    PUSH_FIRST_TIME = "push_first_time"
    """It was never pushed there."""
    PUSH_NOW = "push_now"
    """The same for an erased address: nothing readable may be stored (I6)."""
    REPUSH = "repush"
    REPAIR_DRIFT = "repair_drift"
    """The tool had confirmed, and shows another state now: drift."""
    READ_BACK_NOW = "read_back_now"
    READ_BACK_LATER = "read_back_later"
    """To be read back once the tool certainly shows what was pushed."""


def follow_up_for(
    snapshot: ContactSnapshot, context: AddressContext, now: datetime, *, can_read: bool
) -> FollowUp:
    """What the contact needs to be suppressed there as it should be."""
    state = context.state
    if not context.wanted or (state is not None and state.push_pending):
        return FollowUp.NONE
    if state is not None and state.erased and not state.readable:
        return FollowUp.PUSH_NOW
    if state is None or not state.has_row:
        return FollowUp.PUSH_FIRST_TIME
    if state.last_outcome != PushResult.REFLECTED:
        return FollowUp.REPUSH
    if _is_recently_pushed(state, now):
        return FollowUp.NONE  # our own push changed the contact
    return _follow_up_if_confirmed(snapshot, context, now, can_read=can_read)


def _follow_up_if_confirmed(
    snapshot: ContactSnapshot, context: AddressContext, now: datetime, *, can_read: bool
) -> FollowUp:
    """The same for an address whose suppression the tool had confirmed."""
    state = context.state
    if snapshot.off is not None:
        return FollowUp.NONE if context.wanted <= snapshot.off else FollowUp.REPAIR_DRIFT
    if can_read:
        return FollowUp.READ_BACK_NOW
    pushed_at = state.last_delivery_at if state else None
    pushed_recently = pushed_at is not None and now - pushed_at < REPUSH_INTERVAL
    return FollowUp.NONE if pushed_recently else FollowUp.REPUSH
