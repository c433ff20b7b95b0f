"""`flask destinations observe`, `show` and `replay`: what is read in the connected tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click

from preference_center.cli import backfill_progress
from preference_center.cli.destinations import ACTOR, destinations
from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.sync.destination import Destination, DestinationStatus
from preference_center.domain.sync.verification_stats import VerificationStats
from preference_center.errors import DestinationError
from preference_center.ingest.preview import SyncPreview
from preference_center.ingest.preview import preview_destination as look
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.registry import DestinationConfigError, get_spec
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.sync import backfills, unknown_event_types, webhook_inbox
from preference_center.storage.sync import backlog as waiting
from preference_center.storage.sync import destinations as stored
from preference_center.storage.sync import listings as verifying
from preference_center.storage.sync.listings import ListingKind, ListingProgress
from preference_center.storage.sync.webhook_inbox import RETENTION

_LISTING_LABELS = {
    ListingKind.PULL: "its own opt-outs",
    ListingKind.SCAN: "its contacts",
    ListingKind.SWEEP: "all its contacts anew",
    ListingKind.READ: "what we told it",
}


@destinations.command()
@click.argument("name")
def observe(name: str) -> None:
    """Show what NAME would be told, and what would be taken in from it. Writes nothing.

    Reads all opt-outs, complaints and hard bounces that the tool can list, within its rate
    limit, and holds them against the ledger. For a tool with millions that takes a while;
    Ctrl-C stops it, and nothing is lost.

    Example: flask destinations observe newsletter
    """
    with click_errors():
        try:
            found = look(name, _print_progress)
        except (DeliveryError, DestinationConfigError) as error:
            raise DestinationError(f"{name} can't be read: {error}") from None
        finally:
            _print_progress(None)
    for line in _preview_lines(found):
        click.echo(line)


@destinations.command()
@click.argument("name")
def show(name: str) -> None:
    """Show how NAME stands: what waits, how far it was read, and what came of that.

    The back-fill goes behind what people say; `flask destinations pause` and `resume` halt
    it and let it go on. Drift is an opt-out that the tool had confirmed and has no more: it
    is pushed again by itself, but a tool that keeps losing them needs a look.

    Example: flask destinations show newsletter
    """
    with click_errors():
        destination = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name))
        row = run_in_transaction(waiting.load_backlogs)[name]
        listings = run_in_transaction(lambda c: verifying.list_progress(c, destination.id))
        tally = run_in_transaction(lambda c: verifying.load_stats(c, destination.id))
        backfill = run_in_transaction(lambda c: backfills.load_backfill(c, destination.id))
        told, backlog = run_in_transaction(lambda c: waiting.count_bulk_progress(c, destination.id))
        unknown = run_in_transaction(
            lambda c: unknown_event_types.list_unknown_types(c, destination.id)
        )
        unreadable = run_in_transaction(lambda c: webhook_inbox.count_unreadable(c, destination.id))
    reason = f": {destination.reason}" if destination.reason else ""
    click.echo(f"{name}\t{destination.kind}\t{row.status_label}{reason}")
    due = f", the first is due {_format_time(row.due_at)}" if row.due_at else ""
    click.echo(f"waiting\t{row.pending_count} addresses{due}")
    if not backfill.finished:
        click.echo(f"back-fill\t{backfill_progress.format_progress(backfill)}")
    if destination.status is DestinationStatus.ACTIVE and destination.pulled_at is None:
        click.echo("back-fill\twaits until its own opt-outs have been read in")
    elif told < backlog:
        click.echo(f"back-fill and lists\t{told:,} of {backlog:,} told, behind what people say")
    if row.drifted_count:
        click.echo(
            f"drift\t{row.drifted_count:,} opt-outs are missing there, and being pushed again"
        )
    for listing in listings:
        click.echo(_listing_line(listing))
    for line in _stats_lines(tally):
        click.echo(line)
    if unreadable:
        click.echo(f"posts that can't be read\t{unreadable:,}: flask inbound events list")
    for each in unknown:
        click.echo(
            f"news of an unknown type\t{each.type}: {each.count:,}, last "
            f"{_format_time(each.last_at)}"
        )


@destinations.command()
@click.argument("name")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="From when on (UTC); by default all that is kept, which is a week's.",
)
def replay(name: str, since: datetime | None) -> None:
    """Take in once more what NAME has posted to /in/NAME.

    For news that could not be read, or that was about a group that no topic was mapped to.
    What was recorded then is not recorded again.

    Example: flask destinations replay newsletter --since 2026-11-20
    """
    with click_errors():
        destination = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name))
        count = run_in_transaction(lambda c: _replay(c, destination, since))
    if count:
        services().queue.nudge_webhooks(destination.id)
    click.echo(f"{count} posts of {name} are taken in once more.")


def _replay(connection: Connection, destination: Destination, since: datetime | None) -> int:
    now = services().now()
    start = since.replace(tzinfo=now.tzinfo) if since else now - RETENTION - timedelta(days=1)
    count = webhook_inbox.replay_webhooks(connection, destination.id, start, now)
    detail = {"name": destination.name, "posts": str(count)}
    audit.insert_audit_entry(connection, now, ACTOR, "destination.replayed", detail)
    return count


def _print_progress(count: int | None) -> None:
    """Progress on a terminal's standard error; None ends it."""
    if sys.stderr.isatty():
        click.echo("\r" if count is None else f"\r{count:,} read", err=True, nl=False)


def _preview_lines(preview: SyncPreview) -> Iterator[str]:
    if get_spec(preview.destination.kind).is_webhook_only(preview.destination.settings):
        yield "It is only listened to: what it posts is taken in, and it is told nothing."
        return
    yield f"would be pushed\t{preview.push_count} addresses"
    if preview.ingest_counts is None:
        yield "would be taken in\tnothing: this tool's opt-outs can't be listed"
    else:
        for (kind, scope), count in sorted(preview.ingest_counts.items()):
            yield f"would be taken in\t{count} {kind} {scope}"
        left = preview.reported_count - preview.ingest_counts.total()
        yield (
            f"told by the tool\t{preview.reported_count}, of which {left} are known here, "
            "ours or unmapped"
        )
    name = preview.destination.name
    if preview.destination.status is DestinationStatus.OBSERVE:
        yield f"Nothing was written. To connect it: flask destinations resume {name}"


def _listing_line(listing: ListingProgress) -> str:
    if listing.in_progress:
        how = (
            f"being read since {_format_time(listing.started_at)}, {listing.row_count:,} "
            "rows so far in all"
        )
    elif listing.finished_at:
        how = f"read {_format_time(listing.finished_at)}, next {_format_time(listing.next_at)}"
    else:
        how = f"not read yet, next {_format_time(listing.next_at)}"
    fault = f"; {listing.reason}" if listing.reason else ""
    return f"{_LISTING_LABELS[listing.kind]}\t{how}{fault}"


def _stats_lines(stats: VerificationStats) -> Iterator[str]:
    told = {
        "contacts seen": stats.contacts,
        "should have been suppressed and were not": stats.newly_suppressed,
        "news": stats.reported,
        "news recorded": stats.recorded,
        "news that no topic maps to": stats.unmapped,
        "addresses that can't be parsed": stats.unreadable,
        "read back": stats.checked,
        "drift, pushed again": stats.drift,
        "links written": stats.links_written,
    }
    for name, count in told.items():
        if count:
            yield f"{name}\t{count:,}"


def _format_time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
