"""What somebody of the staff proposed to decide about a request: read from its steps."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from preference_center.infra.db.transactions import Connection
from preference_center.rights.requests.store import requests
from preference_center.rights.requests.store.requests import RightsStep
from preference_center.rights.rules.decisions import (
    Decision,
    Proposal,
    check_second_person,
    is_person_of_staff,
)
from preference_center.rights.rules.model import RefusalGround, RequestOutcome, StepAction
from preference_center.rights.rules.request import RightsRequest

_ABOUT_PROPOSALS = (StepAction.DECISION_PROPOSED, StepAction.DECISION_DECLINED)


def find_proposal(steps: Iterable[RightsStep]) -> Proposal | None:
    """The proposal that waits for another person; None if there is none. `steps` in order."""
    found = None
    for step in steps:
        if step.action in _ABOUT_PROPOSALS:
            found = _read(step) if step.action == StepAction.DECISION_PROPOSED else None
    return found


def find_proposals(connection: Connection) -> dict[UUID, Proposal]:
    """The proposals that wait, by the id of their request."""
    steps = requests.list_proposal_steps(connection)
    found = {request_id: find_proposal([step]) for request_id, step in steps.items()}
    return {request_id: proposal for request_id, proposal in found.items() if proposal}


def require_second_person(
    connection: Connection,
    request: RightsRequest,
    decision: Decision,
    actor: str,
    ground: RefusalGround | None = None,
) -> None:
    """Raises SecondPersonRequired unless `actor` may take this decision (`domain.rights`)."""
    if is_person_of_staff(actor):
        proposal = find_proposal(requests.fetch_steps(connection, request.id))
        check_second_person(request.kind, decision, actor, proposal, ground)


def _read(step: RightsStep) -> Proposal:
    ground, outcome = step.detail.get("ground"), step.detail.get("outcome")
    return Proposal(
        Decision(step.detail["decision"]),
        step.actor,
        step.at,
        RefusalGround(ground) if ground else None,
        RequestOutcome(outcome) if outcome else None,
    )
