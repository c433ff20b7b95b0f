"""`flask inbound bursts`: opt-outs in which a scanner may have pressed, for support to look at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click
from flask.cli import AppGroup

from preference_center.cli.errors import mending
from preference_center.domain.receipt_codes import reference
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.addresses import readable
from preference_center.storage.mail import bursts as stored
from preference_center.storage.mail.bursts import Flag

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
    with mending():
        found = run(lambda connection: stored.newest(connection, limit))
    for flag in found:
        click.echo("\t".join((str(flag.id), _time(flag.first_at), _seconds(flag), _share(flag))))
    if not found:
        click.echo("No burst was found.", err=True)


@bursts.command("show")
@click.argument("burst", type=click.UUID)
def show(burst: UUID) -> None:
    """Show all that is known of BURST, and the references of its opt-outs.

    `flask receipts find REFERENCE` shows each of them, and whether it still stands.
    """
    with mending():
        flag = run(lambda connection: stored.by_id(connection, burst))
        if flag is None:
            raise click.ClickException("no burst has this id: `flask inbound bursts list`")
        events = run(lambda connection: stored.events_in(connection, burst))
        domain = run(lambda connection: _domain(connection, burst))
    rows = (
        ("burst", str(flag.id)),
        ("found", _time(flag.found_at)),
        ("domain", domain),
        ("opted out", f"{_time(flag.first_at)}, {_seconds(flag)}"),
        ("links made", f"{_time(flag.issued_first)} to {_time(flag.issued_last)}"),
        ("share", _share(flag)),
        ("messages", ", ".join(flag.messages) or "the sender named none"),
    )
    for name, value in rows:
        click.echo(f"{name}\t{value}")
    for event in events:
        click.echo(f"opt-out\t{reference(event)}")


def _domain(connection: Connection, burst: UUID) -> str:
    """Which one it is: not kept with the flag, and read from an address that still is there."""
    ids = stored.addresses_in(connection, burst)
    for _channel, address in readable(connection, services().keys, ids).values():
        return address.rpartition("@")[2]
    return "not known any more: every address of it was erased"


def _seconds(flag: Flag) -> str:
    seconds = (flag.last_at - flag.first_at).total_seconds()
    return f"{flag.events} opt-outs within {seconds:.0f} s"


def _share(flag: Flag) -> str:
    share = flag.addresses / flag.known if flag.known else 1.0
    return f"{flag.addresses} of the {flag.known} addresses known of its domain ({share:.0%})"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
