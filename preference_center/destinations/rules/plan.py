"""Plan what is pushed to a destination about an address."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, RESTRICTION, SHARING, ScopeFact
from preference_center.decisions.rules import (
    denial_end,
    find_scope_denial,
    has_consent,
    is_marketing_suppressed,
    wanted_frequency,
)
from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.rules.state import ReportedOptOuts, SyncClaim
from preference_center.integrations.base.contract import PushItem, TopicOffReason
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
    claim: SyncClaim,
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
    """The state that one claimed address should have at a destination sending `topics`.

    Of the topics `with_frequency` it can hold how often they are wanted. `ended_choices` are
    those of which it may hold a choice of a frequency that was retracted or erased.

    Only what we turned off is ever turned on (I13), and after a restriction, only with the consent
    that the topic needs (I11): it turned off also what had never been on. Where a tool can't lift,
    what ends by itself is not pushed, since nothing could end it there (I10).
    """
    channel, text = address
    reasons = active_suppressions(topics, facts, now, can_lift=can_lift)
    off = frozenset(reasons)
    item = PushItem(
        ref=claim.address_id,
        address=text,
        channel=channel,
        off=off,
        lift=_lifts(frozenset(claim.turned_off) & topics - off, facts, catalogue, now)
        if can_lift
        else frozenset(),
        all_off=is_marketing_suppressed(facts),
        version=claim.wanted_version,
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
    """Those of these topics, turned off by us and denied no more, that may be turned on."""
    if not any(fact.scope == RESTRICTION for fact in facts):
        return topics
    return frozenset(
        key
        for key in topics
        if (topic := catalogue.topics.get(key)) and has_consent(topic, facts, now)
    )


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
    assert denial.scope is not None  # each denial of a scope has all three
    assert denial.event is not None
    assert denial.since is not None
    end = denial_end(denial, topic, facts, now)
    return TopicOffReason(denial.rule, denial.scope, denial.event, denial.since, end)


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
