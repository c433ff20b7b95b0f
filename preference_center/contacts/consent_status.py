"""What has become of a consent: it counts, was withdrawn, or a newer policy asks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preference_center.catalogue import Catalogue, Topic
from preference_center.core.addresses import Channel
from preference_center.core.events import ScopeFact, Timestamped
from preference_center.decisions.rules import outdated_since, withdrawal_of


class ConsentStatus(StrEnum):
    """Whether a consent counts."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    """An opt-out of its topic, of all marketing or of everything came after it."""
    INVALIDATED = "invalidated"
    """A version of the privacy policy that asks again came into force after it."""


@dataclass(frozen=True, slots=True)
class StatedConsent:
    """A consent, its state, and since when it is that."""

    topic: str
    given: Timestamped
    state: ConsentStatus
    since: datetime


def state_consents(
    catalogue: Catalogue, channel: Channel, facts: Sequence[ScopeFact], now: datetime
) -> list[StatedConsent]:
    """The newest consent to each topic of this channel, retired or not, that was consented to."""
    topics = (topic for topic in catalogue.topics.values() if topic.channel is channel)
    found = [_state_consent(topic, facts, now) for topic in topics]
    return [each for each in found if each]


def _state_consent(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> StatedConsent | None:
    given = max(
        (
            fact.state.consent
            for fact in facts
            if fact.exact and fact.scope == topic.key and fact.state.consent
        ),
        default=None,
    )
    if given is None:
        return None
    if withdrawn := withdrawal_of(topic.key, given, facts):
        return StatedConsent(topic.key, given, ConsentStatus.WITHDRAWN, withdrawn.at)
    if cutoff := outdated_since(given, topic, now):
        return StatedConsent(topic.key, given, ConsentStatus.INVALIDATED, cutoff)
    return StatedConsent(topic.key, given, ConsentStatus.GIVEN, given.at)
