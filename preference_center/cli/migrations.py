"""`flask db`: Flask-Migrate's commands, in the context of the service."""

from __future__ import annotations

import click
from flask_migrate.cli import db

from preference_center.cli.command_app import with_service
from preference_center.cli.grants import grants

assert db.callback
migrations = click.Group(
    "db",
    commands={**db.commands, "grants": grants},
    params=db.params,
    callback=with_service(db.callback),
    help=db.help,
)
