"""All processes, with the database role and the Redis user that the service asks a company for."""

from __future__ import annotations

import psycopg
import pytest
from redis import Redis

from dev.engines import Engines
from dev.processes import wait_until
from tests.faults.service import PATIENCE, Service
from tests.faults.tool import SlowReceiver
from tests.restricted import refused_commands, restrict

ROLE = "restricted"
PROCESSES = ("web", "worker", "fresh", "scheduler")


@pytest.fixture
def few_rights(service: Service, own_engines: Engines) -> Service:
    """Its processes have few rights, and the test itself all."""
    service.settings = restrict(service.settings, own_engines.database.url, ROLE)
    return service


def test_an_opt_out_reaches_a_tool_and_nothing_is_refused(
    few_rights: Service, own_engines: Engines, tool: SlowReceiver
) -> None:
    service = few_rights
    for name in PROCESSES:
        service.start(name)
    service.click(service.token("jane@example.com"))
    assert wait_until(lambda: "jane@example.com" in tool.off, PATIENCE)
    assert wait_until(lambda: service.pending() == 0, PATIENCE), service.logs()
    # A new start of the server begins an epoch.
    own_engines.database.restart()
    service.click(service.token("paul@example.com"))
    assert wait_until(lambda: "paul@example.com" in tool.off, PATIENCE), service.logs()
    assert refused_commands(own_engines.redis.url) == []
    assert "redis_unavailable" not in service.logs()
    assert '"refused"' not in service.logs()
    assert all(process.alive for process in service.processes)


@pytest.mark.parametrize("statement", ["UPDATE event SET source = ''", "DELETE FROM event"])
def test_the_ledger_can_only_be_added_to(few_rights: Service, statement: str) -> None:  # I8
    with (
        psycopg.connect(few_rights.settings.database_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_a_command_that_redis_refuses_is_named_in_the_log(
    few_rights: Service, own_engines: Engines
) -> None:
    with Redis.from_url(own_engines.redis.url) as redis:
        redis.execute_command("ACL", "SETUSER", ROLE, "-info")
    worker = few_rights.start("worker")
    assert wait_until(lambda: "'info' command" in worker.log.read_text(), PATIENCE)
