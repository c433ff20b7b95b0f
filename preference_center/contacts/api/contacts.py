"""Contacts: the addresses of a person, and whether the person's account is closed.

Everything that identifies a person is sent in bodies, never in a URL (I12).
"""

from __future__ import annotations

from flask import Response

from preference_center import contacts
from preference_center.contacts.api.consent_records import post_consents_query
from preference_center.contacts.api.restrictions import (
    post_contacts_restrict,
    post_contacts_unrestrict,
)
from preference_center.contacts.consent_evidence import parse_consent_evidence
from preference_center.contacts.contact_models import (
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
from preference_center.contacts.contact_rows import (
    contact_ref,
    parse_received,
    phone_region,
    write_contacts,
)
from preference_center.contacts.rules.contacts import ContactUpdate
from preference_center.core.addresses import Address, parse_address
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestRows
from preference_center.web.api.problems import (
    ADDRESS_CONFLICT,
    EXTERNAL_ID_CONFLICT,
    INVALID_ADDRESS,
    UNKNOWN_CONTACT,
    FieldErrors,
)


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
    return write_contacts(
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
    ref = contact_ref(body)
    contact = contacts.load_contacts([ref]).find(ref)
    addresses = sorted((address.channel, address.exact) for address in contact.addresses)
    return json_response(
        ContactResponse(
            contact=contact.id,
            account=contact.account,
            restricted_at=contact.restricted_at,
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
    requests = parse_received(call, rows)
    return write_contacts(
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
        ref = errors.collect(f"{pointer}/address", contact_ref, row)
        evidence = parse_consent_evidence(
            errors, f"{pointer}/evidence", row.evidence, call.origin.now
        )
        if ref and evidence:
            requests.append((ref, evidence))
    errors.raise_if_any()
    return write_contacts(
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
    closed, it is closed, and if one was restricted, it is restricted. A merge can't be undone.
    """
    errors = FieldErrors()
    pairs = []
    for pointer, row in rows.with_pointers():
        source = errors.collect(f"{pointer}/merge/address", contact_ref, row.merge)
        target = errors.collect(f"{pointer}/into/address", contact_ref, row.into)
        if source and target:
            pairs.append((source, target))
    errors.raise_if_any()
    return write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.merge_contacts(pairs, call.origin, in_transaction),
    )


def _parse_address(body: ContactAddressBody) -> Address:
    return parse_address(body.address, body.channel, region=phone_region())


ROUTES = (
    post_consents_query,
    post_contacts,
    post_contacts_query,
    post_contacts_deactivate,
    post_contacts_reopen,
    post_contacts_merge,
    post_contacts_restrict,
    post_contacts_unrestrict,
)
