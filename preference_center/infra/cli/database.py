"""`flask db` runs Flask-Migrate's commands in the context of the service, and prints grants.

`flask db grants` prints the rights of the database role that runs the service.
"""

from __future__ import annotations

import click
from flask_migrate.cli import db as migrate_commands
from psycopg.conninfo import conninfo_to_dict

from preference_center.infra.commands import with_service
from preference_center.infra.context import db, services
from preference_center.infra.db.grants import grant_statements


@click.command("grants")
@click.option("--role", required=True, help="The role, which must exist, that processes log in as.")
def grants(role: str) -> None:
    """Print the GRANTs for a ROLE that runs the service and can't change its tables.

    One role owns the tables: `flask db upgrade` and `flask keys rotate digests` run with its
    DATABASE_URL.
    All processes and the other commands run with that of ROLE, which reads and changes rows, and
    only adds to the ledger. Run what this prints as the owner, after each upgrade:

    flask db grants --role preference_center_app | psql "$DATABASE_URL"
    """
    if conninfo_to_dict(services().settings.conninfo).get("user") == role:
        raise click.UsageError(
            f"{role} is the role of DATABASE_URL here, so it owns the tables: name another"
        )
    for statement in grant_statements(role, db.metadata.sorted_tables):
        click.echo(statement)


assert migrate_commands.callback


migrations = click.Group(
    "db",
    commands={**migrate_commands.commands, "grants": grants},
    params=migrate_commands.params,
    callback=with_service(migrate_commands.callback),
    help=migrate_commands.help,
)
