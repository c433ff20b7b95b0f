"""Files of agents, and the file that answers a request for access: as attachments only.

What agents send comes from strangers: it is never shown or named as they named it.
"""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Response, abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from preference_center.core.errors import InvalidInput
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights import words
from preference_center.rights.access_file.build import NoAccessFile, read_access_file
from preference_center.rights.console.act_pages import (
    ActPage,
    Field,
    act_on_request,
    load_or_404,
    options,
    read_choice,
    url_of,
)
from preference_center.rights.requests import agents
from preference_center.rights.requests.proofs import list_proofs
from preference_center.rights.rules.proof_files import (
    MAX_PROOF_BYTES,
    MAX_PROOFS,
    ProofFile,
    ProofKind,
    ProofType,
)
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import current_actor, redirect_after_post

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

    return act_on_request(request_id, lambda _asked: page, delete)


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
    return act_on_request(request_id, lambda _asked: page, _accept)


def reject_agent(request_id: UUID) -> ResponseReturnValue:
    """Find that the files prove nothing (POST); the person can still confirm the request."""
    asked = load_or_404(request_id)
    try:
        agents.reject_authority(asked.id, current_actor())
    except InvalidInput:  # closed meanwhile: the request's page says so
        return redirect_after_post(url_of(asked))
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
            Field("kind", _("What it shows"), options(ProofKind, words.proof_kind_words)),
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
