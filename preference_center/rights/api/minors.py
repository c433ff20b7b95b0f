"""Minors: what the company's own systems found out about an account, which is confirmed at once."""

from __future__ import annotations

from flask import Response

from preference_center import contacts
from preference_center.contacts.bodies import ContactSelector, contact_ref
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Address
from preference_center.core.errors import UnknownContact
from preference_center.infra.db.transactions import Connection
from preference_center.rights.api import RightsRequestResponse, request_response
from preference_center.rights.requests import handle
from preference_center.rights.requests.acts import fulfil_data_request
from preference_center.rights.rules.model import RequestKind, RequestOutcome, RequestVia
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import INVALID_ADDRESS, UNKNOWN_CONTACT


@endpoint(
    "POST",
    "/contacts/minor",
    KeyScope.RIGHTS,
    body=ContactSelector,
    response=RightsRequestResponse,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_minor(call: ApiCall, body: ContactSelector) -> Response:
    """Record that a contact is a minor.

    Your own finding needs no review: the account is closed and erased at once, here and in every
    tool. Send no date of birth and no reason.
    """
    ref = contact_ref(body)
    report = handle.open_request(
        NewRequest(
            kind=RequestKind.MINOR,
            via=RequestVia.API,
            language="",
            addresses=_addresses(ref),
            external_ids=(ref.external_id,) if ref.external_id else (),
        ),
        call.key.actor,
    )
    stored: list[Response] = []

    def respond(connection: Connection, request: RightsRequest) -> None:
        stored[:] = [json_response(request_response(request))]
        if call.idempotent_request:
            call.idempotent_request.store_response(connection, stored[0])

    fulfil_data_request(report, call.key.actor, RequestOutcome.FULFILLED, respond)
    return stored[0]


def _addresses(ref: ContactRef) -> tuple[Address, ...]:
    """The address of a selector, or all of its contact. Raises UnknownContact."""
    if ref.address is not None:
        return (ref.address,)
    found = contacts.load_contacts([ref]).find(ref).addresses
    if not found and ref.external_id is None:
        raise UnknownContact("no contact with a readable address has this id")
    return tuple(sorted(found, key=lambda address: (address.channel, address.exact)))
