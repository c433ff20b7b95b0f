"""Every table of the service, and `flask db`: Flask-Migrate's commands, and grants.

Neither a server nor a worker imports it: Alembic takes time and memory.
"""

from __future__ import annotations

from typing import Any

import click
import flask_migrate
from flask import Flask, current_app
from flask_migrate import Migrate
from flask_migrate.cli import db as migrate_commands
from psycopg.conninfo import conninfo_to_dict

from preference_center.catalogue import store as catalogue_store
from preference_center.contacts import models as contacts_models
from preference_center.cookies import store as cookies_store
from preference_center.destinations import models as destinations_models
from preference_center.inbound import store as inbound_store
from preference_center.infra import models as infra_models
from preference_center.infra.commands import with_service
from preference_center.infra.context import db, services
from preference_center.infra.db.grants import grant_statements
from preference_center.infra.files import ROOT
from preference_center.ledger import models as ledger_models
from preference_center.lists import store as lists_store
from preference_center.monitoring import store as monitoring_store
from preference_center.recipients import store as recipients_store
from preference_center.reports import monthly
from preference_center.reports import store as reports_store
from preference_center.rights import models as rights_models
from preference_center.web import models as web_models

MODELS = (
    infra_models,
    ledger_models,
    web_models,
    destinations_models,
    contacts_models,
    rights_models,
    catalogue_store,
    lists_store,
    cookies_store,
    inbound_store,
    recipients_store,
    monitoring_store,
    reports_store,
    monthly,
)
"""Every module with mapped classes: once imported, `db.metadata` describes the whole schema.

Hot paths execute SQL of their own against these tables and create no ORM objects. There are no
foreign keys where a row is written per opt-out: rows are never deleted there, and each check
costs a look-up and a lock.
"""


def upgrade() -> None:
    """Bring the tables of the current application's database to this version."""
    install_migrations(current_app)
    flask_migrate.upgrade()


def install_migrations(app: Flask) -> None:
    """Let Flask-Migrate find the migrations of this application."""
    Migrate(app, db, directory=str(ROOT / "migrations"))
    app.cli.add_command(migrations, "db")  # instead of its own, which has no `grants`


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
_prepare = migrate_commands.callback


@with_service
def _begin(**options: Any) -> None:
    install_migrations(current_app)
    _prepare(**options)


migrations = click.Group(
    "db",
    commands={**migrate_commands.commands, "grants": grants},
    params=migrate_commands.params,
    callback=_begin,
    help=migrate_commands.help,
)
