"""/console/requests/<id>: one request, what is to be done next, and everything that was done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask.typing import ResponseReturnValue

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.store import list_addresses
from preference_center.core.deadlines import RequestStage
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights import words
from preference_center.rights.access_file.build import file_expires_at
from preference_center.rights.console import progress
from preference_center.rights.console.act_pages import load_or_404
from preference_center.rights.console.actions import Action, next_actions
from preference_center.rights.console.queue import masked_subject
from preference_center.rights.erasure.erasure_list import Erasure, list_erasures_of_request
from preference_center.rights.requests import handle, moves, proofs
from preference_center.rights.requests.moves import Move
from preference_center.rights.requests.proofs import StoredProof
from preference_center.rights.requests.proposals import find_proposal
from preference_center.rights.requests.request_steps import deadlines_of, open_sealed
from preference_center.rights.requests.store.requests import RightsStep, fetch_steps
from preference_center.rights.rights_holds import held_addresses
from preference_center.rights.rules.clock import request_stage
from preference_center.rights.rules.decisions import Proposal
from preference_center.rights.rules.model import RequestKind, StepAction
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import current_actor, may, render_page


@dataclass(frozen=True, slots=True)
class Stored:
    """What belongs to a request, apart from its row."""

    steps: list[RightsStep]
    proofs: list[StoredProof]
    erasures: list[Erasure]
    move: Move | None
    hold: str
    """The ground of a legal hold on whom it is about; empty without one."""


def show_request(request_id: UUID) -> ResponseReturnValue:
    """One request; what was written is read by a press of its own, which is recorded."""
    return _render(load_or_404(request_id), text="")


def read_words(request_id: UUID) -> ResponseReturnValue:
    """The request with what the person wrote (POST): that somebody read it is a step."""
    asked = load_or_404(request_id)
    text = open_sealed(asked).text
    if text:
        handle.record_look(asked.id, StepAction.TEXT_READ, current_actor())
    return _render(asked, text=text)


def _render(asked: RightsRequest, text: str) -> ResponseReturnValue:
    stored, part = _load(asked), open_sealed(asked)
    proposal = find_proposal(stored.steps)
    now = services().now()
    return render_page(
        "rights/console/request",
        asked=asked,
        part=part,
        text=text,
        stored=stored,
        subject=masked_subject(asked),
        stage=_stage(asked, now),
        clock=progress.clock_words(asked, now),
        proposal=proposal,
        is_own_proposal=proposal is not None and proposal.by == current_actor(),
        actions=_actions(asked, proposal),
        file_until=file_expires_at(asked.id) if asked.kind is RequestKind.ACCESS else None,
        may_undo_move=_may_undo(stored.move, now),
        words=words,
        progress=progress,
    )


def _actions(asked: RightsRequest, proposal: Proposal | None) -> list[Action]:
    """What the person who is signed in may do; nothing else while a proposal waits."""
    if proposal is not None:
        return []
    extendable_to = deadlines_of(asked).extendable_to
    return [each for each in next_actions(asked, extendable_to) if may(each.permission)]


def _load(asked: RightsRequest) -> Stored:
    now = services().now()

    def load(connection: Connection) -> Stored:
        digests, ids = asked.subject_digests, asked.address_ids
        named = list_addresses(connection, services().keys, digests, ids)
        holds = held_addresses(connection, [each.id for each in named if each.id], now)
        corrects = asked.kind is RequestKind.CORRECT
        return Stored(
            steps=fetch_steps(connection, asked.id),
            proofs=proofs.list_proofs(connection, asked.id),
            erasures=list_erasures_of_request(connection, asked.id),
            move=moves.find_by_request(connection, asked.id) if corrects else None,
            hold=", ".join(sorted(set(holds.values()))),
        )

    return run_in_transaction(load)


def _stage(asked: RightsRequest, now: datetime) -> RequestStage | None:
    """How late it is; None once it is closed, and while its clock is stopped."""
    if asked.closed_at or asked.stopped_at:
        return None
    target = current_catalogue_or_empty().rights.target
    return request_stage(asked.received_at, asked.deadline, now, target=target)


def _may_undo(move: Move | None, now: datetime) -> bool:
    return move is not None and move.undone_at is None and now <= move.undo_until
