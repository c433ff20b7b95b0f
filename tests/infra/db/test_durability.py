"""No process starts with settings under which an acknowledged opt-out could be lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from preference_center.core.errors import NotDurable
from preference_center.infra.context import db
from preference_center.infra.db import transactions
from preference_center.infra.db.transactions import Connection, require_durable, run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys

pytestmark = pytest.mark.own_session


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        db.engine.dispose()
        yield
        db.engine.dispose()  # with what was set


def commit(setting: str) -> None:
    run_in_transaction(lambda c: c.execute(f"SET synchronous_commit = {setting}".encode()))


@pytest.mark.parametrize("setting", ["on", "remote_write", "remote_apply", "local"])
def test_durable_settings_are_accepted(setting: str) -> None:  # I1
    commit(setting)
    require_known_keys()


def test_asynchronous_commits_are_refused() -> None:  # I1
    commit("off")
    with pytest.raises(NotDurable, match="ALTER ROLE"):
        require_known_keys()


@pytest.mark.parametrize("standbys", ["*", "ANY 1 (one, two)"], ids=["any", "quorum"])
def test_commits_not_confirmed_by_the_standby_are_refused(
    standbys: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    settings = f"SELECT 'local', 'on', '{standbys}'"
    monkeypatch.setattr(transactions, "_SHOW_SETTINGS", settings)
    with pytest.raises(NotDurable, match="local"):
        run_in_transaction(require_durable)


def test_a_server_without_fsync_only_causes_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    def shown(connection: Connection) -> tuple[object, ...] | None:
        return connection.execute("SHOW fsync").fetchone()

    run_in_transaction(require_durable)
    assert ("database_not_durable" in capsys.readouterr().err) is (
        run_in_transaction(shown) == ("off",)
    )
