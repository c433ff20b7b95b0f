"""These endpoints list active suppressions, show one address with its history, and lift.

Only a person's own act lifts. `/v1/opt-outs` is the endpoint that records an opt-out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeVar, cast
from uuid import UUID

from flask import Response
from pydantic import AwareDatetime, BeforeValidator, Field

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.bodies import EvidenceBody, parse_consent_evidence
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, Event, EventKind
from preference_center.decisions.rules import DecisionRule, find_scope_denial
from preference_center.destinations.rules.delivery import (
    active_suppressions,
    is_suppressed_by_other_form,
)
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.rules import RequestOrigin, build_opt_in_change, is_repeated_opt_in
from preference_center.ledger.store import suppressions
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_facts
from preference_center.ledger.store.suppressions import (
    FIRST_KEY,
    SuppressionFilter,
    SuppressionKey,
)
from preference_center.senders.api.opt_outs import AddressRow, parse_row_address, record_results
from preference_center.web.api.bodies import ResponseBody, ScopeName
from preference_center.web.api.endpoint import (
    ApiCall,
    PageQuery,
    cursor_position,
    endpoint,
    json_response,
    page_response,
)
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestRows
from preference_center.web.api.problems import (
    INVALID_ADDRESS,
    INVALID_CURSOR,
    UNKNOWN_TOPIC,
    WRONG_CHANNEL,
    FieldErrors,
)
from preference_center.web.console.looks import record_key_look

B = TypeVar("B", bound=ResponseBody)

SuppressionReason = Literal[
    "opted_out",
    "complained",
    "bounced",
    "deactivated",
    "erased",
    "restricted",
    "moved",
    "paused",
]


_TIME_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\S+")


def _require_time_text(text: object) -> object:
    """Reject a number, which pydantic would parse as seconds since 1970."""
    if isinstance(text, str) and not _TIME_PATTERN.fullmatch(text):
        raise ValueError("not a valid time; use e.g. 2026-11-24T09:30:00+01:00, with + as %2B")
    return text


class SuppressionListQuery(PageQuery):
    """Filters of the list of suppressions."""

    scope: ScopeName | None = None
    reason: SuppressionReason | None = None
    channel: Channel | None = None
    since: Annotated[
        AwareDatetime | None,
        BeforeValidator(_require_time_text),
        Field(description="Only those that became active at or after this time"),
    ] = None


class AddressQuery(AddressRow):
    """Query one address."""


class LiftRequest(AddressRow):
    """A person opted in again, by an act of their own."""

    scope: ScopeName
    evidence: EvidenceBody


class ActiveSuppressionResponse(ResponseBody):
    """One active suppression. `until` is the end of a pause."""

    scope: str
    reason: SuppressionReason
    since: datetime
    until: datetime | None = None
    event: UUID


class SuppressionResponse(ActiveSuppressionResponse):
    """The same with its address, which is omitted where only a digest of it is stored."""

    channel: Channel
    address: str | None = None
    source: str


class SuppressionListResponse(ResponseBody):
    """A page of suppressions, and the cursor of the next page if there may be more."""

    suppressions: list[SuppressionResponse]
    next: str | None = None


class AddressSuppression(ActiveSuppressionResponse):
    """The same for one address, except for topics that the person has turned on again since."""

    exempt_topics: list[str] | None = None


class EventResponse(ResponseBody):
    """One event of the ledger. If `retracted`, no decision considers it."""

    event: UUID
    kind: EventKind
    scope: str
    occurred_at: datetime
    received_at: datetime
    recorded_at: datetime
    until: datetime | None = None
    source: str
    actor: str
    evidence: dict[str, str]
    retracted: bool
    retracts: list[UUID] | None = None


class AddressHistory(ResponseBody):
    """The active suppressions of exactly this address, and all its events.

    `other_form_suppressed`: a suppression of another form of the same mailbox also applies.
    """

    active_suppressions: list[AddressSuppression]
    other_form_suppressed: bool
    history: list[EventResponse]


class LiftResult(ResponseBody):
    """Whether an event was recorded, and which; whether the scope is on now.

    If it is not, `rule` keeps it off.
    """

    recorded: bool
    event: UUID | None = None
    lifted: bool
    rule: DecisionRule | None = None


@endpoint(
    "GET",
    "/suppressions",
    KeyScope.READ,
    query=SuppressionListQuery,
    response=SuppressionListResponse,
    errors=(INVALID_CURSOR,),
)
def get_suppressions(call: ApiCall, query: SuppressionListQuery) -> Response:
    """List the active suppressions.

    Each suppression that is active from the first page to the last is listed exactly once,
    regardless of concurrent writes. A page may have fewer rows than `limit`, even none: continue
    while there is a `next`.
    """
    context = services()
    reason = EventKind(query.reason) if query.reason else None
    criteria = SuppressionFilter(query.scope, reason, query.channel, query.since)
    after = cast("SuppressionKey", tuple(cursor_position(query) or FIRST_KEY))
    page = run_in_transaction(
        lambda connection: suppressions.list_active_suppressions(
            connection, context.keys, criteria, after, query.limit, call.origin.now
        )
    )
    call.count_rows_read(len(page.suppressions))
    return page_response(
        query,
        page.suppressions,
        lambda row: [*row.key],
        lambda rows, following: SuppressionListResponse(
            suppressions=[
                _response_of(SuppressionResponse, row, reason=_reason(row.reason)) for row in rows
            ],
            next=following,
        ),
        [*page.next_key] if page.next_key else None,
    )


# Not GET: an address must not be part of a URL (I12).
@endpoint(
    "POST",
    "/suppressions/query",
    KeyScope.READ,
    body=AddressQuery,
    response=AddressHistory,
    errors=(INVALID_ADDRESS,),
)
def post_suppressions_query(call: ApiCall, body: AddressQuery) -> Response:
    """Query the active suppressions of an address, and its history.

    The response is about exactly this form of the address. Decisions also consider other forms
    of the same mailbox; of those, the response states only whether one is suppressed. Each query
    is recorded, and shown to the person in the file of their data.
    """
    context, now = services(), call.origin.now
    address = parse_address(body.address, body.channel, region=context.settings.phone_region)
    record_key_look(call.key.actor, address)
    facts = load_facts([address])[0]
    events, retracted = run_in_transaction(lambda connection: _load_history(connection, address))
    return json_response(
        AddressHistory(
            active_suppressions=[
                AddressSuppression(
                    scope=each.scope,
                    reason=_reason(each.kind),
                    since=each.since,
                    until=each.until,
                    event=each.event_id,
                    exempt_topics=list(each.exempt_topics) or None,
                )
                for each in active_suppressions(facts, now)
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
    """Lift suppressions, for people who opted in again by an act of their own.

    A later opt-out remains active, and so does a topic's own opt-out when all marketing is
    lifted: see `lifted`. Repeating a request adds nothing.
    """
    now = call.origin.now
    changes, addresses = _parse_lifts(rows, call.origin)
    known = zip(changes, load_facts(addresses), strict=True)
    new = [change for change, facts in known if not is_repeated_opt_in(change, facts)]

    def make_response(recorded: RecordResult, connection: Connection | None) -> bytes:
        results = record_results(changes, recorded)
        known = zip(results, changes, load_facts(addresses, connection), strict=True)
        for result, change, facts in known:
            denial = find_scope_denial(change.scope, facts, now)
            result.update({"lifted": denial is None} | ({"rule": denial.rule} if denial else {}))
        return rows.to_json(results)

    return call.record(new, make_response)


def _parse_lifts(
    rows: RequestRows[LiftRequest], origin: RequestOrigin
) -> tuple[list[Change], list[Address]]:
    """The opt-ins, and their addresses. Raises InvalidBody with all errors."""
    context, catalogue = services(), current_catalogue()
    errors = FieldErrors()
    changes: list[Change] = []
    addresses: list[Address] = []
    for pointer, row in rows.with_pointers():
        address = parse_row_address(errors, pointer, row)
        evidence = parse_consent_evidence(
            errors, f"{pointer}/evidence", row.evidence, origin.now, address
        )
        if address is None or evidence is None:
            continue
        change = errors.collect(
            f"{pointer}/scope",
            build_opt_in_change,
            context.new_id(),
            address,
            row.scope,
            evidence,
            origin,
            catalogue,
        )
        if change:
            changes.append(change)
            addresses.append(address)
    errors.raise_if_any()
    return changes, addresses


def _load_history(
    connection: Connection, address: Address
) -> tuple[Sequence[Event], frozenset[UUID]]:
    address_id = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    return list_events_of(connection, [address_id]) if address_id else ((), frozenset())


def _reason(kind: EventKind) -> SuppressionReason:
    return cast("SuppressionReason", kind.value)


def _event_response(event: Event, *, retracted: bool) -> EventResponse:
    changed = {"event": event.id, "retracted": retracted, "retracts": event.retracts or None}
    return _response_of(EventResponse, event, **changed)


def _response_of(kind: type[B], source: object, **changed: object) -> B:
    """The fields that the response and its source have, but for those that are `changed`."""
    names = kind.model_fields.keys() - changed
    return kind.model_validate(changed | {name: getattr(source, name) for name in names})


ROUTES = (get_suppressions, post_suppressions_query, post_suppressions_lift)
