"""From rows of a body to changes of the ledger: every row is sound, or nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response

from preference_center.api.consent_evidence import proof_in
from preference_center.api.endpoint import Call
from preference_center.api.parsing import Rows
from preference_center.api.problems import Faults
from preference_center.api.requests import Consent, LinkRequest, OptOut
from preference_center.domain.addresses import parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import Change
from preference_center.domain.sender_requests import (
    Origin,
    consent,
    marketing_scope,
    opt_out,
    past,
    topic_for,
)
from preference_center.extensions import Services
from preference_center.ledger.recording import Recorded
from preference_center.links import Link, list_unsubscribe_headers


def record_opt_outs(
    call: Call, rows: Rows[OptOut], catalogue: Catalogue, services: Services
) -> Response:
    """Record them all; per row whether it is news. Raises InvalidBody with every fault."""
    faults = Faults()
    origin = call.origin
    changes: list[Change] = []
    region = services.settings.phone_region
    for at, row in rows.pointed():
        address = faults.attempt(f"{at}/address", parse, row.address, row.channel, region=region)
        received_at = faults.attempt(f"{at}/received_at", past, row.received_at, origin.now)
        occurred_at = received_at
        if row.occurred_at:
            occurred_at = faults.attempt(f"{at}/occurred_at", past, row.occurred_at, origin.now)
        if address is None:
            continue
        scope = faults.attempt(f"{at}/scope", marketing_scope, address, row.scope, catalogue)
        if scope and received_at and occurred_at:
            changes.append(
                opt_out(
                    services.new_id(),
                    address,
                    scope,
                    row.via,
                    origin,
                    received_at=received_at,
                    occurred_at=occurred_at,
                )
            )
    faults.refuse_any()
    return _record(call, rows, changes)


def record_consents(
    call: Call, rows: Rows[Consent], catalogue: Catalogue, services: Services
) -> Response:
    """Record them all; per row whether it is news. Raises InvalidBody with every fault."""
    faults = Faults()
    origin = call.origin
    changes: list[Change] = []
    region = services.settings.phone_region
    for at, row in rows.pointed():
        address = faults.attempt(f"{at}/address", parse, row.address, row.channel, region=region)
        proof = proof_in(faults, f"{at}/evidence", row.evidence, origin.now, address)
        if address is None:
            continue
        topic = faults.attempt(f"{at}/topic", topic_for, address, row.topic, catalogue)
        if topic is None or proof is None:
            continue
        change = faults.attempt(
            f"{at}/topic",
            consent,
            services.new_id(),
            address,
            topic,
            proof,
            origin,
            own_act=row.own_act,
        )
        if change:
            changes.append(change)
    faults.refuse_any()
    return _record(call, rows, changes)


def make_links(
    rows: Rows[LinkRequest], origin: Origin, catalogue: Catalogue, services: Services
) -> list[dict[str, Any]]:
    """Links and headers for each message. Raises InvalidBody with every fault."""
    faults = Faults()
    answers: list[dict[str, Any]] = []
    links, region = services.links, services.settings.phone_region
    for at, row in rows.pointed():
        address = faults.attempt(f"{at}/address", parse, row.address, row.channel, region=region)
        if address is None:
            continue
        scope = faults.attempt(f"{at}/scope", marketing_scope, address, row.scope, catalogue)
        if scope is None:
            continue
        link = Link(address, scope, row.message_id, origin.now)
        token = faults.attempt(f"{at}/message_id", links.make, link)
        if token is not None:
            digest = services.keys.exact(address) if links.mail_domain else None
            host = catalogue.host_of(scope)
            answers.append(
                {
                    "token": token,
                    "unsubscribe_url": links.unsubscribe_url(token, host),
                    "preferences_url": links.preferences_url(token, host),
                    "headers": list_unsubscribe_headers(links, link, digest, host, token),
                }
            )
    faults.refuse_any()
    return answers


def told_of(changes: Sequence[Change], recorded: Recorded) -> list[dict[str, Any]]:
    """Per change whether it was news, and its event if so."""
    news = set(recorded.events)
    return [
        {"recorded": True, "event": str(change.id)} if change.id in news else {"recorded": False}
        for change in changes
    ]


def _record(call: Call, rows: Rows[Any], changes: list[Change]) -> Response:
    return call.record(changes, lambda recorded, _: rows.answer(told_of(changes, recorded)))
