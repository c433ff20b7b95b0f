"""`flask holds`: keep what is claimed in court, or must be kept by law, from being erased."""

from __future__ import annotations

from datetime import datetime

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import Timestamp, click_bad_parameter, click_errors
from preference_center.context import services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.rights.holds import end_hold, place_hold
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.rights.holds import list_holds

group = CommandGroup(
    "holds",
    help="Legal holds: while one lasts, neither erasure nor retention touches its subject.",
)

_reference = click.option(
    "--reference", required=True, help="The case, as you name it: nothing personal."
)


@group.command("place")
@_reference
@click.option(
    "--ground", required=True, help="Why, e.g. claims (GDPR art. 17(3)(e)); people read it."
)
@click.option("--until", type=Timestamp(), help="When it ends by itself; default: until ended.")
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)
def place(reference: str, ground: str, until: datetime | None, channel: str) -> None:
    """Hold an address, and the other addresses of its contact.

    The address is read from a prompt or standard input. Opt-outs count as always.

    Example: flask holds place --reference C-2026-14 --ground claims < address.txt
    """
    now = services().now()
    if until is not None and until <= now:
        raise click.BadParameter("is not in the future", param_hint="--until")
    raw = click.prompt("Address", err=True)
    with click_bad_parameter("Address"):
        address = parse_address(raw, Channel(channel), region=services().settings.phone_region)
    with click_errors():
        require_known_keys()
        placed = place_hold(address, reference, ground, actor(), until)
    click.echo(f"{reference}: holds {len(placed)} address{'es' * (len(placed) != 1)}.")


@group.command("list")
def list_() -> None:
    """List all holds, the newest first: case, whether it lasts, since when, ground."""
    now = services().now()
    with click_errors():
        found = run_in_transaction(list_holds)
    for hold in found:
        state = "in force" if hold.is_in_force(now) else "ended"
        click.echo(f"{hold.reference}\t{state}\t{hold.placed_at:%Y-%m-%d}\t{hold.ground}")
    if not found:
        click.echo("No holds.", err=True)


@group.command("end")
@_reference
def end(reference: str) -> None:
    """End the holds of a case: erasure and retention go on."""
    with click_errors():
        ended = end_hold(reference, actor())
    if not ended:
        raise click.ClickException(f"no hold of {reference} is in force: see flask holds list")
    click.echo(f"{reference}: ended {ended} hold{'s' * (ended != 1)}.")
