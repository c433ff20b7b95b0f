"""What the preference page offers one person, and what their answer changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.domain.decisions import (
    Fact,
    Rule,
    TopicStanding,
    marketing_suppressed,
    topic_standing,
)
from preference_center.domain.events import ALL_MARKETING, Change, Mark, State
from preference_center.links import Link
from preference_center.recipients.changes import PREFERENCE_PAGE, opt_in, opt_out


@dataclass(frozen=True, slots=True)
class Choice:
    """One topic as the page shows it; a paused one is on, and says until when."""

    topic: Topic
    on: bool
    paused_until: datetime | None
    returns: bool
    """Whether it would come back with "all marketing" alone."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that the page shows of one address."""

    channel: Channel
    groups: Mapping[str, Sequence[Choice]]
    service: Sequence[MessageType]
    all_on: bool
    closed: bool
    """The account is deactivated or erased: nothing can be turned on here (I4)."""

    @property
    def topics(self) -> tuple[Choice, ...]:
        """All topics, in the order of the page."""
        return tuple(choice for choices in self.groups.values() for choice in choices)

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
    lifted = _as_if_lifted(facts)
    groups: dict[str, list[Choice]] = {}
    closed = False
    for topic in catalogue.topics_on(channel):
        standing = topic_standing(topic, facts, now)
        closed = closed or (standing.no is not None and standing.no.rule is Rule.CLOSED)
        on = _is_on(standing)
        returns = not on and _is_on(topic_standing(topic, lifted, now))
        choice = Choice(topic, on, standing.paused_until, returns)
        groups.setdefault(topic.group, []).append(choice)
    service = [
        kind
        for kind in catalogue.message_types.values()
        if kind.message_class is MessageClass.SERVICE
    ]
    return Choices(channel, groups, service, not marketing_suppressed(facts), closed)


def changes_of(
    link: Link,
    rendered: Mapping[str, Any],
    rendered_at: datetime,
    *,
    all_marketing: bool,
    topics: Collection[str],
    now: datetime,
) -> tuple[list[Change], list[Change]]:
    """The opt-outs and the opt-ins of an answer: only what differs from what was rendered.

    What a stale form or a second tab did not touch is left alone (I5, RULES C4).
    """
    was: dict[str, bool] = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    wanted = {key: key in topics for key in rendered["topics"]} | {ALL_MARKETING: all_marketing}
    differing = [key for key in was if was[key] != wanted[key]]
    outs = [opt_out(link, key, PREFERENCE_PAGE, now) for key in differing if was[key]]
    ins = [opt_in(link, key, rendered_at, now) for key in differing if not was[key]]
    return outs, ins


def stand(choices: Choices, opt_ins: Sequence[Change]) -> bool:
    """Whether everything that was turned on is on now: a newer "no" may have come between."""
    on = {choice.topic.key for choice in choices.topics if choice.on}
    if choices.all_on:
        on.add(ALL_MARKETING)
    return all(change.scope in on for change in opt_ins)


def _is_on(standing: TopicStanding) -> bool:
    return standing.subscribed or standing.paused_until is not None


def _as_if_lifted(facts: Sequence[Fact]) -> list[Fact]:
    """The facts as they would be had the person just turned all marketing on."""
    lift = Mark(datetime.max.replace(tzinfo=UTC), UUID(int=0))
    others = [fact for fact in facts if fact.scope != ALL_MARKETING or not fact.exact]
    wide = [fact.state for fact in facts if fact.scope == ALL_MARKETING and fact.exact]
    states = [replace(state, lift=lift) for state in wide or [State()]]
    return [*others, *(Fact(ALL_MARKETING, True, state) for state in states)]
