"""Dead rows of the queue are removed long before they slow claims."""

from __future__ import annotations

import pytest
from flask import Flask

from preference_center.infra.db.transactions import run_in_transaction


@pytest.mark.parametrize("table", ["sync_state", "push", "destination"])
def test_tables_that_are_written_all_the_time_are_vacuumed_early(app: Flask, table: str) -> None:
    with app.app_context():
        query = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"
        row = run_in_transaction(lambda c: c.execute(query, (table,)).fetchone())
    assert row
    found = dict(option.split("=") for option in row[0] or [])
    # A fifth of the table by default, which is ten million rows of fifty.
    assert float(found["autovacuum_vacuum_scale_factor"]) <= 0.01
    assert 0 < int(found["autovacuum_vacuum_threshold"]) <= 5000
