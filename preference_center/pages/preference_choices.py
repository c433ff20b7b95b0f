"""What the preference page offers one person: each topic as it stands, and its pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.domain.decisions import (
    Fact,
    Rule,
    marketing_suppressed,
    running_pause_end,
    topic_standing,
)
from preference_center.domain.events import (
    ALL_MARKETING,
    UNDELIVERABLE,
    Change,
    Kind,
    Mark,
    State,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One topic as the page shows it; a paused one is on, and says until when."""

    topic: Topic
    on: bool
    paused_until: datetime | None
    """When the last pause that covers it ends."""
    own_pause: datetime | None
    """When the pause of this topic alone ends."""
    returns: bool
    """Whether it would come back with "all marketing" alone."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that the page shows of one address."""

    channel: Channel
    groups: Mapping[str, Sequence[Choice]]
    service: Sequence[MessageType]
    all_on: bool
    paused_until: datetime | None
    """When the pause of all marketing ends."""
    closed: bool
    """The account is deactivated or erased: nothing can be turned on here (I4)."""

    @property
    def topics(self) -> tuple[Choice, ...]:
        """All topics, in the order of the page."""
        return tuple(choice for choices in self.groups.values() for choice in choices)

    @property
    def on(self) -> tuple[Choice, ...]:
        """The topics that are on, paused or not."""
        return tuple(choice for choice in self.topics if choice.on)

    def rendered(self, link_mark: str) -> dict[str, Any]:
        """What the form must bring back: the state that the person saw, for this link."""
        return {
            "link": link_mark,
            "all": self.all_on,
            "topics": {choice.topic.key: choice.on for choice in self.topics},
        }


def choices_for(
    catalogue: Catalogue, channel: Channel, facts: Sequence[Fact], now: datetime
) -> Choices:
    """The page's choices: topics of the address's channel, by the catalogue's groups."""
    groups: dict[str, list[Choice]] = {}
    closed = False
    for topic in catalogue.topics_on(channel):
        no = topic_standing(topic, facts, now).no
        closed = closed or (no is not None and no.rule is Rule.CLOSED)
        groups.setdefault(topic.group, []).append(_choice(topic, facts, now))
    service = [
        kind
        for kind in catalogue.message_types.values()
        if kind.message_class is MessageClass.SERVICE
    ]
    return Choices(
        channel,
        groups,
        service,
        all_on=not marketing_suppressed(facts),
        paused_until=own_pause_end(ALL_MARKETING, facts, now),
        closed=closed,
    )


def own_pause_end(scope: str, facts: Sequence[Fact], now: datetime) -> datetime | None:
    """When the pause of exactly this scope ends, whatever wider one covers it too."""
    return running_pause_end(scope, [fact for fact in facts if fact.scope == scope], now)


def stand(choices: Choices, changes: Sequence[Change]) -> bool:
    """Whether everything that was turned on is on now: a newer "no" may have come between."""
    on = {choice.topic.key for choice in choices.on}
    if choices.all_on:
        on.add(ALL_MARKETING)
    return all(change.scope in on for change in changes if change.kind is Kind.OPTED_IN)


def _choice(topic: Topic, facts: Sequence[Fact], now: datetime) -> Choice:
    on = _is_on(topic, facts, now)
    return Choice(
        topic,
        on,
        paused_until=running_pause_end(topic.key, facts, now) if on else None,
        own_pause=own_pause_end(topic.key, facts, now) if on else None,
        returns=not on and _is_on(topic, _as_if_lifted(facts), now),
    )


def _is_on(topic: Topic, facts: Sequence[Fact], now: datetime) -> bool:
    """Whether it is subscribed, or would be but for a pause."""
    unpaused = [
        fact
        if fact.scope == UNDELIVERABLE  # no pause that anybody asked for
        else replace(fact, state=replace(fact.state, pause=None, pause_until=None))
        for fact in facts
    ]
    return topic_standing(topic, unpaused, now).subscribed


def _as_if_lifted(facts: Sequence[Fact]) -> list[Fact]:
    """The facts as they would be had the person just turned all marketing on."""
    lift = Mark(datetime.max.replace(tzinfo=UTC), UUID(int=0))
    others = [fact for fact in facts if fact.scope != ALL_MARKETING or not fact.exact]
    wide = [fact.state for fact in facts if fact.scope == ALL_MARKETING and fact.exact]
    states = [replace(state, lift=lift) for state in wide or [State()]]
    return [*others, *(Fact(ALL_MARKETING, True, state) for state in states)]
