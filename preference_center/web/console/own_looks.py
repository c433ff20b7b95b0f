"""Only the member of staff who looked at a person's data may open the look."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from flask import abort, make_response
from flask.typing import ResponseReturnValue

from preference_center.core.addresses import Address, mask_address
from preference_center.core.staff import LOOK_LIFETIME, AccessAction, AccessReason, StaffAccess
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.console.frame import current_actor, render_page
from preference_center.web.console.looks import (
    PersonAccess,
    insert_person_access,
    list_recent_accesses,
    load_person_access,
)

_RECENT = 5


@dataclass(frozen=True, slots=True)
class RecentLook:
    """A look of one's own that still opens the page."""

    access: StaffAccess
    masked_address: str


def record_look(address: Address, reason: AccessReason, reference: str = "") -> UUID:
    """Record that the person who is signed in looks at this address, and why; returns its id.

    Raises InvalidInput for a reference that could be personal.
    """
    context = services()
    access = StaffAccess(
        context.new_id(),
        context.now(),
        current_actor(),
        AccessAction.PERSON_VIEWED,
        reason,
        reference,
    )
    run_in_transaction(lambda c: insert_person_access(c, context.keys, access, address))
    return access.id


def open_look(access_id: UUID) -> PersonAccess:
    """The look at a person with this id, if the one signed in took it, within LOOK_LIFETIME.

    Otherwise the request ends with a page that says to look the person up again: so each look has
    a reason of its own.
    """
    keys = services().keys
    found = run_in_transaction(lambda connection: load_person_access(connection, keys, access_id))
    if found is None or not _is_open(found.access):
        abort(make_response(_closed_page()))
    return found


def list_recent_looks() -> list[RecentLook]:
    """The last looks of the person who is signed in that still open their pages."""
    actor, keys = current_actor(), services().keys

    def load(connection: Connection) -> list[RecentLook]:
        mine = list_recent_accesses(connection, actor, limit=_RECENT)
        opened = [load_person_access(connection, keys, each.id) for each in mine if _is_open(each)]
        return [RecentLook(each.access, mask_address(each.address)) for each in opened if each]

    return run_in_transaction(load)


def _is_open(access: StaffAccess) -> bool:
    # Who read a mail has seen that alone, and that is all the person is shown.
    is_of_person = access.action is AccessAction.PERSON_VIEWED
    is_recent = services().now() - access.at < LOOK_LIFETIME
    return is_of_person and access.actor == current_actor() and is_recent


def _closed_page() -> ResponseReturnValue:
    return render_page("contacts/look_again", status=HTTPStatus.GONE)
