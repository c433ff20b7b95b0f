"""What the probes report of a spool."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.monitoring import probes
from tests.clock import START, Clock
from tests.ledger.spool.conftest import PAIR, Database, Replay

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer


def test_a_process_is_ready_as_long_as_it_can_accept_an_opt_out(
    client: FlaskClient,
    token: str,
    database: Database,
    replayer: SpoolReplayer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1
    monkeypatch.setattr(probes, "PROBE_TIMEOUT_SECONDS", 30)
    with database.away():
        client.post(f"/u/{token}", data=PAIR)
        answer = client.get("/readyz")
        assert answer.status_code == 200
        found = answer.get_json()
        assert (found["status"], found["database"]) == ("ready", "unreachable")
        assert found["spool"]["waiting"] == 1
        assert found["spool"]["oldest_received_at"] == START.isoformat()
        (folder / "1-00.rejected").write_bytes(b"x" * replayer.spool.folder.max_bytes)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.get_json()["spool"]["writable"] is False


def test_health_counts_what_waits_on_disk(
    client: FlaskClient, token: str, database: Database, replay: Replay, clock: Clock, folder: Path
) -> None:  # I3
    with database.away():
        client.post(f"/u/{token}", data=PAIR)
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert answer.get_json()["spool"]["waiting"] == 1
    [path] = folder.glob("*.spool")
    content = path.read_bytes()
    replay()
    (folder / "1-00.spool").write_bytes(content)  # of a host whose processes never run again
    clock.advance(timedelta(hours=37))
    found = client.get("/healthz").get_json()
    assert (found["window"], found["spool"]["waiting"]) == ("at_risk", 1)


def test_without_a_spool_they_say_so(client: FlaskClient) -> None:
    assert client.get("/readyz").get_json()["spool"] is None
    assert client.get("/healthz").get_json()["spool"] is None
