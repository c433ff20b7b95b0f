"""`flask feed`: does the feed of changes move on, and what keeps it from it?"""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup

from preference_center.cli.errors import mending
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run
from preference_center.storage.feed import feed_lag, watermarks
from preference_center.storage.feed.feed_lag import COUNTED, Holder
from preference_center.storage.feed.watermarks import Horizon, Line

feed = AppGroup("feed", help="The feed of changes that senders and data teams follow.")

ACTOR = "cli"
SHOWN = 5
PATIENCE = timedelta(minutes=1)


@feed.command()
def status() -> None:
    """Show how far the feed is, and which transactions hold it back.

    Changes are told up to the oldest transaction that has written and not ended, in any
    database of the server: a late commit would be skipped else. So one that somebody left
    open keeps readers waiting; opt-outs count at once all the same.

    Lists the five oldest by process id, database, application, state and age. To see the age
    of other roles' transactions, DATABASE_URL's role needs pg_read_all_stats. End one with
    SELECT pg_terminate_backend(PID), a prepared one with ROLLBACK PREPARED 'NAME'.

    Exits with 1 if events have waited behind a transaction for more than a minute.
    """
    with mending():
        at, waiting, holders = run(_look)
    click.echo(f"epoch {at.line.epoch} since {at.line.started_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"told up to {at.watermark}")
    click.echo(f"events waiting behind it: {waiting}{'+' if waiting == COUNTED else ''}")
    for holder in holders[:SHOWN]:
        click.echo(_line(holder))
    if waiting and any(holder.age is None or holder.age > PATIENCE for holder in holders[:1]):
        click.echo("The first of these holds the feed back: end it, or wait.", err=True)
        raise click.exceptions.Exit(1)


@feed.command("new-epoch")
@click.confirmation_option(
    prompt="Every reader of the feed must then start again from a snapshot. Go on?"
)
def new_epoch() -> None:
    """Make every watermark that was given out worthless, after a restore that went unnoticed.

    A restored dump, a recovery to an earlier time and a standby that took over are noticed
    by themselves. A copy of the data folder or of its disk that was put back is not: to
    readers it looks like the database they know, in which events they were told are gone.
    """
    with mending():
        line = run(_begin)
    click.echo(f"epoch {line.epoch} is in force")


def _look(connection: Connection) -> tuple[Horizon, int, list[Holder]]:
    at = watermarks.horizon(connection)
    return at, feed_lag.waiting(connection, at), feed_lag.holders(connection, at)


def _begin(connection: Connection) -> Line:
    now = services().now()
    line = watermarks.begin_epoch(connection, now)
    audit.append(connection, now, ACTOR, "feed.new_epoch", {"epoch": line.epoch})
    return line


def _line(holder: Holder) -> str:
    who = "prepared" if holder.pid is None else f"pid {holder.pid}"
    age = "age not shown" if holder.age is None else f"{holder.age.total_seconds():.0f} s"
    return "\t".join((who, holder.database, holder.name or "-", holder.state or "-", age))
