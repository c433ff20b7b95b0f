"""`flask inbound bursts`: opt-outs that a link scanner may have made, for support to review."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.receipt_codes import format_receipt_code
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.addresses import load_readable
from preference_center.storage.mail import bursts as stored
from preference_center.storage.mail.bursts import BurstRecord

bursts = CommandGroup(
    "bursts", help="Many opt-outs of one domain right after a send: recorded, and flagged."
)


@bursts.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """Show the newest bursts: when, how many, and their share of the domain.

    The share is that of the known addresses of the domain. Only the person can lift an opt-out
    of a burst: docs/inbound.md describes what support can do.
    """
    with click_errors():
        found = run_in_transaction(lambda connection: stored.list_newest_bursts(connection, limit))
    for burst in found:
        click.echo(
            "\t".join(
                (
                    str(burst.id),
                    _format_time(burst.first_at),
                    _format_duration(burst),
                    _format_share(burst),
                )
            )
        )
    if not found:
        click.echo("No burst was found.", err=True)


@bursts.command("show")
@click.argument("burst", type=click.UUID)
def show(burst: UUID) -> None:
    """Show the details of BURST, and the references of its opt-outs.

    `flask receipts find REFERENCE` shows each of them, and whether it is still active.
    """
    with click_errors():
        found = run_in_transaction(lambda connection: stored.find_burst(connection, burst))
        if found is None:
            raise click.ClickException(
                "there is no burst with this id: see `flask inbound bursts list`"
            )
        events = run_in_transaction(lambda connection: stored.list_event_ids(connection, burst))
        domain = run_in_transaction(lambda connection: _burst_domain(connection, burst))
    rows = (
        ("burst", str(found.id)),
        ("found", _format_time(found.detected_at)),
        ("domain", domain),
        ("opted out", f"{_format_time(found.first_at)}, {_format_duration(found)}"),
        (
            "links created",
            f"{_format_time(found.issued_first)} to {_format_time(found.issued_last)}",
        ),
        ("share", _format_share(found)),
        ("messages", ", ".join(found.message_ids) or "the sender gave no ids"),
    )
    for name, value in rows:
        click.echo(f"{name}\t{value}")
    for event in events:
        click.echo(f"opt-out\t{format_receipt_code(event)}")


def _burst_domain(connection: Connection, burst: UUID) -> str:
    """The domain. It is not stored with the burst, but read from an address that still exists."""
    ids = stored.list_address_ids(connection, burst)
    for _channel, address in load_readable(connection, services().keys, ids).values():
        return address.rpartition("@")[2]
    return "no longer known: all its addresses were erased"


def _format_duration(burst: BurstRecord) -> str:
    seconds = (burst.last_at - burst.first_at).total_seconds()
    return f"{burst.events} opt-outs within {seconds:.0f} s"


def _format_share(burst: BurstRecord) -> str:
    share = burst.addresses / burst.known_addresses if burst.known_addresses else 1.0
    return (
        f"{burst.addresses} of the {burst.known_addresses} known addresses of its domain "
        f"({share:.0%})"
    )


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
