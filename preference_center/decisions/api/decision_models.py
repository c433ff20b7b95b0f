"""Models of decisions: what is asked, what is answered, and the lines of a stream."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel, model_validator
from pydantic.config import JsonDict

from preference_center.core.addresses import Channel
from preference_center.decisions.rules.decision_rules import DecisionRule
from preference_center.web.api.bodies import (
    MessageTypeKey,
    ProblemDocument,
    RawAddress,
    ResponseBody,
)
from preference_center.web.api.parsing import MAX_ROWS, RequestBody, constraints

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
