"""For the company's own account page: a way to ours, or the preferences themselves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response

from preference_center.api.consent_evidence import parse_consent_evidence
from preference_center.api.endpoint import ApiCall
from preference_center.api.problems import FieldErrors
from preference_center.api.requests import PortalLinkRequest, PreferencesQuery, PreferencesUpdate
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.preferences import (
    PreferenceChoice,
    Preferences,
    PreferenceSubmission,
    ScopeStatus,
    build_preference_change,
    compute_preferences,
)
from preference_center.domain.sender_requests import RequestOrigin, clamp_to_now
from preference_center.extensions import Services
from preference_center.languages import LANGUAGE_PARAMETER, match_language
from preference_center.ledger.recording import RecordResult
from preference_center.links import LIFETIMES, TokenPurpose
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_exact_facts, load_facts


def make_portal_link(call: ApiCall, request: PortalLinkRequest, services: Services) -> str:
    """A URL that opens the page of this address for five minutes.

    Who got it is recorded with the id of its pass, which the evidence of everything that is
    said on the page names as the message.
    """
    address = _parse_address(request.address, request, services)
    now, pass_id = services.now(), services.new_id()
    url = services.links.one_time_url(TokenPurpose.PORTAL, address, pass_id, now)
    detail = {"pass": str(pass_id)}
    actor = call.key.actor
    run_in_transaction(
        lambda connection: audit.insert_audit_entry(
            connection, now, actor, "portal_link.made", detail
        )
    )
    language = match_language(request.language)
    if language:
        url = f"{url}?{urlencode({LANGUAGE_PARAMETER: language})}"
    return json.dumps(
        {"url": url, "expires_at": (now + LIFETIMES[TokenPurpose.PORTAL]).isoformat()}
    )


def read_preferences(query: PreferencesQuery, catalogue: Catalogue, services: Services) -> str:
    """What exactly this form of the address receives (I9)."""
    address = _parse_address(query.address, query, services)
    now = services.now()
    return json.dumps(_preferences_json(_load_preferences(address, catalogue, now), now))


def write_preferences(
    call: ApiCall, update: PreferencesUpdate, catalogue: Catalogue, services: Services
) -> Response:
    """Record what the person changed, all or nothing; tells how everything stands then.

    Repeating it adds nothing. Raises InvalidBody with every fault.
    """
    origin = call.origin
    answer = _parse_update(update, origin, services)
    # Wide, not exact: an own "yes" outranks older matches of other forms, so it is news
    # wherever one of them stands (I9).
    facts = load_facts([answer.address])[0]
    standing = compute_preferences(catalogue, answer.address, facts, origin.now)
    faults = FieldErrors()
    changes = []
    for scope in answer.choices:
        pointer = (
            "/all_marketing" if scope == ALL_MARKETING else f"/topics/{_escape_pointer(scope)}"
        )
        made = faults.collect(
            pointer,
            build_preference_change,
            services.new_id(),
            answer,
            scope,
            origin,
            catalogue,
            standing,
        )
        if made:
            changes.append(made)
    faults.raise_if_any()

    def to_response(recorded: RecordResult, connection: Connection | None) -> str:
        now = services.now()
        shown = _preferences_json(
            _load_preferences(answer.address, catalogue, now, connection), now
        )
        return json.dumps(shown | {"events": [str(event) for event in recorded.events]})

    return call.record(changes, to_response)


def _parse_update(
    update: PreferencesUpdate, origin: RequestOrigin, services: Services
) -> PreferenceSubmission:
    faults = FieldErrors()
    region = services.settings.phone_region
    address = faults.collect(
        "/address", parse_address, update.address, update.channel, region=region
    )
    rendered_at = faults.collect("/rendered_at", clamp_to_now, update.rendered_at, origin.now)
    proof = parse_consent_evidence(faults, "/evidence", update.evidence, origin.now, address)
    faults.raise_if_any()
    assert address
    assert rendered_at
    assert proof
    choices = {key: PreferenceChoice(made.state, made.until) for key, made in update.topics.items()}
    wide = update.all_marketing
    if wide:
        choices[ALL_MARKETING] = PreferenceChoice(wide.state, wide.until)
    answer = faults.collect("/evidence", PreferenceSubmission, address, choices, rendered_at, proof)
    faults.raise_if_any()
    assert answer
    return answer


def _parse_address(
    raw: str, request: PortalLinkRequest | PreferencesQuery, services: Services
) -> Address:
    return parse_address(raw, request.channel, region=services.settings.phone_region)


def _load_preferences(
    address: Address, catalogue: Catalogue, now: datetime, connection: Connection | None = None
) -> Preferences:
    return compute_preferences(catalogue, address, load_exact_facts([address], connection)[0], now)


def _preferences_json(preferences: Preferences, now: datetime) -> dict[str, Any]:
    return {
        "read_at": now.isoformat(),
        "closed": preferences.closed,
        "all_marketing": _setting_json(preferences.all_marketing),
        "topics": {key: _setting_json(standing) for key, standing in preferences.topics.items()},
    }


def _setting_json(status: ScopeStatus) -> dict[str, str]:
    shown = {"state": status.state.value}
    if status.until:
        shown["until"] = status.until.isoformat()
    if status.rule:
        shown["rule"] = status.rule.value
    return shown


def _escape_pointer(token: str) -> str:
    """A step of a JSON pointer (RFC 6901 3)."""
    return token.replace("~", "~0").replace("/", "~1")
