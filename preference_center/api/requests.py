"""The bodies that senders send."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from preference_center.api.parsing import MAX_ROWS, READABLE, Body, readable
from preference_center.domain.addresses import Channel
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.preferences import Setting
from preference_center.domain.sender_requests import Via
from preference_center.links import MAX_MESSAGE_ID

MAX_CHOICES = 1_000

# `format` says in the OpenAPI document what a text has to name.
RawAddress = Annotated[str, Field(json_schema_extra={"format": "address"})]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(readable), READABLE]
MessageTypeKey = Annotated[Name, Field(json_schema_extra={"format": "message-type"})]
TopicKey = Annotated[Name, Field(json_schema_extra={"format": "topic"})]
ScopeName = Annotated[Name, Field(json_schema_extra={"format": "scope"})]
Line = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(readable), READABLE]
Wording = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(readable), READABLE]
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
MessageId = Annotated[
    str,
    Field(max_length=MAX_MESSAGE_ID, json_schema_extra={"format": "message-id"}),
    AfterValidator(readable),
    READABLE,
]

_ONE_OR_MANY: JsonDict = {
    "oneOf": [
        {
            "required": ["recipient"],
            "properties": {"recipient": {"type": "string"}, "recipients": {"type": "null"}},
        },
        {
            "required": ["recipients"],
            "properties": {"recipients": {"type": "array"}, "recipient": {"type": "null"}},
        },
    ]
}
_ONLY_A_PAUSE_ENDS: JsonDict = {
    "if": {"properties": {"state": {"const": Setting.PAUSED.value}}},
    "then": {"required": ["until"], "properties": {"until": {"type": "string"}}},
    "else": {"properties": {"until": {"type": "null"}}},
}
_ONLY_TOPICS: JsonDict = {
    "additionalProperties": False,
    "propertyNames": {"minLength": 1, "maxLength": 100, "not": {"const": ALL_MARKETING}},
}


class Question(Body):
    """May this message go to that recipient, or to each of these?"""

    model_config = ConfigDict(json_schema_extra=_ONE_OR_MANY)

    message_type: MessageTypeKey
    channel: Channel = Channel.EMAIL
    recipient: RawAddress | None = None
    recipients: Annotated[list[RawAddress], Field(max_length=MAX_ROWS)] | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> Question:
        if (self.recipient is None) == (self.recipients is None):
            raise ValueError("give either recipient (one address) or recipients (a list)")
        return self


class OptOut(Body):
    """A person said no."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    via: Via
    received_at: AwareDatetime
    occurred_at: AwareDatetime | None = None


class Evidence(Body):
    """What shows that a person said yes."""

    source: Line
    wording: Wording
    language: Language
    occurred_at: AwareDatetime


class Consent(Body):
    """A person said yes."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    topic: TopicKey
    evidence: Evidence
    own_act: bool = False


class LinkRequest(Body):
    """Links for one message."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    message_id: MessageId = ""


class PortalRequest(Body):
    """A way to the page of a person who is signed in with the company."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    language: Language | None = None


class PreferencesQuery(Body):
    """What does this address receive?"""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class ChoiceMade(Body):
    """What the person chose for one scope."""

    model_config = ConfigDict(json_schema_extra=_ONLY_A_PAUSE_ENDS)

    state: Setting
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _only_a_pause_ends(self) -> ChoiceMade:
        if (self.state is Setting.PAUSED) != (self.until is not None):
            raise ValueError("give until with the state paused, and with no other")
        return self


class PreferencesChange(Body):
    """What a person who is signed in with the company changed."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    rendered_at: AwareDatetime
    evidence: Evidence
    all_marketing: ChoiceMade | None = None
    topics: Annotated[
        dict[TopicKey, ChoiceMade],
        Field(max_length=MAX_CHOICES, json_schema_extra=_ONLY_TOPICS),
    ] = {}  # noqa: RUF012 - frozen

    @model_validator(mode="after")
    def _in_its_place(self) -> PreferencesChange:
        if ALL_MARKETING in self.topics:
            raise ValueError("all_marketing stands beside topics, not in it")
        return self

    @property
    def turns_on(self) -> bool:
        """Whether anything of it may lift a no."""
        made = [*self.topics.values(), *filter(None, [self.all_marketing])]
        return any(choice.state is Setting.ON for choice in made)
