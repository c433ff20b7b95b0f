"""Show one request, /console/requests/<id>, with what is next and what was done, and take steps.

The steps are those that support takes: identity, the receipt, more time, the withdrawal, and a
correction by another address or by a consent that the person never gave. Decisions about how a
request ends are in `rights.console.decide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.store import list_addresses
from preference_center.core.deadlines import RequestStage
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights import words
from preference_center.rights.access_file.build import file_expires_at
from preference_center.rights.console import progress
from preference_center.rights.console.acts import (
    Action,
    ActPage,
    Field,
    act_on_request,
    address_fields,
    load_or_404,
    next_actions,
    options,
    read_address,
    read_choice,
)
from preference_center.rights.console.queue import masked_subject
from preference_center.rights.erasure.tasks import Erasure, list_erasures_of_request
from preference_center.rights.holds import held_addresses
from preference_center.rights.requests import files, handle, moves
from preference_center.rights.requests.correct import correct_address, retract_consent, undo_move
from preference_center.rights.requests.files import StoredProof
from preference_center.rights.requests.moves import Move
from preference_center.rights.requests.steps import (
    SOURCE,
    confirm_receipt,
    deadlines_of,
    extend_deadline,
    find_proposal,
    open_sealed,
    withdraw_data_request,
)
from preference_center.rights.requests.store import RightsStep, fetch_steps
from preference_center.rights.rules.deadlines import request_stage
from preference_center.rights.rules.decisions import Proposal
from preference_center.rights.rules.identity import MAX_FAILURES, PROOFS, Proof
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    IdentityResult,
    RequestKind,
    StepAction,
)
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
    proposal = find_proposal(asked, stored.steps)
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
        file_until=file_expires_at(asked),
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
            proofs=files.list_proofs(connection, asked.id),
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


def identify_request(request_id: UUID) -> ResponseReturnValue:
    """Record that proof was asked for, came, or did not convince."""
    return act_on_request(request_id, _identity_page, _identify)


def confirm_request_receipt(request_id: UUID) -> ResponseReturnValue:
    """Record that the person was informed of the receipt."""
    page = ActPage(
        _("Receipt was confirmed"),
        [_("Record that the person was informed of the reference, by letter or by phone.")],
        _("Record"),
    )
    return act_on_request(
        request_id, page, lambda asked: confirm_receipt(asked.id, current_actor())
    )


def extend_request(request_id: UUID) -> ResponseReturnValue:
    """Take the longer time that the law allows."""
    return act_on_request(request_id, _extension_page, _extend)


def withdraw_request(request_id: UUID) -> ResponseReturnValue:
    """Record that the person no longer asks for it."""
    page = ActPage(
        _("Withdraw"),
        [_("The request ends, and nothing of it is done. The person can ask again.")],
        _("Withdraw the request"),
        danger=True,
    )
    return act_on_request(
        request_id, page, lambda asked: withdraw_data_request(asked.id, current_actor())
    )


def _identity_page(asked: RightsRequest) -> ActPage:
    needed = words.in_words(asked.required_level)
    says = [_("Needed for this: %(needed)s.", needed=needed)]
    says.append(_("Note what was asked about, never the answers. Ask for no identity card."))
    if asked.failures:
        left = MAX_FAILURES - asked.failures
        says.append(_("Failed checks left before it is refused: %(left)s.", left=left))
    return ActPage(
        _("Identity"),
        says,
        _("Record"),
        (
            Field("result", _("What happened"), options(IdentityResult)),
            Field(
                "proof",
                _("What showed it"),
                [("", _("nothing")), *options(PROOFS)],
                hint=_("Only where they have proven it"),
            ),
            Field("facts", _("Asked about"), options(AskedFact), several=True),
        ),
    )


def _identify(asked: RightsRequest) -> object:
    result, typed = read_choice(IdentityResult, "result"), request.form.getlist("facts")
    proof = read_choice(Proof, "proof") if result is IdentityResult.CONFIRMED else Proof.NOTHING
    facts = [fact for fact in AskedFact if fact.value in typed]
    return handle.record_check(asked.id, result, proof, current_actor(), facts)


def _extension_page(asked: RightsRequest) -> ActPage:
    until = deadlines_of(asked).extendable_to
    says = [
        _("The person is informed of the new date and the reason. It is possible once, and only"
          " before the first date.")
    ]  # fmt: skip
    if until:
        says.append(_("The law allows until %(day)s.", day=progress.day_words(until)))
    reasons = options(ExtensionReason)
    return ActPage(_("Extend"), says, _("Extend"), (Field("reason", _("Reason"), reasons),))


def _extend(asked: RightsRequest) -> object:
    reason = read_choice(ExtensionReason, "reason")
    return extend_deadline(asked.id, reason, current_actor())


def move_address(request_id: UUID) -> ResponseReturnValue:
    """Move the person to another address, and complete the request."""
    page = ActPage(
        _("Move to another address"),
        [
            _("What the person said at the old address holds for the new one; the old one gets no"
              " marketing any more. It can be undone for 7 days.")
        ],
        _("Move"),
        (
            *address_fields(_("Channel of both"), _("New address")),
            Field(
                "proven",
                _("Proof"),
                [("yes", _("The person has shown that the new address is theirs"))],
                several=True,
            ),
        ),
    )  # fmt: skip
    return act_on_request(request_id, page, _move)


def undo_address_move(request_id: UUID) -> ResponseReturnValue:
    """Take a move back, and nothing that the person did since."""
    page = ActPage(
        _("Undo the move"),
        [_("What was said at the old address counts there only; what was done since stands.")],
        _("Undo the move"),
        danger=True,
    )
    return act_on_request(request_id, page, _undo)


def retract_request_consent(request_id: UUID) -> ResponseReturnValue:
    """Retract the consent that the person never gave."""
    page = ActPage(
        _("Retract a consent"),
        [_("All other events stand, so an older opt-out counts again. The request stays open.")],
        _("Retract"),
        (
            Field(
                "event",
                _("Reference of the event"),
                hint=_("As the person’s page and their file show it"),
            ),
        ),
        danger=True,
    )
    return act_on_request(
        request_id,
        page,
        lambda asked: retract_consent(
            asked.id, request.form.get("event", ""), actor=current_actor()
        ),
    )


def _move(asked: RightsRequest) -> object:
    if "yes" not in request.form.getlist("proven"):
        raise InvalidInput(_("First make sure that the new address is the person’s."))
    return correct_address(asked.id, read_address(), actor=current_actor())


def _undo(asked: RightsRequest) -> object:
    move = run_in_transaction(lambda connection: moves.find_by_request(connection, asked.id))
    if move is None:
        abort(HTTPStatus.NOT_FOUND)
    origin = RequestOrigin(SOURCE, current_actor(), services().now())
    return undo_move(move.id, origin=origin)
