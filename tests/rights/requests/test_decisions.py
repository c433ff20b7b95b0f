"""Two people of the staff refuse, erase and end holds: one proposes, another decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import ForbiddenTransition, InvalidInput
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.holds import end_hold, place_hold
from preference_center.rights.requests import decide, minors
from preference_center.rights.requests.decide import fulfil_data_request
from preference_center.rights.requests.steps import (
    find_proposal,
    find_proposals,
    list_steps,
    load_request,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.rules.decisions import ProposalChanged, SecondPersonRequired
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)
from tests.in_force import put_in_force
from tests.rights.asking import ADA, actions, ask, rows

if TYPE_CHECKING:
    from flask import Flask

ADA_OF_STAFF, GRACE = "console:ada", "console:grace"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> object:
    put_in_force(app)
    with app.app_context():
        yield


def erasure() -> RightsRequest:
    level = IdentityLevel.CONTACT
    return ask(RequestKind.ERASE, extent=Extent.ACCOUNT, level=level, via=RequestVia.PHONE)


def refuse(request: RightsRequest, actor: str) -> object:
    return refuse_data_request(request.id, RefusalGround.CLAIMS, actor)


def fulfil(request: RightsRequest, actor: str) -> object:
    return fulfil_data_request(request, actor)


def confirm(request: RightsRequest, actor: str) -> object:
    return fulfil_data_request(load_request(request.id), actor)


def carry_out(request: RightsRequest, actor: str) -> RightsRequest:
    """As somebody does who has just read the proposal that waits."""
    proposal = find_proposal(request, list_steps(request.id))
    return decide.carry_out(request.id, actor, proposal.code if proposal else "")


def dismiss(request: RightsRequest, actor: str) -> object:
    return minors.dismiss(request.id, actor)


@pytest.mark.parametrize(
    "kind, decide",
    [
        (RequestKind.ERASE, refuse),
        (RequestKind.ERASE, fulfil),
        (RequestKind.MINOR, confirm),
        (RequestKind.MINOR, dismiss),
    ],
)
def test_nobody_of_the_staff_decides_alone(
    kind: RequestKind, decide: Callable[[RightsRequest, str], object]
) -> None:
    request = ask(kind, level=IdentityLevel.CONTACT)
    events = rows("SELECT count(*) FROM event")
    with pytest.raises(SecondPersonRequired):
        decide(request, GRACE)
    assert load_request(request.id).state is RequestState.OPEN
    assert rows("SELECT count(*) FROM event") == events


@pytest.mark.parametrize("actor", ["cli:ada", "key:shop", "service"])
def test_systems_and_commands_decide_by_the_companys_own_procedure(actor: str) -> None:
    request = erasure()
    assert (
        refuse_data_request(request.id, RefusalGround.CLAIMS, actor).state is RequestState.REFUSED
    )


def test_another_person_refuses_on_the_ground_that_was_proposed() -> None:
    request = erasure()
    decide.propose_refusal(request.id, RefusalGround.CLAIMS, ADA_OF_STAFF)
    with pytest.raises(SecondPersonRequired, match="another person"):
        carry_out(request, ADA_OF_STAFF)
    with pytest.raises(SecondPersonRequired):
        refuse_data_request(request.id, RefusalGround.EXCESSIVE, GRACE)
    with pytest.raises(SecondPersonRequired):
        fulfil_data_request(request, GRACE)
    refused = carry_out(request, GRACE)
    assert (refused.state, refused.refusal) == (RequestState.REFUSED, RefusalGround.CLAIMS)
    assert actions(request)[-2:] == ["decision_proposed", "refused"]


def test_another_person_erases() -> None:  # I6
    request = erasure()
    decide.propose_fulfilment(request.id, RequestOutcome.PARTLY, ADA_OF_STAFF)
    done = carry_out(request, GRACE)
    assert (done.state, done.outcome) == (RequestState.DONE, RequestOutcome.PARTLY)
    assert rows("SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(1,)]


def test_another_outcome_than_was_proposed_takes_another_proposal() -> None:  # I6
    request = erasure()
    decide.propose_fulfilment(request.id, RequestOutcome.PARTLY, ADA_OF_STAFF)
    with pytest.raises(SecondPersonRequired):
        fulfil_data_request(request, GRACE, RequestOutcome.FULFILLED)
    assert rows("SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(0,)]


def test_what_an_erasure_finds_is_no_other_decision() -> None:  # I6
    level = IdentityLevel.CONTACT
    request = ask(RequestKind.ERASE, addresses=(), external_ids=("unknown",), level=level)
    decide.propose_fulfilment(request.id, RequestOutcome.FULFILLED, ADA_OF_STAFF)
    done = carry_out(request, GRACE)
    assert (done.state, done.outcome) == (RequestState.DONE, RequestOutcome.NOTHING_HELD)


@pytest.mark.parametrize("confirmed", [True, False])
def test_two_people_decide_on_a_report_of_a_minor(confirmed: bool) -> None:  # noqa: FBT001
    report = ask(RequestKind.MINOR)
    if confirmed:
        decide.propose_fulfilment(report.id, RequestOutcome.FULFILLED, ADA_OF_STAFF)
    else:
        decide.propose_refusal(report.id, RefusalGround.UNFOUNDED, ADA_OF_STAFF)
    decided = carry_out(report, GRACE)
    assert decided.state is (RequestState.DONE if confirmed else RequestState.REFUSED)


def test_a_proposal_that_was_declined_counts_no_longer() -> None:
    request = erasure()
    decide.propose_refusal(request.id, RefusalGround.CLAIMS, ADA_OF_STAFF)
    with pytest.raises(InvalidInput, match="proposed already"):
        decide.propose_refusal(request.id, RefusalGround.EXCESSIVE, GRACE)
    assert list(run_in_transaction(find_proposals)) == [request.id]
    decide.decline(request.id, GRACE)
    assert run_in_transaction(find_proposals) == {}
    with pytest.raises(SecondPersonRequired):
        refuse(request, GRACE)
    with pytest.raises(InvalidInput, match="nothing is proposed"):
        carry_out(request, GRACE)
    with pytest.raises(InvalidInput, match="nothing is proposed"):
        decide.decline(request.id, GRACE)


def test_who_decides_has_read_the_proposal_that_waits() -> None:
    request = erasure()
    decide.propose_refusal(request.id, RefusalGround.CLAIMS, ADA_OF_STAFF)
    read = find_proposal(request, list_steps(request.id))
    assert read
    decide.decline(request.id, ADA_OF_STAFF)
    decide.propose_fulfilment(request.id, RequestOutcome.FULFILLED, ADA_OF_STAFF)
    with pytest.raises(ProposalChanged):
        decide.carry_out(request.id, GRACE, read.code)
    assert rows("SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(0,)]


def test_what_cannot_be_decided_cannot_be_proposed() -> None:
    unproven = ask(RequestKind.ERASE, via=RequestVia.PHONE)
    with pytest.raises(ForbiddenTransition, match="confirm who the person is"):
        decide.propose_fulfilment(unproven.id, RequestOutcome.FULFILLED, GRACE)
    withdraw_data_request(unproven.id, GRACE)
    with pytest.raises(ForbiddenTransition, match="closed"):
        decide.propose_refusal(unproven.id, RefusalGround.CLAIMS, GRACE)
    assert "decision_proposed" not in actions(unproven)


def test_a_request_that_was_closed_meanwhile_is_not_decided_again() -> None:
    request = erasure()
    decide.propose_refusal(request.id, RefusalGround.CLAIMS, ADA_OF_STAFF)
    withdraw_data_request(request.id, "person")
    with pytest.raises(ForbiddenTransition, match="closed"):
        carry_out(request, GRACE)


def test_a_hold_counts_at_once_and_another_person_ends_it() -> None:
    place_hold(ADA, "C-1", "claims", ADA_OF_STAFF)
    with pytest.raises(SecondPersonRequired, match="another person"):
        end_hold("C-1", ADA_OF_STAFF)
    assert rows("SELECT count(*) FROM hold WHERE ended_at IS NULL") == [(1,)]
    assert end_hold("C-1", GRACE) == 1


def propose_and_end(end: Callable[[RightsRequest, str], object]) -> tuple[RightsRequest, str]:
    """A request that was closed while, or because, something was proposed; the proposal's code."""
    request = erasure()
    decide.propose_fulfilment(request.id, RequestOutcome.FULFILLED, ADA_OF_STAFF)
    proposal = find_proposal(request, list_steps(request.id))
    assert proposal
    end(request, GRACE)
    return request, proposal.code


@pytest.mark.parametrize(
    "end", [carry_out, lambda request, actor: withdraw_data_request(request.id, actor)]
)
def test_the_end_of_a_request_is_the_end_of_its_proposal(
    end: Callable[[RightsRequest, str], object],
) -> None:
    request, shown = propose_and_end(end)
    taken = actions(request)
    with pytest.raises(ForbiddenTransition, match="closed"):
        decide.decline(request.id, GRACE)
    with pytest.raises(ForbiddenTransition, match="closed"):
        decide.decline(request.id, ADA_OF_STAFF)  # takes it back
    with pytest.raises(ForbiddenTransition, match="closed"):
        decide.carry_out(request.id, GRACE, shown)
    assert actions(request) == taken
    assert find_proposal(load_request(request.id), list_steps(request.id)) is None
