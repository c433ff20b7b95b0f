"""Alembic's entry: runs migrations on the app's own engine. `flask db upgrade` calls it."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from preference_center.storage import tables  # noqa: F401 - so that autogenerate sees them
from preference_center.storage.db.migrate import migrate_with_retries

migrate = current_app.extensions["migrate"]


def migrate_online() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations need the database itself: leave out --sql.")
    migrate_with_retries(migrate.db.engine, run_migrations)


def run_migrations(connection: Connection) -> None:
    # Each in a transaction of its own, so that none keeps what an earlier one has locked.
    context.configure(
        connection=connection,
        target_metadata=migrate.db.metadata,
        transaction_per_migration=True,
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


migrate_online()
