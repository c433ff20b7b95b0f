"""`flask db`: Flask-Migrate's commands, in the context of the service."""

from __future__ import annotations

import click
from flask_migrate.cli import db as migrate_commands

from preference_center.infra.cli.cli_grants import grants
from preference_center.infra.command_app import with_service

assert migrate_commands.callback
migrations = click.Group(
    "db",
    commands={**migrate_commands.commands, "grants": grants},
    params=migrate_commands.params,
    callback=with_service(migrate_commands.callback),
    help=migrate_commands.help,
)
