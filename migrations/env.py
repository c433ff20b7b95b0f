"""Alembic's entry: runs migrations on the app's own engine. `flask db upgrade` calls it."""

from alembic import context
from flask import current_app

from preference_center.storage import tables  # noqa: F401 - so that autogenerate sees them

migrate = current_app.extensions["migrate"]


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations need the database itself: leave out --sql.")
    with migrate.db.engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=migrate.db.metadata, **migrate.configure_args
        )
        with context.begin_transaction():
            context.run_migrations()


run()
