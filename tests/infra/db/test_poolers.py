"""Through a pooler nothing is left in a session of the server, and every wait has a limit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from dev.engines import Engines
from dev.pgbouncer import DEBIAN, PgBouncer
from dev.postgres import USER, Postgres
from preference_center.app.web import create_app
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.config import Settings
from preference_center.infra.context import db
from preference_center.infra.db.connections import (
    PLANNER_SETTINGS,
    WEB_TIMEOUTS,
    connection_factory,
)
from preference_center.infra.db.transactions import (
    Connection,
    override_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START
from tests.environment import patient_timeouts
from tests.ledger.changes import JANE, change

SHORT = replace(WEB_TIMEOUTS, lock=0.2, retry=0.1, total=60, round_trip=60)


@pytest.fixture
def pooled(app: Flask, settings: Settings) -> Iterator[None]:
    """The context of an app that is given a pooler, whether there is one or not."""
    given = settings.model_copy(update={"database_pooler": "transaction"})
    pooled = create_app(given, now=lambda: START, timeouts=patient_timeouts())
    with pooled.app_context():
        yield
        db.engine.dispose()


def shown(connection: Connection) -> dict[str, str]:
    """The settings that the service may change."""
    names = ("lock_timeout", "statement_timeout", *PLANNER_SETTINGS)
    query = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name"
    return dict(connection.execute(query, [[*names]]).fetchall())


def untouched() -> dict[str, str]:
    return run_autocommit(shown, never_in_transaction=True)


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("run", [run_in_transaction, run_autocommit], ids=["transaction", "one"])
def test_each_transaction_begins_with_its_settings_and_the_session_keeps_none(run: object) -> None:
    before = untouched()
    found = run_autocommit(shown) if run is run_autocommit else run_in_transaction(shown)
    assert found == {"lock_timeout": "1250ms", "statement_timeout": "10s", **PLANNER_SETTINGS}
    assert untouched() == before != found


@pytest.mark.usefixtures("pooled")
def test_a_statement_by_itself_has_the_limits_of_its_block() -> None:
    with override_limits(SHORT):
        assert run_autocommit(shown)["lock_timeout"] == "200ms"


@pytest.mark.usefixtures("pooled")
def test_an_opt_out_that_meets_a_lock_is_given_up(database_url: str) -> None:  # I2
    record([change(1)])
    before = untouched()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM address FOR UPDATE")
        with override_limits(SHORT), pytest.raises(Unavailable) as error:
            record([change(2)])
        assert error.value.cause is UnavailableCause.LOCK_TIMEOUT
        assert load_facts([JANE])[0]  # a decision waits for nobody
    assert untouched() == before


def test_pgbouncer_is_noticed(engines: Engines, tmp_path: Path) -> None:
    if not (shutil.which("pgbouncer") or Path(DEBIAN).exists()):
        pytest.skip("pgbouncer is not installed")
    server = engines.database
    if not isinstance(server, Postgres):
        pytest.skip("DATABASE_URL names a server of somebody else's")
    pooler = Other(server.folder, server.account, durable=False)
    pooler.point_to(server.state.port, {USER: server.state.password})
    pooler.start()
    try:
        for url, is_pooled in ((pooler.url, True), (server.url, False)):
            with connection_factory(url, WEB_TIMEOUTS)() as connection:
                assert connection.is_pooled is is_pooled
    finally:
        pooler.stop()


class Other(PgBouncer):
    """Besides the one that the tests may run through."""

    name = "pgbouncer-noticed"
