"""How a request ends: fulfilled, or, where two people decide, proposed and then carried out."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Permission
from preference_center.rights import words
from preference_center.rights.console import progress
from preference_center.rights.console.act_pages import (
    ActPage,
    Field,
    act_on_request,
    load_or_404,
    options,
    read_choice,
    url_of,
)
from preference_center.rights.console.actions import fulfil_hint, fulfil_label
from preference_center.rights.requests import decisions
from preference_center.rights.requests.acts import fulfil_data_request
from preference_center.rights.requests.proposals import find_proposal
from preference_center.rights.requests.request_steps import list_steps
from preference_center.rights.rules.model import RefusalGround, RequestKind, RequestOutcome
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import current_actor, may, redirect_after_post


def fulfil_request(request_id: UUID) -> ResponseReturnValue:
    """Do what the request asks for, where one person may decide that."""
    return act_on_request(request_id, _fulfilment_page, _fulfil)


def propose_fulfilment(request_id: UUID) -> ResponseReturnValue:
    """Propose to erase; somebody else decides."""
    return act_on_request(request_id, _fulfilment_page, _propose_fulfilment)


def propose_refusal(request_id: UUID) -> ResponseReturnValue:
    """Propose to refuse, or to dismiss a report; somebody else decides."""
    return act_on_request(request_id, _refusal_page, _propose_refusal)


def decide_request(request_id: UUID) -> ResponseReturnValue:
    """Carry out what somebody else has proposed."""
    return act_on_request(
        request_id,
        _decision_page,
        lambda asked: decisions.carry_out(
            asked.id, current_actor(), request.form.get("proposal", "")
        ),
    )


def decline_proposal(request_id: UUID) -> ResponseReturnValue:
    """Take a proposal from the table; the request stays open.

    One's own, or anybody's with the permission to decide: to decline is a decision, too.
    """
    asked = load_or_404(request_id)
    proposal = find_proposal(list_steps(asked.id))
    is_own = proposal is not None and proposal.by == current_actor()
    if not is_own and not may(Permission.DECIDE_REQUESTS):
        abort(HTTPStatus.FORBIDDEN)
    try:
        decisions.decline(asked.id, current_actor())
    except InvalidInput:  # decided or declined meanwhile: the request's page says so
        return redirect_after_post(url_of(asked))
    return redirect_after_post(url_of(asked))


def _fulfilment_page(asked: RightsRequest) -> ActPage:
    outcomes = _outcomes(asked.kind)
    fields = (
        (Field("outcome", _("The person reads"), options(outcomes, words.outcome_words)),)
        if len(outcomes) > 1
        else ()
    )
    label = fulfil_label(asked.kind)
    return ActPage(
        label,
        [fulfil_hint(asked.kind), _("The person is informed, by mail if they can be mailed.")],
        label,
        fields,
        danger=asked.kind in {RequestKind.CLOSE, RequestKind.ERASE, RequestKind.MINOR},
    )


def _outcomes(kind: RequestKind) -> list[RequestOutcome]:
    """What staff may say: of an act that is done here, that is found by itself."""
    if kind is RequestKind.MINOR:
        return [RequestOutcome.FULFILLED]
    if kind is RequestKind.ERASE:
        return [RequestOutcome.FULFILLED, RequestOutcome.PARTLY]
    return list(RequestOutcome)


def _read_outcome(asked: RightsRequest) -> RequestOutcome:
    outcomes = _outcomes(asked.kind)
    return outcomes[0] if len(outcomes) == 1 else read_choice(RequestOutcome, "outcome", outcomes)


def _fulfil(asked: RightsRequest) -> object:
    return fulfil_data_request(asked, current_actor(), _read_outcome(asked))


def _propose_fulfilment(asked: RightsRequest) -> object:
    return decisions.propose_fulfilment(asked.id, _read_outcome(asked), current_actor())


def _grounds(kind: RequestKind) -> list[RefusalGround]:
    if kind is RequestKind.MINOR:
        return [RefusalGround.UNFOUNDED]
    return [ground for ground in RefusalGround if ground is not RefusalGround.UNFOUNDED]


def _refusal_page(asked: RightsRequest) -> ActPage:
    is_report = asked.kind is RequestKind.MINOR
    title = _("Propose to dismiss the report") if is_report else _("Propose to refuse")
    says = (
        _("What the report restricted goes on, and the holder of the address is informed.")
        if is_report
        else _("The person reads the ground, and how to complain.")
    )
    grounds = options(_grounds(asked.kind), words.ground_words)
    return ActPage(
        title,
        [says, _("Nothing happens until another person agrees.")],
        title,
        (Field("ground", _("Ground"), grounds),),
        danger=True,
    )


def _propose_refusal(asked: RightsRequest) -> object:
    ground = read_choice(RefusalGround, "ground", _grounds(asked.kind))
    return decisions.propose_refusal(asked.id, ground, current_actor())


def _decision_page(asked: RightsRequest) -> ActPage:
    proposal = find_proposal(list_steps(asked.id))
    if proposal is None:
        return ActPage(_("Decide"), [_("Nothing is proposed about this request.")], "")
    says = [
        _(
            "%(who)s proposes %(what)s.",
            who=proposal.by.removeprefix("console:"),
            what=progress.proposal_words(proposal),
        ),
        _("This can’t be undone. The person is informed."),
    ]
    shown = Field("proposal", "", type="hidden", value=proposal.code)
    return ActPage(_("Decide"), says, _("Decide so"), (shown,), danger=True)
