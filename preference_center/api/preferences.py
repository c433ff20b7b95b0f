"""Preferences for the company's own account page: a link to our page, or the data itself."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from flask import Response

from preference_center.api.consent_evidence import parse_consent_evidence
from preference_center.api.endpoint import ApiCall
from preference_center.api.preferences_json import load_preferences_json
from preference_center.api.problems import FieldErrors
from preference_center.api.requests import (
    PortalAddress,
    PortalLinkRequest,
    PreferencesQuery,
    PreferencesUpdate,
)
from preference_center.context import Services
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING, SHARING
from preference_center.domain.frequency_changes import (
    ChosenFrequencies,
    build_frequency_change,
)
from preference_center.domain.preferences import (
    PreferenceChoice,
    PreferenceSubmission,
    build_kept_pause,
    build_preference_change,
    compute_preferences,
)
from preference_center.domain.sender_requests import RequestOrigin, clamp_to_now
from preference_center.languages import LANGUAGE_PARAMETER, match_language
from preference_center.ledger.recording import RecordResult
from preference_center.links import FURTHER_ADDRESS_PARAMETER, LIFETIMES, TokenPurpose
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_facts


def make_portal_link(call: ApiCall, request: PortalLinkRequest, services: Services) -> str:
    """A URL that opens the page of this address, and of further ones, for five minutes.

    The audit log records who requested it, with the id of the one-time token of each address; the
    evidence of every event recorded on the page for that address has that id as its message.
    Raises InvalidBody with all errors.
    """
    address, *others = _parse_portal_addresses(request, services)
    now, token_id = services.now(), services.new_id()
    other_ids = [services.new_id() for _ in others]
    url = services.links.one_time_url(TokenPurpose.PORTAL, address, token_id, now)
    actor = call.key.actor

    def audit_each(connection: Connection) -> None:
        for each in (token_id, *other_ids):
            detail = {"one_time_token": str(each)}
            audit.insert_audit_entry(connection, now, actor, "portal_link.created", detail)

    run_in_transaction(audit_each)
    query = [
        (
            FURTHER_ADDRESS_PARAMETER,
            services.links.create_one_time_token(TokenPurpose.PORTAL, each, other_id, now),
        )
        for each, other_id in zip(others, other_ids, strict=True)
    ]
    if language := match_language(request.language):
        query.append((LANGUAGE_PARAMETER, language))
    if query:
        url = f"{url}?{urlencode(query)}"
    return json.dumps(
        {"url": url, "expires_at": (now + LIFETIMES[TokenPurpose.PORTAL]).isoformat()}
    )


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


def _parse_portal_addresses(request: PortalLinkRequest, services: Services) -> list[Address]:
    """The address and the further ones. Raises InvalidBody with all errors."""
    errors = FieldErrors()
    region = services.settings.phone_region
    fields: dict[str, PortalAddress | PortalLinkRequest] = {"": request}
    fields |= {f"/also/{index}": each for index, each in enumerate(request.also)}
    found = [
        errors.collect(
            f"{pointer}/address", parse_address, each.address, each.channel, region=region
        )
        for pointer, each in fields.items()
    ]
    errors.raise_if_any()
    return [address for address in found if address]


def _escape_pointer(token: str) -> str:
    """Escape a reference token of a JSON pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")
