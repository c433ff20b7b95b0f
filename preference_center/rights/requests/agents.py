"""Handle requests that an agent makes in a person's name.

What an agent says is worth nothing by itself: an objection counts at once, as anybody's does,
and all else waits until the person confirms it by the link that is mailed to them, or until
staff accept a proof of the agent's authority. Results go to the person (`rights.emails`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from preference_center.core.errors import ExpiredLink, InvalidInput
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.rights import emails
from preference_center.rights.requests import files as proofs
from preference_center.rights.requests import handle, steps, store
from preference_center.rights.rules.identity import ANSWER_TIMES, MAX_PROOFS, ProofFile
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import IdentityLevel, StepAction

AGENT = "agent"
"""The actor of what agents do themselves."""


CONFIRM_WITHIN = ANSWER_TIMES[FormPurpose.RIGHTS_AUTHORITY]
"""How long the person can confirm it by the mailed link; there is one reminder at half."""


_REMIND_LIMIT = 500


def ask_for_principal(
    new: NewRequest, files: Sequence[ProofFile] = (), actor: str = AGENT
) -> RightsRequest:
    """Record what an agent asks for, with the files that prove the authority, and ask the person.

    The clock stops, where the law allows it, until the person or staff confirm the authority.
    Raises InvalidInput for a request without an agent and for files that can't be taken; then
    nothing is stored.
    """
    if new.agent is None or not new.via.rules.by_agent:
        raise InvalidInput("state who the agent is: a name and an address")
    if len(files) > MAX_PROOFS:
        raise InvalidInput(f"send up to {MAX_PROOFS} files")
    for file in files:
        file.check()
    new_ids = [services().new_id() for _ in files]

    def store(connection: Connection, request: RightsRequest) -> None:
        _insert_proofs(connection, request, [*zip(new_ids, files, strict=True)])

    asked = replace(new, identity_asked=True)
    return handle.open_request(asked, actor, store if files else None)


def add_proof(
    request_id: UUID, file: ProofFile, actor: str, *, connection: Connection | None = None
) -> RightsRequest:
    """Store a file that came by letter or mail; returns its request. Raises InvalidInput.

    With a `connection` in the transaction of the caller.
    """
    file.check()
    proof_id = services().new_id()

    def write(connection: Connection) -> RightsRequest:
        request = _load_asked_by_agent(connection, request_id)
        if len(proofs.list_proofs(connection, request.id)) >= MAX_PROOFS:
            raise InvalidInput(f"the request has {MAX_PROOFS} files already")
        _insert_proofs(connection, request, [(proof_id, file)])
        detail = {"kind": file.kind}
        steps.append_step(connection, request, actor, StepAction.PROOF_ADDED, detail)
        return request

    return write(connection) if connection else run_in_transaction(write)


def read_proof(request_id: UUID, proof_id: UUID, actor: str) -> bytes | None:
    """A file, for staff to save; None if it is gone. That they read it is a step of the request.

    It came from a stranger: offer it as an attachment only. Raises Unavailable.
    """
    context = services()

    def read(connection: Connection) -> bytes | None:
        content = proofs.load_content(connection, context.keys, request_id, proof_id)
        if content is not None:
            steps.add_step(connection, request_id, context.now(), actor, StepAction.PROOF_READ)
        return content

    return run_in_transaction(read)


def delete_proof(request_id: UUID, proof_id: UUID, actor: str) -> bool:
    """Delete a file before its time, as one that shows more than the authority; a step.

    Returns False if it is gone already. Raises Unavailable.
    """

    def delete(connection: Connection) -> bool:
        deleted = proofs.delete_proof(connection, request_id, proof_id)
        if deleted:
            now = services().now()
            steps.add_step(connection, request_id, now, actor, StepAction.PROOF_DELETED)
        return deleted

    return run_in_transaction(delete)


def confirm_by_principal(request_id: UUID) -> RightsRequest:
    """The person says, by the link mailed to them, that the agent acts for them.

    That proves control of the address, as any mailed link does, and no more. Once it was
    confirmed, or is closed, nothing changes. Raises ExpiredLink after CONFIRM_WITHIN.
    """
    request = steps.load_request(request_id)
    if not request.waits_for_principal or _is_confirmed(request):
        return request
    _require_in_time(request)
    return handle.confirm_identity(request_id, IdentityLevel.CONTROLS_ADDRESS, steps.PERSON)


def refuse_by_principal(request_id: UUID) -> RightsRequest:
    """The person says that the agent does not act for them: the request ends.

    What was confirmed or is closed stays as it is. Raises ExpiredLink after CONFIRM_WITHIN.
    """
    request = steps.load_request(request_id)
    if not request.waits_for_principal:
        return request
    _require_in_time(request)
    return steps.withdraw_data_request(request_id, steps.PERSON)


def accept_authority(
    request_id: UUID, actor: str, *, results_to_agent: bool = False
) -> RightsRequest:
    """Staff find that the files prove the authority: the person need not confirm it.

    `results_to_agent` if it covers receiving the results, as an heir's does; they are mailed to
    both. Raises InvalidInput without a file, ForbiddenTransition if it is closed.
    """

    def accept(connection: Connection) -> None:
        request = _load_asked_by_agent(connection, request_id)
        kinds = sorted({each.kind for each in proofs.list_proofs(connection, request_id)})
        if not kinds:
            raise InvalidInput("there is no file to accept: add one, or wait for the person")
        detail = {"kinds": kinds, "results_to_agent": results_to_agent}
        steps.append_step(connection, request, actor, StepAction.AUTHORITY_ACCEPTED, detail)
        if results_to_agent:
            _let_agent_have_results(connection, request)

    return handle.confirm_identity(request_id, IdentityLevel.CONTACT, actor, before=accept)


def reject_authority(request_id: UUID, actor: str) -> RightsRequest:
    """Staff find that the files prove nothing. The person can still confirm the request."""

    def reject(connection: Connection) -> RightsRequest:
        request = _load_asked_by_agent(connection, request_id)
        steps.append_step(connection, request, actor, StepAction.AUTHORITY_REJECTED)
        return request

    return run_in_transaction(reject)


def list_unanswered(now: datetime) -> list[UUID]:
    """The requests of agents that people have not answered at half of CONFIRM_WITHIN."""
    return run_autocommit(
        lambda c: store.list_asked_by_agents(
            c,
            recorded_from=now - CONFIRM_WITHIN,
            recorded_until=now - CONFIRM_WITHIN / 2,
            without_step=StepAction.AUTHORITY_REMINDED,
            limit=_REMIND_LIMIT,
        )
    )


def remind_principal(request_id: UUID) -> None:
    """Mail the person once more; nothing if they have answered, or were reminded before."""

    def write(connection: Connection) -> None:
        request = store.load_request(connection, request_id, for_update=True)
        if request is None or not request.waits_for_principal or _is_confirmed(request):
            return
        said = {step.action for step in store.fetch_steps(connection, request_id)}
        if StepAction.AUTHORITY_REMINDED not in said:
            mail = emails.insert_reminder(connection, request)
            steps.append_step(
                connection,
                request,
                "service",
                StepAction.AUTHORITY_REMINDED,
                {"mail": mail and str(mail)},
            )

    run_in_transaction(write)


def _insert_proofs(
    connection: Connection, request: RightsRequest, files: Sequence[tuple[UUID, ProofFile]]
) -> None:
    """Store files, up to MAX_PROOFS of a request, also if it repeats an earlier one."""
    known = proofs.list_proofs(connection, request.id)
    for proof_id, file in files[: max(0, MAX_PROOFS - len(known))]:
        proofs.insert_proof(
            connection, services().keys, proof_id, request.id, file, services().now()
        )


def _let_agent_have_results(connection: Connection, request: RightsRequest) -> None:
    keys = services().keys
    part = store.open_part(keys, request)
    agent = {**part.agent, emails.RESULTS_TO_AGENT: "yes"}
    sealed = store.seal_part(keys, request.id, replace(part, agent=agent))
    store.update_request(connection, replace(request, sealed=sealed))


def _is_confirmed(request: RightsRequest) -> bool:
    """Whether the person has confirmed it, though the act may need more."""
    return request.level >= IdentityLevel.CONTROLS_ADDRESS


def _require_in_time(request: RightsRequest) -> None:
    if services().now() > request.recorded_at + CONFIRM_WITHIN:
        raise ExpiredLink("this could be answered for a week")


def _load_asked_by_agent(connection: Connection, request_id: UUID) -> RightsRequest:
    request = store.load_request(connection, request_id, for_update=True)
    if request is None or not request.via.rules.by_agent:
        raise InvalidInput("no agent asked for this")
    if request.state.closed:
        raise InvalidInput(f"the request is closed ({request.state}): nothing of it can change")
    return request
