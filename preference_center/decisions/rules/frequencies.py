"""How often a topic is sent to an address, where the catalogue offers a choice.

Of exactly the address the person's own choice counts. Where there is none, the newest one of
another form of the mailbox does if it means less often than the topic's default: match wide to
reduce, never to increase (I9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from preference_center.catalogue import Topic
from preference_center.core.errors import InvalidInput
from preference_center.core.events import DatedFrequency, FrequencyChoice, ScopeFact


def effective_frequency(topic: Topic, facts: Sequence[ScopeFact]) -> str | None:
    """How often to send the topic: one of its frequencies; None if it offers none."""
    if not topic.frequencies:
        return None
    return wanted_frequency(topic, facts) or topic.default_frequency


def wanted_frequency(topic: Topic, facts: Sequence[ScopeFact]) -> str | None:
    """The same where a choice decides it; None where nobody chose.

    A choice that the catalogue has no more is the default.
    """
    own = _newest_choice(topic, (fact for fact in facts if fact.exact))
    if own:
        return own.key if own.key in topic.frequencies else topic.default_frequency or None
    other = _newest_choice(topic, (fact for fact in facts if not fact.exact))
    if other and is_less_often(topic, other.key, topic.default_frequency):
        return other.key
    return None


def is_less_often(topic: Topic, key: str, other: str) -> bool:
    """Whether `key` is less often than `other`; false for keys that the topic does not have."""
    order = list(topic.frequencies)
    return key in order and other in order and order.index(key) > order.index(other)


def frequency_choice(topic: Topic, key: str) -> FrequencyChoice:
    """The choice of this key. Raises InvalidInput for a topic that does not offer it."""
    order = list(topic.frequencies)
    if key not in order:
        offered = f"choose one of {', '.join(order)}" if order else "it offers no choice"
        raise InvalidInput(f"the topic {topic.key} has no such frequency: {offered}")
    return FrequencyChoice(key, order.index(key))


def _newest_choice(topic: Topic, facts: Iterable[ScopeFact]) -> DatedFrequency | None:
    return max(
        (
            fact.state.frequency
            for fact in facts
            if fact.scope == topic.key and fact.state.frequency
        ),
        default=None,
    )
