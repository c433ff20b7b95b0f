"""A standby takes over, or the server takes no writes any more: nothing of ours is restarted."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dev.engines import Engines
from dev.postgres import Postgres
from dev.processes import wait_until
from tests.faults.service import PATIENCE, Process, Service
from tests.faults.tool import SlowReceiver

LONG = 2 * PATIENCE


class Standby(Postgres):
    name = "postgres-standby"


@pytest.fixture
def standby(own_engines: Engines, service: Service) -> Iterator[Postgres]:
    """A standby that has caught up. Every process of the service is given both servers."""
    primary = own_engines.database
    assert isinstance(primary, Postgres)
    standby = Standby(own_engines.folder, primary.account, durable=False)
    try:
        standby.follow(primary)
        state = primary.state
        hosts = f"127.0.0.1:{state.port},127.0.0.1:{standby.state.port}"
        name = primary.url.rpartition("/")[2]
        url = f"postgresql://{name}:{state.password}@{hosts}/{name}"
        service.extra = {**service.extra, "DATABASE_URL": url}
        yield standby
    finally:
        standby.stop()


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
