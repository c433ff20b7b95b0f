"""Do each act on a stored request in one transaction, with its step.

Entry points use `rights.requests.handle`. The rules are those of `rights.rules`. What the person
must know of is mailed, and the company's program informed, in the same transaction; with a
`connection` that is the caller's.

What somebody of the staff proposed to decide is read from the steps of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import UnknownRequest
from preference_center.core.events import parse_receipt_code
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.rights import emails, webhooks
from preference_center.rights.requests import store
from preference_center.rights.requests.store import RightsStep, SealedPart
from preference_center.rights.rules.deadlines import Deadlines, compute_deadlines
from preference_center.rights.rules.decisions import (
    Decision,
    Proposal,
    check_second_person,
    is_person_of_staff,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    IdentityLevel,
    RefusalGround,
    RequestOutcome,
    StepAction,
)

_ABOUT_PROPOSALS = (StepAction.DECISION_PROPOSED, StepAction.DECISION_DECLINED)


def find_proposal(request: RightsRequest, steps: Iterable[RightsStep]) -> Proposal | None:
    """The proposal that waits for another person; None if there is none. `steps` in order.

    The end of a request, whichever, is the end of its proposal.
    """
    found = [step for step in steps if step.action in _ABOUT_PROPOSALS]
    return read_proposal(found[-1]) if found and not request.state.closed else None


def read_proposal(step: RightsStep) -> Proposal | None:
    """What a step proposed; None if it is another step."""
    if step.action != StepAction.DECISION_PROPOSED:
        return None
    ground, outcome = step.detail.get("ground"), step.detail.get("outcome")
    return Proposal(
        Decision(step.detail["decision"]),
        step.actor,
        step.at,
        RefusalGround(ground) if ground else None,
        RequestOutcome(outcome) if outcome else None,
    )


def find_proposals(connection: Connection) -> dict[UUID, Proposal]:
    """The proposals that wait, by the id of their request, which is open."""
    steps = store.list_proposal_steps(connection)
    found = {request_id: read_proposal(step) for request_id, step in steps.items()}
    return {request_id: proposal for request_id, proposal in found.items() if proposal}


def require_second_person(
    connection: Connection,
    request: RightsRequest,
    decision: Decision,
    actor: str,
    how: RefusalGround | RequestOutcome | None,
) -> None:
    """Raises SecondPersonRequired unless `actor` may take this decision (`rights.rules`)."""
    if is_person_of_staff(actor):
        proposal = find_proposal(request, store.fetch_steps(connection, request.id))
        check_second_person(request.kind, decision, actor, proposal, how)


SOURCE = "rights"
"""The source of events that requests bring about."""


PERSON = "person"
"""The actor of what people do themselves."""


InTransaction = Callable[[Connection], None]
"""Writes what belongs to the same transaction; it may be called again after a failure."""


class Change(Protocol):
    """Makes of a request what it is after an act at this time."""

    def __call__(self, request: RightsRequest, /, *, now: datetime) -> RightsRequest:
        """The request as it is afterwards. Raises ForbiddenTransition."""


def load_request(request_id: UUID) -> RightsRequest:
    """The request of this id. Raises UnknownRequest, Unavailable."""
    return require_request(run_autocommit(lambda c: store.load_request(c, request_id)))


def find_request_by_reference(text: str) -> RightsRequest:
    """The request with this reference, however it is written.

    Raises InvalidInput if it is no reference, UnknownRequest if none has it.
    """
    first, last = parse_receipt_code(text)
    return require_request(run_autocommit(lambda c: store.find_between(c, first, last)))


def list_steps(request_id: UUID) -> list[RightsStep]:
    """The history of a request."""
    return run_autocommit(lambda c: store.fetch_steps(c, request_id))


def open_sealed(request: RightsRequest) -> SealedPart:
    """What the request says in words, and whom it names; empty once it was forgotten."""
    return store.open_part(services().keys, request)


def part_addresses(part: SealedPart) -> list[Address]:
    """The addresses that a request names."""
    return [restore_address(text, Channel(channel)) for channel, text in part.addresses]


def add_step(
    connection: Connection,
    request_id: UUID,
    at: datetime,
    actor: str,
    action: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append a step in the caller's transaction. `detail` has codes and ids, nothing personal."""
    store.insert_step(connection, request_id, RightsStep(at, actor, action, detail or {}))


def ask_identity(
    request_id: UUID, actor: str, *, connection: Connection | None = None
) -> RightsRequest:
    """Record that the person was asked to prove who they are; the clock may stop."""

    def ask(request: RightsRequest, now: datetime) -> RightsRequest:
        return request.ask_identity(now, stops_clock=deadlines_of(request).stops_for_identity)

    return _act(request_id, actor, StepAction.IDENTITY_ASKED, ask, connection=connection)


def confirm_identity(
    request_id: UUID,
    level: IdentityLevel,
    actor: str,
    facts: Collection[AskedFact] = (),
    *,
    connection: Connection | None = None,
) -> RightsRequest:
    """Record that identity is proven to `level`; `facts` are what support asked about.

    Opens the request if that is enough for it.
    """
    detail = {"level": level.value, "facts": sorted(facts)}
    confirm = partial(RightsRequest.confirm_identity, level=level)
    act = StepAction.IDENTITY_CONFIRMED
    return _act(request_id, actor, act, confirm, detail, connection=connection)


def fail_identity(
    request_id: UUID,
    actor: str,
    facts: Collection[AskedFact] = (),
    *,
    connection: Connection | None = None,
) -> RightsRequest:
    """Record a failed check of identity; the third refuses the request."""
    act, detail = StepAction.IDENTITY_FAILED, {"facts": sorted(facts)}
    return _act(request_id, actor, act, RightsRequest.fail_identity, detail, connection=connection)


def confirm_receipt(request_id: UUID, actor: str) -> RightsRequest:
    """Record that the person was informed that the request was received, e.g. by letter."""

    def confirm(request: RightsRequest, now: datetime) -> RightsRequest:
        return replace(request, confirmed_at=request.confirmed_at or now)

    return _act(request_id, actor, StepAction.RECEIPT_CONFIRMED, confirm)


def extend_deadline(
    request_id: UUID, reason: ExtensionReason, actor: str, *, connection: Connection | None = None
) -> RightsRequest:
    """Take the longer time that the law allows, and inform the person of it and why."""

    def lengthen(request: RightsRequest, now: datetime) -> RightsRequest:
        return request.extend(deadlines_of(request).extendable_to, reason, now)

    detail = {"reason": reason}
    return _act(request_id, actor, StepAction.EXTENDED, lengthen, detail, connection=connection)


def refuse_data_request(
    request_id: UUID, ground: RefusalGround, actor: str, *, connection: Connection | None = None
) -> RightsRequest:
    """Refuse the request, and inform the person why and how to complain.

    Raises SecondPersonRequired for one of the staff alone.
    """

    def refuse(request: RightsRequest, now: datetime) -> RightsRequest:
        return request.refuse(ground, now)

    act, detail = StepAction.REFUSED, {"ground": ground}
    return _act(request_id, actor, act, refuse, detail, connection=connection, decided=ground)


def complete_data_request(
    request_id: UUID,
    outcome: RequestOutcome,
    actor: str,
    *,
    connection: Connection | None = None,
    decided: RequestOutcome | None = None,
) -> RightsRequest:
    """Record that the request is fulfilled, and inform the person.

    `decided` is the outcome that staff decided on, where the effect has found another.
    Its effect is written in the same transaction, that of `connection`. Raises ForbiddenTransition
    unless identity is proven, SecondPersonRequired for one of the staff alone.
    """

    def complete(request: RightsRequest, now: datetime) -> RightsRequest:
        return request.complete(outcome, now)

    act, detail, decided = StepAction.DONE, {"outcome": outcome}, decided or outcome
    return _act(request_id, actor, act, complete, detail, connection=connection, decided=decided)


def withdraw_data_request(
    request_id: UUID, actor: str, *, connection: Connection | None = None
) -> RightsRequest:
    """Record that the person no longer asks for it."""
    act = StepAction.WITHDRAWN
    return _act(request_id, actor, act, RightsRequest.withdraw, connection=connection)


def deadlines_of(request: RightsRequest) -> Deadlines:
    """The dates of a request by the laws configured now, with what its clock was stopped."""
    catalogue = current_catalogue_or_empty()
    laws = [request.law] if request.law else catalogue.rights.laws
    zone = time_zone(catalogue)
    plain = compute_deadlines(request.kind, laws, request.received_at, zone)
    stopped = request.due_at - plain.due_at
    return compute_deadlines(request.kind, laws, request.received_at, zone, stopped=stopped)


def time_zone(catalogue: Catalogue) -> ZoneInfo:
    """The company's: days and months of deadlines are its."""
    return ZoneInfo(catalogue.controller.timezone if catalogue.controller else "UTC")


def _act(
    request_id: UUID,
    actor: str,
    action: StepAction,
    change: Change,
    detail: Mapping[str, Any] = MappingProxyType({}),
    *,
    connection: Connection | None = None,
    decided: RefusalGround | RequestOutcome | None = None,
) -> RightsRequest:
    """Change the locked request, append its step, and write what follows from it."""

    def write(connection: Connection) -> RightsRequest:
        before = require_request(store.load_request(connection, request_id, for_update=True))
        after = change(before, now=services().now())
        if decision := _DECISIONS.get(action):
            require_second_person(connection, before, decision, actor, decided)
        return store_change(connection, after, actor, action, detail)

    return write(connection) if connection else run_in_transaction(write)


_DECISIONS = {StepAction.REFUSED: Decision.REFUSE, StepAction.DONE: Decision.FULFIL}


def store_change(
    connection: Connection,
    after: RightsRequest,
    actor: str,
    action: StepAction,
    detail: Mapping[str, Any] | None = None,
) -> RightsRequest:
    """Write a changed request, which this transaction has locked, with its step."""
    store.update_request(connection, after)
    append_step(connection, after, actor, action, detail)
    if action is StepAction.IDENTITY_FAILED and after.refusal:
        append_step(connection, after, actor, StepAction.REFUSED, {"ground": after.refusal})
    return after


def append_step(
    connection: Connection,
    request: RightsRequest,
    actor: str,
    action: StepAction,
    detail: Mapping[str, Any] | None = None,
    *,
    mails: bool = True,
) -> None:
    """Append a step; mail the person, and inform the company's program, if it concerns them."""
    now, more = services().now(), dict(detail or {})
    if mails and emails.has_email(request, action):
        mail = emails.insert_email(connection, request, action)
        more["mail"] = mail and str(mail)
    add_step(connection, request.id, now, actor, action, more)
    webhooks.insert_webhooks(connection, request, action)


def require_request(request: RightsRequest | None) -> RightsRequest:
    """The request. Raises UnknownRequest if there is none."""
    if request is None:
        raise UnknownRequest("there is no such request")
    return request
