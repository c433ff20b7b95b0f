"""Suppressions: what stands, one address with its history, and lifting by the person's act.

They are made by `/v1/opt-outs`, the one door for a "no".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from flask import Response

from preference_center.api.consent_evidence import parse_consent_evidence
from preference_center.api.endpoint import ApiCall, endpoint, json_response
from preference_center.api.pagination import cursor_position, page_response
from preference_center.api.parsing import RequestRows
from preference_center.api.problems import (
    INVALID_ADDRESS,
    INVALID_CURSOR,
    UNKNOWN_TOPIC,
    WRONG_CHANNEL,
    FieldErrors,
)
from preference_center.api.suppression_models import (
    AddressHistory,
    AddressQuery,
    AddressSuppression,
    EventResponse,
    LiftRequest,
    LiftResult,
    SuppressionListQuery,
    SuppressionListResponse,
    SuppressionReason,
    SuppressionResponse,
)
from preference_center.api.writes import record_results
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.decisions import find_denial
from preference_center.domain.delivery_status import (
    active_suppressions,
    is_suppressed_by_other_form,
)
from preference_center.domain.events import Change, Event, EventKind
from preference_center.domain.resubscribe import build_opt_in_change, is_repeated_opt_in
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.extensions import services
from preference_center.ledger.recording import RecordResult
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger import suppression_list
from preference_center.storage.ledger.events import list_events_of
from preference_center.storage.ledger.suppression_list import (
    FIRST_KEY,
    ListedSuppression,
    SuppressionFilter,
    SuppressionKey,
)
from preference_center.storage.ledger.suppression_lookup import load_facts
from preference_center.storage.sync.delivery_status import find_address_id


@endpoint(
    "GET",
    "/suppressions",
    KeyScope.READ,
    query=SuppressionListQuery,
    response=SuppressionListResponse,
    errors=(INVALID_CURSOR,),
)
def get_suppressions(call: ApiCall, query: SuppressionListQuery) -> Response:
    """What stands against writing to whom.

    Each "no" that stands from the first page to the last is listed once, whatever is written
    meanwhile. A page may hold fewer rows than `limit`, even none: go on while there is a next.
    """
    context = services()
    reason = EventKind(query.reason) if query.reason else None
    wanted = SuppressionFilter(query.scope, reason, query.channel, query.since)
    after = cast("SuppressionKey", tuple(cursor_position(query) or FIRST_KEY))
    page = run_in_transaction(
        lambda connection: suppression_list.list_active_suppressions(
            connection, context.keys, wanted, after, query.limit, call.origin.now
        )
    )
    return page_response(
        query,
        page.suppressions,
        lambda row: [*row.key],
        lambda rows, following: SuppressionListResponse(
            suppressions=[_suppression_response(row) for row in rows], next=following
        ),
        [*page.next_key] if page.next_key else None,
    )


# Not GET: an address must not stand in a URL (I12).
@endpoint(
    "POST",
    "/suppressions/query",
    KeyScope.READ,
    body=AddressQuery,
    response=AddressHistory,
    errors=(INVALID_ADDRESS,),
)
def post_suppressions_query(call: ApiCall, body: AddressQuery) -> Response:
    """What stands against this address, and why?

    It is about exactly this form of the address. Decisions also count what other forms of
    the same mailbox said; whether one of them says no is all that is told of those.
    """
    context, now = services(), call.origin.now
    address = parse_address(body.address, body.channel, region=context.settings.phone_region)
    facts = load_facts([address])[0]
    events, retracted = run_in_transaction(lambda connection: _load_history(connection, address))
    return json_response(
        AddressHistory(
            active_suppressions=[
                AddressSuppression(
                    scope=no.scope,
                    reason=_reason(no.kind),
                    since=no.since,
                    until=no.until,
                    event=no.event_id,
                    except_for=list(no.exempt_topics) or None,
                )
                for no in active_suppressions(facts, now)
            ],
            other_form_suppressed=is_suppressed_by_other_form(facts, now),
            history=[_event_response(event, retracted=event.id in retracted) for event in events],
        )
    )


@endpoint(
    "POST",
    "/suppressions/lift",
    KeyScope.LIFT,
    rows=LiftRequest,
    response=LiftResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL),
)
def post_suppressions_lift(call: ApiCall, rows: RequestRows[LiftRequest]) -> Response:
    """These people turned something on again, by an act of their own.

    What was said after that act stands, and so does a topic's own "no" when all marketing is
    lifted: `lifted` tells. Repeating it adds nothing.
    """
    now = call.origin.now
    changes, addresses = _parse_lifts(rows, call.origin)
    known = zip(changes, load_facts(addresses), strict=True)
    news = [change for change, facts in known if not is_repeated_opt_in(change, facts)]

    def make_response(recorded: RecordResult, connection: Connection | None) -> bytes:
        told = record_results(changes, recorded)
        known = zip(told, changes, load_facts(addresses, connection), strict=True)
        for row, change, facts in known:
            no = find_denial(change.scope, facts, now)
            row.update({"lifted": no is None} | ({"rule": no.rule} if no else {}))
        return rows.to_json(told)

    return call.record(news, make_response)


def _parse_lifts(
    rows: RequestRows[LiftRequest], origin: RequestOrigin
) -> tuple[list[Change], list[Address]]:
    """What is asked for, and of whom. Raises InvalidBody with every fault."""
    context, catalogue = services(), current_catalogue()
    region = context.settings.phone_region
    faults = FieldErrors()
    changes: list[Change] = []
    addresses: list[Address] = []
    for at, row in rows.with_pointers():
        address = faults.collect(
            f"{at}/address", parse_address, row.address, row.channel, region=region
        )
        proof = parse_consent_evidence(faults, f"{at}/evidence", row.evidence, origin.now, address)
        if address is None or proof is None:
            continue
        change = faults.collect(
            f"{at}/scope",
            build_opt_in_change,
            context.new_id(),
            address,
            row.scope,
            proof,
            origin,
            catalogue,
        )
        if change:
            changes.append(change)
            addresses.append(address)
    faults.raise_if_any()
    return changes, addresses


def _load_history(
    connection: Connection, address: Address
) -> tuple[Sequence[Event], frozenset[UUID]]:
    owner = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    return list_events_of(connection, [owner]) if owner else ((), frozenset())


def _suppression_response(row: ListedSuppression) -> SuppressionResponse:
    return SuppressionResponse(
        scope=row.scope,
        reason=_reason(row.reason),
        since=row.since,
        until=row.until,
        event=row.event,
        channel=row.channel,
        address=row.address,
        source=row.source,
    )


def _reason(kind: EventKind) -> SuppressionReason:
    return cast("SuppressionReason", kind.value)


def _event_response(event: Event, *, retracted: bool) -> EventResponse:
    return EventResponse(
        event=event.id,
        kind=event.kind,
        scope=event.scope,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        recorded_at=event.recorded_at,
        until=event.until,
        source=event.source,
        actor=event.actor,
        evidence=dict(event.evidence),
        retracted=retracted,
        retracts=list(event.retracts) or None,
    )
