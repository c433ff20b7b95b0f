"""Redis that is gone, full or refuses writes, and workers that are gone, are seen (I3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from dev.valkey import Valkey
from preference_center.destinations.rules.promise import QueueMeasurement, QueueProblem
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.job_queue import QUEUE_NAMES
from preference_center.infra.redis import acl_rule, connect_redis
from preference_center.monitoring.measure import measure_queue
from preference_center.monitoring.probes import NEEDS_REDIS_KEY, require_redis
from tests.redis_servers import own_valkey
from workers.worker import make_worker

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """A Valkey of these tests alone."""
    with own_valkey() as valkey:
        yield valkey


@pytest.fixture
def redis(app: Flask, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """The one that the service uses, empty."""
    use(app, monkeypatch, valkey.url)
    with connect_redis(valkey.url) as connection:
        connection.flushall()
        yield connection
        connection.execute_command("REPLICAOF", "NO", "ONE")
        connection.config_set("maxmemory", 0)


def use(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    settings = services().settings.model_copy(update={"redis_url": url})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


@pytest.fixture
def is_worker(app: Flask) -> Iterator[None]:
    """This process is a worker."""
    require_redis(app)
    yield
    del app.extensions[NEEDS_REDIS_KEY]


def readiness(app: Flask) -> tuple[int, str | None]:
    answer = app.test_client().get("/readyz")
    assert answer.json
    return answer.status_code, answer.json.get("redis")


def test_workers_are_counted_by_queue_while_they_live(redis: Redis) -> None:
    assert measure_queue() == QueueMeasurement(workers=dict.fromkeys(QUEUE_NAMES, 0))
    every, fresh = make_worker(redis), make_worker(redis, ["fresh"])
    every.register_birth()  # type: ignore[no-untyped-call]
    fresh.register_birth()  # type: ignore[no-untyped-call]
    assert measure_queue().workers == dict.fromkeys(QUEUE_NAMES, 1) | {"fresh": 2}
    redis.delete(fresh.key)  # it was killed, and its time is over
    assert measure_queue().workers["fresh"] == 1
    every.register_death()  # type: ignore[no-untyped-call]
    assert measure_queue().workers == dict.fromkeys(QUEUE_NAMES, 0)


@pytest.mark.usefixtures("is_worker")
def test_a_server_that_is_full_or_a_replica_refuses_writes(app: Flask, redis: Redis) -> None:
    assert readiness(app) == (200, "usable")
    redis.config_set("maxmemory", 1)
    assert measure_queue() == QueueMeasurement(QueueProblem.REFUSES_WRITES)
    assert readiness(app) == (503, "refuses_writes")
    redis.config_set("maxmemory", 0)
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    assert measure_queue().problem in {QueueProblem.REFUSES_WRITES, QueueProblem.UNREACHABLE}
    assert readiness(app)[0] == 503


def test_one_that_is_gone_makes_no_web_process_unready(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    use(app, monkeypatch, "redis://127.0.0.1:1/0")
    assert measure_queue() == QueueMeasurement(QueueProblem.UNREACHABLE)
    assert readiness(app) == (200, None)


@pytest.mark.usefixtures("is_worker")
def test_one_that_is_gone_makes_a_worker_unready(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(app, monkeypatch, "redis://127.0.0.1:1/0")
    assert readiness(app) == (503, "unreachable")


def test_a_log_in_that_is_refused_is_said_and_few_rights_are_enough(
    app: Flask, redis: Redis, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(app, monkeypatch, valkey.url.replace(f":{valkey.state.password}@", ":wrong@"))
    assert measure_queue() == QueueMeasurement(QueueProblem.REFUSED)
    redis.execute_command(*acl_rule("few").split(), "on", ">secret")  # type: ignore[no-untyped-call]
    use(app, monkeypatch, valkey.url.replace(f":{valkey.state.password}@", "few:secret@"))
    assert measure_queue().problem is None
