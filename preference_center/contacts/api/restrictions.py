"""Restrictions: people who limit the use of their data (GDPR art. 18)."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from preference_center import contacts
from preference_center.contacts.consent_evidence import parse_consent_evidence
from preference_center.contacts.contact_models import (
    ContactWriteResult,
    RestrictContactRequest,
    UnrestrictContactRequest,
)
from preference_center.contacts.contact_rows import contact_ref, parse_received, write_contacts
from preference_center.contacts.rules.restriction import EndNotice, UnrestrictionProof
from preference_center.ledger.rules import clamp_to_now
from preference_center.web.api.endpoint import ApiCall, endpoint
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestRows
from preference_center.web.api.problems import INVALID_ADDRESS, UNKNOWN_CONTACT, FieldErrors


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
