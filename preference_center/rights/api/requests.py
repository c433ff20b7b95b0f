"""Answer the endpoints of data-subject requests, and of minors that the company found.

The company's own systems record requests that reached them, decide what waits for the company,
and read where each one is. What they found out about a minor's account is confirmed at once. Whom
a request is about is sent in bodies, never in a URL (I12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from flask import Response

from preference_center import contacts
from preference_center.contacts.bodies import ContactSelector, contact_ref
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Address, parse_address
from preference_center.core.errors import UnknownContact
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.ledger.rules import clamp_to_now
from preference_center.rights.api import (
    CompleteRequest,
    ExtendRequest,
    IdentifyRequest,
    ProofUpload,
    RefuseRequest,
    RightsRequestBody,
    RightsRequestDetail,
    RightsRequestList,
    RightsRequestQuery,
    RightsRequestResponse,
    request_detail,
    request_response,
)
from preference_center.rights.requests import agents, handle
from preference_center.rights.requests.decide import fulfil_data_request
from preference_center.rights.requests.steps import (
    extend_deadline,
    list_steps,
    load_request,
    open_sealed,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.requests.store import list_requests
from preference_center.rights.rules.identity import Proof, ProofFile, proven_level
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent, NewRequest
from preference_center.rights.rules.requests import RequestKind, RequestOutcome, RequestVia
from preference_center.web.api.endpoint import (
    ApiCall,
    Endpoint,
    View,
    cursor_position,
    endpoint,
    json_response,
    page_response,
)
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestBody
from preference_center.web.api.problems import (
    INVALID_ADDRESS,
    INVALID_CURSOR,
    NOT_FOUND,
    REQUEST_CONFLICT,
    UNKNOWN_CONTACT,
    ApiError,
    FieldErrors,
)


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
    answer = _Answer(call)
    fulfil_data_request(report, call.key.actor, RequestOutcome.FULFILLED, answer.store)
    return answer.stored


@dataclass(slots=True)
class _Answer:
    """The response to a write; `store` it in the transaction, for an Idempotency-Key."""

    call: ApiCall
    status: int = 200
    stored: Response = field(init=False)

    def build(self, request: RightsRequest) -> Response:
        """The request as a response."""
        return json_response(request_response(request), self.status)

    def store(self, connection: Connection, request: RightsRequest) -> None:
        """Build it, and store it with the key."""
        self.stored = self.build(request)
        if self.call.idempotent_request:
            self.call.idempotent_request.store_response(connection, self.stored)


def _addresses(ref: ContactRef) -> tuple[Address, ...]:
    """The address of a selector, or all of its contact. Raises UnknownContact."""
    if ref.address is not None:
        return (ref.address,)
    found = contacts.load_contacts([ref]).find(ref).addresses
    if not found and ref.external_id is None:
        raise UnknownContact("no contact with a readable address has this id")
    return tuple(sorted(found, key=lambda address: (address.channel, address.exact)))


def _acts(
    name: str, body: type[RequestBody] | None = None, status: int = 200
) -> Callable[[View], Endpoint]:
    """An endpoint that does something with one request, and answers with it."""
    return endpoint(
        "POST",
        f"/rights/<request_id>/{name}",
        KeyScope.RIGHTS,
        body=body,
        response=RightsRequestResponse,
        status=status,
        writes=True,
        errors=(NOT_FOUND, REQUEST_CONFLICT),
    )


@endpoint(
    "POST",
    "/rights",
    KeyScope.RIGHTS,
    body=RightsRequestBody,
    response=RightsRequestResponse,
    status=201,
    writes=True,
    errors=(INVALID_ADDRESS,),
)
def post_rights(call: ApiCall, body: RightsRequestBody) -> Response:
    """Record a data-subject request.

    The person is mailed its reference. The same request within a day is the same one. An
    objection to marketing counts at once; what needs no decision of the company is done as soon
    as identity is proven.
    """
    new = _parse_request(body)
    answer = _Answer(call, 201)
    request = handle.open_request(new, call.key.actor, answer.store)
    return answer.stored if call.idempotent_request else answer.build(request)


@endpoint(
    "GET",
    "/rights",
    KeyScope.RIGHTS,
    query=RightsRequestQuery,
    response=RightsRequestList,
    errors=(INVALID_CURSOR,),
)
def get_rights_list(call: ApiCall, query: RightsRequestQuery) -> Response:
    """List data-subject requests, in the order in which they were recorded."""
    position, days = cursor_position(query), query.due_within_days
    due_before = None if days is None else call.origin.now + timedelta(days=days)
    found = run_autocommit(
        lambda connection: list_requests(
            connection,
            states=[query.state] if query.state else (),
            kinds=[query.kind] if query.kind else (),
            due_before=due_before,
            after=UUID(str(position[0])) if position else None,
            limit=query.limit + 1,
        )
    )
    call.count_rows_read(min(len(found), query.limit))
    return page_response(
        query,
        found,
        lambda request: [str(request.id)],
        lambda shown, following: RightsRequestList(
            requests=[request_response(request) for request in shown], next=following
        ),
    )


@endpoint(
    "GET",
    "/rights/<request_id>",
    KeyScope.RIGHTS,
    response=RightsRequestDetail,
    errors=(NOT_FOUND,),
)
def get_rights(_: ApiCall, request_id: str) -> Response:
    """Get a request: whom it is about, what the person wrote, and every step."""
    request = load_request(_parse_id(request_id))
    part, steps = open_sealed(request), list_steps(request.id)
    return json_response(request_detail(request, part, steps))


@_acts("identify", IdentifyRequest)
def post_rights_identify(call: ApiCall, request_id: str, body: IdentifyRequest) -> Response:
    """Record that identity was asked for, confirmed, or that a check failed.

    Three failed checks refuse the request. Send which facts were asked, never the answers.
    """
    answer, proof = _Answer(call), body.proof or Proof.NOTHING
    handle.record_check(
        _parse_id(request_id), body.result, proof, call.key.actor, body.facts, answer.store
    )
    return answer.stored


@_acts("proofs", ProofUpload, status=201)
def post_rights_proofs(call: ApiCall, request_id: str, body: ProofUpload) -> Response:
    """Add a file that proves an agent's authority; a request has up to three.

    It is sealed, never opened or shown here, and deleted after 90 days. Staff decide on it.
    """
    own, file = _parse_id(request_id), ProofFile(body.content, "", body.kind)

    def add(connection: Connection) -> RightsRequest:
        return agents.add_proof(own, file, call.key.actor, connection=connection)

    return _write(call, add, status=201)


@_acts("extend", ExtendRequest)
def post_rights_extend(call: ApiCall, request_id: str, body: ExtendRequest) -> Response:
    """Take the longer time that the law allows.

    The person is mailed the new date and the reason. Possible once, before the first date.
    """
    own = _parse_id(request_id)
    return _write(call, lambda c: extend_deadline(own, body.reason, call.key.actor, connection=c))


@_acts("refuse", RefuseRequest)
def post_rights_refuse(call: ApiCall, request_id: str, body: RefuseRequest) -> Response:
    """Refuse a request.

    The person is mailed the ground, and how to complain.
    """
    own = _parse_id(request_id)
    return _write(
        call, lambda c: refuse_data_request(own, body.ground, call.key.actor, connection=c)
    )


@_acts("complete", CompleteRequest)
def post_rights_complete(call: ApiCall, request_id: str, body: CompleteRequest) -> Response:
    """Fulfil a request.

    This does what it asks for: it erases the account, closes or reopens it, restricts the use of
    its data or ends that. The others are only marked as done. The person is mailed.
    """
    answer = _Answer(call)
    request = load_request(_parse_id(request_id))
    fulfil_data_request(request, call.key.actor, body.outcome, answer.store)
    return answer.stored


@_acts("withdraw")
def post_rights_withdraw(call: ApiCall, request_id: str) -> Response:
    """Record that the person no longer asks for it."""
    own = _parse_id(request_id)
    return _write(call, lambda c: withdraw_data_request(own, call.key.actor, connection=c))


def _write(
    call: ApiCall, act: Callable[[Connection], RightsRequest], *, status: int = 200
) -> Response:
    return call.write(lambda connection: request_response(act(connection)), status)


def _parse_id(text: str) -> UUID:
    """The id in a path. Raises ApiError."""
    try:
        return UUID(text)
    except ValueError:
        raise ApiError(NOT_FOUND, "There is no such request: send the id `request`.") from None


def _parse_request(body: RightsRequestBody) -> NewRequest:
    errors, region = FieldErrors(), services().settings.phone_region
    addresses = [
        errors.collect(
            f"/addresses/{index}/address", parse_address, each.address, each.channel, region=region
        )
        for index, each in enumerate(body.addresses)
    ]
    received_at = body.received_at and errors.collect(
        "/received_at", clamp_to_now, body.received_at, services().now()
    )
    errors.raise_if_any()
    return NewRequest(
        kind=body.kind,
        via=body.via,
        language=body.language or "",
        addresses=tuple(dict.fromkeys(filter(None, addresses))),
        external_ids=tuple(dict.fromkeys(body.external_ids)),
        extent=body.extent,
        law=body.law,
        brand=body.brand,
        received_at=received_at,
        level=proven_level(body.proof),
        identity_asked=body.identity_asked or body.agent is not None,
        text=body.text,
        agent=Agent(body.agent.name, body.agent.address) if body.agent else None,
    )


ROUTES = (
    post_rights,
    get_rights_list,
    get_rights,
    post_rights_identify,
    post_rights_proofs,
    post_rights_extend,
    post_rights_refuse,
    post_rights_complete,
    post_rights_withdraw,
    post_contacts_minor,
)
