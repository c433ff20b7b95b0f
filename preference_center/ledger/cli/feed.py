"""`flask feed`: the state of the feed of changes, and what blocks it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from preference_center.core.errors import StaleWatermark
from preference_center.infra import audit
from preference_center.infra.commands import CommandGroup, actor, click_bad_parameter, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import feed_watermarks
from preference_center.ledger.feed import cursors, feed_lag
from preference_center.ledger.feed.feed_lag import MAX_COUNTED, BlockingTransaction
from preference_center.ledger.feed_watermarks import Horizon, Timeline
from preference_center.ledger.watermarks import parse_watermark

feed = CommandGroup("feed", help="The feed of changes for senders and data teams.")

MAX_SHOWN = 5
MAX_LAG = timedelta(minutes=1)
SNAPSHOT_NEEDED = 3
"""Exit code of `export` when only a snapshot can be gone on from."""


@feed.command("status")
def feed_status() -> None:
    """Show the position of the feed, and the transactions that block it.

    The feed ends at the oldest open transaction that has written, in any database of the server:
    otherwise a late commit would be skipped. So a transaction that is left open delays readers;
    decisions are not affected.

    Lists the five oldest by process id, database, application, state and age. To see the age
    of other roles' transactions, the role of DATABASE_URL needs pg_read_all_stats. Terminate one
    with SELECT pg_terminate_backend(PID), a prepared one with ROLLBACK PREPARED 'NAME'.

    Exits with 1 if events have waited behind a transaction for more than a minute.
    """
    with click_errors():
        at, waiting, blocking = run_in_transaction(_load_status)
    click.echo(f"epoch {at.timeline.epoch} since {at.timeline.started_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"delivered up to {at.watermark}")
    click.echo(f"events waiting behind it: {waiting}{'+' if waiting == MAX_COUNTED else ''}")
    for cursor in run_in_transaction(cursors.list_cursors):
        passed_on = f"{cursor.watermark} at {cursor.updated_at:%Y-%m-%d %H:%M:%S} UTC"
        click.echo(f"{cursor.name}\tpassed on up to {passed_on}")
    for transaction in blocking[:MAX_SHOWN]:
        click.echo(_format_transaction(transaction))
    if waiting and any(each.age is None or each.age > MAX_LAG for each in blocking[:1]):
        click.echo("The first of these blocks the feed: terminate it, or wait.", err=True)
        raise click.exceptions.Exit(1)


@feed.command("new-epoch")
@click.confirmation_option(
    prompt="Every reader of the feed must then start again from a snapshot. Continue?"
)
def new_epoch() -> None:
    """Invalidate all watermarks, after a restore that was not detected.

    Restored dumps and disks, a point-in-time recovery and a promoted standby are detected
    automatically. A virtual machine resumed from a snapshot of its memory is not, nor are single
    tables that were put back: to readers it looks like the same database, without events that they
    have already received.
    """
    with click_errors():
        timeline = run_in_transaction(_begin_epoch)
    click.echo(f"epoch {timeline.epoch} is in force")


@feed.command()
@click.option(
    "--since",
    metavar="FILE|WATERMARK",
    help="Only changes after this: the file written before, or a watermark. Default: a snapshot"
    " of all states.",
)
@click.option(
    "--addresses",
    type=click.Choice(["keyed", "readable"]),
    default="keyed",
    show_default=True,
    help="Whether addresses can be read, or only their keyed digests.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write. It appears when it is complete.",
)
def export(since: str | None, addresses: str, output: Path) -> None:
    """Write the feed to a Parquet file for a warehouse: everything, or what changed since a file.

    docs/outlets.md has the columns, and a dbt project that makes tables of such files. Exits with
    3 if the file of --since can't be gone on from, since the database was started or restored:
    then write a snapshot.

    Example: flask feed export --since feed-1.parquet -o feed-2.parquet
    """
    # Late: DuckDB costs a process 34 MB.
    from preference_center.ledger.feed import parquet  # noqa: PLC0415

    after = None
    if since is not None:
        with click_bad_parameter("--since"):
            is_file = Path(since).exists()
            text = parquet.read_feed_file(Path(since)).watermark if is_file else since
            after = parse_watermark(text)
    with click_errors():
        require_known_keys()
        try:
            written = parquet.write_feed_file(
                output, after, readable=addresses == "readable", actor=actor()
            )
        except StaleWatermark:
            click.echo("The database was started or restored since: omit --since.", err=True)
            raise click.exceptions.Exit(SNAPSHOT_NEEDED) from None
    click.echo(f"{output}: {written.rows:,} rows, as of {written.watermark}")


@feed.command()
@click.argument("publisher")
def republish(publisher: str) -> None:
    """Let PUBLISHER, a topic of Kafka, begin again with a snapshot.

    For a topic that was deleted or has lost messages. Readers keep their copies: the snapshot
    replaces them.
    """
    with click_errors():
        found = run_in_transaction(lambda connection: _forget_cursor(connection, publisher))
    if not found:
        raise click.ClickException("no such publisher: `flask feed status` lists them")
    click.echo(f"{publisher} begins with a snapshot.")


def _forget_cursor(connection: Connection, publisher: str) -> bool:
    found = cursors.delete_cursor(connection, publisher)
    if found:
        detail = {"publisher": publisher}
        audit.insert_audit_entry(connection, services().now(), actor(), "feed.republished", detail)
    return found


def _load_status(connection: Connection) -> tuple[Horizon, int, list[BlockingTransaction]]:
    at = feed_watermarks.load_horizon(connection)
    return (
        at,
        feed_lag.count_waiting_events(connection, at),
        feed_lag.list_blocking_transactions(connection, at),
    )


def _begin_epoch(connection: Connection) -> Timeline:
    now = services().now()
    timeline = feed_watermarks.begin_epoch(connection, now)
    audit.insert_audit_entry(connection, now, actor(), "feed.new_epoch", {"epoch": timeline.epoch})
    return timeline


def _format_transaction(transaction: BlockingTransaction) -> str:
    who = "prepared" if transaction.pid is None else f"pid {transaction.pid}"
    age = "age not shown" if transaction.age is None else f"{transaction.age.total_seconds():.0f} s"
    return "\t".join(
        (who, transaction.database, transaction.name or "-", transaction.state or "-", age)
    )
