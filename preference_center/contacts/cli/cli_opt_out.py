"""`flask opt-out`: record an opt-out that the company received by another way."""

from __future__ import annotations

from datetime import datetime

import click

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.commands import (
    SOURCE,
    Timestamp,
    actor,
    click_bad_parameter,
    click_errors,
    reject_address_arguments,
    with_service,
)
from preference_center.infra.context import services
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ReceivedVia,
    RequestOrigin,
    build_opt_out_change,
    clamp_to_now,
    validate_opt_out_scope,
)


@click.command("opt-out")
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)
@click.option(
    "--scope",
    default=ALL_MARKETING,
    show_default=True,
    help="A topic of the catalogue, all_marketing, or sharing (sale and sharing of data).",
)
@click.option(
    "--via",
    type=click.Choice([via.value for via in ReceivedVia]),
    required=True,
    help="How the opt-out was received.",
)
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When the company received it, e.g. 2026-11-24T09:30+01:00; default: now."
    " The 72 hours count from this time.",
)
@with_service
def opt_out(
    given: tuple[str, ...], channel: str, scope: str, via: str, received_at: datetime | None
) -> None:
    """Record an opt-out, and push it to every connected tool.

    The address is read from a prompt or standard input, so that it appears in no shell history
    and no list of processes.

    Example: flask opt-out --via phone --received-at 2026-11-24T09:30+01:00 < address.txt
    """
    reject_address_arguments(given, "flask opt-out --via phone < address.txt")
    address = click.prompt("Address", err=True)
    context = services()
    now = context.now()
    with click_bad_parameter("Address"):
        parsed = parse_address(address, Channel(channel), region=context.settings.phone_region)
    with click_bad_parameter("--received-at"):
        received = clamp_to_now(received_at or now, now)
    with click_errors():
        require_known_keys()  # with other keys no decision would find the opt-out
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        valid_scope = validate_opt_out_scope(parsed, scope, catalogue)
    change = build_opt_out_change(
        context.new_id(),
        parsed,
        valid_scope,
        ReceivedVia(via),
        RequestOrigin(SOURCE, actor(), now),
        received_at=received,
        occurred_at=received,
    )
    with click_errors():
        recorded = record([change])
    if recorded.events:
        click.echo(f"Recorded: opted out of {valid_scope}. Event {change.id}")
    else:
        click.echo(f"Already opted out of {valid_scope}.")
