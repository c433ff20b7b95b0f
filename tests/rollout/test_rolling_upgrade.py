"""The version before the newest migration is replaced by this one, under clicks and decisions.

The test needs no care with the next migration: it takes the newest, and the commit before it.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from dev.processes import wait_until
from preference_center.infra.db.schema import load_revisions
from tests.rollout.conftest import InFront, NewTraffic
from tests.rollout.fleet import PATIENCE, ROOT, Fleet, check_out_before, newest_migration
from tests.rollout.test_rolling_restart import settle


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The files of the version before."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout: the version before is unknown")
    return check_out_before(newest_migration(), tmp_path / "old")


def test_an_upgrade_over_the_newest_migration_refuses_and_loses_no_click(
    fleet: Fleet,
    old: Path,
    in_front: InFront,
    traffic: NewTraffic,
) -> None:  # I1
    key = fleet.set_up(old)
    webs = [fleet.start(old).await_ready() for _ in range(2)]
    with in_front(*webs) as proxy, traffic(proxy, key) as under:
        settle(under)

        # Somebody rolls out before the migration: the new process isn't ready, and loses nothing.
        early = fleet.start()
        assert wait_until(lambda: early.readiness()[0] == 503, PATIENCE)
        assert wait_until(lambda: answers(early.url), PATIENCE)
        status, found = early.readiness()
        assert (status, found["database"]) == (503, "other_schema")
        assert "run `flask db upgrade`" in found["reason"]
        under.clicks["early@example.com"] = click(early.url, under.token("early@example.com"))
        assert under.clicks["early@example.com"] == "202"

        fleet.run("db", "upgrade")  # beside the old version
        settle(under)
        early.await_ready()  # by itself
        assert wait_until(lambda: not under.unrecorded(), PATIENCE)

        for web in webs:
            fleet.replace(web)
            settle(under)
    assert under.failures == {}
    assert wait_until(lambda: not under.unrecorded(), PATIENCE)


def test_the_revision_of_this_version_is_that_of_the_newest_file() -> None:
    assert newest_migration().name.startswith(load_revisions().newest)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/form", timeout=10).status_code > 0
    except httpx.TransportError:
        return False


def click(url: str, token: str) -> str:
    data = {"List-Unsubscribe": "One-Click"}
    return str(httpx.post(f"{url}/u/{token}", data=data, timeout=30).status_code)
