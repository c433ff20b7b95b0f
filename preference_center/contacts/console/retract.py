"""Retracting an entry that one has just recorded by mistake; all others stand (I5)."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID, uuid5

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.console.person import find_stored
from preference_center.contacts.rules.statements import SOURCE, is_retractable
from preference_center.contacts.words import words
from preference_center.core.addresses import Address
from preference_center.core.events import Event, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.events import find_retracted, load_events_by_id
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page
from preference_center.web.console.looks import open_look


def retract_entry(access_id: UUID, event_id: UUID) -> ResponseReturnValue:
    """What retracting it will do (GET), and the retraction (POST)."""
    look = open_look(access_id)
    is_post = request.method == "POST"
    event = run_in_transaction(
        lambda c: _find_own_event(c, look.address, event_id, may_be_retracted=is_post)
    )
    if event is None:
        abort(HTTPStatus.NOT_FOUND)
    if not is_post:
        return render_page(
            "contacts/retract",
            access_id=access_id,
            address=look.address,
            event=event,
            title=words.event_title(event, current_catalogue_or_empty()),
        )
    retraction = Retraction(
        uuid5(event_id, SOURCE), (event_id,), services().now(), SOURCE, current_actor()
    )
    record([retraction])
    return redirect_after_post(url_for("console.person", access_id=access_id, done="undone"))


def _find_own_event(
    connection: Connection, address: Address, event_id: UUID, *, may_be_retracted: bool
) -> Event | None:
    """The event, if it is about exactly this address and the one signed in may retract it."""
    event = load_events_by_id(connection, [event_id]).get(event_id)
    stored = find_stored(connection, address)
    if event is None or stored is None or event.address_id != stored.id:
        return None
    is_retracted = not may_be_retracted and event_id in find_retracted(connection, [event_id])
    now, actor = services().now(), current_actor()
    return event if is_retractable(event, actor, now, is_retracted=is_retracted) else None
