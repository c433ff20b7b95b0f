"""The state of a topic for an address, as pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.catalogue import Topic
from preference_center.core.events import ScopeFact
from preference_center.decisions.rules.decision_rules import DecisionRule
from preference_center.decisions.rules.decisions import (
    Decision,
    active_pause_end,
    find_denial,
    has_consent,
)


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """The state of one topic for one address."""

    subscribed: bool
    suppressed: bool
    has_consent: bool
    """Whether the consent that the topic needs is there, if it needs one."""
    paused_until: datetime | None
    denial: Decision | None


def topic_status(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> TopicStatus:
    """The state of `topic`: subscribed unless it is denied or lacks a needed consent."""
    denial = find_denial(topic.key, facts, now)
    paused = denial is not None and denial.rule is DecisionRule.PAUSED
    consented = has_consent(topic, facts, now)
    return TopicStatus(
        subscribed=denial is None and consented,
        suppressed=denial is not None and not paused,
        has_consent=consented,
        paused_until=active_pause_end(topic.key, facts, now) if paused else None,
        denial=denial,
    )
