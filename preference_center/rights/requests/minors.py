"""Handle reports that an address is a minor's, and restrict the use of data by request.

What anybody says pauses marketing, and nothing more: recording a report restricts the contact
(`restrict_reported`, which `rights.requests.opening` calls). Staff confirm it with
`rights.requests.decide.fulfil_data_request`, which erases the account, or dismiss it here. A
report alone erases and closes nothing, however long it waits.

A request limits the use of a person's data as far as identity was proven, and no further. Control
of one address restricts exactly this one (docs/rights.md, Identity); of a contact that has no
other, the contact, so that addresses which it gains are restricted too. Suppression matches
every form of the mailbox in any case (I9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from preference_center import contacts
from preference_center.contacts import InTransaction, WrittenContact
from preference_center.contacts.rules.account import (
    DismissedReport,
    build_restriction_change,
    build_unrestriction_change,
    is_ended_by,
    is_restricted,
)
from preference_center.contacts.rules.contact import Contact, ContactRef
from preference_center.core.addresses import Address
from preference_center.core.errors import ForbiddenTransition, InvalidInput, UnknownContact
from preference_center.core.events import Change, ScopeFact
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights import emails
from preference_center.rights.requests import steps, store
from preference_center.rights.rules.decisions import Decision
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RefusalGround,
    RequestKind,
    StepAction,
)

RESTRICTED = "restricted"
"""In the first step of a report: whether this report restricted the contact."""


def restrict_reported(
    new: NewRequest, actor: str, received_at: datetime, in_transaction: InTransaction
) -> None:
    """Restrict whom a report names, and write the report in the same transaction.

    Not if a report about them was dismissed within MINOR_RETENTION: else the same lie, repeated,
    would keep somebody's marketing off for ever. Raises InvalidInput, Unavailable.
    """
    refs = [*map(_ref_of_address, new.addresses), *_known(map(_ref_of_id, new.external_ids))]
    if not refs or was_dismissed_lately(new):
        run_in_transaction(lambda connection: in_transaction(connection, ()))
        return
    origin = RequestOrigin(steps.SOURCE, actor, services().now())
    named = [(ref, received_at) for ref in refs]
    contacts.restrict_contacts(named, origin, in_transaction)


def was_dismissed_lately(new: NewRequest) -> bool:
    """Whether staff found an earlier report about one of these addresses to be wrong."""
    digests = [*map(services().keys.exact_digest, new.addresses)]
    return any(
        each.refusal is not None for each in run_autocommit(lambda c: list_reports(c, digests))
    )


def list_reports(connection: Connection, digests: Sequence[bytes]) -> list[RightsRequest]:
    """The reports about these that are still known: MINOR_RETENTION after the decision."""
    found = store.list_of_subject(connection, digests)
    return [each for each in found if each.kind is RequestKind.MINOR]


def list_contradicted(reports: Sequence[RightsRequest]) -> set[UUID]:
    """The ids of those whose holder says that they are wrong."""
    ids, said = [each.id for each in reports], [StepAction.CONTRADICTED]
    return set(run_autocommit(lambda c: store.list_newest_steps(c, ids, said)))


def contradict(request_id: UUID) -> RightsRequest:
    """Record that the holder of the address says that the report is wrong; once.

    It is for staff to decide on, and changes nothing else. A decided report stays as it is.
    """

    def write(connection: Connection) -> RightsRequest:
        request = _load(connection, request_id)
        said = {step.action for step in store.fetch_steps(connection, request_id)}
        if not request.state.closed and StepAction.CONTRADICTED not in said:
            steps.append_step(connection, request, steps.PERSON, StepAction.CONTRADICTED)
        return request

    return run_in_transaction(write)


def dismiss(request_id: UUID, actor: str) -> RightsRequest:
    """Find a report wrong: end the restriction that reports set, and inform the person.

    A restriction that the person asked for meanwhile stays, and so does one that was there
    before. What the reporter wrote is wiped. Raises ForbiddenTransition if it is decided already,
    SecondPersonRequired for one of the staff alone.
    """
    request = steps.load_request(request_id)
    _require_report(request)
    if request.state.closed:
        raise ForbiddenTransition(f"the report is closed ({request.state})")
    dismissed: list[RightsRequest] = []

    def write(connection: Connection, _: object) -> None:
        dismissed[:] = [_refuse(connection, request_id, actor)]

    since = run_autocommit(lambda c: _restricted_by_reports(c, request))
    if since is None:
        run_in_transaction(lambda connection: write(connection, ()))
    else:
        run_autocommit(lambda c: _require_second_person(c, request, actor))
        origin = RequestOrigin(steps.SOURCE, actor, services().now())
        _end_restriction(request, DismissedReport(request.id, since), origin, write)
    return dismissed[0]


def _end_restriction(
    request: RightsRequest,
    proof: DismissedReport,
    origin: RequestOrigin,
    in_transaction: InTransaction,
) -> None:
    """End what the report restricted: its contacts, and addresses that no contact has any more.

    Erasing marketing data unlinks an address. These come first, in a transaction of their own,
    which a repeat finds done.
    """
    part = steps.open_sealed(request)
    addresses = steps.part_addresses(part)
    refs = _known([*map(_ref_of_address, addresses), *map(_ref_of_id, part.external_ids)])
    if request.contact_id is not None:
        refs += _known([ContactRef(id=request.contact_id)])
    linked = {ref.address for ref in refs}
    unlinked = [each for each in addresses if each not in linked]
    facts = zip(unlinked, load_exact_facts(unlinked), strict=True)
    new_id = services().new_id
    record(
        [
            build_unrestriction_change(new_id(), address, proof, origin, known)
            for address, known in facts
            if is_ended_by(proof, known)
        ]
    )
    contacts.unrestrict_contacts([(ref, proof) for ref in refs], origin, in_transaction)


def _refuse(connection: Connection, request_id: UUID, actor: str) -> RightsRequest:
    before, keys = _load(connection, request_id), services().keys
    _require_second_person(connection, before, actor)
    emails.inform_reporter(connection, before)
    after = before.refuse(RefusalGround.UNFOUNDED, services().now())
    detail = {"ground": RefusalGround.UNFOUNDED}
    steps.store_change(connection, after, actor, StepAction.REFUSED, detail)
    wiped = replace(after, sealed=_without_words(keys, after), version=after.version + 1)
    store.update_request(connection, wiped)
    return wiped


def _require_second_person(connection: Connection, request: RightsRequest, actor: str) -> None:
    ground = RefusalGround.UNFOUNDED
    steps.require_second_person(connection, request, Decision.REFUSE, actor, ground)


def _without_words(keys: Keys, request: RightsRequest) -> bytes | None:
    """No reason is stored after the decision; whom it was about, for MINOR_RETENTION."""
    if request.sealed is None:
        return None
    return store.seal_part(keys, request.id, replace(store.open_part(keys, request), text=""))


def _restricted_by_reports(connection: Connection, request: RightsRequest) -> datetime | None:
    """Since when no more than reports, of which this is the last open one, restrict the contact.

    None where something else does too, or other reports are open.
    """
    about = store.list_of_subject(connection, request.subject_digests)
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
        for step in store.fetch_steps(connection, each.id)[:1]
    )
    return since if restricts else None


def _is_own_restriction(request: RightsRequest, since: datetime) -> bool:
    done = request.kind is RequestKind.RESTRICT and request.outcome is not None
    return done and request.closed_at is not None and request.closed_at >= since


def _known(refs: Iterable[ContactRef]) -> list[ContactRef]:
    found: list[ContactRef] = []
    for ref in refs:
        with suppress(UnknownContact):
            contacts.load_contacts([ref]).find(ref)
            found.append(ref)
    return found


def _ref_of_address(address: Address) -> ContactRef:
    return ContactRef(address=address)


def _ref_of_id(external_id: str) -> ContactRef:
    return ContactRef(external_id=external_id)


def _load(connection: Connection, request_id: UUID) -> RightsRequest:
    request = store.load_request(connection, request_id, for_update=True)
    _require_report(request)
    assert request
    return request


def _require_report(request: RightsRequest | None) -> None:
    if request is None or request.kind is not RequestKind.MINOR:
        raise InvalidInput("this is no report of a minor")


_BuildChange = Callable[[Address, Sequence[ScopeFact]], Change]


def restrict_named(
    request: RightsRequest,
    refs: Sequence[ContactRef],
    origin: RequestOrigin,
    in_transaction: InTransaction,
) -> None:
    """Restrict whom an open request names. Raises InvalidRows and Unavailable."""
    only = only_named(request, refs)
    if only is None:
        named = [(ref, request.received_at) for ref in refs]
        contacts.restrict_contacts(named, origin, in_transaction)
        return

    def build(address: Address, _: Sequence[ScopeFact]) -> Change:
        return build_restriction_change(services().new_id(), address, origin, request.received_at)

    _record(only, build, in_transaction, restricts=True)


def unrestrict_named(
    request: RightsRequest,
    refs: Sequence[ContactRef],
    proof: ConsentEvidence,
    origin: RequestOrigin,
    in_transaction: InTransaction,
) -> None:
    """End the restriction of whom an open request names.

    The contact's own stays where only one of its addresses was proven. Raises InvalidRows,
    InvalidInput where the restriction is newer than the request, and Unavailable.
    """
    only = only_named(request, refs)
    if only is None:
        contacts.unrestrict_contacts([(ref, proof) for ref in refs], origin, in_transaction)
        return

    def build(address: Address, facts: Sequence[ScopeFact]) -> Change:
        return build_unrestriction_change(services().new_id(), address, proof, origin, facts)

    _record(only, build, in_transaction, restricts=False)


def only_named(request: RightsRequest, refs: Sequence[ContactRef]) -> dict[Address, Contact] | None:
    """The addresses to which the request is limited, with their contacts; None: their contacts."""
    if request.level >= IdentityLevel.CONTACT:
        return None
    named = [ref.address for ref in refs if ref.address is not None]
    contact_set = contacts.load_contacts(refs)
    owners = {each: owner for each in named if (owner := contact_set.owner(each))}
    has_others = any(owner.addresses - set(named) for owner in owners.values())
    return owners if has_others else None


def _record(
    only: dict[Address, Contact],
    build: _BuildChange,
    in_transaction: InTransaction,
    *,
    restricts: bool,
) -> None:
    """Write what changes of these addresses. A repeat meanwhile changes nothing (I7)."""
    ordered = sorted(only, key=lambda address: (address.channel, address.exact))
    found = zip(ordered, load_exact_facts(ordered), strict=True)
    changes = [build(each, facts) for each, facts in found if is_restricted(facts) is not restricts]
    written = [WrittenContact(each, is_changed=bool(changes)) for each in set(only.values())]
    if changes:
        record(changes, lambda connection, _: in_transaction(connection, written))
    else:
        run_in_transaction(lambda connection: in_transaction(connection, written))
