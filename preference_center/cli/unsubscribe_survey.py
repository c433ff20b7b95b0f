"""`flask reasons`: why people left."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from preference_center.cli.errors import mending
from preference_center.storage.db.database import run
from preference_center.storage.unsubscribe_survey import counts


@click.command("reasons")
@with_appcontext
def reasons() -> None:
    """Show how often each reason was given for leaving, by month and scope."""
    with mending():
        found = run(counts)
    for each in found:
        click.echo(f"{each.month:%Y-%m}\t{each.scope}\t{each.reason}\t{each.count}")
    if not found:
        click.echo("Nobody has given a reason yet.", err=True)
