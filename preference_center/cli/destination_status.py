"""`flask destinations observe`, `show` and `replay`: what is read in the connected tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click

from preference_center.cli import backfill_progress
from preference_center.cli.destinations import ACTOR, destinations
from preference_center.cli.errors import mending
from preference_center.domain.sync.destination import Destination, Status
from preference_center.errors import DestinationError
from preference_center.extensions import services
from preference_center.ingest.preview import Observed
from preference_center.ingest.preview import observe as look
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.registry import ENTRIES, SetupError
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run
from preference_center.storage.sync import backfills, unknown_event_types, webhook_inbox
from preference_center.storage.sync import backlog as waiting
from preference_center.storage.sync import destinations as stored
from preference_center.storage.sync import listings as verifying
from preference_center.storage.sync.listings import Part, Progress, Tally
from preference_center.storage.sync.webhook_inbox import KEPT

_PARTS = {
    Part.PULL: "its own opt-outs",
    Part.SCAN: "its contacts",
    Part.SWEEP: "all its contacts anew",
    Part.READ: "what we told it",
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
    with mending():
        try:
            found = look(name, _told)
        except (DeliveryError, SetupError) as error:
            raise DestinationError(f"{name} can't be read: {error}") from None
        finally:
            _told(None)
    for line in _observed(found):
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
    with mending():
        destination = run(lambda c: stored.by_name(c, services().keys, name))
        row = run(waiting.pending)[name]
        listings = run(lambda c: verifying.progress(c, destination.id))
        tally = run(lambda c: verifying.tally(c, destination.id))
        backfill = run(lambda c: backfills.of(c, destination.id))
        told, backlog = run(lambda c: waiting.backlog(c, destination.id))
        unknown = run(lambda c: unknown_event_types.of(c, destination.id))
        unreadable = run(lambda c: webhook_inbox.unreadable(c, destination.id))
    reason = f": {destination.reason}" if destination.reason else ""
    click.echo(f"{name}\t{destination.kind}\t{row.state}{reason}")
    due = f", the first is due {_time(row.due_at)}" if row.due_at else ""
    click.echo(f"waiting\t{row.waiting} addresses{due}")
    if not backfill.finished:
        click.echo(f"back-fill\t{backfill_progress.described(backfill)}")
    if destination.status is Status.ACTIVE and destination.pulled_at is None:
        click.echo("back-fill\twaits until its own opt-outs have been read in")
    elif told < backlog:
        click.echo(f"back-fill and lists\t{told:,} of {backlog:,} told, behind what people say")
    if row.drifted:
        click.echo(f"drift\t{row.drifted:,} opt-outs are missing there, and being pushed again")
    for listing in listings:
        click.echo(_listing(listing))
    for line in _tallied(tally):
        click.echo(line)
    if unreadable:
        click.echo(f"posts that can't be read\t{unreadable:,}: flask inbound events list")
    for each in unknown:
        click.echo(
            f"news of an unknown type\t{each.type}: {each.count:,}, last {_time(each.last_at)}"
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
    with mending():
        destination = run(lambda c: stored.by_name(c, services().keys, name))
        count = run(lambda c: _replay(c, destination, since))
    if count:
        services().queue.nudge_news(destination.id)
    click.echo(f"{count} posts of {name} are taken in once more.")


def _replay(connection: Connection, destination: Destination, since: datetime | None) -> int:
    now = services().now()
    start = since.replace(tzinfo=now.tzinfo) if since else now - KEPT - timedelta(days=1)
    count = webhook_inbox.replay(connection, destination.id, start, now)
    detail = {"name": destination.name, "posts": str(count)}
    audit.append(connection, now, ACTOR, "destination.replayed", detail)
    return count


def _told(count: int | None) -> None:
    """Progress on a terminal's standard error; None ends it."""
    if sys.stderr.isatty():
        click.echo("\r" if count is None else f"\r{count:,} read", err=True, nl=False)


def _observed(found: Observed) -> Iterator[str]:
    if ENTRIES[found.destination.kind].is_heard_only(found.destination.settings):
        yield "It is only listened to: what it posts is taken in, and it is told nothing."
        return
    yield f"would be pushed\t{found.pushes} addresses"
    if found.takes is None:
        yield "would be taken in\tnothing: this tool's opt-outs can't be listed"
    else:
        for (kind, scope), count in sorted(found.takes.items()):
            yield f"would be taken in\t{count} {kind} {scope}"
        left = found.told - found.takes.total()
        yield f"told by the tool\t{found.told}, of which {left} are known here, ours or unmapped"
    name = found.destination.name
    if found.destination.status is Status.OBSERVE:
        yield f"Nothing was written. To connect it: flask destinations resume {name}"


def _listing(listing: Progress) -> str:
    if listing.under_way:
        how = f"being read since {_time(listing.begun_at)}, {listing.rows:,} rows so far in all"
    elif listing.finished_at:
        how = f"read {_time(listing.finished_at)}, next {_time(listing.next_at)}"
    else:
        how = f"not read yet, next {_time(listing.next_at)}"
    fault = f"; {listing.reason}" if listing.reason else ""
    return f"{_PARTS[listing.part]}\t{how}{fault}"


def _tallied(tally: Tally) -> Iterator[str]:
    told = {
        "contacts seen": tally.contacts,
        "should have been suppressed and were not": tally.raised,
        "news": tally.news,
        "news recorded": tally.recorded,
        "news that no topic maps to": tally.unmapped,
        "addresses that can't be parsed": tally.unreadable,
        "read back": tally.checked,
        "drift, pushed again": tally.drift,
        "links written": tally.links,
    }
    for name, count in told.items():
        if count:
            yield f"{name}\t{count:,}"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
