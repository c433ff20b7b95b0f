"""For the company's own account page: a way to ours, or the preferences themselves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response

from preference_center.api.consent_evidence import proof_in
from preference_center.api.endpoint import Call
from preference_center.api.problems import Faults
from preference_center.api.requests import PortalRequest, PreferencesChange, PreferencesQuery
from preference_center.domain.addresses import Address, parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.preferences import (
    Answer,
    Choice,
    Preferences,
    Standing,
    change_of,
    preferences_of,
)
from preference_center.domain.sender_requests import Origin, past
from preference_center.extensions import Services
from preference_center.languages import SWITCH, supported
from preference_center.ledger.recording import Recorded
from preference_center.links import LIFETIMES, Use
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.suppression_lookup import exact_facts_for, facts_for


def portal_link(call: Call, request: PortalRequest, services: Services) -> str:
    """A URL that opens the page of this address for five minutes.

    Who got it is recorded with the id of its pass, which the evidence of everything that is
    said on the page names as the message.
    """
    address = _address(request.address, request, services)
    now, pass_id = services.now(), services.new_id()
    url = services.links.pass_url(Use.PORTAL, address, pass_id, now)
    detail = {"pass": str(pass_id)}
    actor = call.key.actor
    run(lambda connection: audit.append(connection, now, actor, "portal_link.made", detail))
    language = supported(request.language)
    if language:
        url = f"{url}?{urlencode({SWITCH: language})}"
    return json.dumps({"url": url, "expires_at": (now + LIFETIMES[Use.PORTAL]).isoformat()})


def read_preferences(query: PreferencesQuery, catalogue: Catalogue, services: Services) -> str:
    """What exactly this form of the address receives (I9)."""
    address = _address(query.address, query, services)
    now = services.now()
    return json.dumps(_shown(_stored(address, catalogue, now), now))


def write_preferences(
    call: Call, change: PreferencesChange, catalogue: Catalogue, services: Services
) -> Response:
    """Record what the person changed, all or nothing; tells how everything stands then.

    Repeating it adds nothing. Raises InvalidBody with every fault.
    """
    origin = call.origin
    answer = _answer(change, origin, services)
    # Wide, not exact: an own "yes" outranks older matches of other forms, so it is news
    # wherever one of them stands (I9).
    facts = facts_for([answer.address])[0]
    standing = preferences_of(catalogue, answer.address, facts, origin.now)
    faults = Faults()
    changes = []
    for scope in answer.choices:
        pointer = "/all_marketing" if scope == ALL_MARKETING else f"/topics/{_escaped(scope)}"
        made = faults.attempt(
            pointer, change_of, services.new_id(), answer, scope, origin, catalogue, standing
        )
        if made:
            changes.append(made)
    faults.refuse_any()

    def told(recorded: Recorded, connection: Connection | None) -> str:
        now = services.now()
        shown = _shown(_stored(answer.address, catalogue, now, connection), now)
        return json.dumps(shown | {"events": [str(event) for event in recorded.events]})

    return call.record(changes, told)


def _answer(change: PreferencesChange, origin: Origin, services: Services) -> Answer:
    faults = Faults()
    region = services.settings.phone_region
    address = faults.attempt("/address", parse, change.address, change.channel, region=region)
    rendered_at = faults.attempt("/rendered_at", past, change.rendered_at, origin.now)
    proof = proof_in(faults, "/evidence", change.evidence, origin.now, address)
    faults.refuse_any()
    assert address
    assert rendered_at
    assert proof
    choices = {key: Choice(made.state, made.until) for key, made in change.topics.items()}
    wide = change.all_marketing
    if wide:
        choices[ALL_MARKETING] = Choice(wide.state, wide.until)
    answer = faults.attempt("/evidence", Answer, address, choices, rendered_at, proof)
    faults.refuse_any()
    assert answer
    return answer


def _address(raw: str, request: PortalRequest | PreferencesQuery, services: Services) -> Address:
    return parse(raw, request.channel, region=services.settings.phone_region)


def _stored(
    address: Address, catalogue: Catalogue, now: datetime, connection: Connection | None = None
) -> Preferences:
    return preferences_of(catalogue, address, exact_facts_for([address], connection)[0], now)


def _shown(found: Preferences, now: datetime) -> dict[str, Any]:
    return {
        "read_at": now.isoformat(),
        "closed": found.closed,
        "all_marketing": _standing(found.all_marketing),
        "topics": {key: _standing(standing) for key, standing in found.topics.items()},
    }


def _standing(standing: Standing) -> dict[str, str]:
    shown = {"state": standing.setting.value}
    if standing.until:
        shown["until"] = standing.until.isoformat()
    if standing.rule:
        shown["rule"] = standing.rule.value
    return shown


def _escaped(step: str) -> str:
    """A step of a JSON pointer (RFC 6901 3)."""
    return step.replace("~", "~0").replace("/", "~1")
