"""Models of preferences: what a person wants, and what is in force."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from preference_center.contacts.bodies import EvidenceBody
from preference_center.contacts.rules.preferences import PreferenceState
from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.core.links import OptInMethod
from preference_center.decisions.rules import DecisionRule
from preference_center.web.api.bodies import FrequencyKey, RawAddress, ResponseBody, TopicKey
from preference_center.web.api.parsing import RequestBody, constraints

MAX_TOPIC_CHOICES = 1_000
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


class ScopeSetting(ResponseBody):
    """On, off or paused; with the end of a pause, or with the rule that keeps it off.

    `since`: from when on it has been off, where an event decides it. `advisory`: `policy_changed`
    where there is a consent that no longer counts. `frequency`: how often a topic is sent, where
    the catalogue offers a choice.
    """

    state: PreferenceState
    since: datetime | None = None
    until: datetime | None = None
    rule: DecisionRule | None = None
    advisory: str | None = None
    frequency: str | None = None


class PreferencesResponse(ResponseBody):
    """The preferences of one address."""

    read_at: datetime
    closed: bool
    restricted: bool
    opt_in: Literal[OptInMethod.IMMEDIATE, OptInMethod.UNAVAILABLE] = Field(
        description="Whether this key can turn something on for this person"
    )
    all_marketing: ScopeSetting
    sharing: ScopeSetting = Field(
        description="Sale and sharing of the person's data: on as long as nothing forbids it"
    )
    topics: dict[str, ScopeSetting]
    always_on: list[str] = Field(
        description="The service message types that nobody can turn off; of a closed account"
        " those that remain"
    )
    one_way_systems: list[str] = Field(
        description="The titles of systems that can't turn on again and have no pauses"
    )


class PreferencesUpdateResponse(PreferencesResponse):
    """The preferences after the update, and the events it recorded."""

    events: list[UUID]
