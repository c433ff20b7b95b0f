"""Answer the endpoints of contacts: their addresses, accounts, restrictions and consents.

Restrictions are of people who limit the use of their data (GDPR art. 18). Everything that
identifies a person is sent in bodies, never in a URL (I12).
"""

from __future__ import annotations

from datetime import datetime

from flask import Response

from preference_center import contacts
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.bodies import (
    ConsentsQuery,
    ContactAddressBody,
    ContactAddressResponse,
    ContactRequest,
    ContactResponse,
    ContactSelector,
    ContactWriteResult,
    DeactivateContactRequest,
    MergeContactsRequest,
    ReopenContactRequest,
    RestrictContactRequest,
    UnrestrictContactRequest,
    contact_ref,
    parse_consent_evidence,
    parse_received,
    phone_region,
    write_contacts,
)
from preference_center.contacts.consents import ConsentRecords, build_consent_records
from preference_center.contacts.rules.account import EndNotice, UnrestrictionProof
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Address, parse_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import clamp_to_now
from preference_center.ledger.store.lookup import load_exact_facts
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
from preference_center.web.console.looks import record_key_look
from preference_center.web.languages import match_language


@endpoint(
    "POST",
    "/contacts/restrict",
    KeyScope.RIGHTS,
    rows=RestrictContactRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_restrict(call: ApiCall, rows: RequestRows[RestrictContactRequest]) -> Response:
    """Limit the use of people's data (GDPR art. 18).

    From now on no marketing may be sent to any of their addresses, also those that are linked
    later, whatever they opt in to. Service messages are allowed. The account stays as it is.
    """
    requests = parse_received(call, rows)
    return write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.restrict_contacts(requests, call.origin, in_transaction),
    )


@endpoint(
    "POST",
    "/contacts/unrestrict",
    KeyScope.RIGHTS,
    rows=UnrestrictContactRequest,
    response=ContactWriteResult,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_unrestrict(
    call: ApiCall, rows: RequestRows[UnrestrictContactRequest]
) -> Response:
    """End restrictions.

    By an act of the person's own, with evidence; or, if the company ends it, at least 7 days
    after it informed the person. Opt-outs from before and meanwhile stay.
    """
    errors = FieldErrors()
    requests = []
    for pointer, row in rows.with_pointers():
        ref = errors.collect(f"{pointer}/address", contact_ref, row)
        proof = _parse_proof(errors, pointer, row, call.origin.now)
        if ref and proof:
            requests.append((ref, proof))
    errors.raise_if_any()
    return write_contacts(
        call,
        rows,
        lambda in_transaction: contacts.unrestrict_contacts(requests, call.origin, in_transaction),
    )


def _parse_proof(
    errors: FieldErrors, pointer: str, row: UnrestrictContactRequest, now: datetime
) -> UnrestrictionProof | None:
    if row.evidence is not None:
        return parse_consent_evidence(errors, f"{pointer}/evidence", row.evidence, now)
    assert row.notice_sent_at is not None  # the model has one of both
    sent_at = errors.collect(f"{pointer}/notice_sent_at", clamp_to_now, row.notice_sent_at, now)
    return EndNotice(sent_at) if sent_at else None


# Not GET: an address must not be part of a URL (I12).
@endpoint(
    "POST",
    "/consents/query",
    KeyScope.READ,
    body=ConsentsQuery,
    response=ConsentRecords,
    errors=(INVALID_ADDRESS,),
)
def post_consents_query(call: ApiCall, body: ConsentsQuery) -> Response:
    """Query the consents of an address, in the form of ISO/IEC TS 27560.

    The newest consent of exactly this form of the address to each topic, and what became of it.
    Each query is recorded, and shown to the person in the file of their data.
    """
    catalogue, region = current_catalogue(), services().settings.phone_region
    address = parse_address(body.address, body.channel, region=region)
    language = match_language(body.language) or catalogue.default_language
    record_key_look(call.key.actor, address)
    facts = load_exact_facts([address])[0]
    records = run_in_transaction(
        lambda connection: build_consent_records(
            connection, address, catalogue, facts, language, call.origin.now
        )
    )
    return json_response(records)


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
def post_contacts_query(call: ApiCall, body: ContactSelector) -> Response:
    """Get a contact.

    An address selects the contact that has exactly this form of it. Each query is recorded, and
    shown to the person in the file of their data.
    """
    ref = contact_ref(body)
    contact = contacts.load_contacts([ref]).find(ref)
    found = sorted(contact.addresses, key=lambda each: (each.channel, each.exact))
    # One look, by one address: the person's file has those at all of theirs.
    for address in [ref.address] if ref.address else found[:1]:
        record_key_look(call.key.actor, address)
    addresses = [(address.channel, address.exact) for address in found]
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
