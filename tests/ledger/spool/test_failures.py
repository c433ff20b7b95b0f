"""Whatever keeps an opt-out from being recorded, it is on disk and recorded later (I1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog

from preference_center.core.errors import Unavailable
from preference_center.infra.db.schema import load_revisions
from tests.ledger.spool.conftest import PAIR, MakeToken, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


COLUMN_GONE = (
    "ALTER TABLE address RENAME COLUMN last_erased_at TO elsewhere",
    "ALTER TABLE address RENAME COLUMN elsewhere TO last_erased_at",
)
OLD_CODE = (  # a newer version has a column that an older one does not fill
    "ALTER TABLE event ADD COLUMN of_tomorrow text NOT NULL",
    "ALTER TABLE event DROP COLUMN of_tomorrow",
)


@contextmanager
def altered(url: str, change: tuple[str, str]) -> Iterator[None]:
    """Inside, the tables are others."""
    begin, end = change
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(begin.encode())
        try:
            yield
        finally:
            connection.execute(end.encode())


@pytest.mark.parametrize("change", [COLUMN_GONE, OLD_CODE], ids=["column gone", "column to fill"])
def test_a_click_beside_other_tables_is_received_and_recorded_once_they_fit(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    admin_url: str,
    replay: Replay,
    change: tuple[str, str],
) -> None:
    with altered(admin_url, change):
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
        assert client.post(f"/u/{token}", data={"confirm": "all"}).status_code == 202
        assert ledger.events() == []
        assert replay().rejected == 0  # an upgrade is no fault of the record
    assert replay().recorded == 2
    assert sorted(event["scope"] for event in ledger.events()) == ["acme.offers", "all_marketing"]


def test_an_error_that_nobody_foresaw_is_logged_without_its_text(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of jane.doe@example.com")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr("preference_center.ledger.spool.recorder.record_batched", fail)
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    [line] = [each for each in logs if each["event"] == "request_spooled"]
    assert (line["log_level"], line["error"]) == ("error", "ZeroDivisionError")
    assert "jane.doe" not in str(logs)
    assert replay().recorded == 1
    assert len(ledger.events()) == 1


def test_without_a_spool_it_is_counted_as_refused(
    client: FlaskClient, app: Flask, make_token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.core.occurrences import Occurrence
    from preference_center.infra import metrics, occurrences

    counted: list[str] = []
    noted: list[Occurrence] = []

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("preference_center.ledger.spool.recorder.record_batched", fail)
    monkeypatch.setattr(metrics, "count_opt_outs", counted.append)
    monkeypatch.setattr(occurrences, "note", noted.append)
    assert client.post(f"/u/{make_token()}", data=PAIR).status_code == 500
    assert counted == ["refused"]
    assert noted == [Occurrence.OPT_OUT_REFUSED]


@contextmanager
def one_migration_behind(url: str) -> Iterator[None]:
    """Inside, the database lacks the newest migration, as far as it says."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = "UPDATE alembic_version SET version_num = %s"
        connection.execute(statement, ["0001"])
        try:
            yield
        finally:
            connection.execute(statement, [load_revisions().newest])


@pytest.mark.usefixtures("replayer")
def test_until_an_upgrade_is_finished_a_process_is_unready_with_a_sentence(
    client: FlaskClient, admin_url: str
) -> None:
    with one_migration_behind(admin_url):
        answer = client.get("/readyz")
    assert answer.status_code == 503  # although its spool accepts opt-outs
    found = answer.get_json()
    assert (found["status"], found["database"]) == ("unavailable", "other_schema")
    assert found["reason"].endswith("run `flask db upgrade`")
    assert found["spool"]["writable"] is True


def test_a_process_that_starts_before_the_upgrade_spools_clicks_and_records_them_after_it(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    replay: Replay,
    admin_url: str,
) -> None:
    from preference_center.infra.keys.fingerprints import require_known_keys

    with one_migration_behind(admin_url):
        with app.app_context(), pytest.raises(Unavailable):
            require_known_keys()  # at its start
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
        assert client.get("/readyz").get_json()["reason"].endswith("run `flask db upgrade`")
        with pytest.raises(Unavailable):
            replay()
        assert ledger.events() == []
    assert replay().recorded == 1
    assert client.get("/readyz").status_code == 200
