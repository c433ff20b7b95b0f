"""From rows of a body to changes of the ledger: all rows are valid, or nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response

from preference_center.api.consent_evidence import parse_consent_evidence
from preference_center.api.endpoint import ApiCall
from preference_center.api.parsing import RequestRows
from preference_center.api.problems import FieldErrors
from preference_center.api.requests import ConsentRequest, MessageLinkRequest, OptOutRequest
from preference_center.context import Services
from preference_center.domain.addresses import parse_address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import Change
from preference_center.domain.sender_requests import (
    RequestOrigin,
    build_consent_change,
    build_opt_out_change,
    clamp_to_now,
    known_policy,
    topic_for_address,
    validate_marketing_scope,
    validate_opt_out_scope,
)
from preference_center.ledger.recording import RecordResult
from preference_center.links import Link, list_unsubscribe_headers
from preference_center.storage.access.short_links import insert_short_links
from preference_center.storage.db.database import run_in_transaction


def record_opt_outs(
    call: ApiCall, rows: RequestRows[OptOutRequest], catalogue: Catalogue, services: Services
) -> Response:
    """Record all rows; respond per row whether it was new. Raises InvalidBody with all errors."""
    errors = FieldErrors()
    origin = call.origin
    changes: list[Change] = []
    region = services.settings.phone_region
    for pointer, row in rows.with_pointers():
        address = errors.collect(
            f"{pointer}/address", parse_address, row.address, row.channel, region=region
        )
        received_at = errors.collect(
            f"{pointer}/received_at", clamp_to_now, row.received_at, origin.now
        )
        occurred_at = received_at
        if row.occurred_at:
            occurred_at = errors.collect(
                f"{pointer}/occurred_at", clamp_to_now, row.occurred_at, origin.now
            )
        if address is None:
            continue
        scope = errors.collect(
            f"{pointer}/scope", validate_opt_out_scope, address, row.scope, catalogue
        )
        if scope and received_at and occurred_at:
            changes.append(
                build_opt_out_change(
                    services.new_id(),
                    address,
                    scope,
                    row.via,
                    origin,
                    received_at=received_at,
                    occurred_at=occurred_at,
                    policy=known_policy(row.policy, catalogue),
                )
            )
    errors.raise_if_any()
    return _record_changes(call, rows, changes)


def record_consents(
    call: ApiCall, rows: RequestRows[ConsentRequest], catalogue: Catalogue, services: Services
) -> Response:
    """Record all rows; respond per row whether it was new. Raises InvalidBody with all errors."""
    errors = FieldErrors()
    origin = call.origin
    changes: list[Change] = []
    region = services.settings.phone_region
    for pointer, row in rows.with_pointers():
        address = errors.collect(
            f"{pointer}/address", parse_address, row.address, row.channel, region=region
        )
        evidence = parse_consent_evidence(
            errors, f"{pointer}/evidence", row.evidence, origin.now, address
        )
        if address is None:
            continue
        topic = errors.collect(f"{pointer}/topic", topic_for_address, address, row.topic, catalogue)
        if topic is None or evidence is None:
            continue
        change = errors.collect(
            f"{pointer}/topic",
            build_consent_change,
            services.new_id(),
            address,
            topic,
            evidence,
            origin,
            own_act=row.own_act,
        )
        if change:
            changes.append(change)
    errors.raise_if_any()
    return _record_changes(call, rows, changes)


def make_links(
    rows: RequestRows[MessageLinkRequest],
    origin: RequestOrigin,
    catalogue: Catalogue,
    services: Services,
) -> list[dict[str, Any]]:
    """Links and headers for each message, and the short link where it is asked for.

    Raises InvalidBody with all errors.
    """
    errors = FieldErrors()
    results: list[dict[str, Any]] = []
    links, region = services.links, services.settings.phone_region
    for pointer, row in rows.with_pointers():
        address = errors.collect(
            f"{pointer}/address", parse_address, row.address, row.channel, region=region
        )
        if address is None:
            continue
        scope = errors.collect(
            f"{pointer}/scope", validate_marketing_scope, address, row.scope, catalogue
        )
        if scope is None:
            continue
        link = Link(address, scope, row.message_id, origin.now)
        token = errors.collect(f"{pointer}/message_id", links.create_token, link)
        if token is not None:
            digest = services.keys.exact_digest(address) if links.mail_domain else None
            host = catalogue.host_for_scope(scope)
            results.append(
                {
                    "token": token,
                    "unsubscribe_url": links.unsubscribe_url(token, host),
                    "preferences_url": links.preferences_url(token, host),
                    "headers": list_unsubscribe_headers(links, link, digest, host, token),
                }
            )
    errors.raise_if_any()
    wanted = [
        (result, catalogue.host_for_scope(row.scope))
        for row, result in zip(rows.rows, results, strict=True)
        if row.short
    ]
    _add_short_links(wanted, origin, services)
    return results


def _add_short_links(
    wanted: Sequence[tuple[dict[str, Any], str | None]], origin: RequestOrigin, services: Services
) -> None:
    """Store a short link to the unsubscribe page of each; nothing else is written."""
    if not wanted:
        return
    paths = [f"u/{result['token']}" for result, _ in wanted]
    codes = run_in_transaction(lambda connection: insert_short_links(connection, paths, origin.now))
    for (result, host), code in zip(wanted, codes, strict=True):
        result["short_url"] = services.links.short_url(code, host)


def record_results(changes: Sequence[Change], result: RecordResult) -> list[dict[str, Any]]:
    """Per change whether it was new, and its event if so."""
    new = set(result.events)
    return [
        {"recorded": True, "event": str(change.id)} if change.id in new else {"recorded": False}
        for change in changes
    ]


def _record_changes(call: ApiCall, rows: RequestRows[Any], changes: list[Change]) -> Response:
    return call.record(changes, lambda recorded, _: rows.to_json(record_results(changes, recorded)))
