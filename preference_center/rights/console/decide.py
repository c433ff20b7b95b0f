"""End a request, and handle the files that a decision about it needs or answers with.

A request is fulfilled or refused at once, or, where two people decide, it is proposed and then
carried out. What agents send comes from strangers: it is never shown or named as they named it.
It is saved as an attachment only, and so is the file that answers a request for access.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from uuid import UUID

from flask import Response, abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Permission
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights.access_file.build import NoAccessFile, read_access_file
from preference_center.rights.console import progress
from preference_center.rights.console.acts import (
    FULFIL,
    ActPage,
    Field,
    act_on_request,
    load_or_404,
    options,
    read_choice,
    url_of,
)
from preference_center.rights.requests import agents, decide
from preference_center.rights.requests.decide import fulfil_data_request
from preference_center.rights.requests.files import list_proofs
from preference_center.rights.requests.steps import find_proposal, list_steps
from preference_center.rights.rules.identity import (
    MAX_PROOF_BYTES,
    MAX_PROOFS,
    ProofFile,
    ProofKind,
    ProofType,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RefusalGround, RequestKind, RequestOutcome
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
        lambda asked: decide.carry_out(asked.id, current_actor(), request.form.get("proposal", "")),
    )


def decline_proposal(request_id: UUID) -> ResponseReturnValue:
    """Take a proposal from the table; the request stays open.

    One's own, or anybody's with the permission to decide: to decline is a decision, too.
    """
    asked = load_or_404(request_id)
    proposal = find_proposal(asked, list_steps(asked.id))
    is_own = proposal is not None and proposal.by == current_actor()
    if not is_own and not may(Permission.DECIDE_REQUESTS):
        abort(HTTPStatus.FORBIDDEN)
    with suppress(InvalidInput):  # decided or declined meanwhile: the request's page says so
        decide.decline(asked.id, current_actor())
    return redirect_after_post(url_of(asked))


def _fulfilment_page(asked: RightsRequest) -> ActPage:
    outcomes = _outcomes(asked.kind)
    fields = (
        (Field("outcome", _("The person reads"), options(outcomes)),) if len(outcomes) > 1 else ()
    )
    label, hint = map(str, FULFIL[asked.kind])
    return ActPage(
        label,
        [hint, _("The person is informed, by mail if they can be mailed.")],
        label,
        fields,
        danger=asked.kind.erases or asked.kind is RequestKind.CLOSE,
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
    return decide.propose_fulfilment(asked.id, _read_outcome(asked), current_actor())


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
    grounds = options(_grounds(asked.kind))
    return ActPage(
        title,
        [says, _("Nothing happens until another person agrees.")],
        title,
        # Nobody should refuse for a ground that they left as it was.
        (Field("ground", _("Ground"), grounds, ask=not is_report),),
        danger=True,
    )


def _propose_refusal(asked: RightsRequest) -> object:
    ground = read_choice(RefusalGround, "ground", _grounds(asked.kind))
    return decide.propose_refusal(asked.id, ground, current_actor())


def _decision_page(asked: RightsRequest) -> ActPage:
    proposal = find_proposal(asked, list_steps(asked.id))
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


_ENDINGS = {ProofType.PDF: "pdf", ProofType.PNG: "png", ProofType.JPEG: "jpg"}


def add_request_proof(request_id: UUID) -> ResponseReturnValue:
    """Store a file that came by letter or mail."""
    return act_on_request(request_id, _upload_page, _add)


def save_request_proof(request_id: UUID, proof_id: UUID) -> ResponseReturnValue:
    """A file of an agent, to save (POST); that somebody saved it is a step."""
    asked = load_or_404(request_id)
    found = {each.id: each for each in run_autocommit(lambda c: list_proofs(c, asked.id))}
    content = agents.read_proof(asked.id, proof_id, current_actor()) if proof_id in found else None
    if content is None:
        abort(HTTPStatus.NOT_FOUND)
    number, proof = list(found).index(proof_id) + 1, found[proof_id]
    return _attachment(content, f"{asked.reference}-{number}.{_ENDINGS[proof.type]}")


def delete_request_proof(request_id: UUID, proof_id: UUID) -> ResponseReturnValue:
    """Delete a file before its time, as one that shows more than it has to."""
    page = ActPage(
        _("Delete a file"),
        [_("It can’t be brought back. Without a file no authority can be accepted.")],
        _("Delete the file"),
        danger=True,
    )

    def delete(asked: RightsRequest) -> object:
        return agents.delete_proof(asked.id, proof_id, current_actor())

    return act_on_request(request_id, page, delete)


def accept_agent(request_id: UUID) -> ResponseReturnValue:
    """Find the agent's authority proven."""
    page = ActPage(
        _("Accept the authority"),
        [
            _("Make sure that a file names this person, this agent and what is asked for, and that"
              " it is signed. The person need not confirm the request then.")
        ],
        _("Accept"),
        (
            Field(
                "results",
                _("Results"),
                [("agent", _("The authority covers receiving the results, as an heir’s does"))],
                several=True,
            ),
        ),
    )  # fmt: skip
    return act_on_request(request_id, page, _accept)


def reject_agent(request_id: UUID) -> ResponseReturnValue:
    """Find that the files prove nothing (POST); the person can still confirm the request."""
    asked = load_or_404(request_id)
    with suppress(InvalidInput):  # closed meanwhile: the request's page says so
        agents.reject_authority(asked.id, current_actor())
    return redirect_after_post(url_of(asked))


def save_access_file(request_id: UUID) -> ResponseReturnValue:
    """The file of a request for access (POST), for who can't download it; a step."""
    asked = load_or_404(request_id)
    try:
        content = read_access_file(asked.id, actor=current_actor())
    except NoAccessFile:
        abort(HTTPStatus.NOT_FOUND)
    return _attachment(content, f"data-{asked.reference}.zip")


def _upload_page(_asked: RightsRequest) -> ActPage:
    megabytes = MAX_PROOF_BYTES // 1_000_000
    says = _(
        "PDF, PNG or JPEG, up to %(count)s files of %(size)s MB. It is stored sealed, without its"
        " name, and deleted after 90 days.",
        count=MAX_PROOFS,
        size=megabytes,
    )
    return ActPage(
        _("Add a file"),
        [says],
        _("Add"),
        (
            Field("kind", _("What it shows"), options(ProofKind)),
            Field("proof", _("File"), type="file"),
        ),
    )


def _add(asked: RightsRequest) -> object:
    kind, uploaded = read_choice(ProofKind, "kind"), request.files.get("proof")
    if uploaded is None or not uploaded.filename:
        raise InvalidInput(_("Choose a file."))
    return agents.add_proof(asked.id, _read(uploaded, kind), current_actor())


def _read(uploaded: FileStorage, kind: ProofKind) -> ProofFile:
    content = uploaded.stream.read(MAX_PROOF_BYTES + 1)
    return ProofFile(content, uploaded.mimetype, kind)


def _accept(asked: RightsRequest) -> object:
    to_agent = "agent" in request.form.getlist("results")
    return agents.accept_authority(asked.id, current_actor(), results_to_agent=to_agent)


def _attachment(content: bytes, name: str) -> Response:
    """A file that a browser saves, whatever is in it; sandboxed where one shows it all the same."""
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
