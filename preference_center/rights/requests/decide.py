"""Bring about what a request asks for, in one transaction with its last step.

Where two people of the staff decide, one proposes the decision and another declines it or carries
it out: `rights.requests.steps` and `rights.requests.minors.dismiss` refuse one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

import structlog

from preference_center import contacts
from preference_center.catalogue.rules.privacy import AccountClosing
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import WrittenContact
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import (
    ForbiddenTransition,
    InvalidInput,
    InvalidRows,
    PreferenceCenterError,
    UnknownContact,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.rights import emails
from preference_center.rights.erasure import erase
from preference_center.rights.erasure import store as erasures
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.erasure.tasks import systems_follow_until
from preference_center.rights.requests import minors, steps, store
from preference_center.rights.requests.store import RightsStep
from preference_center.rights.rules.decisions import Decision, Proposal, ProposalChanged
from preference_center.rights.rules.lifecycle import RightsRequest, require_transition
from preference_center.rights.rules.requests import (
    Extent,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    StepAction,
)
from preference_center.web.languages import SOURCE_LANGUAGE

SERVICE = "service"
"""The actor of what this service does by itself."""


InTransaction = Callable[[Connection, Sequence[Any]], None]
"""Called in the transaction of the effect, with what that has written."""


InTransactionOfRequest = Callable[[Connection, RightsRequest], None]
"""Called with the completed request in that transaction; perhaps again after a failure."""


Effect = Callable[[RightsRequest, RequestOrigin, InTransaction], object]


log = structlog.get_logger()


def act_if_ready(request: RightsRequest) -> RightsRequest:
    """Fulfil the request if it acts by itself and is open; else return it as it is.

    A failure is logged: the scheduler tries again.
    """
    closing = current_catalogue_or_empty().rights.closing
    if not request.is_open or not request.acts_by_itself(closing):
        return request
    if request.kind not in kinds_of_own_acts() or _waits_for_report(request):
        return request
    try:
        return fulfil_data_request(request, SERVICE)
    except ForbiddenTransition:  # another process was faster
        return steps.load_request(request.id)
    except PreferenceCenterError as error:
        log.warning("rights_act_failed", request=str(request.id), error=type(error).__name__)
        return request


def kinds_of_own_acts() -> frozenset[RequestKind]:
    """The kinds of requests of which some act by themselves here.

    A request for access is fulfilled by the job that builds its file; staff decide on every report
    of a minor, so that these hold up nothing here, however many are open.
    """
    asks = current_catalogue_or_empty().rights.closing is AccountClosing.ASK
    others = {RequestKind.REOPEN, RequestKind.MINOR} | ({RequestKind.CLOSE} if asks else set())
    return frozenset(_EFFECTS) - others


def fulfil_data_request(
    request: RightsRequest,
    actor: str,
    outcome: RequestOutcome = RequestOutcome.FULFILLED,
    in_transaction: InTransactionOfRequest | None = None,
) -> RightsRequest:
    """Do what the request asks for and complete it; what has no effect here is only completed.

    The outcome is another where nothing is held, or nothing had to be changed. `in_transaction`
    writes what belongs to the same transaction, and gets the completed request. Raises
    ForbiddenTransition unless the request is open; then nothing is done. Raises InvalidInput
    where the effect is not possible, with the remedy, SecondPersonRequired for one of the staff
    alone, and Unavailable.
    """
    require_transition(request.state, RequestState.DONE)
    # `complete_data_request` checks it again, when some effects have begun already.
    decision = Decision.FULFIL
    run_autocommit(lambda c: steps.require_second_person(c, request, decision, actor, outcome))
    completion = _Completion(request, actor, outcome, in_transaction)
    effect = _EFFECTS.get(request.kind, _nothing)
    try:
        effect(request, RequestOrigin(steps.SOURCE, actor, services().now()), completion.write)
    except (UnknownContact, InvalidRows) as error:
        if not _is_about_nobody(error):
            raise
        completion.found = RequestOutcome.NOTHING_HELD
        _nothing(request, RequestOrigin(steps.SOURCE, actor, services().now()), completion.write)
    assert completion.completed
    return completion.completed


def _is_about_nobody(error: UnknownContact | InvalidRows) -> bool:
    errors = [each.error for each in error.errors] if isinstance(error, InvalidRows) else [error]
    return all(isinstance(each, UnknownContact) for each in errors)


@dataclass(slots=True)
class _Completion:
    """Completes the request in the transaction of its effect."""

    request: RightsRequest
    actor: str
    outcome: RequestOutcome
    in_transaction: InTransactionOfRequest | None = None
    found: RequestOutcome | None = None
    """Another outcome than `outcome`, which was decided on, where the effect found it."""
    completed: RightsRequest | None = None

    def write(self, connection: Connection, written: Sequence[object]) -> None:
        contacts_written = [each for each in written if isinstance(each, WrittenContact)]
        outcome = self.found or self.outcome
        if contacts_written and not any(each.is_changed for each in contacts_written):
            outcome = RequestOutcome.ALREADY_SO
        completed = steps.complete_data_request(
            self.request.id, outcome, self.actor, connection=connection, decided=self.outcome
        )
        if self.request.kind.erases:
            until = systems_follow_until(connection, completed.id)
            emails.insert_email(connection, completed, StepAction.DONE, until)
            emails.inform_reporter(connection, completed)
        if self.in_transaction:
            self.in_transaction(connection, completed)
        self.completed = completed


def _refs(request: RightsRequest) -> list[ContactRef]:
    """The contacts that the request is about, by what it names exactly (I9).

    Raises UnknownContact once that is deleted, long after an erasure.
    """
    part = steps.open_sealed(request)
    refs = [ContactRef(address=each) for each in steps.part_addresses(part)]
    refs += [ContactRef(external_id=each) for each in part.external_ids]
    if not refs:
        raise UnknownContact("the request names nobody any more: its subject was erased")
    return refs


def _proof(request: RightsRequest, act: str) -> ConsentEvidence:
    wording = f"Data-subject request {request.reference}: {act}"
    return ConsentEvidence(steps.SOURCE, wording, SOURCE_LANGUAGE, request.received_at)


def _nothing(_: RightsRequest, __: RequestOrigin, done: InTransaction) -> object:
    return run_in_transaction(lambda connection: done(connection, ()))


def _close(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> object:
    refs = _refs(request)
    _require_proof_of_all(request, refs)

    def write(connection: Connection, written: Sequence[WrittenContact]) -> None:
        done(connection, written)
        for each in written:
            if each.is_changed:  # who proves one mailbox closes the account for all of them
                emails.insert_closing_notices(connection, request, each.contact)

    named = [(ref, request.received_at) for ref in refs]
    return contacts.deactivate_contacts(named, origin, write)


def _require_proof_of_all(request: RightsRequest, refs: Sequence[ContactRef]) -> None:
    """Raises InvalidInput where the contact has other addresses, and only this one was proven.

    It has gained them since the request was opened.
    """
    if minors.only_named(request, refs) is not None:
        raise InvalidInput(
            "the contact has other addresses by now: confirm the identity of the contact first"
        )


def _reopen(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> object:
    """Who was erased gets a new contact, everybody else their own."""
    proof, refs = _proof(request, "reopen the account"), _refs(request)
    erased = contacts.load_contacts(refs).erased
    if not erased:
        return contacts.reopen_contacts([(ref, proof) for ref in refs], origin, done)
    *others, last = sorted(erased, key=lambda address: (address.channel, address.exact))
    for address in others:
        return_after_erasure(address, proof, origin=origin)
    return return_after_erasure(
        last,
        proof,
        origin=origin,
        in_transaction=lambda c, contact: done(c, [WrittenContact(contact, is_changed=True)]),
    )


def _restrict(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> None:
    minors.restrict_named(request, _refs(request), origin, done)


def _waits_for_report(request: RightsRequest) -> bool:
    """Whether it would end a restriction while staff decide on a report of a minor.

    Anybody who reads the mailbox can ask for the end; if the report is right, that is the minor.
    """
    if request.kind is not RequestKind.UNRESTRICT or request.sealed is None:
        return False
    refs, exact_digest = _refs(request), services().keys.exact_digest
    contact_set, digests = contacts.load_contacts(refs), {*request.subject_digests}
    for ref in refs:
        owner = contact_set.owner(ref.address) if ref.address else None
        digests.update(map(exact_digest, owner.addresses if owner else ()))
    reports = run_autocommit(lambda c: minors.list_reports(c, sorted(digests)))
    return any(not report.state.closed for report in reports)


def _unrestrict(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> None:
    if _waits_for_report(request):
        raise InvalidInput("a report that this is a minor's address is open: decide on it first")
    proof = _proof(request, "end the restriction")
    minors.unrestrict_named(request, _refs(request), proof, origin, done)


def _erase(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> object:
    """MARKETING erases exactly the addresses that it names, ACCOUNT their contacts.

    An address that is not known yet is stored first, so that its suppression remains.
    """
    refs, extent = _refs(request), request.extent
    assert extent
    if extent.rules.of_account:
        _require_proof_of_all(request, refs)
        return erase.erase_contacts(
            refs,
            extent,
            origin=origin,
            request_id=request.id,
            in_transaction=done,
            notify=True,
            informed=emails.answered_addresses(request),
        )
    named = [ref.address for ref in refs if ref.address is not None]
    record([], known_addresses=named)
    keys = services().keys
    ids = run_in_transaction(lambda c: erasures.find_address_ids(c, keys, named))
    if not ids:
        raise UnknownContact("none of these has an address that is known")
    return erase.erase_addresses(
        ids, extent, origin=origin, request_id=request.id, in_transaction=done
    )


def _erase_minor(request: RightsRequest, origin: RequestOrigin, done: InTransaction) -> object:
    """A confirmed report erases the account: consents and tools with it.

    Its other addresses, of which the reporter may know nothing, get the last notice.
    """
    return erase.erase_contacts(
        _refs(request),
        Extent.ACCOUNT,
        origin=origin,
        request_id=request.id,
        in_transaction=done,
        notify=True,
        informed=emails.answered_addresses(request),
    )


_EFFECTS: Mapping[RequestKind, Effect] = {
    RequestKind.CLOSE: _close,
    RequestKind.ERASE: _erase,
    RequestKind.MINOR: _erase_minor,
    RequestKind.REOPEN: _reopen,
    RequestKind.RESTRICT: _restrict,
    RequestKind.UNRESTRICT: _unrestrict,
}
"""What requests bring about here. The others are fulfilled by those who complete them."""


def propose_refusal(request_id: UUID, ground: RefusalGround, actor: str) -> RightsRequest:
    """Record that `actor` would refuse the request on this ground; another person decides.

    Raises ForbiddenTransition where that is not possible, InvalidInput where another proposal
    waits, UnknownRequest, Unavailable.
    """
    detail = {"decision": Decision.REFUSE.value, "ground": ground.value}
    return _propose(request_id, actor, detail, lambda request, now: request.refuse(ground, now))


def propose_fulfilment(request_id: UUID, outcome: RequestOutcome, actor: str) -> RightsRequest:
    """Record that `actor` would fulfil the request; another person decides. Raises as above."""
    detail = {"decision": Decision.FULFIL.value, "outcome": outcome.value}
    return _propose(request_id, actor, detail, lambda request, now: request.complete(outcome, now))


def decline(request_id: UUID, actor: str) -> RightsRequest:
    """Take a proposal from the table: somebody else's, or one's own. The request stays open.

    Raises InvalidInput where none waits, ForbiddenTransition where the request has been closed.
    """

    def write(connection: Connection) -> RightsRequest:
        request = steps.require_request(store.load_request(connection, request_id, for_update=True))
        _require_proposal(request, store.fetch_steps(connection, request_id))
        steps.append_step(connection, request, actor, StepAction.DECISION_DECLINED)
        return request

    return run_in_transaction(write)


def carry_out(request_id: UUID, actor: str, shown: str) -> RightsRequest:
    """Decide as somebody else has proposed, and do what that brings about.

    `shown` is the code of the proposal that `actor` has read. Raises ProposalChanged if that is
    not the one which waits, SecondPersonRequired for who proposed it, InvalidInput where nothing
    is proposed or the effect is not possible, ForbiddenTransition where the request has been
    closed, Unavailable.
    """
    request = steps.load_request(request_id)
    proposal = _require_proposal(request, steps.list_steps(request_id))
    if proposal.code != shown:
        raise ProposalChanged("another decision is proposed now: read it, then decide")
    match proposal.decision:
        case Decision.REFUSE:
            assert proposal.ground
            if request.kind is RequestKind.MINOR:
                return minors.dismiss(request_id, actor)
            return steps.refuse_data_request(request_id, proposal.ground, actor)
        case Decision.FULFIL:
            assert proposal.outcome
            return fulfil_data_request(request, actor, proposal.outcome)
        case _:
            assert_never(proposal.decision)


def _propose(
    request_id: UUID, actor: str, detail: dict[str, str], try_out: steps.Change
) -> RightsRequest:
    def write(connection: Connection) -> RightsRequest:
        request = steps.require_request(store.load_request(connection, request_id, for_update=True))
        try_out(request, now=services().now())
        if steps.find_proposal(request, store.fetch_steps(connection, request_id)) is not None:
            raise InvalidInput("a decision is proposed already: decide on that one first")
        steps.append_step(connection, request, actor, StepAction.DECISION_PROPOSED, detail)
        return request

    return run_in_transaction(write)


def _require_proposal(request: RightsRequest, history: Iterable[RightsStep]) -> Proposal:
    """What waits for a second person. Raises ForbiddenTransition, InvalidInput."""
    require_transition(request.state, RequestState.REFUSED)  # whatever is open can end
    proposal = steps.find_proposal(request, history)
    if proposal is None:
        raise InvalidInput("nothing is proposed about this request any more")
    return proposal
