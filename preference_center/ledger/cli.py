"""The commands of the ledger verify events, update addresses, and show the feed and the spool.

- `flask ledger` verifies the events, and has a restored database answered from again.
- `flask addresses` updates stored addresses when the rules for parsing them change.
- `flask feed` shows the state of the feed of changes, and what blocks it.
- `flask spool` shows the opt-outs on this host's disk that are not recorded yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
from flask import current_app

from preference_center.core.errors import ConfigError, StaleWatermark
from preference_center.infra import audit
from preference_center.infra.commands import CommandGroup, actor, click_bad_parameter, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import watermarks
from preference_center.ledger.feed import cursors
from preference_center.ledger.feed.cursors import MAX_COUNTED, BlockingTransaction
from preference_center.ledger.forms import RenormalisationStats
from preference_center.ledger.forms import renormalise as renormalise_all
from preference_center.ledger.history_loss import accept_losses
from preference_center.ledger.spool import Spool, install_spool, replay_abandoned
from preference_center.ledger.store.events import EvidenceState, VerifiedEvent, verify_evidence
from preference_center.ledger.watermarks import Horizon, Timeline, parse_watermark

_BATCH_SIZE = 1_000


_PROGRESS_INTERVAL = 100_000
"""Events."""


_TEXTS = {
    EvidenceState.INTACT: "intact",
    EvidenceState.MISSING: "erased or expired",
    EvidenceState.UNHASHED: "from before events had hashes",
    EvidenceState.ALTERED: "ALTERED",
}


ledger = CommandGroup(
    "ledger", help="Verify the events of the ledger, and answer from a restored one."
)


@ledger.command()
@click.option(
    "--after",
    default=0,
    show_default=True,
    help="Continue after the event with this number, which the progress shows.",
)
@click.option("--missing", is_flag=True, help="Also name the events whose evidence is missing.")
def verify(after: int, *, missing: bool) -> None:
    """Verify that the evidence of each event is the one that was recorded with it.

    Each event keeps a keyed hash of its evidence. Evidence that was erased with the person, or has
    expired, is missing and proves no tampering. Names the events whose evidence was altered, and
    exits with 1 if there are any.

    Example: flask ledger verify
    """
    found: Counter[EvidenceState] = Counter()
    with click_errors():
        require_known_keys()
        for event in _iter_verified(after):
            found[event.state] += 1
            if event.state is EvidenceState.ALTERED or (
                missing and event.state is EvidenceState.MISSING
            ):
                click.echo(f"{event.id}\t{_TEXTS[event.state]}")
    click.echo(f"{found.total()} events verified.")
    for state, text in _TEXTS.items():
        if found[state]:
            click.echo(f"{found[state]}\t{text}")
    if found[EvidenceState.ALTERED]:
        raise click.ClickException(
            "evidence was altered: compare the database with a backup, and find out who could"
            " write to it"
        )


@ledger.command("accept-restore")
@click.confirmation_option(
    prompt="Are the opt-outs back that were made since the backup? Else mail to these people will"
    " be allowed. Continue?"
)
def accept_restore() -> None:
    """Answer /v1/ again after a restore, once the opt-outs since the backup are back.

    A database that lacks events which a process has seen in it is not answered from: see
    docs/backup.md. Processes answer again within ten seconds.
    """
    with click_errors():
        found = run_in_transaction(lambda connection: accept_losses(connection, actor()))
    if found:
        click.echo("What this database lacks is accepted: /v1/ answers within ten seconds.")
    else:
        click.echo("No process had found anything missing. What it lacks until now is accepted.")


def _iter_verified(after: int) -> Iterator[VerifiedEvent]:
    keys = services().keys
    read = 0
    while True:
        events = run_in_transaction(
            lambda connection, after=after: verify_evidence(  # type: ignore[misc]
                connection, keys, after=after, limit=_BATCH_SIZE
            )
        )
        if not events:
            return
        yield from events
        after = events[-1].seq
        read += len(events)
        if read % _PROGRESS_INTERVAL == 0:
            click.echo(f"{read} verified, up to event {after}", err=True)


addresses = CommandGroup("addresses", help="Maintain the lookup forms of stored addresses.")


@addresses.command()
def renormalise() -> None:
    """Add the current canonical form of every stored address.

    Use it if no process starts because a library parses addresses differently now. Stop all
    processes first, so that none stores an address in the old form meanwhile. Older forms are
    still found. It is safe to repeat, and continues where it was interrupted.
    """
    with click_errors():
        require_known_keys(check_canonical_forms=False)
        done = renormalise_all(_print_progress)
    click.echo(
        f"{done.read} addresses read, {done.changed} have a new form,"
        f" {done.refused} are invalid now and found by their older form only."
    )


def _print_progress(stats: RenormalisationStats) -> None:
    click.echo(f"{stats.read} read", err=True)


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
    at = watermarks.load_horizon(connection)
    return (
        at,
        cursors.count_waiting_events(connection, at),
        cursors.list_blocking_transactions(connection, at),
    )


def _begin_epoch(connection: Connection) -> Timeline:
    now = services().now()
    timeline = watermarks.begin_epoch(connection, now)
    audit.insert_audit_entry(connection, now, actor(), "feed.new_epoch", {"epoch": timeline.epoch})
    return timeline


def _format_transaction(transaction: BlockingTransaction) -> str:
    who = "prepared" if transaction.pid is None else f"pid {transaction.pid}"
    age = "age not shown" if transaction.age is None else f"{transaction.age.total_seconds():.0f} s"
    return "\t".join(
        (who, transaction.database, transaction.name or "-", transaction.state or "-", age)
    )


spool_group = CommandGroup(
    "spool", help="Opt-outs received while PostgreSQL was unavailable, on this host's disk."
)


MAX_AGE = timedelta(minutes=1)


@spool_group.command("status")
def spool_status() -> None:
    """Show the contents of SPOOL_DIR on this host.

    `waiting` are opt-outs that were acknowledged and are not recorded yet; they are recorded
    within seconds once the database is available, as long as `web` or `mail` runs on this host
    with the same SPOOL_DIR. `damaged` are files with bytes that are no record, `rejected` those
    with records that could not be recorded: both are kept for you. `unreadable` are files that
    this user can't read (docs/operations.md).

    Exits with 1 if there is one of these, if anything has waited for more than a minute, or if no
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
    click.echo(f"rejected files: {found.rejected_files}")
    click.echo(f"unreadable files: {found.unreadable_files}")
    click.echo(f"writable: {'yes' if found.is_writable else 'no'}")
    late = oldest is not None and services().now() - oldest > MAX_AGE
    kept = found.damaged_files + found.rejected_files + found.unreadable_files
    if late or kept or not found.is_writable:
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
