"""Models of request bodies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from preference_center.api.parsing import (
    MAX_ROWS,
    PRINTABLE,
    RequestBody,
    constraints,
    validate_printable,
)
from preference_center.domain.addresses import Channel
from preference_center.domain.events import ALL_MARKETING, SHARING
from preference_center.domain.preferences import PreferenceState
from preference_center.domain.sender_requests import ReceivedVia
from preference_center.links import MAX_MESSAGE_ID

MAX_TOPIC_CHOICES = 1_000

# `format` states in the OpenAPI document what a text identifies.
RawAddress = Annotated[str, Field(json_schema_extra={"format": "address"})]
ShortName = Annotated[
    str, Field(min_length=1, max_length=100), AfterValidator(validate_printable), PRINTABLE
]
MessageTypeKey = Annotated[ShortName, Field(json_schema_extra={"format": "message-type"})]
TopicKey = Annotated[ShortName, Field(json_schema_extra={"format": "topic"})]
FrequencyKey = Annotated[ShortName, Field(json_schema_extra={"format": "frequency"})]
ScopeName = Annotated[ShortName, Field(json_schema_extra={"format": "scope"})]
ShortText = Annotated[
    str, Field(min_length=1, max_length=300), AfterValidator(validate_printable), PRINTABLE
]
WordingText = Annotated[
    str, Field(min_length=1, max_length=4000), AfterValidator(validate_printable), PRINTABLE
]
PolicyReference = Annotated[
    str,
    Field(
        max_length=40,
        pattern=r"^privacy/[a-z0-9][a-z0-9_.-]{0,31}$",
        json_schema_extra={"format": "policy"},
        description="The version of the privacy policy that was shown.",
    ),
]
LanguageTag = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
MessageId = Annotated[
    str,
    Field(max_length=MAX_MESSAGE_ID, json_schema_extra={"format": "message-id"}),
    AfterValidator(validate_printable),
    PRINTABLE,
]

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
_UNTIL_ONLY_IF_PAUSED = constraints(
    {
        "if": {"properties": {"state": {"const": PreferenceState.PAUSED.value}}},
        "then": {"required": ["until"], "properties": {"until": {"type": "string"}}},
        "else": {"properties": {"until": {"type": "null"}}},
    }
)
_TOPIC_KEYS_ONLY: JsonDict = {
    "additionalProperties": False,
    "propertyNames": {"minLength": 1, "maxLength": 100, "not": {"enum": [ALL_MARKETING, SHARING]}},
}


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


class OptOutRequest(RequestBody):
    """An opt-out."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    via: ReceivedVia
    received_at: AwareDatetime
    occurred_at: AwareDatetime | None = None
    policy: str = Field(
        default="",
        description="The version of the privacy policy that was shown. Ignored if unknown.",
    )


class EvidenceBody(RequestBody):
    """Evidence of a consent."""

    source: ShortText
    wording: WordingText
    language: LanguageTag
    occurred_at: AwareDatetime
    policy: PolicyReference | None = None


class ConsentRequest(RequestBody):
    """A consent."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    topic: TopicKey
    evidence: EvidenceBody
    own_act: bool = False


class MessageLinkRequest(RequestBody):
    """Links for one message."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    message_id: MessageId = ""
    short: bool = False


class PortalAddress(RequestBody):
    """A further address of the person who is signed in with the company."""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class PortalLinkRequest(RequestBody):
    """A link to the preference page of a person who is signed in with the company."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    also: list[PortalAddress] = Field(default_factory=list, max_length=3)
    language: LanguageTag | None = None


class PreferencesQuery(RequestBody):
    """Query the preferences of an address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    language: LanguageTag | None = None


class ConsentsQuery(PreferencesQuery):
    """Query the consents of an address."""


class PreferenceChoiceRequest(RequestBody):
    """A person's choice for one scope."""

    model_config = ConfigDict(json_schema_extra=_UNTIL_ONLY_IF_PAUSED)

    state: PreferenceState
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _check_until(self) -> PreferenceChoiceRequest:
        if (self.state is PreferenceState.PAUSED) != (self.until is not None):
            raise ValueError("give until with the state paused, and with no other state")
        return self


class PreferencesUpdate(RequestBody):
    """Changes made by a person who is signed in with the company."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    rendered_at: AwareDatetime
    evidence: EvidenceBody
    all_marketing: PreferenceChoiceRequest | None = None
    sharing: PreferenceChoiceRequest | None = None
    """Sale and sharing of their data; it can't be paused."""
    topics: Annotated[
        dict[TopicKey, PreferenceChoiceRequest],
        Field(max_length=MAX_TOPIC_CHOICES, json_schema_extra=_TOPIC_KEYS_ONLY),
    ] = {}  # noqa: RUF012 - frozen
    frequencies: Annotated[
        dict[TopicKey, FrequencyKey],
        Field(max_length=MAX_TOPIC_CHOICES, json_schema_extra=_TOPIC_KEYS_ONLY),
    ] = {}  # noqa: RUF012 - frozen
    """How often the person wants a topic; a choice is no opt-in."""

    @model_validator(mode="after")
    def _reject_wide_scopes_in_topics(self) -> PreferencesUpdate:
        for wide in sorted({ALL_MARKETING, SHARING} & {*self.topics, *self.frequencies}):
            raise ValueError(f"{wide} is a field of its own, not a key of topics or frequencies")
        return self

    @property
    def turns_on(self) -> bool:
        """Whether any of the choices may lift an opt-out."""
        choices = [*self.topics.values(), *filter(None, [self.all_marketing])]
        return any(choice.state is PreferenceState.ON for choice in choices)
