"""A standby takes over, or the server takes no writes any more: nothing of ours is restarted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from dev.engines import Engines
from dev.postgres import Postgres
from dev.processes import children, wait_until
from tests.faults.service import PATIENCE, Process, Service, wrong_clock
from tests.faults.test_clocks import is_allowed
from tests.faults.test_spool import waiting
from tests.faults.test_web import Load, lost
from tests.faults.tool import SlowReceiver
from tests.web.api.sender import make_sender

LONG = 2 * PATIENCE


class Standby(Postgres):
    name = "postgres-standby"


@contextmanager
def following(
    own_engines: Engines, service: Service, clock: Mapping[str, str] | None = None
) -> Iterator[Postgres]:
    """A standby that has caught up. Every process of the service is given both servers."""
    primary = own_engines.database
    assert isinstance(primary, Postgres)
    standby = Standby(own_engines.folder, primary.account, durable=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (clock or {}).items():
                patch.setenv(name, value)
            standby.follow(primary)
        state = primary.state
        hosts = f"127.0.0.1:{state.port},127.0.0.1:{standby.state.port}"
        name = primary.url.rpartition("/")[2]
        url = f"postgresql://{name}:{state.password}@{hosts}/{name}"
        service.extra = {**service.extra, "DATABASE_URL": url}
        yield standby
    finally:
        standby.stop()


@pytest.fixture
def standby(own_engines: Engines, service: Service) -> Iterator[Postgres]:
    with following(own_engines, service) as standby:
        yield standby


def began(service: Service) -> list[Process]:
    return [service.start(name) for name in ("web", "worker", "scheduler")]


def clicked(service: Service, person: str) -> bool:
    return service.post(service.token(person)).status_code == 200


def people(server: Postgres) -> int:
    with psycopg.connect(server.url) as connection:
        found = connection.execute("SELECT count(*) FROM suppression WHERE active").fetchone()
        assert found
        return int(found[0])


def test_clicks_go_on_after_a_standby_is_promoted(
    service: Service, own_engines: Engines, standby: Postgres, tool: SlowReceiver
) -> None:  # I1, I3
    processes = began(service)
    service.click(service.token("before@example.com"))
    assert wait_until(lambda: people(standby) == 1, LONG)
    own_engines.database.kill()
    standby.promote()
    assert wait_until(lambda: clicked(service, "after@example.com"), LONG)
    assert wait_until(lambda: people(standby) == 2, LONG)
    assert wait_until(lambda: {"before@example.com", "after@example.com"} <= set(tool.off), LONG)
    assert all(process.alive for process in processes)
    assert '"unexpected"' not in service.logs()


@pytest.mark.parametrize("by", [-60, 60, -60 * 24 * 40], ids="{} minutes".format)
def test_a_standby_with_a_wrong_clock_loses_and_allows_nobody(
    service: Service, own_engines: Engines, by: int
) -> None:  # I1, I2, I5: an opt-out after it may be dated before the opt-in that it ends
    key = make_sender(service.app, scopes=["check"]).key
    clock = wrong_clock(timedelta(minutes=by))
    with following(own_engines, service, clock) as standby:
        processes = [service.start(name, shifts=False) for name in ("web", "worker", "scheduler")]
        service.click(service.token("before@example.com"))
        service.opt_in("jane@example.com")
        assert wait_until(lambda: people(standby) == 1, LONG)
        assert is_allowed(service, key, "jane@example.com")
        own_engines.database.kill()
        standby.promote()
        assert wait_until(lambda: clicked(service, "jane@example.com"), LONG)
        for person in ("before@example.com", "jane@example.com"):
            assert not is_allowed(service, key, person)
        assert all(process.alive for process in processes)
        assert '"unexpected"' not in service.logs()


def end(primary: Postgres) -> None:
    """Kill it with all its processes, as when its machine is lost."""
    each = children(primary.state.pid or 0)
    primary.kill()
    for pid in each:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_who_read_what_an_asynchronous_standby_lacks_is_told_to_read_everything_again(
    service: Service, own_engines: Engines, standby: Postgres, tool: SlowReceiver
) -> None:  # I1, I3: what was lost with the primary is not lost in silence
    processes = began(service)
    service.click(service.token("before@example.com"))
    assert wait_until(lambda: people(standby) == 1, LONG)
    headers = {"Authorization": f"Bearer {make_sender(service.app, scopes=['read']).key}"}

    def read(path: str, **query: str) -> httpx.Response:
        return httpx.get(f"{service.url}/v1/{path}", params=query, headers=headers, timeout=20)

    early = read("changes").json()["next"]
    standby.stop()  # it lags from now on
    service.click(service.token("lost@example.com"))
    page = read("changes", after=early).json()
    assert [each["address"] for each in page["changes"]] == ["lost@example.com"]
    assert wait_until(lambda: "lost@example.com" in tool.off, LONG)

    primary = own_engines.database
    assert isinstance(primary, Postgres)
    end(primary)
    standby.start()
    standby.promote()
    assert wait_until(lambda: clicked(service, "after@example.com"), LONG)
    assert wait_until(lambda: "after@example.com" in tool.off, LONG)
    assert people(standby) == 2  # without the lost one, who stays off in the tool
    assert "lost@example.com" in tool.off

    def statuses() -> list[int]:
        afters = [{}, {"after": early}, {"after": page["next"]}]
        return [read("changes", **after).status_code for after in afters]

    # Each of the server's processes finds it at its own next check.
    assert wait_until(lambda: statuses() == [503, 503, 503], LONG)
    assert service.run("ledger", "accept-restore", "--yes").popen.wait(PATIENCE) == 0
    assert wait_until(lambda: statuses() == [200, 410, 410], LONG)
    assert wait_until(lambda: read("changes/snapshot").status_code == 200, LONG)
    assert all(process.alive for process in processes)
    assert '"unexpected"' not in service.logs()


def follow_synchronously(primary: Postgres) -> None:
    """Let no commit be acknowledged that the standby has not."""
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        query = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
        assert wait_until(lambda: connection.execute(query).rowcount == 1, LONG)


def test_nothing_acknowledged_is_lost_with_the_primary_of_a_synchronous_standby(
    service: Service, own_engines: Engines, standby: Postgres, tmp_path: Path
) -> None:  # I1
    primary, folder = own_engines.database, tmp_path / "spool"
    assert isinstance(primary, Postgres)
    follow_synchronously(primary)
    service.settings = service.settings.model_copy(update={"spool_dir": str(folder)})
    web = service.start("web")
    load = Load(service)
    with load:
        assert wait_until(lambda: load.counts[200] >= 50, LONG)
        end(primary)
        assert wait_until(lambda: load.counts[202] >= 10, LONG), load.counts
        with psycopg.connect(standby.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        standby.promote()
        before = load.counts[200]
        assert wait_until(lambda: load.counts[200] >= before + 50, LONG), load.counts
    assert set(load.counts) <= {200, 202}, load.bodies
    assert wait_until(lambda: waiting(folder) == 0, LONG)
    service.settings = service.settings.model_copy(update={"database_url": standby.url})
    assert lost(service, load) == []
    assert web.alive


def set_read_only(server: Postgres, setting: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("query", ["", "?target_session_attrs=any"], ids=["writable", "any"])
def test_a_server_that_takes_no_writes_is_survived(
    service: Service, own_engines: Engines, tool: SlowReceiver, query: str
) -> None:  # I1
    database = own_engines.database
    assert isinstance(database, Postgres)
    # With "any" connecting works, and only a write finds it out.
    service.extra = {**service.extra, "DATABASE_URL": f"{database.url}{query}"}
    processes = began(service)
    service.click(service.token("before@example.com"))
    set_read_only(database, "SET default_transaction_read_only = on")
    answers = {service.post(service.token(f"p{n}@example.com")).status_code for n in range(20)}
    assert answers <= {200, 202, 503}
    processes += [service.start(name) for name in ("worker", "scheduler")]
    assert wait_until(lambda: service.logs().count('"database_unavailable"') >= 2, PATIENCE)
    set_read_only(database, "RESET default_transaction_read_only")
    assert wait_until(lambda: clicked(service, "after@example.com"), PATIENCE)
    assert wait_until(lambda: "after@example.com" in tool.off, LONG)
    assert all(process.alive for process in processes)
    assert '"unexpected"' not in service.logs()
