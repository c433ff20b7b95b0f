"""Run `flask cookies`: count what browsers chose about the cookies of the company's sites."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, date, datetime, timedelta

import click

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.cookies.rules import ConsentCount, count_choices
from preference_center.cookies.store import count_cells
from preference_center.core.small_cells import MIN_CELL
from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.ledger.feed.cursors import read_report

group = CommandGroup("cookies", help="What browsers chose about cookies: counts for compliance.")

_COLUMNS = ("site", "day", "category", "method", "outcome", "count")
_DAY = click.DateTime(["%Y-%m-%d"])
_COUNTS_HELP = f"""Print how often each choice was made, per site, day (UTC), category and method.

A choice counts once in each optional category, with the outcome granted or refused. Counts below
{MIN_CELL} of one site, day and category are merged as "other", or left out.
"""


@group.command("counts", help=_COUNTS_HELP)
@click.option("--site", help="Only of this site of the catalogue.")
@click.option("--from", "first", type=_DAY, help="The first day; the first there is by default.")
@click.option("--to", "last", type=_DAY, help="The last day; today by default.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True
)
def counts(site: str | None, first: datetime | None, last: datetime | None, form: str) -> None:
    """Print the counts."""
    if first and last and last < first:
        raise click.UsageError("--to is before --from; swap the two.")
    start = first.replace(tzinfo=UTC) if first else None
    end = last.replace(tzinfo=UTC) + timedelta(days=1) if last else None
    with click_errors():
        _check_site(site)
        cells, snapshot = read_report(lambda connection: count_cells(connection, site, start, end))
    if snapshot.behind is not None:
        click.echo(f"As of {snapshot}", err=True)
    found = count_choices(cells)
    if form == "json":
        click.echo(json.dumps([_row(each) for each in found], indent=2))
        return
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(each) for each in found)


def _check_site(site: str | None) -> None:
    """A site that the catalogue no longer has may still have counts, but a typo has none."""
    known = current_catalogue_or_empty().sites
    if site is not None and site not in known:
        click.echo(
            f"The catalogue has no site {site}; it has {', '.join(known) or 'none'}.", err=True
        )


def _row(found: ConsentCount) -> dict[str, str | int]:
    day: date = found.day
    return {
        "site": found.site,
        "day": day.isoformat(),
        "category": found.category,
        "method": found.method,
        "outcome": found.outcome,
        "count": found.count,
    }
