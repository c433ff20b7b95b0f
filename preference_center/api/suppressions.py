"""Suppressions: what stands, one address with its history, and lifting by the person's act.

They are made by `/v1/opt-outs`, the one door for a "no".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from flask import Response

from preference_center.api.consent_evidence import proof_in
from preference_center.api.endpoint import Call, operation, reply
from preference_center.api.pagination import paged, position
from preference_center.api.parsing import Rows
from preference_center.api.problems import (
    INVALID_CURSOR,
    UNKNOWN_TOPIC,
    UNUSABLE_ADDRESS,
    WRONG_CHANNEL,
    Faults,
)
from preference_center.api.suppression_models import (
    AddressHistory,
    EventShown,
    Lift,
    Lifted,
    NoOfAddress,
    Reason,
    SuppressionQuery,
    SuppressionShown,
    SuppressionsQuery,
    SuppressionsShown,
)
from preference_center.api.writes import told_of
from preference_center.domain.addresses import Address, parse
from preference_center.domain.decisions import standing_no
from preference_center.domain.delivery_status import another_form_says_no, standing_nos
from preference_center.domain.events import Change, Event, Kind
from preference_center.domain.resubscribe import is_repeat, lifting
from preference_center.domain.sender_requests import Origin
from preference_center.extensions import services
from preference_center.ledger.recording import Recorded
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger import suppression_list
from preference_center.storage.ledger.events import events_of
from preference_center.storage.ledger.suppression_list import FIRST, Key, Suppression, Wanted
from preference_center.storage.ledger.suppression_lookup import facts_for
from preference_center.storage.sync.delivery_status import address_id


@operation(
    "GET",
    "/suppressions",
    KeyScope.READ,
    query=SuppressionsQuery,
    answer=SuppressionsShown,
    refuses=(INVALID_CURSOR,),
)
def get_suppressions(call: Call, query: SuppressionsQuery) -> Response:
    """What stands against writing to whom.

    Each "no" that stands from the first page to the last is listed once, whatever is written
    meanwhile. A page may hold fewer rows than `limit`, even none: go on while there is a next.
    """
    context = services()
    reason = Kind(query.reason) if query.reason else None
    wanted = Wanted(query.scope, reason, query.channel, query.since)
    after = cast("Key", tuple(position(query) or FIRST))
    page = run(
        lambda connection: suppression_list.page(
            connection, context.keys, wanted, after, query.limit, call.origin.now
        )
    )
    return paged(
        query,
        page.found,
        lambda row: [*row.key],
        lambda rows, following: SuppressionsShown(
            suppressions=[_shown(row) for row in rows], next=following
        ),
        [*page.stopped_at] if page.stopped_at else None,
    )


# Not GET: an address must not stand in a URL (I12).
@operation(
    "POST",
    "/suppressions/query",
    KeyScope.READ,
    body=SuppressionQuery,
    answer=AddressHistory,
    refuses=(UNUSABLE_ADDRESS,),
)
def post_suppressions_query(call: Call, body: SuppressionQuery) -> Response:
    """What stands against this address, and why?

    It is about exactly this form of the address. Decisions also count what other forms of
    the same mailbox said; whether one of them says no is all that is told of those.
    """
    context, now = services(), call.origin.now
    address = parse(body.address, body.channel, region=context.settings.phone_region)
    facts = facts_for([address])[0]
    events, retracted = run(lambda connection: _history(connection, address))
    return reply(
        AddressHistory(
            standing=[
                NoOfAddress(
                    scope=no.scope,
                    reason=_reason(no.kind),
                    since=no.since,
                    until=no.until,
                    event=no.event,
                    except_for=list(no.except_for) or None,
                )
                for no in standing_nos(facts, now)
            ],
            another_form=another_form_says_no(facts, now),
            history=[_told(event, retracted=event.id in retracted) for event in events],
        )
    )


@operation(
    "POST",
    "/suppressions/lift",
    KeyScope.LIFT,
    rows=Lift,
    answer=Lifted,
    writes=True,
    refuses=(UNUSABLE_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL),
)
def post_suppressions_lift(call: Call, rows: Rows[Lift]) -> Response:
    """These people turned something on again, by an act of their own.

    What was said after that act stands, and so does a topic's own "no" when all marketing is
    lifted: `lifted` tells. Repeating it adds nothing.
    """
    now = call.origin.now
    changes, addresses = _lifts(rows, call.origin)
    known = zip(changes, facts_for(addresses), strict=True)
    news = [change for change, facts in known if not is_repeat(change, facts)]

    def answer(recorded: Recorded, connection: Connection | None) -> bytes:
        told = told_of(changes, recorded)
        known = zip(told, changes, facts_for(addresses, connection), strict=True)
        for row, change, facts in known:
            no = standing_no(change.scope, facts, now)
            row.update({"lifted": no is None} | ({"rule": no.rule} if no else {}))
        return rows.answer(told)

    return call.record(news, answer)


def _lifts(rows: Rows[Lift], origin: Origin) -> tuple[list[Change], list[Address]]:
    """What is asked for, and of whom. Raises InvalidBody with every fault."""
    context, catalogue = services(), current_catalogue()
    region = context.settings.phone_region
    faults = Faults()
    changes: list[Change] = []
    addresses: list[Address] = []
    for at, row in rows.pointed():
        address = faults.attempt(f"{at}/address", parse, row.address, row.channel, region=region)
        proof = proof_in(faults, f"{at}/evidence", row.evidence, origin.now, address)
        if address is None or proof is None:
            continue
        change = faults.attempt(
            f"{at}/scope", lifting, context.new_id(), address, row.scope, proof, origin, catalogue
        )
        if change:
            changes.append(change)
            addresses.append(address)
    faults.refuse_any()
    return changes, addresses


def _history(connection: Connection, address: Address) -> tuple[Sequence[Event], frozenset[UUID]]:
    owner = address_id(connection, services().keys.exact(address), address.channel)
    return events_of(connection, [owner]) if owner else ((), frozenset())


def _shown(row: Suppression) -> SuppressionShown:
    return SuppressionShown(
        scope=row.scope,
        reason=_reason(row.reason),
        since=row.since,
        until=row.until,
        event=row.event,
        channel=row.channel,
        address=row.address,
        source=row.source,
    )


def _reason(kind: Kind) -> Reason:
    return cast("Reason", kind.value)


def _told(event: Event, *, retracted: bool) -> EventShown:
    return EventShown(
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
