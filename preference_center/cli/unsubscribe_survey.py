"""`flask unsubscribe-survey`: the reasons that people gave for leaving."""

from __future__ import annotations

import click

from preference_center.cli.command_app import with_service
from preference_center.cli.errors import click_errors
from preference_center.storage.feed.replica import read_report
from preference_center.storage.unsubscribe_survey import list_counts


@click.command("unsubscribe-survey")
@with_service
def unsubscribe_survey() -> None:
    """Show the reasons that people gave for unsubscribing, by month and scope."""
    with click_errors():
        found, snapshot = read_report(list_counts)
    if snapshot.behind is not None:
        click.echo(f"As of {snapshot}", err=True)
    for each in found:
        click.echo(f"{each.month:%Y-%m}\t{each.scope}\t{each.reason}\t{each.count}")
    if not found:
        click.echo("No reasons yet.", err=True)
