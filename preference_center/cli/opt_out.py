"""`flask opt-out`: a "no" that reached the company some other way."""

from __future__ import annotations

from datetime import datetime

import click
from flask.cli import with_appcontext

from preference_center.cli.errors import (
    Timestamp,
    click_bad_parameter,
    click_errors,
    reject_address_arguments,
)
from preference_center.context import services
from preference_center.domain import sender_requests
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.sender_requests import ReceivedVia, RequestOrigin
from preference_center.ledger import record
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue


@click.command("opt-out")
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="What the address receives.",
)
@click.option(
    "--scope",
    default=ALL_MARKETING,
    show_default=True,
    help="A topic of the catalogue, or all_marketing.",
)
@click.option(
    "--via",
    type=click.Choice([via.value for via in ReceivedVia]),
    required=True,
    help="How the person told us.",
)
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When it reached the company, e.g. 2026-11-24T09:30+01:00; now if left out."
    " The 72 hours run from here, so an earlier time makes it more urgent.",
)
@with_appcontext
def opt_out(
    given: tuple[str, ...], channel: str, scope: str, via: str, received_at: datetime | None
) -> None:
    """Record that a person opted out, and push it to every connected tool.

    The address is asked for, or read from standard input, so that it stands in no shell
    history and no list of processes.

    Example: flask opt-out --via phone --received-at 2026-11-24T09:30+01:00 < address.txt
    """
    reject_address_arguments(given, "flask opt-out --via phone < address.txt")
    address = click.prompt("Address", err=True)
    wired = services()
    now = wired.now()
    with click_bad_parameter("Address"):
        parsed = parse_address(address, Channel(channel), region=wired.settings.phone_region)
    with click_bad_parameter("--received-at"):
        received = sender_requests.clamp_to_now(received_at or now, now)
    with click_errors():
        require_known_keys()  # with other keys the "no" would be stored where nobody finds it
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        covered = sender_requests.validate_marketing_scope(parsed, scope, catalogue)
    change = sender_requests.build_opt_out_change(
        wired.new_id(),
        parsed,
        covered,
        ReceivedVia(via),
        RequestOrigin("cli", "cli", now),
        received_at=received,
        occurred_at=received,
    )
    with click_errors():
        recorded = record([change])
    if recorded.events:
        click.echo(f"Recorded: no more {covered} to this address. Event {change.id}")
    else:
        click.echo(f"It stood already: no more {covered} to this address.")
