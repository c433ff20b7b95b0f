"""These rules plan what is pushed to a destination about an address, and how rows are claimed.

- `plan_push` says what is pushed, and `build_settlement` the outcome for each of the rows.
- `claim_limit`, `bulk_share` and `next_position` say how many rows a push claims, of which lanes,
  and where the next claim begins.
- `can_start_push` limits how many pushes to one destination run at once, so that a slow tool delays
  no other (I3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.core.deadlines import refused_retry, row_retry
from preference_center.core.events import ALL_MARKETING, RESTRICTION, SHARING, ScopeFact
from preference_center.decisions.rules import (
    find_scope_denial,
    has_consent,
    is_marketing_suppressed,
    wanted_frequency,
)
from preference_center.destinations.rules.states import (
    ABSENT_RECHECK_INTERVAL,
    LANE_BEGINNING,
    NOT_PUSHED,
    READ_BACK_DELAY,
    Destination,
    LanePosition,
    PlannedRow,
    ReportedOptOuts,
    Settlement,
    SyncClaim,
)
from preference_center.integrations.base.contract import (
    Capabilities,
    ListingMode,
    PushItem,
    PushOutcome,
    PushResult,
    TopicOffReason,
)
from preference_center.integrations.base.vendor_events import ALL_SMS


@dataclass(frozen=True, slots=True)
class PushPlan:
    """The item to push, and when the state changes by itself (a pause ends), if ever."""

    item: PushItem
    next_change_at: datetime | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to push."""
        return not (self.item.off or self.item.lift or self.item.frequencies)


def plan_push(
    row: PlannedRow,
    address: tuple[Channel, str],
    facts: Sequence[ScopeFact],
    topics: frozenset[str],
    now: datetime,
    catalogue: Catalogue,
    with_frequency: frozenset[str] = frozenset(),
    *,
    ended_choices: Collection[str] = (),
    can_lift: bool,
) -> PushPlan:
    """The state that the address of a row should have at a destination sending `topics`.

    Of the topics `with_frequency` it can hold how often they are wanted. `ended_choices` are
    those of which it may hold a choice of a frequency that was retracted or erased.

    Only what we turned off is ever turned on (I13), and only with the consent that the topic needs
    (I11): an opt-out of more turned off also what had never been on. Where a tool can't lift, what
    ends by itself is not pushed, since nothing could end it there (I10).
    """
    channel, text = address
    reasons = active_suppressions(topics, facts, now, can_lift=can_lift)
    off = frozenset(reasons)
    item = PushItem(
        ref=row.address_id,
        address=text,
        channel=channel,
        off=off,
        lift=_lifts(frozenset(row.turned_off) & topics - off, facts, catalogue, now)
        if can_lift
        else frozenset(),
        all_off=is_marketing_suppressed(facts),
        version=row.wanted_version,
        since=_newest_opt_out_at(topics, facts),
        reasons=reasons,
        frequencies=wanted_frequencies(topics & with_frequency, facts, catalogue, ended_choices),
    )
    return PushPlan(item, first_end(reasons))


def _newest_opt_out_at(topics: frozenset[str], facts: Sequence[ScopeFact]) -> datetime | None:
    """When the newest opt-out counts from that is any matter of the destination."""
    given = (f.state.opt_out for f in facts if f.scope != SHARING or SHARING in topics)
    return max((out.at for out in given if out), default=None)


def wanted_frequencies(
    topics: frozenset[str],
    facts: Sequence[ScopeFact],
    catalogue: Catalogue,
    ended_choices: Collection[str] = (),
) -> dict[str, str]:
    """How often each of these topics is wanted, where somebody chose that or took it back."""
    return {
        key: frequency
        for key in sorted(topics)
        if (topic := catalogue.topics.get(key))
        and (
            frequency := wanted_frequency(topic, facts)
            or (topic.default_frequency if key in ended_choices else None)
        )
    }


def _lifts(
    topics: frozenset[str], facts: Sequence[ScopeFact], catalogue: Catalogue, now: datetime
) -> frozenset[str]:
    """Those of these topics, turned off by us and denied no more, that may be turned on.

    Each topic needs its consent. SHARING has none to need, so it is turned on, but not after a
    restriction, which turned it off also where it had never been on.
    """
    found = {
        key
        for key in topics
        if (topic := catalogue.topics.get(key)) and has_consent(topic, facts, now)
    }
    was_restricted = any(fact.scope == RESTRICTION for fact in facts)
    return frozenset(found if was_restricted else found | (topics & {SHARING}))


def first_end(reasons: Mapping[str, TopicOffReason]) -> datetime | None:
    """When the first of these ends by itself; None if none does."""
    return min((reason.until for reason in reasons.values() if reason.until), default=None)


def drop_overtaken_lifts(plan: PushPlan, reported: ReportedOptOuts) -> PushPlan:
    """The same without lifts whose opt-in was recorded before what the tool itself reported.

    The tool holds an opt-out that came after them, whatever its date: no lift is ever
    pushed because of an opt-out that was recorded after it (I5).
    """
    kept = frozenset(topic for topic in plan.item.lift if _is_opted_in_since(topic, reported))
    return replace(plan, item=replace(plan.item, lift=kept))


def _is_opted_in_since(topic: str, reported: ReportedOptOuts) -> bool:
    own = reported.opt_ins.get(topic, 0)
    wide = max(own, reported.opt_ins.get(ALL_MARKETING, 0))
    return (
        reported.opt_outs.get(topic, 0) <= own and reported.opt_outs.get(ALL_MARKETING, 0) <= wide
    )


HELD_LIFT_INTERVAL = timedelta(minutes=5)
"""When a lift that was held is planned again."""


def hold_lifts(plan: PushPlan, now: datetime) -> PushPlan:
    """The same without its lifts, to be planned again after HELD_LIFT_INTERVAL."""
    later = now + HELD_LIFT_INTERVAL
    at = min(plan.next_change_at or later, later)
    return PushPlan(replace(plan.item, lift=frozenset()), at)


def active_suppressions(
    topics: frozenset[str], facts: Sequence[ScopeFact], now: datetime, *, can_lift: bool
) -> dict[str, TopicOffReason]:
    """What must be off for an address with these facts at a destination, and why."""
    return {
        topic: reason
        for topic in topics
        if (reason := _topic_off_reason(topic, facts, now)) and (can_lift or reason.until is None)
    }


def _topic_off_reason(
    topic: str, facts: Sequence[ScopeFact], now: datetime
) -> TopicOffReason | None:
    denial = find_scope_denial(topic, facts, now)
    if denial is None:
        return None
    return TopicOffReason(denial.rule, denial.scope, denial.event, denial.since, denial.until)


def channels_by_topic(mapping: Mapping[str, str], catalogue: Catalogue) -> dict[str, Channel]:
    """The channel of each topic of a destination's mapping, including retired ones.

    Where the catalogue has the topic no more, its target decides.
    """
    return {
        topic: catalogue.topics[topic].channel
        if topic in catalogue.topics
        else Channel.SMS
        if target == ALL_SMS
        else Channel.EMAIL
        for topic, target in mapping.items()
    }


def topics_by_channel(
    destination: Destination, catalogue: Catalogue
) -> dict[Channel, frozenset[str]]:
    """By channel, the topics of the catalogue that the destination sends; SHARING if it shares."""
    return {
        channel: destination.sends
        & {SHARING, *(topic.key for topic in catalogue.topics_for_channel(channel))}
        for channel in destination.channels
    }


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
        case PushResult.RETRY_LATER | PushResult.DEFERRED:
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


def claim_limit(destination: Destination, capabilities: Capabilities) -> int:
    """The most rows of one claim.

    It is halved by each failure, so that one row that fails a whole batch does not hold the
    others: see `Destination.failures`.
    """
    return max(1, capabilities.batch_size >> destination.failures)


def halvings(capabilities: Capabilities) -> int:
    """How many failures make a claim one row. Once a push succeeds, no more than these count.

    So claims double from the first success on, however long a tool was down (I3).
    """
    return capabilities.batch_size.bit_length() - 1


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
    may have been (see `claim_rows`). A job ends with a claim from the beginning, for what came
    due behind it; in the fresh lane that one is empty: a click during a push found it under way.
    """
    if claims and len(claims) >= limit - (share or 0):
        return claims[0].next_position
    ends = position == LANE_BEGINNING and not (is_fresh_lane and claims)
    return None if ends else LANE_BEGINNING


MAX_CONCURRENT_PUSHES = 4
"""The most pushes to one destination at once."""


SLOW_PUSH_DURATION = timedelta(seconds=2)
"""A push that takes longer makes the tool slow: other tools may be waiting for the worker."""


SLOW_STATUS_DURATION = timedelta(minutes=10)
"""How long a tool counts as slow after a slow push; twice the interval of an open circuit's
probes, so that one whose probes time out stays slow."""


MAX_PUSH_BLOCKING = timedelta(seconds=30)
"""How long a push blocks others. One exchange with a tool ends by then, so an older push has
many requests, or its worker died: waiting for that would be a delay, too."""


def can_start_push(
    started_at: Collection[datetime], now: datetime, *, is_slow: bool, is_fresh_lane: bool = False
) -> bool:
    """Whether one more push to a destination may start, while those of `started_at` run.

    A tool that `is_slow`, or whose response is overdue now, gets one at a time: the other
    workers stay free. So does the fresh lane, since a running push goes on with whatever
    comes meanwhile.
    """
    running = [start for start in started_at if start > now - MAX_PUSH_BLOCKING]
    if is_slow or is_fresh_lane or any(start <= now - SLOW_PUSH_DURATION for start in running):
        return not running
    return len(running) < MAX_CONCURRENT_PUSHES
