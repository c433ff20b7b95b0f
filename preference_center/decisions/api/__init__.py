"""`/v1/decisions`: one recipient, ten thousand, or a stream; the filters for senders.

The models are here, too: what is asked, what is answered, and the lines of a stream.

The common decisions are always the same objects, encoded once and not once per recipient.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import structlog
from flask import Response, current_app
from pydantic import ConfigDict, Field, RootModel, model_validator
from pydantic.config import JsonDict

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.occurrences import Occurrence
from preference_center.decisions.rules import (
    ALLOW_BY_DEFAULT,
    ALLOW_SERVICE,
    NO_CONSENT,
    UNPARSEABLE_ADDRESS,
    Decision,
    DecisionRule,
    decide,
)
from preference_center.infra import metrics, occurrences
from preference_center.infra.context import services
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.store.lookup import NO_SCOPE_FACTS, load_facts_as_of
from preference_center.ledger.watermarks import Watermark
from preference_center.web.api.bodies import (
    MessageTypeKey,
    ProblemDocument,
    RawAddress,
    ResponseBody,
)
from preference_center.web.api.endpoint import (
    ApiCall,
    endpoint,
    json_response,
    require_message_type,
)
from preference_center.web.api.keys import KeyScope, count_key_use
from preference_center.web.api.parsing import MAX_ROWS, RequestBody, constraints

log = structlog.get_logger()


UNKNOWN_LOG_INTERVAL = 60.0
"""Seconds between two lines of the log about one key's unknown message types."""


UNKNOWN_LOGGED_KEY = "preference_center.unknown_message_type_logged"


_ADDRESSES: JsonDict = {"type": "array", "items": {"type": "string"}}


_ONE_OR_MANY = constraints(
    {
        "oneOf": [
            {
                "required": ["recipient"],
                "properties": {"recipient": {"type": "string"}, "recipients": {"type": "null"}},
            },
            {
                "required": ["recipients"],
                "properties": {"recipients": _ADDRESSES, "recipient": {"type": "null"}},
            },
        ]
    }
)


class DecisionRequest(RequestBody):
    """May this message be sent to this recipient, or to each of these?"""

    model_config = ConfigDict(json_schema_extra=_ONE_OR_MANY)

    message_type: MessageTypeKey
    channel: Channel = Channel.EMAIL
    recipient: RawAddress | None = None
    recipients: Annotated[list[RawAddress], Field(max_length=MAX_ROWS)] | None = None

    @model_validator(mode="after")
    def _check_one_or_many(self) -> DecisionRequest:
        if (self.recipient is None) == (self.recipients is None):
            raise ValueError("give exactly one of recipient (one address) and recipients (a list)")
        return self


class DecisionItem(ResponseBody):
    """Allow or deny, and the rule that decided."""

    allow: bool
    rule: DecisionRule
    scope: str | None = None
    event: UUID | None = None
    since: datetime | None = None
    advisory: str | None = None
    frequency: str | None = None


class SingleDecision(DecisionItem):
    """The decision for `recipient`. It considers everything recorded before `as_of`."""

    as_of: str


class DecisionList(ResponseBody):
    """One decision for each of `recipients`, in their order."""

    as_of: str
    decisions: list[DecisionItem]


class DecisionResponse(RootModel[SingleDecision | DecisionList]):
    """A decision for `recipient`, or decisions for `recipients`."""


class StreamedDecision(DecisionItem):
    """The decision for one row; only an unreadable row has no `recipient`."""

    recipient: str | None = None


class StreamEnd(ResponseBody):
    """The last line if all rows have a decision; all consider what was recorded before `as_of`."""

    end: Literal[True]
    count: int
    as_of: str


class StreamError(ResponseBody):
    """The last line if the remaining rows have no decision."""

    end: Literal[False]
    problem: ProblemDocument


class DecisionStreamLine(RootModel[StreamedDecision | StreamEnd | StreamError]):
    """One line of a streamed response."""

    media_type: ClassVar[str] = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """Decisions in the order of the recipients, and the watermark of the ledger they consider."""

    decisions: list[Decision]
    as_of: Watermark


@endpoint("POST", "/decisions", KeyScope.CHECK, body=DecisionRequest, response=DecisionResponse)
def post_decisions(call: ApiCall, body: DecisionRequest) -> Response:
    """Check whether a message may be sent to these recipients.

    Check right before sending. Anything other than `"allow": true` means deny.
    """
    catalogue = current_catalogue()
    require_message_type(call.key, body.message_type, catalogue)
    return json_response(
        decisions_json(
            body, catalogue, services().settings.phone_region, call.origin.now, call.key.name
        )
    )


def decisions_json(
    body: DecisionRequest, catalogue: Catalogue, region: str, now: datetime, key_name: str
) -> str:
    """The decisions as JSON, in the order of the recipients. Raises Unavailable."""
    one = body.recipient
    recipients = (body.recipients or ()) if one is None else [one]
    decided = decide_all(recipients, body.message_type, body.channel, catalogue, region, now)
    count_denials(key_name, decided.decisions, now)
    if one is not None:
        return f'{decision_json(decided.decisions[0])[:-1]}, "as_of": "{decided.as_of}"}}'
    encoded = ", ".join(
        [
            _COMMON_JSON.get(id(decision)) or decision_json(decision)
            for decision in decided.decisions
        ]
    )
    return f'{{"as_of": "{decided.as_of}", "decisions": [{encoded}]}}'


def decide_all(
    recipients: Sequence[str],
    message_type: str,
    channel: Channel,
    catalogue: Catalogue,
    region: str,
    now: datetime,
) -> DecisionBatch:
    """One decision for each of `recipients`, in their order. Raises Unavailable."""
    message = catalogue.message_types.get(message_type)
    topic = catalogue.topics.get(message.topic) if message and message.topic else None
    if message is None:
        return _same_for_all(
            Decision(allow=False, rule=DecisionRule.UNKNOWN_MESSAGE_TYPE), len(recipients)
        )
    if topic is not None and topic.channel is not channel:
        return _same_for_all(
            Decision(allow=False, rule=DecisionRule.WRONG_CHANNEL), len(recipients)
        )
    addresses = [_parse_or_none(raw, channel, region) for raw in recipients]
    loaded, as_of = load_facts_as_of([address for address in addresses if address is not None])
    require_complete_database(as_of.epoch)
    facts = iter(loaded)
    without_facts = decide(message, topic, NO_SCOPE_FACTS, now)
    decisions = [
        UNPARSEABLE_ADDRESS
        if address is None
        else decide(message, topic, known, now)
        if (known := next(facts))
        else without_facts
        for address in addresses
    ]
    metrics.count_decisions(decisions)
    return DecisionBatch(decisions, as_of)


def count_denials(key_name: str, decisions: Sequence[Decision], now: datetime) -> None:
    """Count these decisions, and how many of them deny, for the sender's key."""
    denied = sum(not decision.allow for decision in decisions)
    count_key_use(key_name, now, decisions=len(decisions), denied=denied)
    if decisions and decisions[0].rule is DecisionRule.UNKNOWN_MESSAGE_TYPE:
        occurrences.note(Occurrence.UNKNOWN_MESSAGE_TYPE, key_name)
        _log_unknown_message_type(key_name)


def _log_unknown_message_type(key_name: str) -> None:
    """Log it once a minute for each key, without the type: that is a text of the request (I12)."""
    logged: dict[str, float] = current_app.extensions.setdefault(UNKNOWN_LOGGED_KEY, {})
    now = time.monotonic()
    if now >= logged.get(key_name, -math.inf) + UNKNOWN_LOG_INTERVAL:
        logged[key_name] = now
        log.warning("unknown_message_type", key=key_name)


def _same_for_all(decision: Decision, count: int) -> DecisionBatch:
    _, as_of = load_facts_as_of([])
    require_complete_database(as_of.epoch)
    decisions = [decision] * count
    metrics.count_decisions(decisions)
    return DecisionBatch(decisions, as_of)


def _parse_or_none(raw: str, channel: Channel, region: str) -> Address | None:
    try:
        return parse_address(raw, channel, region=region)
    except InvalidAddress:
        return None


def decision_json(decision: Decision) -> str:
    """The decision as a JSON object, without the fields that do not apply."""
    parts = ['{"allow": ', "true" if decision.allow else "false", f', "rule": "{decision.rule}"']
    if decision.scope is not None:
        parts.append(f', "scope": {json.dumps(decision.scope)}')
    if decision.event is not None:
        parts.append(f', "event": "{decision.event}"')
    if decision.since is not None:
        parts.append(f', "since": "{decision.since.isoformat()}"')
    if decision.advisory is not None:
        parts.append(f', "advisory": {json.dumps(decision.advisory)}')
    if decision.frequency is not None:
        parts.append(f', "frequency": "{decision.frequency}"')
    parts.append("}")
    return "".join(parts)


_COMMON_JSON = {
    id(decision): decision_json(decision)
    for decision in (ALLOW_BY_DEFAULT, ALLOW_SERVICE, NO_CONSENT, UNPARSEABLE_ADDRESS)
}


ROUTES = (post_decisions,)
