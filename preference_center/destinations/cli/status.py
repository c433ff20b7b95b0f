"""`flask destinations observe`, `show` and `replay` work on the data of the connected tools.

The progress of a backfill is formatted here, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import click

from preference_center.core.errors import DestinationError
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    PermanentCondition,
    Trouble,
    VerificationStats,
    repeats_drift,
)
from preference_center.destinations.set_up import SyncPreview, preview_destination
from preference_center.destinations.store import backfills, samples, webhooks
from preference_center.destinations.store import destinations as stored
from preference_center.destinations.store import listings as verifying
from preference_center.destinations.store.backfills import Backfill
from preference_center.destinations.store.destinations import DestinationBacklog
from preference_center.destinations.store.forecasts import Forecast, find_forecast
from preference_center.destinations.store.listings import ListingKind, ListingProgress
from preference_center.destinations.store.webhooks import BODY_RETENTION
from preference_center.infra import audit
from preference_center.infra.commands import actor, click_errors, format_count, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.registry import DestinationConfigError, get_spec

_MAX_LINES = 20
"""Maximum number of progress lines."""


def format_progress(backfill: Backfill) -> str:
    """The progress of a backfill that has not finished."""
    return (
        f"{backfill.progress:.0%} of the addresses processed, {backfill.rows_created:,} to push"
        " so far; workers continue it"
    )


def progress_printer() -> Callable[[Backfill], None]:
    """A callback that prints progress when it has grown noticeably."""
    step = 0

    def print_progress(backfill: Backfill) -> None:
        nonlocal step
        reached = int(backfill.progress * _MAX_LINES)
        if reached > step and not backfill.finished:
            step = reached
            click.echo(
                f"backfill: {backfill.progress:.0%}, {backfill.rows_created:,} addresses", err=True
            )

    return print_progress


_LISTING_LABELS = {
    ListingKind.PULL: "its own opt-outs",
    ListingKind.SCAN: "its contacts",
    ListingKind.SWEEP: "all its contacts again",
    ListingKind.READ: "what was pushed",
}


@click.command()
@click.argument("name")
@with_service
def observe(name: str) -> None:
    """Show what would be pushed to NAME, and what would be ingested from it. Writes nothing.

    Reads all opt-outs, complaints and hard bounces that the tool can list, within its rate
    limit, and compares them with the ledger. For a tool with millions this takes a while; Ctrl-C
    is safe.

    Example: flask destinations observe newsletter
    """
    with click_errors():
        try:
            preview = preview_destination(name, _print_progress)
        except (DeliveryError, DestinationConfigError) as error:
            raise DestinationError(f"{name} can't be read: {error}") from None
        finally:
            _print_progress(None)
    for line in _preview_lines(preview):
        click.echo(line)


@click.command()
@click.argument("name")
@with_service
def show(name: str) -> None:
    """Show the state of NAME: pending pushes, listings, and their results.

    The backfill has a lower priority than new opt-outs; `flask destinations pause` and `resume`
    stop and continue it. Drift is an opt-out that the tool had confirmed and no longer has: it is
    pushed again automatically, but investigate a tool that keeps losing them.

    Example: flask destinations show newsletter
    """
    with click_errors():
        destination = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name))
        row = run_in_transaction(stored.load_backlogs)[name]
        listings = run_in_transaction(lambda c: verifying.list_progress(c, destination.id))
        stats = run_in_transaction(lambda c: verifying.load_stats(c, destination.id))
        backfill = run_in_transaction(lambda c: backfills.load_backfill(c, destination.id))
        waiting = run_in_transaction(lambda c: stored.count_pending_bulk(c, destination.id))
        unknown = run_in_transaction(lambda c: webhooks.list_unknown_types(c, destination.id))
        now = services().now()
        forecast = run_in_transaction(lambda c: find_forecast(c, destination.id, row.due_at, now))
        unprocessed, failure = run_in_transaction(
            lambda c: webhooks.load_unprocessed(c, destination.id)
        )
        absent = run_in_transaction(samples.load_absent_shares).get(name, 0.0)
        accepted = run_in_transaction(lambda c: stored.load_accepted(c, destination.id))
        unreadable = run_in_transaction(lambda c: webhooks.count_unreadable(c, destination.id))
    reason = f": {destination.reason}" if destination.reason else ""
    click.echo(f"{name}\t{destination.kind}\t{row.status_label}{reason}")
    for line in (
        *_pending_lines(row, forecast),
        *_absent_lines(absent),
        *_accepted_lines(accepted),
    ):
        click.echo(line)
    if not backfill.finished:
        click.echo(f"backfill\t{format_progress(backfill)}")
    if destination.status is DestinationStatus.ACTIVE and destination.pulled_at is None:
        click.echo("backfill\twaits until its own opt-outs have been ingested")
    elif waiting:
        click.echo(f"backfill and lists\t{waiting:,} to push, at a lower priority")
    if row.drifted_count:
        click.echo(f"drift\t{row.drifted_count:,} opt-outs are missing there, and are pushed again")
    for listing in listings:
        click.echo(_listing_line(listing))
    for line in _stats_lines(stats):
        click.echo(line)
    for line in _webhook_lines(unprocessed, failure, unreadable):
        click.echo(line)
    for each in unknown:
        click.echo(
            f"events of an unknown type\t{each.type}: {each.count:,}, last "
            f"{_format_time(each.last_at)}"
        )


@click.command()
@click.argument("name")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Start time (UTC); default: everything that is stored, which is one week.",
)
@with_service
def replay(name: str, since: datetime | None) -> None:
    """Process once more what NAME has posted to /in/NAME.

    For events that could not be parsed, or whose group had no topic mapped to it. What was
    recorded before is not recorded again.

    Example: flask destinations replay newsletter --since 2026-11-20
    """
    with click_errors():
        destination = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name))
        count = run_in_transaction(lambda c: _replay(c, destination, since))
    if count:
        services().queue.nudge_webhooks(destination.id)
    click.echo(f"{count} webhooks of {name} will be processed once more.")


def _replay(connection: Connection, destination: Destination, since: datetime | None) -> int:
    now = services().now()
    start = since.replace(tzinfo=now.tzinfo) if since else now - BODY_RETENTION - timedelta(days=1)
    count = webhooks.replay_webhooks(connection, destination.id, start, now)
    detail = {"name": destination.name, "requests": str(count)}
    audit.insert_audit_entry(connection, now, actor(), "destination.replayed", detail)
    return count


def _print_progress(count: int | None) -> None:
    """Progress on a terminal's standard error; None ends it."""
    if sys.stderr.isatty():
        click.echo("\r" if count is None else f"\r{count:,} read", err=True, nl=False)


def _preview_lines(preview: SyncPreview) -> Iterator[str]:
    if get_spec(preview.destination.kind).is_webhook_only(preview.destination.settings):
        yield "Webhook only: what it posts is ingested, and nothing is pushed to it."
        return
    yield f"would be pushed\t{preview.push_count} addresses"
    if preview.ingest_counts is None:
        yield "would be ingested\tnothing: this tool's opt-outs can't be listed"
    else:
        for (kind, scope), count in sorted(preview.ingest_counts.items()):
            yield f"would be ingested\t{count} {kind} {scope}"
        rest = preview.reported_count - preview.ingest_counts.total()
        yield (
            f"reported by the tool\t{preview.reported_count}, of which {rest} are already known, "
            "pushed by us or unmapped"
        )
    name = preview.destination.name
    if preview.destination.status is DestinationStatus.OBSERVE:
        yield f"Nothing was written. To start pushing: flask destinations resume {name}"


def _webhook_lines(unprocessed: int, failure: str, unreadable: int) -> Iterator[str]:
    if unprocessed:
        reason = f": {failure}" if failure else ""
        count = format_count(unprocessed, webhooks.MAX_UNPROCESSED)
        yield f"webhooks to process\t{count}{reason}"
    if unreadable:
        yield f"unreadable webhooks\t{unreadable:,}: /console/review"


def _listing_line(listing: ListingProgress) -> str:
    if listing.in_progress:
        text = (
            f"in progress since {_format_time(listing.started_at)}, {listing.row_count:,} "
            "rows so far"
        )
    elif listing.finished_at:
        text = f"read {_format_time(listing.finished_at)}, next {_format_time(listing.next_at)}"
    else:
        text = f"not read yet, next {_format_time(listing.next_at)}"
    reason = f"; {listing.reason}" if listing.reason else ""
    return f"{_LISTING_LABELS[listing.kind]}\t{text}{reason}"


def _stats_lines(stats: VerificationStats) -> Iterator[str]:
    counts = {
        "contacts read": stats.contacts,
        "missing suppressions": stats.newly_suppressed,
        "events": stats.reported,
        "events recorded": stats.recorded,
        "events that no topic maps to": stats.unmapped,
        "invalid addresses": stats.unreadable,
        "read back": stats.checked,
        "drift, pushed again": stats.drift,
        "links written": stats.links_written,
    }
    for name, count in counts.items():
        if count:
            yield f"{name}\t{count:,}"


def _pending_lines(row: DestinationBacklog, forecast: Forecast | None) -> Iterator[str]:
    due = f", the first is due {_format_time(row.due_at)}" if row.due_at else ""
    yield f"pending\t{row.pending_count} addresses{due}"
    if forecast and row.trouble is Trouble.SLOWED:
        yield f"rate\t{forecast.describe_slowed(services().now())}"
    if forecast:
        yield f"forecast\t{_format_forecast(forecast)}"
    if repeats_drift(row.drift_repeated_at, services().now()):
        at = _format_time(row.drift_repeated_at)
        yield f"drift repeats\tlast at {at}: find out who writes there, or stop sending from it"
    if row.refused_count:
        yield f"refused by the tool\t{row.refused_count:,} of them; each is tried again daily"
    if row.retry_at:
        resume = f"or at once by `flask destinations resume {row.destination}`"
        yield f"next attempt\t{_format_time(row.retry_at)}, {resume}"


def _absent_lines(share: float) -> Iterator[str]:
    if share:
        yield f"absent there\t{share:.0%} of the {samples.NEWEST} newest"


def _accepted_lines(accepted: Mapping[PermanentCondition, datetime]) -> Iterator[str]:
    for condition, at in accepted.items():
        yield f"accepted\t{condition}, {_format_time(at)}"


def _format_forecast(forecast: Forecast) -> str:
    since, waits = _format_time(forecast.since), f"{forecast.pending:,} wait"
    if forecast.is_capped:
        waits = f"at least {waits}"
    if forecast.done_at is None:
        return f"none: {waits}, and nothing was pushed since {since}"
    rate = f"{forecast.per_hour(services().now()):,} an hour since {since}"
    through = "not through before" if forecast.is_capped else "through by"
    text = f"{rate}, {waits}: {through} {_format_time(forecast.done_at)}"
    if not forecast.late:
        return text
    return (
        f"{text}; too slow for {forecast.late:,}, whose 72 hours end before: raise the rate limit"
        " at the tool, or have it done by hand (docs/operations.md)"
    )


def _format_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "never"
