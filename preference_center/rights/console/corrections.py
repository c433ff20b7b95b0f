"""A request for correction: another address, or a consent that the person never gave."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights import words
from preference_center.rights.console.act_pages import (
    ActPage,
    Field,
    act_on_request,
    options,
    read_choice,
)
from preference_center.rights.requests import moves
from preference_center.rights.requests.corrections import correct_address, retract_consent
from preference_center.rights.requests.move import undo_move
from preference_center.rights.requests.request_steps import SOURCE
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import current_actor


def move_address(request_id: UUID) -> ResponseReturnValue:
    """Move the person to another address, and complete the request."""
    return act_on_request(request_id, _move_page, _move)


def undo_address_move(request_id: UUID) -> ResponseReturnValue:
    """Take a move back, and nothing that the person did since."""
    page = ActPage(
        _("Undo the move"),
        [_("What was said at the old address counts there only; what was done since stands.")],
        _("Undo the move"),
        danger=True,
    )
    return act_on_request(request_id, lambda _asked: page, _undo)


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
        lambda _asked: page,
        lambda asked: retract_consent(
            asked.id, request.form.get("event", ""), actor=current_actor()
        ),
    )


def _move_page(_asked: RightsRequest) -> ActPage:
    return ActPage(
        _("Move to another address"),
        [
            _("What the person said at the old address holds for the new one; the old one gets no"
              " marketing any more. It can be undone for 7 days.")
        ],
        _("Move"),
        (
            Field("channel", _("Channel of both"), options(Channel, words.channel_words)),
            Field("address", _("New address")),
            Field(
                "proven",
                _("Proof"),
                [("yes", _("The person has shown that the new address is theirs"))],
                several=True,
            ),
        ),
    )  # fmt: skip


def _move(asked: RightsRequest) -> object:
    if "yes" not in request.form.getlist("proven"):
        raise InvalidInput(_("First make sure that the new address is the person’s."))
    channel = read_choice(Channel, "channel")
    region = services().settings.phone_region
    new = parse_address(request.form.get("address", ""), channel, region=region)
    return correct_address(asked.id, new, actor=current_actor())


def _undo(asked: RightsRequest) -> object:
    move = run_in_transaction(lambda connection: moves.find_by_request(connection, asked.id))
    if move is None:
        abort(HTTPStatus.NOT_FOUND)
    origin = RequestOrigin(SOURCE, current_actor(), services().now())
    return undo_move(move.id, origin=origin)
