"""How many rows a push claims, of which lanes, and where the next claim begins."""

from __future__ import annotations

from collections.abc import Sequence

from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.rules.state import LANE_BEGINNING, LanePosition, SyncClaim
from preference_center.integrations.base.contract import Capabilities


def claim_limit(destination: Destination, capabilities: Capabilities) -> int:
    """The most rows of one claim.

    It is halved by each failure, so that one row that fails a whole batch does not hold the
    others: see `Destination.failures`.
    """
    return max(1, capabilities.batch_size >> destination.failures)


def includes_bulk_lane(
    destination: Destination, capabilities: Capabilities, *, is_fresh_lane: bool
) -> bool:
    """Whether a claim takes rows of lists too.

    Lists wait for the destination's own opt-outs, and for scans where those backfill.
    """
    return (
        destination.pulled_at is not None
        and not is_fresh_lane
        and not capabilities.backfills_by_scan
    )


def bulk_share(limit: int, chance: float) -> int:
    """How many rows of a claim of up to `limit` are reserved for lists.

    A tenth, so that neither lane starves the other (I3). Where that is no whole number, `chance`,
    a random number from 0 to 1, decides on the last row: a tool that takes one at a time, or has
    failed, gets one of a list with every tenth claim on average.
    """
    return int(limit / 10 + chance)


def next_position(
    claims: Sequence[SyncClaim],
    position: LanePosition,
    limit: int,
    share: int | None,
    *,
    is_fresh_lane: bool,
) -> LanePosition | None:
    """Where the claim after this one begins; None if nothing that is due may be left.

    A claim within the bulk lane's `share` of its limit counts as full, since one lane's part of it
    may have been (see `states.claim_rows`). In the fresh lane any claim counts as full: a click
    during this push found it under way. A job ends with a claim from the beginning, for what came
    due behind it.
    """
    is_full = is_fresh_lane or len(claims) >= limit - (share or 0)
    if claims and is_full:
        return claims[0].next_position
    return None if position == LANE_BEGINNING else LANE_BEGINNING
