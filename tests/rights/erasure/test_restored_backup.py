"""A backup from before an erasure is restored: nobody comes back with it (I6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind
from preference_center.infra.context import EXTENSION_NAME, db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.events import EvidenceState, verify_evidence
from preference_center.rights.erasure import journal
from preference_center.rights.erasure.erase import replay, tidy_erasures
from tests.clock import Clock
from tests.ledger.changes import change
from tests.rights.decisions import INVOICE, WEEKLY, ask
from tests.rights.erasing import ADA, EXTERNAL_ID, GRACE, LOCALE, NUMBER, erase, store, tables_with
from tests.triggers import without_triggers

pytestmark = pytest.mark.owner
TRACES = ("ada@example.com", NUMBER.exact, EXTERNAL_ID, LOCALE, "asked-at-the-counter")


@pytest.fixture(autouse=True)
def _journaled(app: Flask, tmp_path: Path) -> Iterator[None]:
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(tmp_path)})
    app.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    with app.app_context():
        try:
            yield
        finally:
            run_in_transaction(lambda c: c.execute("DROP SCHEMA IF EXISTS backup CASCADE"))
            app.extensions[EXTENSION_NAME] = wired
            app.extensions.pop(journal.EXTENSION_KEY, None)


def back_up() -> None:
    """A copy of every table."""

    def copy(connection: Connection) -> None:
        connection.execute("CREATE SCHEMA backup")
        for table in db.metadata.sorted_tables:
            connection.execute(f"CREATE TABLE backup.{table.name} AS TABLE {table.name}".encode())

    run_in_transaction(copy)


def restore(app: Flask) -> None:
    """Every table as it was, also those that only grow; then processes start again."""

    def copy_back(connection: Connection) -> None:
        names = ", ".join(table.name for table in db.metadata.sorted_tables)
        with without_triggers(connection):
            connection.execute(f"TRUNCATE {names}".encode())  # at once: some refer to others
            for table in db.metadata.sorted_tables:
                columns = ", ".join(
                    f'"{column.name}"' for column in table.columns if column.computed is None
                )
                connection.execute(
                    f"INSERT INTO {table.name} ({columns}) OVERRIDING SYSTEM VALUE"
                    f" SELECT {columns} FROM backup.{table.name}".encode()
                )
        connection.execute("DROP SCHEMA backup CASCADE")

    run_in_transaction(copy_back)
    app.extensions.pop(journal.EXTENSION_KEY, None)


def left() -> set[str]:
    return {trace for trace in TRACES if tables_with(trace)}


def test_an_erased_person_is_erased_again_before_anybody_is_answered(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    store(ADA, NUMBER)
    evidence = {"wording": "asked-at-the-counter"}
    record(
        [
            change(1, EventKind.OPTED_IN, address=ADA, evidence=evidence),
            change(2, EventKind.OPTED_IN, address=GRACE),
        ]
    )
    back_up()
    clock.advance(timedelta(days=2))
    erase(ADA)
    assert left() == set()
    clock.advance(timedelta(days=3))

    restore(app)
    assert left() == set(TRACES)
    assert client.get("/v1/changes").status_code == 503
    record([change(3, address=GRACE)])  # I1: opt-outs are accepted

    replay()
    tidy_erasures(clock())
    assert left() == set()
    for form in ("ada@example.com", "ada+shop@example.com", "ADA@EXAMPLE.COM"):
        assert not ask(WEEKLY, parse_address(form, Channel.EMAIL)).allow
    assert not ask(INVOICE, ADA).allow
    assert not ask(INVOICE, NUMBER).allow
    assert not ask(WEEKLY, GRACE).allow
    assert ask(INVOICE, GRACE).allow
    keys = services().keys
    states = {each.state for each in run_in_transaction(lambda c: verify_evidence(c, keys))}
    assert EvidenceState.ALTERED not in states
    clock.advance(journal.CHECK_INTERVAL)
    assert client.get("/v1/changes").status_code == 401
