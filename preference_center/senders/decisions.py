"""Answering "may I send this?" for one recipient or ten thousand.

The common answers are rendered once per request, not once per recipient.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import Decision, Rule, decide
from preference_center.errors import InvalidAddress
from preference_center.senders.bodies import Question
from preference_center.storage.facts import NO_FACTS, facts_for


def answer(question: Question, catalogue: Catalogue, region: str, now: datetime) -> str:
    """The decisions as JSON, in the order of the recipients. Raises Unavailable."""
    if question.recipient is not None:
        return _decisions([question.recipient], question, catalogue, region, now)[0]
    recipients = question.recipients or ()
    return (
        f'{{"decisions": [{", ".join(_decisions(recipients, question, catalogue, region, now))}]}}'
    )


def _decisions(
    recipients: Sequence[str],
    question: Question,
    catalogue: Catalogue,
    region: str,
    now: datetime,
) -> list[str]:
    message = catalogue.message_types.get(question.message_type)
    if message is None:
        return [_render(Decision(allow=False, rule=Rule.UNKNOWN_MESSAGE_TYPE))] * len(recipients)
    topic = catalogue.topics.get(message.topic) if message.topic else None
    if topic is not None and topic.channel is not question.channel:
        return [_render(Decision(allow=False, rule=Rule.WRONG_CHANNEL))] * len(recipients)
    addresses = [_parsed(raw, question.channel, region) for raw in recipients]
    readable = [address for address in addresses if address is not None]
    found = iter(facts_for(readable))
    unseen = _render(decide(message, topic, NO_FACTS, now))
    return [
        _UNPARSEABLE
        if address is None
        else _render(decide(message, topic, facts, now))
        if (facts := next(found))
        else unseen
        for address in addresses
    ]


def _parsed(raw: str, channel: Channel, region: str) -> Address | None:
    try:
        return parse(raw, channel, region=region)
    except InvalidAddress:
        return None


def _render(decision: Decision) -> str:
    """The decision as a JSON object, without the fields that don't apply."""
    parts = ['{"allow": ', "true" if decision.allow else "false", f', "rule": "{decision.rule}"']
    if decision.scope is not None:
        parts.append(f', "scope": {json.dumps(decision.scope)}')
    if decision.event is not None:
        parts.append(f', "event": "{decision.event}"')
    if decision.since is not None:
        parts.append(f', "since": "{decision.since.isoformat()}"')
    if decision.advisory is not None:
        parts.append(f', "advisory": {json.dumps(decision.advisory)}')
    parts.append("}")
    return "".join(parts)


_UNPARSEABLE = _render(Decision(allow=False, rule=Rule.UNPARSEABLE_ADDRESS))
