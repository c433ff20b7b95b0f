"""The commands of `flask rights` by which support fulfils a request for correction."""

from __future__ import annotations

from uuid import UUID

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import with_service
from preference_center.cli.errors import click_bad_parameter, click_errors
from preference_center.context import services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.rights.request import RightsRequest
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.rights import requests
from preference_center.rights.corrections import correct_address, retract_consent
from preference_center.rights.move import undo_move
from preference_center.rights.request_steps import SOURCE
from preference_center.storage.access.key_fingerprints import require_known_keys


@click.command("move")
@click.argument("reference")
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of both addresses.",
)
@click.confirmation_option(
    "--new-address-proven",
    prompt="Has the person shown that the new address is theirs, by a link mailed there?",
    help="The person has shown that the new address is theirs.",
)
@with_service
def move(reference: str, channel: str) -> None:
    """Move the person of a request for correction to another address, and complete the request.

    The new address is read from a prompt or standard input. What the person said at the old
    address holds for the new one; the old one gets no marketing any more. Prints the id of the
    move, by which `flask rights undo-move` takes it back for 7 days.

    Example: flask rights move 06H0-SJ4E-G1WH-34VF --new-address-proven < new-address.txt
    """
    request = _find(reference)
    raw = click.prompt("New address", err=True)
    with click_bad_parameter("New address"):
        new = parse_address(raw, Channel(channel), region=services().settings.phone_region)
    with click_errors():
        require_known_keys()
        done = correct_address(request.id, new, actor=actor())
    click.echo(f"Moved: {done.id}. It can be undone until {done.undo_until:%Y-%m-%d %H:%M} UTC.")


@click.command("undo-move")
@click.argument("move", type=click.UUID)
@with_service
def undo(move: UUID) -> None:
    """Take back the move with this id, and nothing that the person did since.

    Example: flask rights undo-move 01a21c95-99ac-74d4-99a3-53d5974ad276
    """
    with click_errors():
        require_known_keys()
        undo_move(move, origin=RequestOrigin(SOURCE, actor(), services().now()))
    click.echo("Undone: what was said at the old address counts there only.")


@click.command("retract-consent")
@click.argument("reference")
@click.argument("event")
@with_service
def retract(reference: str, event: str) -> None:
    """Retract the consent EVENT that the person of a request for correction never gave.

    EVENT is its reference, as the person's file and `flask receipts find` show it. All other
    events stand, so an older opt-out counts again. The request stays open.

    Example: flask rights retract-consent 06H0-SJ4E-G1WH-34VF 06GY-2K1Q-8M0C-4N7T
    """
    request = _find(reference)
    with click_bad_parameter("EVENT"):
        retracted = retract_consent(request.id, event, actor=actor())
    click.echo(f"Retracted: {retracted.kind} {retracted.scope}.")


def _find(reference: str) -> RightsRequest:
    with click_bad_parameter("REFERENCE"):
        return requests.find_by_reference(reference)


CORRECTIONS = (move, undo, retract)
