"""Alembic's entry: runs migrations on the app's own engine. `flask db upgrade` calls it."""

from typing import Any

import structlog
from alembic import context
from alembic.runtime.migration import MigrationInfo
from flask import current_app
from sqlalchemy import Connection

from preference_center.infra.db.migrate import migrate_with_retries, require_own_tables

log = structlog.get_logger()
migrate = current_app.extensions["migrate"]
applied: list[str] = []


def migrate_online() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations need the database itself: leave out --sql.")
    migrate_with_retries(migrate.db.engine, run_migrations)
    if applied:
        log.info("migrated", steps=len(applied), revision=applied[-1])


def run_migrations(connection: Connection) -> None:
    revisions = {each.revision for each in context.script.walk_revisions()}
    require_own_tables(connection, revisions, migrate.db.metadata.tables)
    # Each in a transaction of its own, so that none keeps what an earlier one has locked.
    context.configure(
        connection=connection,
        target_metadata=migrate.db.metadata,
        transaction_per_migration=True,
        on_version_apply=note_step,
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


def note_step(*_: Any, **given: Any) -> None:
    """Called by Alembic after each migration, with `step` among others."""
    step: MigrationInfo = given["step"]
    applied.append(" ".join(step.destination_revision_ids) or "base")


migrate_online()
