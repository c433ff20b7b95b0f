"""The change that a person's choice of a frequency makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.events import Change, EventKind, ScopeFact
from preference_center.decisions.rules import effective_frequency, frequency_choice, is_less_often
from preference_center.ledger.rules import RequestOrigin, topic_for_address


@dataclass(frozen=True, slots=True)
class ChosenFrequencies:
    """What a person chose on a form that was rendered at `rendered_at`; times are UTC."""

    address: Address
    frequencies: Mapping[str, str]
    """Topic -> frequency."""
    rendered_at: datetime
    acted_at: datetime
    evidence: Mapping[str, str]


def build_frequency_change(
    id: UUID,  # noqa: A002 - as in `Change`
    chosen: ChosenFrequencies,
    topic_key: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
) -> Change | None:
    """The change for one topic; None where that frequency is in force, by `facts` of every form.

    Less often counts from the act; more often from when the form was rendered, so that a stale
    form does not raise what was lowered since (I5). Raises UnknownTopic, WrongChannel, or
    InvalidInput for what the topic does not offer.
    """
    topic = topic_for_address(chosen.address, topic_key, catalogue)
    key = chosen.frequencies[topic_key]
    frequency = frequency_choice(topic, key)
    current = effective_frequency(topic, facts)
    if current is None or key == current:
        return None
    reduces = is_less_often(topic, key, current)
    return Change(
        id=id,
        kind=EventKind.FREQUENCY_CHOSEN,
        address=chosen.address,
        scope=topic.key,
        occurred_at=chosen.acted_at if reduces else min(chosen.rendered_at, chosen.acted_at),
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=chosen.evidence,
        frequency=frequency,
    )
