"""What the endpoints of contacts share: selecting contacts, and writing rows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from flask import Response

from preference_center.contacts import InTransaction, WrittenContact
from preference_center.contacts.contact_models import ContactSelector
from preference_center.contacts.rules.contacts import Contact, ContactRef
from preference_center.core.addresses import parse_address
from preference_center.core.errors import InvalidInput, InvalidRows
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.rules import clamp_to_now
from preference_center.web.api.endpoint import ApiCall, json_response
from preference_center.web.api.parsing import RequestRows
from preference_center.web.api.problems import FieldErrors


def parse_received(call: ApiCall, rows: RequestRows[Any]) -> list[tuple[ContactRef, datetime]]:
    """The contacts, and when the company received each row. Raises InvalidBody."""
    errors = FieldErrors()
    requests = []
    for pointer, row in rows.with_pointers():
        ref = errors.collect(f"{pointer}/address", contact_ref, row)
        received_at = errors.collect(
            f"{pointer}/received_at",
            clamp_to_now,
            row.received_at or call.origin.now,
            call.origin.now,
        )
        if ref and received_at:
            requests.append((ref, received_at))
    errors.raise_if_any()
    return requests


def _restriction_json(contact: Contact) -> dict[str, str]:
    at = contact.restricted_at
    return {} if at is None else {"restricted_at": at.isoformat()}


def write_contacts(
    call: ApiCall,
    rows: RequestRows[Any],
    write: Callable[[InTransaction | None], list[WrittenContact]],
) -> Response:
    """Call `write` and respond; with an Idempotency-Key, store the response in its transaction."""
    idempotent = call.idempotent_request
    stored: list[Response] = []

    def make_response(written: Sequence[WrittenContact]) -> Response:
        results = [
            {
                "contact": str(each.contact.id),
                "account": each.contact.account,
                **_restriction_json(each.contact),
                "recorded": each.is_changed,
            }
            for each in written
        ]
        return json_response(rows.to_json(results))

    def in_transaction(connection: Connection, written: Sequence[WrittenContact]) -> None:
        if idempotent:
            stored[:] = [make_response(written)]
            idempotent.store_response(connection, stored[0])

    written: Sequence[WrittenContact] = ()
    try:
        written = write(in_transaction if idempotent else None)
    except InvalidRows as error:
        _raise_row_errors(rows, error)
    return stored[0] if stored else make_response(written)


def _raise_row_errors(rows: RequestRows[Any], error: InvalidRows) -> None:
    """Raises InvalidBody, with a pointer for every error."""
    pointers = [pointer for pointer, _ in rows.with_pointers()]
    errors = FieldErrors()
    for each in error.errors:
        pointer = pointers[each.row] + (f"/{each.field}" if each.field else "")
        errors.collect(pointer, _raise, each.error)
    errors.raise_if_any()


def _raise(error: InvalidInput) -> None:
    raise error


def contact_ref(selector: ContactSelector) -> ContactRef:
    """The contact that a body selects. Raises InvalidAddress."""
    if selector.address is None:
        return ContactRef(selector.contact, selector.external_id)
    return ContactRef(
        address=parse_address(selector.address, selector.channel, region=phone_region())
    )


def phone_region() -> str:
    """The region of phone numbers that are written without one."""
    return services().settings.phone_region
