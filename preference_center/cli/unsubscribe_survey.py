"""`flask reasons`: why people left."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from preference_center.cli.errors import click_errors
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.unsubscribe_survey import list_counts


@click.command("reasons")
@with_appcontext
def unsubscribe_survey() -> None:
    """Show how often each reason was given for leaving, by month and scope."""
    with click_errors():
        found = run_in_transaction(list_counts)
    for each in found:
        click.echo(f"{each.month:%Y-%m}\t{each.scope}\t{each.reason}\t{each.count}")
    if not found:
        click.echo("Nobody has given a reason yet.", err=True)
