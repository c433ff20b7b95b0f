"""The choices on the preference page of one address: the state of each topic, and pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.domain.decisions import (
    DecisionRule,
    ScopeFact,
    active_pause_end,
    is_marketing_suppressed,
    topic_status,
)
from preference_center.domain.events import (
    ALL_MARKETING,
    UNDELIVERABLE,
    Change,
    EventKind,
    ScopeState,
    Timestamped,
)


@dataclass(frozen=True, slots=True)
class TopicChoice:
    """One topic as the page shows it; a paused topic is on."""

    topic: Topic
    on: bool
    paused_until: datetime | None
    """When the last pause that covers it ends."""
    own_pause: datetime | None
    """When the pause of this topic alone ends."""
    restored_by_all_marketing: bool
    """Whether turning on "all marketing" alone would turn it on."""


@dataclass(frozen=True, slots=True)
class PreferenceChoices:
    """All that the page shows about one address."""

    channel: Channel
    groups: Mapping[str, Sequence[TopicChoice]]
    service: Sequence[MessageType]
    all_on: bool
    paused_until: datetime | None
    """When the pause of all marketing ends."""
    closed: bool
    """The account is deactivated or erased: nothing can be turned on here (I4)."""

    @property
    def topics(self) -> tuple[TopicChoice, ...]:
        """All topics, in the order of the page."""
        return tuple(choice for choices in self.groups.values() for choice in choices)

    @property
    def on(self) -> tuple[TopicChoice, ...]:
        """The topics that are on, paused or not."""
        return tuple(choice for choice in self.topics if choice.on)

    def form_state(self, link_fingerprint: str) -> dict[str, Any]:
        """The state that the person saw, for this link; the form must return it."""
        return {
            "link": link_fingerprint,
            "all": self.all_on,
            "topics": {choice.topic.key: choice.on for choice in self.topics},
        }


def choices_for(
    catalogue: Catalogue, channel: Channel, facts: Sequence[ScopeFact], now: datetime
) -> PreferenceChoices:
    """The page's choices: topics of the address's channel, by the catalogue's groups."""
    groups: dict[str, list[TopicChoice]] = {}
    closed = False
    for topic in catalogue.topics_for_channel(channel):
        denial = topic_status(topic, facts, now).denial
        closed = closed or (denial is not None and denial.rule is DecisionRule.CLOSED)
        groups.setdefault(topic.group, []).append(_topic_choice(topic, facts, now))
    service = [
        kind
        for kind in catalogue.message_types.values()
        if kind.message_class is MessageClass.SERVICE
    ]
    return PreferenceChoices(
        channel,
        groups,
        service,
        all_on=not is_marketing_suppressed(facts),
        paused_until=own_pause_end(ALL_MARKETING, facts, now),
        closed=closed,
    )


def own_pause_end(scope: str, facts: Sequence[ScopeFact], now: datetime) -> datetime | None:
    """When the pause of exactly this scope ends, without regard to wider ones."""
    return active_pause_end(scope, [fact for fact in facts if fact.scope == scope], now)


def all_applied(choices: PreferenceChoices, changes: Sequence[Change]) -> bool:
    """Whether all that was turned on is on now: a newer opt-out may have been recorded."""
    on = {choice.topic.key for choice in choices.on}
    if choices.all_on:
        on.add(ALL_MARKETING)
    return all(change.scope in on for change in changes if change.kind is EventKind.OPTED_IN)


def _topic_choice(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> TopicChoice:
    on = _is_on(topic, facts, now)
    return TopicChoice(
        topic,
        on,
        paused_until=active_pause_end(topic.key, facts, now) if on else None,
        own_pause=own_pause_end(topic.key, facts, now) if on else None,
        restored_by_all_marketing=not on and _is_on(topic, _with_all_marketing_lifted(facts), now),
    )


def _is_on(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether it is subscribed, or would be but for a pause."""
    unpaused = [
        fact
        if fact.scope == UNDELIVERABLE  # not a pause that a person chose
        else replace(fact, state=replace(fact.state, pause=None, pause_until=None))
        for fact in facts
    ]
    return topic_status(topic, unpaused, now).subscribed


def _with_all_marketing_lifted(facts: Sequence[ScopeFact]) -> list[ScopeFact]:
    """The facts as they would be had the person just turned all marketing on."""
    lift = Timestamped(datetime.max.replace(tzinfo=UTC), UUID(int=0))
    others = [fact for fact in facts if fact.scope != ALL_MARKETING or not fact.exact]
    wide = [fact.state for fact in facts if fact.scope == ALL_MARKETING and fact.exact]
    states = [replace(state, lift=lift) for state in wide or [ScopeState()]]
    return [*others, *(ScopeFact(ALL_MARKETING, True, state) for state in states)]
