"""Redis comes back with nothing, or with what it held an hour ago (I1, I2, I3).

Its append-only file was lost with its disk, or is an old copy. What Redis has are nudges, locks
of jobs, rate limits and counts; sessions of the console are in the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from redis import Redis

from dev.accounts import remove, server_account
from dev.engines import Engines
from dev.processes import wait_until
from dev.valkey import Valkey
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api.keys import KeyScope, create_key
from tests.clock import START as LONG_AGO
from tests.faults.service import PATIENCE, START, Service
from tests.faults.test_web import Load, lost
from tests.faults.tool import SlowReceiver
from tests.web.console.staff import HOST, cookie_of, staff

RATE = 5
"""How often the key of the test may ask in an hour."""


@pytest.fixture
def valkey(own_engines: Engines, service: Service) -> Valkey:
    """One that keeps a file, as in production."""
    before = own_engines.redis
    assert isinstance(before, Valkey)
    before.stop()
    valkey = Valkey(own_engines.folder, server_account(), durable=True)
    own_engines.redis = valkey
    valkey.start()
    return valkey


def lose_file(valkey: Valkey, copy: Path) -> None:
    remove(valkey.data)


def put_back(valkey: Valkey, copy: Path) -> None:
    remove(valkey.data)
    shutil.copytree(copy, valkey.data)
    valkey.account.give(valkey.data)


@pytest.mark.parametrize("lose", [lose_file, put_back], ids=["lost", "old"])
def test_opt_outs_go_on_and_are_delivered(
    service: Service,
    valkey: Valkey,
    tool: SlowReceiver,
    tmp_path: Path,
    lose: Callable[[Valkey, Path], None],
) -> None:  # I1, I3
    copy = tmp_path / "copy"
    with Redis.from_url(valkey.url) as redis:
        service.start("web")
        load = Load(service)
        with load:
            assert wait_until(lambda: redis.dbsize() and load.counts[200] >= 20, PATIENCE)
            valkey.stop()
            shutil.copytree(valkey.data, copy)
            valkey.start()
            processes = [service.start(name) for name in ("worker", "scheduler")]
            assert wait_until(lambda: len(tool.off) >= 20, START), service.logs()
            valkey.kill()
            lose(valkey, copy)
            valkey.start()
            before = load.counts[200]
            assert wait_until(lambda: load.counts[200] >= before + 50, PATIENCE)
    assert set(load.counts) == {200}, load.bodies
    assert lost(service, load) == []
    assert wait_until(lambda: load.promised <= set(tool.off), START)
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert all(process.alive for process in processes)


def test_who_is_limited_gets_an_answer_all_the_while(
    service: Service, valkey: Valkey
) -> None:  # I1, I2
    with service.app.app_context():
        key = run_in_transaction(
            lambda c: create_key(c, "slow", [KeyScope.CHECK], ["*"], LONG_AGO, f"{RATE} per hour")
        )
    service.start("web")

    def ask() -> int:
        body = {"message_type": "offers.weekly", "recipient": "ada@example.com"}
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.post(
            f"{service.url}/v1/decisions", json=body, headers=headers, timeout=20
        ).status_code

    assert [ask() for _ in range(RATE + 1)] == [200] * RATE + [429]
    valkey.kill()
    remove(valkey.data)
    assert service.post(service.token("jane@example.com")).status_code == 200
    assert ask() in {200, 429}
    valkey.start()
    assert ask() in {200, 429}


def test_who_is_signed_in_to_the_console_stays_so(service: Service, valkey: Valkey) -> None:
    who = staff(service.app, Role.SUPPORT)
    cookie = f"console={cookie_of(service.app, {'staff': who.token})}"
    service.start("console")
    url = f"http://127.0.0.1:{service.console_port}/console/sessions"

    def status(cookie: str = cookie) -> int:
        headers = {"Cookie": cookie, "Host": HOST}
        try:
            return httpx.get(url, headers=headers, timeout=20).status_code
        except httpx.TransportError:
            return 0

    assert wait_until(lambda: status() != 0, START), service.logs()
    assert (status(), status("")) == (200, 302)
    valkey.kill()
    remove(valkey.data)
    assert status() == 200
    valkey.start()
    assert status() == 200
