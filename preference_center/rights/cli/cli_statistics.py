"""`flask statistics`: monthly counts that can't be traced to a person."""

from __future__ import annotations

import click

from preference_center.core.small_cells import MIN_CELL
from preference_center.infra.commands import click_errors, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.rights_statistics import list_counts
from preference_center.rights.statistics import count_finished_months

_HELP = f"""Print the counts of each finished month as tab-separated values, the newest first.

Columns: month, what (an event's kind, or delivery), scope, source (of a delivery: the
destination), outcome, count. Counts below {MIN_CELL} are merged as "other", or left out.
"""


@click.command("statistics", help=_HELP)
@with_service
def statistics() -> None:
    """Count what is not counted yet, and print all."""
    with click_errors():
        count_finished_months(services().now())
        found = run_in_transaction(list_counts)
    for month, cell in found:
        columns = (cell.what, cell.scope, cell.source, cell.outcome, str(cell.count))
        click.echo("\t".join((f"{month:%Y-%m}", *columns)))
    if not found:
        click.echo("No month is over yet.", err=True)
