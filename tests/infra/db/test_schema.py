"""Whether this version fits the tables of a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.db.schema import (
    describe_difference,
    load_revisions,
    require_fitting_schema,
)
from preference_center.infra.db.transactions import run_in_transaction

if TYPE_CHECKING:
    from flask import Flask

OURS = {"event": frozenset({"id", "kind"}), "topic": frozenset({"id"})}


@pytest.mark.parametrize(
    "found, difference",
    [
        ({"event": {"id": True, "kind": True}, "topic": {"id": True}}, None),
        ({"event": {"id": True, "kind": True, "new": False}, "topic": {"id": True}}, None),
        ({"event": {"id": True, "kind": True}}, "lacks the table topic"),
        ({"event": {"id": True}, "topic": {"id": True}}, "lacks the column event.kind"),
        (
            {"event": {"id": True, "kind": True, "new": True}, "topic": {"id": True}},
            "needs a value for the column event.new",
        ),
    ],
    ids=["same", "more", "no table", "no column", "a column to fill"],
)
def test_other_tables_fit_if_our_statements_work_with_them(
    found: dict[str, dict[str, bool]], difference: str | None
) -> None:
    assert describe_difference(OURS, found) == difference


def test_the_newest_revision_is_the_one_that_none_follows(tmp_path: Path) -> None:
    (tmp_path / "1.py").write_text('revision = "b"\ndown_revision = "a"\n')
    (tmp_path / "2.py").write_text('revision = "a"\ndown_revision = None\n')
    found = load_revisions(tmp_path)
    assert found.newest == "b"
    assert found.known == {"a", "b"}


@pytest.mark.usefixtures("app")
class TestOfADatabase:
    @pytest.fixture
    def tables(self, admin_url: str) -> Iterator[psycopg.Connection]:
        """A connection that changes what an upgrade changes, and takes it back."""
        with psycopg.connect(admin_url, autocommit=True) as connection:
            yield connection
            connection.execute("ALTER TABLE audit DROP COLUMN IF EXISTS of_tomorrow")
            connection.execute("ALTER TABLE IF EXISTS elsewhere RENAME TO alembic_version")
            newest = [load_revisions().newest]
            connection.execute("UPDATE alembic_version SET version_num = %s", newest)

    def misfit(self, app: Flask) -> str:
        """Why this version does not fit."""
        with app.app_context(), pytest.raises(Unavailable) as caught:
            run_in_transaction(require_fitting_schema)
        assert caught.value.cause is UnavailableCause.SCHEMA
        return caught.value.reason

    def test_the_tables_of_this_version_fit(self, app: Flask) -> None:
        with app.app_context():
            run_in_transaction(require_fitting_schema)

    def test_older_tables_never_fit(self, app: Flask, tables: psycopg.Connection) -> None:
        tables.execute("UPDATE alembic_version SET version_num = '0001'")
        assert "is at revision 0001" in self.misfit(app)
        assert self.misfit(app).endswith("run `flask db upgrade`")

    def test_newer_tables_fit_unless_an_insert_of_ours_would_fail(
        self, app: Flask, tables: psycopg.Connection
    ) -> None:
        tables.execute("UPDATE alembic_version SET version_num = 'of tomorrow'")
        tables.execute("ALTER TABLE audit ADD COLUMN of_tomorrow text")
        with app.app_context():
            run_in_transaction(require_fitting_schema)
        tables.execute("ALTER TABLE audit ALTER COLUMN of_tomorrow SET NOT NULL")
        assert "needs a value for the column audit.of_tomorrow" in self.misfit(app)

    def test_an_empty_database_does_not_fit(self, app: Flask, tables: psycopg.Connection) -> None:
        tables.execute("ALTER TABLE alembic_version RENAME TO elsewhere")
        assert self.misfit(app).startswith("the database has no tables of the service")
