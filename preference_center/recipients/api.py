"""These endpoints read and write an address's preferences, for the company's own account page.

The JSON holds what a person wants and what is in force: all that the page draws of them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.bodies import EvidenceBody, PreferencesQuery, parse_consent_evidence
from preference_center.contacts.rules.preferences import (
    ChosenFrequencies,
    PreferenceChoice,
    Preferences,
    PreferenceState,
    PreferenceSubmission,
    ScopeStatus,
    build_frequency_change,
    build_kept_pause,
    build_preference_change,
    compute_preferences,
    shown_facts,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.core.links import OptInMethod
from preference_center.decisions.rules import POLICY_CHANGED, DecisionRule
from preference_center.destinations.set_up import list_one_way_titles
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.rules import RequestOrigin, clamp_to_now
from preference_center.ledger.store.lookup import load_facts
from preference_center.web.api.bodies import FrequencyKey, RawAddress, ResponseBody, TopicKey
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response, require_scope
from preference_center.web.api.keys import ApiKey, KeyScope
from preference_center.web.api.parsing import RequestBody, constraints
from preference_center.web.api.problems import INVALID_ADDRESS, SCOPE_PROBLEMS, FieldErrors
from preference_center.web.languages import in_language, match_language

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
        choices = [*self.topics.values(), *filter(None, [self.all_marketing, self.sharing])]
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


_TO_TURN_ON = frozenset({KeyScope.PORTAL, KeyScope.WRITE, KeyScope.LIFT})


def load_preferences_json(
    address: Address,
    catalogue: Catalogue,
    key: ApiKey,
    now: datetime,
    language: str | None,
    connection: Connection | None = None,
) -> dict[str, Any]:
    """The preferences of exactly this form of the address (I9), for a page that `key` serves.

    `language` is that of titles; default: the catalogue's.
    """
    facts = shown_facts(load_facts([address], connection)[0])
    preferences = compute_preferences(catalogue, address, facts, now)
    always_on = catalogue.always_on(closed=preferences.closed)
    return {
        "read_at": now.isoformat(),
        "closed": preferences.closed,
        "restricted": preferences.restricted,
        "opt_in": _opt_in_method(preferences, key).value,
        "all_marketing": _setting_json(preferences.all_marketing),
        "sharing": _setting_json(preferences.sharing),
        "topics": {topic: _setting_json(each) for topic, each in preferences.topics.items()},
        "always_on": [message_type.key for message_type in always_on],
        "one_way_systems": _one_way_systems(catalogue, [*preferences.topics], language, connection),
    }


def _opt_in_method(preferences: Preferences, key: ApiKey) -> OptInMethod:
    """At once where the key may lift: the company's own log-in has proven who it is."""
    possible = not preferences.closed and not preferences.restricted
    return (
        OptInMethod.IMMEDIATE if possible and key.scopes >= _TO_TURN_ON else OptInMethod.UNAVAILABLE
    )


def _one_way_systems(
    catalogue: Catalogue, topics: list[str], language: str | None, connection: Connection | None
) -> list[str]:
    with in_language(match_language(language) or catalogue.default_language):
        if connection is not None:
            return list_one_way_titles(connection, catalogue, topics)
        return run_in_transaction(lambda one: list_one_way_titles(one, catalogue, topics))


def _setting_json(status: ScopeStatus) -> dict[str, str]:
    off_since = status.since if status.state is PreferenceState.OFF else None
    values = {
        "state": status.state.value,
        "since": off_since and off_since.isoformat(),
        "until": status.until and status.until.isoformat(),
        "frequency": status.frequency,
        "rule": status.rule and status.rule.value,
        "advisory": POLICY_CHANGED if status.policy_changed else None,
    }
    return {name: value for name, value in values.items() if value}


# Not GET: an address must not be part of a URL (I12).
@endpoint(
    "POST",
    "/preferences/query",
    KeyScope.PORTAL,
    body=PreferencesQuery,
    response=PreferencesResponse,
    errors=(INVALID_ADDRESS,),
)
def post_preferences_query(call: ApiCall, body: PreferencesQuery) -> Response:
    """Query the preferences of an address."""
    return json_response(read_preferences(call, body, current_catalogue(), services()))


@endpoint(
    "PUT",
    "/preferences",
    KeyScope.PORTAL,
    KeyScope.WRITE,
    body=PreferencesUpdate,
    response=PreferencesUpdateResponse,
    writes=True,
    errors=SCOPE_PROBLEMS,
)
def put_preferences(call: ApiCall, body: PreferencesUpdate) -> Response:
    """Update the preferences of a person who is signed in with the company.

    To turn anything on, the key also needs the scope `lift`.
    """
    if body.turns_on:
        require_scope(call.key, KeyScope.LIFT)
    return write_preferences(call, body, current_catalogue(), services())


def read_preferences(
    call: ApiCall, query: PreferencesQuery, catalogue: Catalogue, services: Services
) -> str:
    """The preferences of exactly this form of the address (I9), as JSON."""
    address = parse_address(query.address, query.channel, region=services.settings.phone_region)
    return json.dumps(
        load_preferences_json(address, catalogue, call.key, services.now(), query.language)
    )


def write_preferences(
    call: ApiCall, update: PreferencesUpdate, catalogue: Catalogue, services: Services
) -> Response:
    """Record the person's changes, all or none; respond with the resulting preferences.

    Repeating a request adds nothing. Raises InvalidBody with all errors.
    """
    origin = call.origin
    submission = _parse_update(update, origin, services)
    # All forms, not only the exact one: an opt-in outranks older opt-outs of other forms, so it
    # is new wherever one of those is active (I9).
    facts = load_facts([submission.address])[0]
    current = compute_preferences(catalogue, submission.address, facts, origin.now)
    errors = FieldErrors()
    changes = []
    for scope in submission.choices:
        is_wide = scope in {ALL_MARKETING, SHARING}
        pointer = f"/{scope}" if is_wide else f"/topics/{_escape_pointer(scope)}"
        change = errors.collect(
            pointer,
            build_preference_change,
            services.new_id(),
            submission,
            scope,
            origin,
            catalogue,
            current,
        )
        if change:
            changes.append(change)
            if kept := build_kept_pause(services.new_id(), change, submission, current):
                changes.append(kept)
    chosen = ChosenFrequencies(
        submission.address,
        update.frequencies,
        submission.rendered_at,
        submission.consent_evidence.occurred_at,
        submission.evidence,
    )
    for key in update.frequencies:
        pointer = f"/frequencies/{_escape_pointer(key)}"
        given = (services.new_id(), chosen, key, origin, catalogue, facts)
        if change := errors.collect(pointer, build_frequency_change, *given):
            changes.append(change)
    errors.raise_if_any()

    def to_response(recorded: RecordResult, connection: Connection | None) -> str:
        preferences = load_preferences_json(
            submission.address,
            catalogue,
            call.key,
            services.now(),
            update.evidence.language,
            connection,
        )
        return json.dumps(preferences | {"events": [str(event) for event in recorded.events]})

    return call.record(changes, to_response)


def _parse_update(
    update: PreferencesUpdate, origin: RequestOrigin, services: Services
) -> PreferenceSubmission:
    errors = FieldErrors()
    region = services.settings.phone_region
    address = errors.collect(
        "/address", parse_address, update.address, update.channel, region=region
    )
    rendered_at = errors.collect("/rendered_at", clamp_to_now, update.rendered_at, origin.now)
    evidence = parse_consent_evidence(errors, "/evidence", update.evidence, origin.now, address)
    errors.raise_if_any()
    assert address
    assert rendered_at
    assert evidence
    choices = {key: PreferenceChoice(each.state, each.until) for key, each in update.topics.items()}
    overall = update.all_marketing
    if overall:
        choices[ALL_MARKETING] = PreferenceChoice(overall.state, overall.until)
    if update.sharing:
        choices[SHARING] = PreferenceChoice(update.sharing.state, update.sharing.until)
    submission = errors.collect(
        "/evidence", PreferenceSubmission, address, choices, rendered_at, evidence
    )
    errors.raise_if_any()
    assert submission
    return submission


def _escape_pointer(token: str) -> str:
    """Escape a reference token of a JSON pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


ROUTES = (post_preferences_query, put_preferences)
