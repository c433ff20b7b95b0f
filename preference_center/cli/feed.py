"""`flask feed`: does the feed of changes move on, and what keeps it from it?"""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup

from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.feed import feed_lag, watermarks
from preference_center.storage.feed.feed_lag import MAX_COUNTED, BlockingTransaction
from preference_center.storage.feed.watermarks import Horizon, Timeline

feed = AppGroup("feed", help="The feed of changes that senders and data teams follow.")

ACTOR = "cli"
MAX_SHOWN = 5
MAX_LAG = timedelta(minutes=1)


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
    with click_errors():
        at, waiting, holders = run_in_transaction(_load_status)
    click.echo(f"epoch {at.timeline.epoch} since {at.timeline.started_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"told up to {at.watermark}")
    click.echo(f"events waiting behind it: {waiting}{'+' if waiting == MAX_COUNTED else ''}")
    for holder in holders[:MAX_SHOWN]:
        click.echo(_format_transaction(holder))
    if waiting and any(holder.age is None or holder.age > MAX_LAG for holder in holders[:1]):
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
    with click_errors():
        line = run_in_transaction(_begin_epoch)
    click.echo(f"epoch {line.epoch} is in force")


def _load_status(connection: Connection) -> tuple[Horizon, int, list[BlockingTransaction]]:
    at = watermarks.load_horizon(connection)
    return (
        at,
        feed_lag.count_waiting_events(connection, at),
        feed_lag.list_blocking_transactions(connection, at),
    )


def _begin_epoch(connection: Connection) -> Timeline:
    now = services().now()
    line = watermarks.begin_epoch(connection, now)
    audit.insert_audit_entry(connection, now, ACTOR, "feed.new_epoch", {"epoch": line.epoch})
    return line


def _format_transaction(transaction: BlockingTransaction) -> str:
    who = "prepared" if transaction.pid is None else f"pid {transaction.pid}"
    age = "age not shown" if transaction.age is None else f"{transaction.age.total_seconds():.0f} s"
    return "\t".join(
        (who, transaction.database, transaction.name or "-", transaction.state or "-", age)
    )
