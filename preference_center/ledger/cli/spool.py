"""`flask spool`: opt-outs on this host's disk that are not recorded yet."""

from __future__ import annotations

from datetime import timedelta

import click
from flask import current_app

from preference_center.core.errors import ConfigError
from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.context import services
from preference_center.ledger.spool import Spool, install_spool, replay_abandoned

spool_group = CommandGroup(
    "spool", help="Opt-outs received while PostgreSQL was unavailable, on this host's disk."
)

MAX_AGE = timedelta(minutes=1)


@spool_group.command("status")
def spool_status() -> None:
    """Show the contents of SPOOL_DIR on this host.

    `waiting` are opt-outs that were acknowledged and are not recorded yet; they are recorded
    within seconds once the database is available, as long as `web` or `mail` runs on this host
    with the same SPOOL_DIR. `damaged` are files with unreadable bytes, `rejected` are records
    that could not be recorded: both are kept for you (docs/operations.md).

    Exits with 1 if anything is damaged or rejected, has waited for more than a minute, or if no
    more can be accepted.
    """
    with click_errors():
        found = _open_spool().folder.status()
    click.echo(f"waiting: {found.pending}")
    oldest = found.oldest_received_at
    if oldest is not None:
        click.echo(f"oldest received at: {oldest:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"bytes: {found.used_bytes}")
    click.echo(f"damaged files: {found.damaged_files}")
    click.echo(f"rejected: {found.rejected}")
    click.echo(f"writable: {'yes' if found.is_writable else 'no'}")
    late = oldest is not None and services().now() - oldest > MAX_AGE
    if late or found.damaged_files or found.rejected or not found.is_writable:
        raise click.exceptions.Exit(1)


@spool_group.command()
def replay() -> None:
    """Record now what terminated processes left in SPOOL_DIR of this host.

    Every `web` and `mail` process does this by itself every second. Use it where none will run
    any more, e.g. before a host is shut down permanently. Records of a running process are left
    to that process. Safe to repeat: nothing is recorded twice.

    Exits with 1 if the database is unavailable, or if something could not be recorded.
    """
    with click_errors():
        _open_spool()
        done = replay_abandoned(current_app)
    click.echo(f"recorded: {done.recorded}")
    click.echo(f"still waiting: {done.blocked}")
    click.echo(f"rejected: {done.rejected}")
    click.echo(f"damaged: {done.damaged}")
    if done.blocked or done.rejected or done.damaged:
        raise click.exceptions.Exit(1)


def _open_spool() -> Spool:
    """The spool of this host. Raises ConfigError if it has none."""
    found = install_spool(current_app)
    if found is None:
        raise ConfigError("SPOOL_DIR is `none` here: set it to the folder that web and mail use")
    return found
