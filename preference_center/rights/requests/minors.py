"""Reports that an address is a minor's: what anybody says pauses marketing, and nothing more.

Recording one restricts the contact (`restrict_reported`, used by `opening`). Staff confirm it with
`requests.fulfil`, which erases the account, or dismiss it here. A report alone erases and
closes nothing, however long it waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from preference_center import contacts
from preference_center.contacts import InTransaction
from preference_center.contacts.rules.account import DismissedReport
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Address
from preference_center.core.errors import ForbiddenTransition, InvalidInput, UnknownContact
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights import request_emails
from preference_center.rights.requests import request_steps
from preference_center.rights.requests.proposals import require_second_person
from preference_center.rights.requests.request_steps import PERSON, SOURCE, part_addresses
from preference_center.rights.requests.store import requests
from preference_center.rights.rules.decisions import Decision
from preference_center.rights.rules.model import (
    RefusalGround,
    RequestKind,
    RequestState,
    StepAction,
)
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.request import RightsRequest

RESTRICTED = "restricted"
"""In the first step of a report: whether this report restricted the contact."""


def restrict_reported(
    new: NewRequest, actor: str, received_at: datetime, in_transaction: InTransaction
) -> None:
    """Restrict whom a report names, and write the report in the same transaction.

    Not if a report about them was dismissed within MINOR_RETENTION: else the same lie, repeated,
    would keep somebody's marketing off for ever. Raises InvalidInput, Unavailable.
    """
    refs = [*map(_ref_of_address, new.addresses), *_known(new.external_ids)]
    if not refs or was_dismissed_lately(new):
        run_in_transaction(lambda connection: in_transaction(connection, ()))
        return
    origin = RequestOrigin(SOURCE, actor, services().now())
    named = [(ref, received_at) for ref in refs]
    contacts.restrict_contacts(named, origin, in_transaction)


def was_dismissed_lately(new: NewRequest) -> bool:
    """Whether staff found an earlier report about one of these addresses to be wrong."""
    digests = [*map(services().keys.exact_digest, new.addresses)]
    return any(
        each.state is RequestState.REFUSED
        for each in run_autocommit(lambda c: list_reports(c, digests))
    )


def list_reports(connection: Connection, digests: Sequence[bytes]) -> list[RightsRequest]:
    """The reports about these that are still known: MINOR_RETENTION after the decision."""
    found = requests.list_of_subject(connection, digests)
    return [each for each in found if each.kind is RequestKind.MINOR]


def list_contradicted(reports: Sequence[RightsRequest]) -> set[UUID]:
    """The ids of those whose holder says that they are wrong."""
    ids, said = [each.id for each in reports], [StepAction.CONTRADICTED]
    return set(run_autocommit(lambda c: requests.list_newest_steps(c, ids, said)))


def contradict(request_id: UUID) -> RightsRequest:
    """Record that the holder of the address says that the report is wrong; once.

    It is for staff to decide on, and changes nothing else. A decided report stays as it is.
    """

    def write(connection: Connection) -> RightsRequest:
        request = _load(connection, request_id)
        said = {step.action for step in requests.fetch_steps(connection, request_id)}
        if not request.state.closed and StepAction.CONTRADICTED not in said:
            request_steps.append_step(connection, request, PERSON, StepAction.CONTRADICTED)
        return request

    return run_in_transaction(write)


def dismiss(request_id: UUID, actor: str) -> RightsRequest:
    """Find a report wrong: end the restriction that reports set, and inform the person.

    A restriction that the person asked for meanwhile stays, and so does one that was there
    before. What the reporter wrote is wiped. Raises ForbiddenTransition if it is decided already,
    SecondPersonRequired for one of the staff alone.
    """
    request = request_steps.load_request(request_id)
    _require_report(request)
    if request.state.closed:
        raise ForbiddenTransition(f"the report is closed ({request.state})")
    part = request_steps.open_sealed(request)
    refs = [*map(_ref_of_address, part_addresses(part)), *_known(part.external_ids)]
    dismissed: list[RightsRequest] = []

    def write(connection: Connection, _: object) -> None:
        dismissed[:] = [_refuse(connection, request_id, actor)]

    since = run_autocommit(lambda c: _restricted_by_reports(c, request))
    if refs and since:
        origin = RequestOrigin(SOURCE, actor, services().now())
        proof = DismissedReport(request.id, since)
        contacts.unrestrict_contacts([(ref, proof) for ref in refs], origin, write)
    else:
        run_in_transaction(lambda connection: write(connection, ()))
    return dismissed[0]


def _refuse(connection: Connection, request_id: UUID, actor: str) -> RightsRequest:
    before, keys = _load(connection, request_id), services().keys
    require_second_person(connection, before, Decision.REFUSE, actor, RefusalGround.UNFOUNDED)
    request_emails.inform_reporter(connection, before)
    after = before.refuse(RefusalGround.UNFOUNDED, services().now())
    detail = {"ground": RefusalGround.UNFOUNDED}
    request_steps.store_change(connection, after, actor, StepAction.REFUSED, detail)
    wiped = replace(after, sealed=_without_words(keys, after), version=after.version + 1)
    requests.update_request(connection, wiped)
    return wiped


def _without_words(keys: Keys, request: RightsRequest) -> bytes | None:
    """No reason is stored after the decision; whom it was about, for MINOR_RETENTION."""
    if request.sealed is None:
        return None
    return requests.seal_part(keys, request.id, replace(requests.open_part(keys, request), text=""))


def _restricted_by_reports(connection: Connection, request: RightsRequest) -> datetime | None:
    """Since when no more than reports, of which this is the last open one, restrict the contact.

    None where something else does too, or other reports are open.
    """
    about = requests.list_of_subject(connection, request.subject_digests)
    others = [e for e in about if e.kind is RequestKind.MINOR and e.id != request.id]
    if any(not each.state.closed for each in others):
        return None
    meanwhile = [e for e in others if e.closed_at and e.closed_at >= request.received_at]
    reports = [request, *meanwhile]
    since = min(each.received_at for each in reports)
    if any(_is_own_restriction(each, since) for each in about):
        return None
    restricts = any(
        step.detail.get(RESTRICTED)
        for each in reports
        for step in requests.fetch_steps(connection, each.id)[:1]
    )
    return since if restricts else None


def _is_own_restriction(request: RightsRequest, since: datetime) -> bool:
    done = request.kind is RequestKind.RESTRICT and request.state is RequestState.DONE
    return done and request.closed_at is not None and request.closed_at >= since


def _known(external_ids: Sequence[str]) -> list[ContactRef]:
    found: list[ContactRef] = []
    for each in external_ids:
        ref = ContactRef(external_id=each)
        with suppress(UnknownContact):
            contacts.load_contacts([ref]).find(ref)
            found.append(ref)
    return found


def _ref_of_address(address: Address) -> ContactRef:
    return ContactRef(address=address)


def _load(connection: Connection, request_id: UUID) -> RightsRequest:
    request = requests.load_request(connection, request_id, for_update=True)
    _require_report(request)
    assert request
    return request


def _require_report(request: RightsRequest | None) -> None:
    if request is None or request.kind is not RequestKind.MINOR:
        raise InvalidInput("this is no report of a minor")
