"""`flask reports`: counting events per day again, for the reports of the console.

`flask statistics` shows monthly counts that can't be traced to a person.
"""

from __future__ import annotations

from datetime import datetime

import click

from preference_center.core.small_cells import MIN_CELL
from preference_center.infra.commands import CommandGroup, actor, click_errors, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.reports import store
from preference_center.reports.monthly import (
    count_deliveries,
    list_counts,
    store_finished_months,
)
from preference_center.reports.store import CountProgress, last_seq, load_progress

group = CommandGroup("reports", help="Counts per day, which the reports of the console show.")


@group.command("rebuild")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    metavar="DAY",
    help="The first day (UTC) to count again, e.g. 2026-01-01.",
)
def rebuild(since: datetime) -> None:
    """Count the events of DAY and later again.

    Until it is done, reports show those days in part. If it is interrupted, the scheduler goes
    on, 200,000 events a minute. Where days before DAY are not counted yet, their counts are
    dropped: so after an upgrade it has the newest days first.
    """
    with click_errors():
        store.rebuild(since.date(), actor())
        _count_all()


def _count_all() -> None:
    bound = run_in_transaction(last_seq)

    def show(counted: int, progress: CountProgress) -> None:
        until = f"{progress.counted_until:%Y-%m-%d %H:%M}" if progress.counted_until else ""
        click.echo(f"{counted} events counted, up to {until}", err=True)

    counted = store.count_new_events(services().now(), None, show)
    progress = run_in_transaction(load_progress)
    if progress.seq < bound:
        raise click.ClickException("another process is counting: see how far it is, and try again")
    first = progress.first_day.isoformat() if progress.first_day else "the first event"
    click.echo(f"{counted} events counted. Counts are complete from {first} on.")


_HELP = f"""Print the counts of each finished month as tab-separated values, the newest first.

Columns: month, what (an event's kind, or delivery), scope, source (of a delivery: the
destination), outcome, count. Counts below {MIN_CELL} are merged as "other", or left out.
"""


@click.command("statistics", help=_HELP)
@with_service
def statistics() -> None:
    """Count what is not counted yet, and print all."""
    with click_errors():
        now = services().now()
        store.count_new_events(now)
        count_deliveries(now)
        store_finished_months()
        found = run_in_transaction(list_counts)
    for month, cell in found:
        columns = (cell.what, cell.scope, cell.source, cell.outcome, str(cell.count))
        click.echo("\t".join((f"{month:%Y-%m}", *columns)))
    if not found:
        click.echo("No month is over yet.", err=True)
