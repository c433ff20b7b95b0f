"""Answer the endpoints that erase a person, here and in every connected tool (GDPR art. 17)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from flask import Response

from preference_center.contacts.bodies import ContactSelector, contact_ref
from preference_center.core.errors import UnknownErasure
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.erasure.tasks import Erasure, find_erasures
from preference_center.rights.rules.requests import Extent
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import (
    INVALID_ADDRESS,
    NOT_FOUND,
    UNDER_HOLD,
    UNKNOWN_CONTACT,
)


class EraseContactRequest(ContactSelector):
    """A person who is to be erased, and how far."""

    extent: Extent
    notify: bool = True
    """Whether a last mail tells the person; not if you have informed them yourself."""


class ToolErasure(ResponseBody):
    """One erasure at one connected tool. `outcome` is missing while it is open."""

    tool: str
    outcome: str | None = None
    waits_for_person: bool
    suppressed_at: datetime | None = None
    erased_at: datetime | None = None


class ErasureResponse(ResponseBody):
    """An erasure of one address, and how far the tools are."""

    erasure: UUID
    extent: Extent
    begun_at: datetime
    address_kept_until: datetime | None = None
    """When the address is forgotten at the latest; missing once it is."""
    finished_at: datetime | None = None
    tools: list[ToolErasure]


class ErasuresResponse(ResponseBody):
    """The erasures of all addresses of a person."""

    erasures: list[ErasureResponse]


@endpoint(
    "POST",
    "/contacts/erase",
    KeyScope.RIGHTS,
    body=EraseContactRequest,
    response=ErasuresResponse,
    status=202,
    writes=True,
    errors=(INVALID_ADDRESS, UNKNOWN_CONTACT, UNDER_HOLD),
)
def post_contacts_erase(call: ApiCall, body: EraseContactRequest) -> Response:
    """Erase a person.

    Nothing can be read of them here from now on; the connected tools follow. With `account` all
    addresses of the contact are erased and nothing may be sent to them; with `marketing` and an
    address exactly this one. The opt-out stays, by a keyed digest. A repeat returns the same
    erasures. This can't be undone.
    """
    idempotent = call.idempotent_request
    stored: list[Response] = []

    def in_transaction(connection: Connection, ids: Sequence[UUID]) -> None:
        if idempotent:
            stored[:] = [_response(connection, ids)]
            idempotent.store_response(connection, stored[0])

    ids = erase_contacts(
        [contact_ref(body)],
        body.extent,
        origin=call.origin,
        in_transaction=in_transaction,
        notify=body.notify,
    )
    return stored[0] if stored else run_in_transaction(lambda c: _response(c, ids))


@endpoint(
    "GET",
    "/contacts/erasures/<erasure_id>",
    KeyScope.RIGHTS,
    response=ErasureResponse,
    errors=(NOT_FOUND,),
)
def get_erasure(_: ApiCall, erasure_id: str) -> Response:
    """Get an erasure, and how far it is in each tool."""
    own = _parse_id(erasure_id)
    found = run_in_transaction(lambda c: find_erasures(c, [own]))
    if not found:
        raise UnknownErasure("there is no such erasure")
    return json_response(_to_body(found[0]))


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownErasure("the id of an erasure is a UUID") from None


def _response(connection: Connection, ids: Sequence[UUID]) -> Response:
    found = find_erasures(connection, ids)
    return json_response(ErasuresResponse(erasures=[_to_body(each) for each in found]), 202)


def _to_body(erasure: Erasure) -> ErasureResponse:
    return ErasureResponse(
        erasure=erasure.id,
        extent=erasure.extent,
        begun_at=erasure.begun_at,
        address_kept_until=erasure.give_up_at if erasure.readable else None,
        finished_at=erasure.finished_at,
        tools=[
            ToolErasure(
                tool=task.destination,
                outcome=task.outcome or None,
                waits_for_person=task.is_open and task.by_hand_since is not None,
                suppressed_at=task.suppressed_at,
                erased_at=task.erased_at,
            )
            for task in erasure.tasks
        ],
    )


ROUTES = (post_contacts_erase, get_erasure)
