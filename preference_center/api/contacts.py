"""Contacts: who is behind which addresses, and whose account is closed.

Everything that names a person stands in bodies, never in a URL (I12).
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
from preference_center.domain.addresses import Address, parse_address
from preference_center.domain.contacts import ContactRef, ContactUpdate
from preference_center.domain.sender_requests import clamp_to_now
from preference_center.errors import InvalidInput, InvalidRows
from preference_center.extensions import services
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
    """These people exist, or are known better.

    A contact is found by its external id, else by its addresses; an address belongs to one
    contact at most. Opt-outs of an address that becomes known like this go to every tool.
    """
    faults = FieldErrors()
    profiles = []
    for at, row in rows.with_pointers():
        addresses = [
            faults.collect(f"{at}/addresses/{index}/address", _parse_address, given)
            for index, given in enumerate(row.addresses)
        ]
        profiles.append(ContactUpdate(row.external_id, row.locale, tuple(filter(None, addresses))))
    faults.raise_if_any()
    return _write_contacts(
        call, rows, lambda beside: contacts.upsert_contacts(profiles, call.origin, beside)
    )


# Not GET: what names a person must not stand in a URL (I12).
@endpoint(
    "POST",
    "/contacts/query",
    KeyScope.READ,
    body=ContactSelector,
    response=ContactResponse,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_query(_: ApiCall, body: ContactSelector) -> Response:
    """Who is it?

    An address finds whom exactly this form of it belongs to.
    """
    named = _contact_ref(body)
    found = contacts.load_contacts([named]).find(named)
    addresses = sorted((address.channel, address.exact) for address in found.addresses)
    return json_response(
        ContactResponse(
            contact=found.id,
            state=found.state,
            locale=found.locale,
            external_ids=sorted(found.external_ids),
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
    """These people closed their accounts.

    Nothing is sent to any of their addresses from now on, but what may be sent
    `after_closing`; that holds for addresses that are linked later, too.
    """
    faults = FieldErrors()
    wishes = []
    for at, row in rows.with_pointers():
        named = faults.collect(f"{at}/address", _contact_ref, row)
        told_at = row.received_at or call.origin.now
        received_at = faults.collect(f"{at}/received_at", clamp_to_now, told_at, call.origin.now)
        if named and received_at:
            wishes.append((named, received_at))
    faults.raise_if_any()
    return _write_contacts(
        call, rows, lambda beside: contacts.deactivate_contacts(wishes, call.origin, beside)
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
    """These people opened their accounts again, by an act of their own.

    Service mail flows again. Marketing stays off until the person asks for it.
    """
    faults = FieldErrors()
    wishes = []
    for at, row in rows.with_pointers():
        named = faults.collect(f"{at}/address", _contact_ref, row)
        proof = parse_consent_evidence(faults, f"{at}/evidence", row.evidence, call.origin.now)
        if named and proof:
            wishes.append((named, proof))
    faults.raise_if_any()
    return _write_contacts(
        call, rows, lambda beside: contacts.reopen_contacts(wishes, call.origin, beside)
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
    """Each two of these contacts are one person.

    The survivor has all names and addresses of both; if one of the accounts was closed, all
    of it is. A merge can't be undone.
    """
    faults = FieldErrors()
    pairs = []
    for at, row in rows.with_pointers():
        gone = faults.collect(f"{at}/merge/address", _contact_ref, row.merge)
        into = faults.collect(f"{at}/into/address", _contact_ref, row.into)
        if gone and into:
            pairs.append((gone, into))
    faults.raise_if_any()
    return _write_contacts(
        call, rows, lambda beside: contacts.merge_contacts(pairs, call.origin, beside)
    )


def _write_contacts(
    call: ApiCall,
    rows: RequestRows[Any],
    write: Callable[[InTransaction | None], list[WrittenContact]],
) -> Response:
    """Do the work and answer; in one transaction with what is kept for a repeat of it."""
    repeat = call.idempotent_request
    kept: list[Response] = []

    def make_response(written: Sequence[WrittenContact]) -> Response:
        told = [
            {
                "contact": str(each.contact.id),
                "state": each.contact.state,
                "recorded": each.is_changed,
            }
            for each in written
        ]
        return json_response(rows.to_json(told))

    def in_transaction(connection: Connection, written: Sequence[WrittenContact]) -> None:
        if repeat:
            kept[:] = [make_response(written)]
            repeat.store_response(connection, kept[0])

    written: Sequence[WrittenContact] = ()
    try:
        written = write(in_transaction if repeat else None)
    except InvalidRows as refused:
        _raise_row_errors(rows, refused)
    return kept[0] if kept else make_response(written)


def _raise_row_errors(rows: RequestRows[Any], error: InvalidRows) -> None:
    """Raises InvalidBody, with a pointer to every fault."""
    pointers = [at for at, _ in rows.with_pointers()]
    faults = FieldErrors()
    for fault in error.errors:
        pointer = pointers[fault.row] + (f"/{fault.field}" if fault.field else "")
        faults.collect(pointer, _raise, fault.error)
    faults.raise_if_any()


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
