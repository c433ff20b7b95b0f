"""Propose a decision about a request, decline it, and carry it out: by two people of the staff.

`request_steps.refuse`, `request_steps.complete` and `minors.dismiss` refuse one alone.
"""

from __future__ import annotations

from typing import assert_never
from uuid import UUID

from preference_center.core.errors import InvalidInput, UnknownRequest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.requests import acts, minors, request_steps
from preference_center.rights.requests.proposals import find_proposal
from preference_center.rights.requests.store import requests
from preference_center.rights.rules.decisions import Decision, ProposalChanged
from preference_center.rights.rules.model import (
    RefusalGround,
    RequestKind,
    RequestOutcome,
    StepAction,
)
from preference_center.rights.rules.request import RightsRequest


def propose_refusal(request_id: UUID, ground: RefusalGround, actor: str) -> RightsRequest:
    """Record that `actor` would refuse the request on this ground; another person decides.

    Raises ForbiddenTransition where that is not possible, InvalidInput where another proposal
    waits, UnknownRequest, Unavailable.
    """
    detail = {"decision": Decision.REFUSE.value, "ground": ground.value}
    return _propose(request_id, actor, detail, lambda r: r.refuse(ground, services().now()))


def propose_fulfilment(request_id: UUID, outcome: RequestOutcome, actor: str) -> RightsRequest:
    """Record that `actor` would fulfil the request; another person decides. Raises as above."""
    detail = {"decision": Decision.FULFIL.value, "outcome": outcome.value}
    return _propose(request_id, actor, detail, lambda r: r.complete(outcome, services().now()))


def decline(request_id: UUID, actor: str) -> RightsRequest:
    """Take a proposal from the table: somebody else's, or one's own. The request stays open.

    Raises InvalidInput where none waits.
    """

    def write(connection: Connection) -> RightsRequest:
        request = _load(connection, request_id)
        if find_proposal(requests.fetch_steps(connection, request_id)) is None:
            raise InvalidInput("nothing is proposed about this request any more")
        request_steps.append_step(connection, request, actor, StepAction.DECISION_DECLINED)
        return request

    return run_in_transaction(write)


def carry_out(request_id: UUID, actor: str, shown: str) -> RightsRequest:
    """Decide as somebody else has proposed, and do what that brings about.

    `shown` is the code of the proposal that `actor` has read. Raises ProposalChanged if that is
    not the one which waits, SecondPersonRequired for who proposed it, InvalidInput where nothing
    is proposed or the effect is not possible, ForbiddenTransition where the request has been
    closed, Unavailable.
    """
    request = request_steps.load_request(request_id)
    proposal = find_proposal(request_steps.list_steps(request_id))
    if proposal is None:
        raise InvalidInput("nothing is proposed about this request any more")
    if proposal.code != shown:
        raise ProposalChanged("another decision is proposed now: read it, then decide")
    match proposal.decision:
        case Decision.REFUSE:
            assert proposal.ground
            if request.kind is RequestKind.MINOR:
                return minors.dismiss(request_id, actor)
            return request_steps.refuse_data_request(request_id, proposal.ground, actor)
        case Decision.FULFIL:
            assert proposal.outcome
            return acts.fulfil_data_request(request, actor, proposal.outcome)
        case _:
            assert_never(proposal.decision)


def _propose(
    request_id: UUID, actor: str, detail: dict[str, str], try_out: request_steps.Change
) -> RightsRequest:
    def write(connection: Connection) -> RightsRequest:
        request = _load(connection, request_id)
        try_out(request)
        if find_proposal(requests.fetch_steps(connection, request_id)) is not None:
            raise InvalidInput("a decision is proposed already: decide on that one first")
        request_steps.append_step(connection, request, actor, StepAction.DECISION_PROPOSED, detail)
        return request

    return run_in_transaction(write)


def _load(connection: Connection, request_id: UUID) -> RightsRequest:
    request = requests.load_request(connection, request_id, for_update=True)
    if request is None:
        raise UnknownRequest("there is no such request")
    return request
