"""Preferences for the company's own account page."""

from __future__ import annotations

import json

from flask import Response

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.bodies import PreferencesQuery, parse_consent_evidence
from preference_center.contacts.rules.preferences import (
    ChosenFrequencies,
    PreferenceChoice,
    PreferenceSubmission,
    build_frequency_change,
    build_kept_pause,
    build_preference_change,
    compute_preferences,
)
from preference_center.core.addresses import parse_address
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.rules import RequestOrigin, clamp_to_now
from preference_center.ledger.store.lookup import load_facts
from preference_center.recipients.api.preference_models import (
    PreferencesResponse,
    PreferencesUpdate,
    PreferencesUpdateResponse,
)
from preference_center.recipients.api.preferences_json import load_preferences_json
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response, require_scope
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import INVALID_ADDRESS, SCOPE_PROBLEMS, FieldErrors


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
