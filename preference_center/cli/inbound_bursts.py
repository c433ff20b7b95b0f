"""`flask inbound bursts`: opt-outs in which a scanner may have pressed, for support to look at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click
from flask.cli import AppGroup

from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.receipt_codes import format_receipt_code
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.addresses import load_readable
from preference_center.storage.mail import bursts as stored
from preference_center.storage.mail.bursts import BurstRecord

bursts = AppGroup(
    "bursts", help="Opt-outs of one domain at once, right after a send: honoured, and flagged."
)


@bursts.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """Show the bursts that were found last: when, how many, and their share of the domain.

    The share is of the addresses of the domain that we know. No opt-out of a burst is lifted
    by anybody but the person: see docs/inbound.md for what support can do.
    """
    with click_errors():
        found = run_in_transaction(lambda connection: stored.list_newest_bursts(connection, limit))
    for flag in found:
        click.echo(
            "\t".join(
                (
                    str(flag.id),
                    _format_time(flag.first_at),
                    _format_duration(flag),
                    _format_share(flag),
                )
            )
        )
    if not found:
        click.echo("No burst was found.", err=True)


@bursts.command("show")
@click.argument("burst", type=click.UUID)
def show(burst: UUID) -> None:
    """Show all that is known of BURST, and the references of its opt-outs.

    `flask receipts find REFERENCE` shows each of them, and whether it still stands.
    """
    with click_errors():
        flag = run_in_transaction(lambda connection: stored.find_burst(connection, burst))
        if flag is None:
            raise click.ClickException("no burst has this id: `flask inbound bursts list`")
        events = run_in_transaction(lambda connection: stored.list_event_ids(connection, burst))
        domain = run_in_transaction(lambda connection: _burst_domain(connection, burst))
    rows = (
        ("burst", str(flag.id)),
        ("found", _format_time(flag.detected_at)),
        ("domain", domain),
        ("opted out", f"{_format_time(flag.first_at)}, {_format_duration(flag)}"),
        ("links made", f"{_format_time(flag.issued_first)} to {_format_time(flag.issued_last)}"),
        ("share", _format_share(flag)),
        ("messages", ", ".join(flag.message_ids) or "the sender named none"),
    )
    for name, value in rows:
        click.echo(f"{name}\t{value}")
    for event in events:
        click.echo(f"opt-out\t{format_receipt_code(event)}")


def _burst_domain(connection: Connection, burst: UUID) -> str:
    """Which one it is: not kept with the flag, and read from an address that still is there."""
    ids = stored.list_address_ids(connection, burst)
    for _channel, address in load_readable(connection, services().keys, ids).values():
        return address.rpartition("@")[2]
    return "not known any more: every address of it was erased"


def _format_duration(flag: BurstRecord) -> str:
    seconds = (flag.last_at - flag.first_at).total_seconds()
    return f"{flag.events} opt-outs within {seconds:.0f} s"


def _format_share(flag: BurstRecord) -> str:
    share = flag.addresses / flag.known_addresses if flag.known_addresses else 1.0
    return (
        f"{flag.addresses} of the {flag.known_addresses} addresses known of its domain "
        f"({share:.0%})"
    )


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
