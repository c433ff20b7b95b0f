"""What can't be recorded holds up itself and nothing else, and is tried again in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog.testing

from preference_center.ledger.spool.replay import BATCH_SIZE, ReplayProgress
from preference_center.ledger.spool.replayer import SpoolReplayer
from tests.ledger.spool.conftest import PAIR, Database, MakeToken, Replay
from tests.ledger.spool.test_replay import spool_clicks
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

BAD = "acme.old"
"""The scope of events that the database refuses to insert."""


@contextmanager
def refusing(url: str, sqlstate: str) -> Iterator[None]:
    """Inside, inserting an event of the scope BAD fails, for a fault of the server's own."""
    create = f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'of jane.doe@example.com' USING ERRCODE = '{sqlstate}'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW
            WHEN (NEW.scope = '{BAD}') EXECUTE FUNCTION refuse()"""
    _execute(url, create)
    try:
        yield
    finally:
        _execute(url, "DROP TRIGGER refuse ON event; DROP FUNCTION refuse()")


@contextmanager
def refusing_all(url: str) -> Iterator[None]:
    """Inside, no event can be inserted."""
    _execute(url, "ALTER TABLE event ADD CONSTRAINT none CHECK (false) NOT VALID")
    try:
        yield
    finally:
        _execute(url, "ALTER TABLE event DROP CONSTRAINT none")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "sqlstate",
    ["XX001", "57P01", "53200", "25006", "57014", "42501", "23514"],
    ids=["data_corrupted", "shutdown", "memory", "read_only", "cancelled", "privilege", "check"],
)
def test_a_record_that_the_database_refuses_blocks_nobody(
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    admin_url: str,
    sqlstate: str,
) -> None:  # I1, I2: whatever the database says of one record, only the probe says "away"
    people = [make_token(f"p{n}@example.com") for n in range(30)]
    spool_clicks(client, database, [*people[:15], make_token(scope=BAD), *people[15:]])
    with refusing(admin_url, sqlstate), structlog.testing.capture_logs() as logs:
        replayed = replay()
        assert (replayed.recorded, replayed.rejected, replayed.blocked) == (30, 0, 1)
        assert not replayer.outage.down.is_set()  # live clicks are recorded
        assert client.post(f"/u/{make_token('ann@example.com')}", data=PAIR).status_code == 200
    assert len(ledger.events()) == 31
    [line] = [each for each in logs if each["event"] == "spool_record_blocked"]
    assert sqlstate in str(line)
    assert "jane" not in str(logs)
    assert replay().recorded == 1


@pytest.mark.parametrize("name", ["0-00.spool", "9-00.spool"], ids=["first", "last"])
def test_a_file_that_cannot_be_opened_blocks_no_other(
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    folder: Path,
    name: str,
) -> None:  # I1
    spool_clicks(client, database, [make_token()])
    (folder / name).symlink_to(name)  # no user may open it; one of root's only root may
    with structlog.testing.capture_logs() as logs:
        assert replay().recorded == 1
        replay()
    [line] = [each for each in logs if each["event"] == "spool_file_blocked"]
    assert (line["file"], line["error"]) == (name, "OSError")
    assert replayer.spool.folder.status().unreadable_files == 1
    assert len(ledger.events()) == 1


def test_a_click_is_recorded_within_one_run_whatever_waits(
    app: Flask,
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    admin_url: str,
) -> None:  # I1, I2: also behind hundreds that can't be recorded
    bad = [make_token(f"p{n}@example.com", BAD) for n in range(3 * BATCH_SIZE)]
    with refusing(admin_url, "XX001"):
        spool_clicks(client, database, bad)
        assert replay().blocked == len(bad)
        spool_clicks(client, database, [make_token()])
        assert replay().recorded == 1
    while replay().blocked:
        pass
    assert len(ledger.events()) == len(bad) + 1


def test_thousands_of_blocked_records_cost_few_transactions_at_a_time(
    app: Flask,
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I2
    from preference_center.ledger.spool import replayer as replaying

    spool_clicks(client, database, [make_token(f"p{n}@example.com") for n in range(3 * BATCH_SIZE)])
    tried: list[int] = []

    def fail(changes: list[object], **_: object) -> None:
        tried.append(len(changes))
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(replaying, "record", fail)
        for _ in range(30):
            tried.clear()
            assert replay().blocked == 3 * BATCH_SIZE
            assert 0 < len(tried) <= 20
        assert set(tried) == {1}
    while replay().blocked:
        pass
    assert len(ledger.events()) == 3 * BATCH_SIZE


def test_blocked_records_are_tried_in_turn_and_less_and_less_often() -> None:
    progress = ReplayProgress()
    progress.groups.extend([(0,), (700,)])
    delays = []
    for _ in range(7):
        progress.failures += len(progress.groups)
        progress.put_off(100.0)
        delays.append(progress.retry_at - 100.0)
    assert delays == [1, 2, 4, 8, 10, 10, 10]
    progress.failures = 1  # the other is not tried yet
    progress.put_off(100.0)
    assert progress.retry_at == 100.0


def test_until_it_is_due_a_blocked_file_is_not_tried(
    app: Flask,
    client: FlaskClient,
    token: str,
    database: Database,
    replayer: SpoolReplayer,
    admin_url: str,
) -> None:
    now = 0.0
    replayer.monotonic = lambda: now
    spool_clicks(client, database, [token])
    with app.app_context(), refusing_all(admin_url):
        assert replayer.run_once().blocked == 1
    with app.app_context():
        assert replayer.run_once().recorded == 0  # not due
        now = 1.0
        assert replayer.run_once().recorded == 1
