"""The feed as a data team reads it."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from dev.processes import wait_until
from preference_center.core.errors import ReplayPending, Unavailable
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import watermarks
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.web.api.keys import KeyScope
from tests.clock import START, Clock
from tests.environment import with_database
from tests.ledger.feed.reader import writing_elsewhere
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse


@pytest.fixture
def reader(in_force: Flask) -> Sender:
    with in_force.app_context():
        watermarks.ensure_epoch()
    return make_sender(in_force, "warehouse", ["read"])


def changes(reader: Sender, **query: str | int) -> dict[str, Any]:
    answer = reader.client.get("/v1/changes", query_string=query, headers=reader.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def all_changes(reader: Sender, count: int) -> list[dict[str, Any]]:
    """Others' transactions on this server may hold us back for a moment."""
    assert wait_until(lambda: len(changes(reader)["changes"]) == count, seconds=30)
    return list(changes(reader)["changes"])


def snapshot(reader: Sender) -> list[dict[str, Any]]:
    answer = reader.client.get("/v1/changes/snapshot", headers=reader.headers)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/x-ndjson"
    return [json.loads(line) for line in answer.data.splitlines()]


def test_a_change_has_the_state_of_its_scope(sender: Sender, reader: Sender) -> None:
    event = sender.opt_out("ada@example.com", "acme.offers")["event"]
    (change,) = all_changes(reader, 1)
    at = START.isoformat()
    assert change.pop("ref").isdigit()
    assert change == {
        "id": event,
        "kind": "opted_out",
        "scope": "acme.offers",
        "channel": "email",
        "address": "ada@example.com",
        "occurred_at": at,
        "recorded_at": at,
        "counts_at": at,
        "source": "senders",
        "status": {"off": True, "out_at": at, "out_reason": "opted_out"},
    }


def test_next_goes_on_and_an_empty_page_has_one_too(sender: Sender, reader: Sender) -> None:
    for number in range(3):
        sender.opt_out(f"p{number}@example.com", "acme.offers")
    all_changes(reader, 3)
    first = changes(reader, limit=2)
    rest = changes(reader, after=first["next"])
    assert (len(first["changes"]), first["more"]) == (2, True)
    assert (len(rest["changes"]), rest["more"]) == (1, False)
    assert changes(reader, after=rest["next"])["changes"] == []


def test_an_address_that_nobody_can_read_is_left_out(sender: Sender, reader: Sender) -> None:  # I6
    sender.opt_out("ada@example.com", "acme.offers")
    with reader.app.app_context():
        run_in_transaction(
            lambda c: c.execute("UPDATE address SET ciphertext = NULL WHERE channel = 'email'")
        )
    (change,) = all_changes(reader, 1)
    assert "address" not in change
    assert "address" not in snapshot(reader)[1]


def test_a_snapshot_has_a_beginning_and_an_end(sender: Sender, reader: Sender) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    sender.consent("ada@example.com", "acme.news")
    all_changes(reader, 2)  # else the snapshot's watermark may be held back as well
    first, *rows, last = snapshot(reader)
    assert last == {"end": True, "count": 2}
    assert sorted((row["scope"], row["status"]["off"]) for row in rows) == [
        ("acme.news", False),
        ("acme.offers", True),
    ]
    assert changes(reader, after=first["watermark"])["changes"] == []


def test_a_snapshot_can_be_compressed_and_a_cut_one_is_noticed(
    sender: Sender, reader: Sender
) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    headers = reader.headers | {"Accept-Encoding": "gzip"}
    answer = reader.client.get("/v1/changes/snapshot", headers=headers)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert len(gzip.decompress(answer.data).splitlines()) == 3
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(answer.data[:-9])


def test_a_snapshot_that_is_left_gives_its_connection_back(sender: Sender, reader: Sender) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    query += " AND state LIKE 'idle in transaction%'"
    for _ in range(40):  # more than the pool has, and than may stream at once
        answer = reader.client.get("/v1/changes/snapshot", headers=reader.headers, buffered=False)
        answer.close()
    assert reader.rows(query) == [(0,)]


def fill(reader: Sender) -> None:
    """More suppressions than the answer's first block and the database's first rows hold."""
    reader.rows(
        "WITH a AS (INSERT INTO address (channel, digest, norm_version, created_at)"
        " SELECT 'email', sha256(n::text::bytea), 1, '2026-01-01' FROM generate_series(1, 9000) n"
        " RETURNING id) INSERT INTO suppression (address_id, scope, out_at, out_event, reason)"
        " SELECT id, 'acme.offers', '2026-01-01', gen_random_uuid(), 'opted_out' FROM a"
        " RETURNING 1"
    )
    with reader.app.app_context():  # as autovacuum does: statistics of empty tables make it square
        run_in_transaction(lambda c: c.execute("ANALYZE address, suppression"))


def test_no_more_snapshots_than_threads_can_be_spared_for(reader: Sender) -> None:
    def begin() -> TestResponse:
        return reader.client.get("/v1/changes/snapshot", headers=reader.headers, buffered=False)

    fill(reader)
    most = reader.app.extensions[EXTENSION_NAME].settings.max_streams
    held = [begin() for _ in range(most)]
    refused = begin()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    for answer in held:
        answer.close()
    assert snapshot(reader)[-1] == {"end": True, "count": 9000}


def test_every_snapshot_is_in_the_audit(reader: Sender) -> None:
    snapshot(reader)
    assert reader.rows("SELECT actor, action FROM audit") == [("key:warehouse", "feed.snapshot")]


def test_an_open_transaction_anywhere_is_reported_and_nothing_skipped(
    sender: Sender, reader: Sender, database_url: str
) -> None:
    with writing_elsewhere(with_database(database_url, "postgres")):
        sender.opt_out("ada@example.com", "acme.offers")
        page = changes(reader)
        assert page["changes"] == []
        assert page["lag"]["events"] == 1
        # The oldest may be of another role for a moment, whose ages this one is not shown.
        assert wait_until(lambda: changes(reader)["lag"].get("seconds", -1) >= 0, seconds=30)
    assert wait_until(lambda: bool(changes(reader, after=page["next"])["changes"]), seconds=30)


def test_a_watermark_of_another_epoch_is_gone(reader: Sender) -> None:
    old = changes(reader)["next"]
    with reader.app.app_context():
        run_in_transaction(lambda connection: watermarks.begin_epoch(connection, START))
    answer = reader.client.get(f"/v1/changes?after={old}", headers=reader.headers)
    assert answer.status_code == 410
    assert answer.get_json()["type"].endswith("/problems/stale-watermark")


@pytest.mark.parametrize(
    "query, parameter",
    [
        ("after=yesterday", "after"),
        ("after=", "after"),
        ("after=9f86d081.99999999999999999999.0", "after"),
        ("after=9f86d081.01.0", "after"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("address=ada", "address"),
    ],
)
def test_a_wrong_parameter_is_named(reader: Sender, query: str, parameter: str) -> None:
    answer = reader.client.get(f"/v1/changes?{query}", headers=reader.headers)
    assert answer.status_code == 422, answer.text
    assert [error["parameter"] for error in answer.get_json()["errors"]] == [parameter]


@pytest.mark.parametrize("path", ["/v1/changes", "/v1/changes/snapshot"])
def test_only_a_key_that_may_read_reads(in_force: Flask, path: str) -> None:
    others = [scope for scope in KeyScope if scope is not KeyScope.READ]
    sender = make_sender(in_force, scopes=others)
    assert sender.client.get(path, headers=sender.headers).status_code == 403
    assert sender.client.get(path).status_code == 401


def test_a_snapshot_that_breaks_off_lacks_its_last_line(reader: Sender) -> None:
    fill(reader)
    answer = reader.client.get("/v1/changes/snapshot", headers=reader.headers, buffered=False)
    blocks = answer.iter_encoded()
    got = [next(blocks)]
    reader.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state = 'idle in transaction'"
    )
    with pytest.raises(Unavailable):
        got.extend(blocks)
    lines = b"".join(got).splitlines()
    assert 1 < len(lines) < 9000
    assert all("end" not in json.loads(line) for line in lines)


def test_a_snapshot_ends_without_its_last_line_once_events_are_found_lost(
    reader: Sender, clock: Clock
) -> None:  # I2
    fill(reader)
    answer = reader.client.get("/v1/changes/snapshot", headers=reader.headers, buffered=False)
    blocks = answer.iter_encoded()
    got = [next(blocks)]
    reader.rows("INSERT INTO history_loss (found_at) VALUES (now()) RETURNING 1")
    clock.advance(CHECK_INTERVAL)
    with pytest.raises(ReplayPending):
        got.extend(blocks)
    answer.close()
    assert len(got) == 1
    assert b'"end"' not in got[0]
