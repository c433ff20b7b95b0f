"""What one address receives, as a company's own account page shows and changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import (
    Decision,
    Fact,
    Rule,
    running_pause_end,
    standing_no,
    topic_standing,
)
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.domain.sender_requests import Origin, Proof, marketing_scope, topic_for
from preference_center.errors import InvalidInput

LONGEST_PAUSE = timedelta(days=366)
"""A longer "not for now" is a no, and should be recorded as one."""


class Setting(StrEnum):
    """How a topic, or all marketing, stands."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Standing:
    """A setting; a pause has its end, and what is off the rule that holds it off."""

    setting: Setting
    until: datetime | None = None
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """Everything that one address receives, by topic key."""

    all_marketing: Standing
    topics: Mapping[str, Standing]
    closed: bool
    """The account is deactivated or erased: nothing can be turned on (I4)."""

    def of(self, scope: str) -> Standing | None:
        """How a scope stands; None for a topic that nobody can choose."""
        return self.all_marketing if scope == ALL_MARKETING else self.topics.get(scope)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose for one scope. `until` ends a pause."""

    setting: Setting
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a signed-in person changed on a page that was rendered at `rendered_at`.

    Times are UTC and have gone through `requests.past`.
    """

    address: Address
    choices: Mapping[str, Choice]
    """By topic key or ALL_MARKETING: only what they changed."""
    rendered_at: datetime
    proof: Proof
    """Its `occurred_at` is when they acted."""
    evidence: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", self.proof.evidence(self.address))


def preferences_of(
    catalogue: Catalogue, address: Address, facts: Sequence[Fact], now: datetime
) -> Preferences:
    """How everything stands for `address`; to show it, take the facts of its exact form (I9)."""
    wide_no = standing_no(ALL_MARKETING, facts, now)
    own_no = standing_no(ALL_MARKETING, [fact for fact in facts if fact.exact], now)
    topics: dict[str, Standing] = {}
    for topic in catalogue.topics_on(address.channel):
        found = topic_standing(topic, facts, now)
        no = found.no or (None if found.subscribed else Decision(False, Rule.NO_CONSENT))
        topics[topic.key] = _standing(no, found.paused_until)
    return Preferences(
        all_marketing=_standing(wide_no, running_pause_end(ALL_MARKETING, facts, now)),
        topics=topics,
        closed=own_no is not None and own_no.rule is Rule.CLOSED,
    )


def change_of(
    id: UUID,  # noqa: A002 - as in `Change`
    answer: Answer,
    scope: str,
    origin: Origin,
    catalogue: Catalogue,
    standing: Preferences,
) -> Change | None:
    """What `answer` asks for `scope`; None where `standing` has it so already.

    A "yes" counts from when the page was rendered, so a stale one lifts nothing that was
    said since; a "no" and a pause count from the act (I5). Raises UnknownTopic,
    WrongChannel, or InvalidInput for what can't be chosen.
    """
    choice = answer.choices[scope]
    marketing_scope(answer.address, scope, catalogue)
    _check(choice, scope, answer, catalogue, standing, origin.now)
    if choice.setting is not Setting.OFF and _stands(standing.of(scope), choice):
        return None
    acted_at = answer.proof.occurred_at
    opts_in = choice.setting is Setting.ON
    return Change(
        id=id,
        kind=_KINDS[choice.setting],
        address=answer.address,
        scope=scope,
        occurred_at=min(answer.rendered_at, acted_at) if opts_in else acted_at,
        received_at=origin.now if opts_in else acted_at,
        source=origin.source,
        actor=origin.actor,
        evidence=answer.evidence,
        until=choice.until,
        once=choice.setting is Setting.OFF,
    )


_KINDS = {
    Setting.ON: Kind.OPTED_IN,
    Setting.OFF: Kind.OPTED_OUT,
    Setting.PAUSED: Kind.PAUSED,
}


def _stands(standing: Standing | None, choice: Choice) -> bool:
    return standing is not None and (standing.setting, standing.until) == (
        choice.setting,
        choice.until,
    )


def _check(
    choice: Choice,
    scope: str,
    answer: Answer,
    catalogue: Catalogue,
    standing: Preferences,
    now: datetime,
) -> None:
    if choice.setting is Setting.OFF:
        return  # a "no" is always heard
    if standing.closed:
        raise InvalidInput("the account is closed: nothing can be turned on or paused")
    if scope != ALL_MARKETING and topic_for(answer.address, scope, catalogue).retired:
        raise InvalidInput(f"the topic {scope} is retired: nobody can ask for it any more")
    if choice.until is not None and not now < choice.until <= now + LONGEST_PAUSE:
        raise InvalidInput(f"a pause ends within {LONGEST_PAUSE.days} days from now")


def _standing(no: Decision | None, paused_until: datetime | None) -> Standing:
    if no is None:
        return Standing(Setting.ON)
    if no.rule is Rule.PAUSED:
        return Standing(Setting.PAUSED, until=paused_until)
    return Standing(Setting.OFF, rule=no.rule)
