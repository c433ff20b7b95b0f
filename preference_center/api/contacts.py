"""Contacts: the addresses of a person, and whether the person's account is closed.

Everything that identifies a person is sent in bodies, never in a URL (I12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from preference_center import contacts
from preference_center.api.consent_evidence import parse_consent_evidence
from preference_center.api.contact_models import (
    ContactAddressBody,
    ContactAddressResponse,
    ContactRequest,
    ContactResponse,
    ContactSelector,
    ContactWriteResult,
    DeactivateContactRequest,
    MergeContactsRequest,
    ReopenContactRequest,
)
from preference_center.api.endpoint import ApiCall, endpoint, json_response
from preference_center.api.parsing import RequestRows
from preference_center.api.problems import (
    ADDRESS_CONFLICT,
    EXTERNAL_ID_CONFLICT,
    INVALID_ADDRESS,
    UNKNOWN_CONTACT,
    FieldErrors,
)
from preference_center.contacts import InTransaction, WrittenContact
from preference_center.context import services
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.contacts import ContactRef, ContactUpdate
from preference_center.domain.sender_requests import clamp_to_now
from preference_center.errors import InvalidInput, InvalidRows
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.db.database import Connection


@endpoint(
    "POST",
    "/contacts",
    KeyScope.WRITE,
    rows=ContactRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, ADDRESS_CONFLICT, EXTERNAL_ID_CONFLICT),
)
def post_contacts(call: ApiCall, rows: RequestRows[ContactRequest]) -> Response:
    """Create or update contacts.

    A contact is found by its external id, else by its addresses; an address belongs to at most
    one contact. Opt-outs of an address that becomes known this way are pushed to every tool.
    """
    errors = FieldErrors()
    updates = []
    for pointer, row in rows.with_pointers():
        addresses = [
            errors.collect(f"{pointer}/addresses/{index}/address", _parse_address, address)
            for index, address in enumerate(row.addresses)
        ]
        updates.append(ContactUpdate(row.external_id, row.locale, tuple(filter(None, addresses))))
    errors.raise_if_any()
    return _write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.upsert_contacts(updates, call.origin, in_transaction),
    )


# Not GET: what identifies a person must not be part of a URL (I12).
@endpoint(
    "POST",
    "/contacts/query",
    KeyScope.READ,
    body=ContactSelector,
    response=ContactResponse,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_query(_: ApiCall, body: ContactSelector) -> Response:
    """Get a contact.

    An address selects the contact that has exactly this form of it.
    """
    ref = _contact_ref(body)
    contact = contacts.load_contacts([ref]).find(ref)
    addresses = sorted((address.channel, address.exact) for address in contact.addresses)
    return json_response(
        ContactResponse(
            contact=contact.id,
            state=contact.state,
            locale=contact.locale,
            external_ids=sorted(contact.external_ids),
            addresses=[
                ContactAddressResponse(channel=channel, address=text) for channel, text in addresses
            ],
        )
    )


@endpoint(
    "POST",
    "/contacts/deactivate",
    KeyScope.WRITE,
    rows=DeactivateContactRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_deactivate(
    call: ApiCall, rows: RequestRows[DeactivateContactRequest]
) -> Response:
    """Record that people closed their accounts.

    From now on nothing may be sent to any of their addresses, also those that are linked later,
    except message types with `after_closing`.
    """
    errors = FieldErrors()
    requests = []
    for pointer, row in rows.with_pointers():
        ref = errors.collect(f"{pointer}/address", _contact_ref, row)
        received_at = errors.collect(
            f"{pointer}/received_at",
            clamp_to_now,
            row.received_at or call.origin.now,
            call.origin.now,
        )
        if ref and received_at:
            requests.append((ref, received_at))
    errors.raise_if_any()
    return _write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.deactivate_contacts(requests, call.origin, in_transaction),
    )


@endpoint(
    "POST",
    "/contacts/reopen",
    KeyScope.LIFT,
    rows=ReopenContactRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_reopen(call: ApiCall, rows: RequestRows[ReopenContactRequest]) -> Response:
    """Record that people reopened their accounts, by an act of their own.

    Service messages are allowed again. Marketing stays off until the person opts in.
    """
    errors = FieldErrors()
    requests = []
    for pointer, row in rows.with_pointers():
        ref = errors.collect(f"{pointer}/address", _contact_ref, row)
        evidence = parse_consent_evidence(
            errors, f"{pointer}/evidence", row.evidence, call.origin.now
        )
        if ref and evidence:
            requests.append((ref, evidence))
    errors.raise_if_any()
    return _write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.reopen_contacts(requests, call.origin, in_transaction),
    )


@endpoint(
    "POST",
    "/contacts/merge",
    KeyScope.WRITE,
    rows=MergeContactsRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_merge(call: ApiCall, rows: RequestRows[MergeContactsRequest]) -> Response:
    """Merge pairs of contacts that are one person.

    The remaining contact has all external ids and addresses of both; if one of the accounts was
    closed, it is closed. A merge can't be undone.
    """
    errors = FieldErrors()
    pairs = []
    for pointer, row in rows.with_pointers():
        source = errors.collect(f"{pointer}/merge/address", _contact_ref, row.merge)
        target = errors.collect(f"{pointer}/into/address", _contact_ref, row.into)
        if source and target:
            pairs.append((source, target))
    errors.raise_if_any()
    return _write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.merge_contacts(pairs, call.origin, in_transaction),
    )


def _write_contacts(
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
                "state": each.contact.state,
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


def _contact_ref(selector: ContactSelector) -> ContactRef:
    if selector.address is None:
        return ContactRef(selector.contact, selector.external_id)
    return ContactRef(
        address=parse_address(selector.address, selector.channel, region=_phone_region())
    )


def _parse_address(body: ContactAddressBody) -> Address:
    return parse_address(body.address, body.channel, region=_phone_region())


def _phone_region() -> str:
    return services().settings.phone_region
