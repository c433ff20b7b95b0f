"""`REDIS_URL` in every form, with servers that run in that form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis.strategies import from_regex
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from dev.processes import wait_until
from dev.valkey import Valkey
from preference_center.core.errors import ConfigError
from preference_center.infra.config import _ONE_SERVER, Settings, load_settings
from preference_center.infra.job_queue import JobQueue
from preference_center.infra.redis import (
    RedisRateLimiter,
    connect_redis,
    require_no_cluster,
    validate_redis_url,
)
from tests.redis_servers import ClusterNode, Replica, SentinelServer, behind_tls, own_valkey
from workers.worker import make_worker

PATIENCE = 120.0
"""Seconds; a sentinel that was held up for 2 s does nothing for 30 s (its TILT mode)."""


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:password@localhost:6379/3",
        "rediss://user:password@localhost:6380/0?ssl_cert_reqs=none",
        "unix:///run/valkey.sock?db=2",
        "redis+sentinel://localhost/queue",
        "rediss+sentinel://user:pass%40word@one:26379,two,[::1]:26380/queue/4?sentinel_password=x",
    ],
)
def test_forms_that_are_understood(url: str) -> None:
    assert validate_redis_url(url) == url


@given(from_regex(_ONE_SERVER, fullmatch=True))
def test_the_library_accepts_what_is_accepted_by_its_form(url: str) -> None:
    assert validate_redis_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port/0",
        "redis://localhost:65536/0",
        "redis://:pass[word@localhost",
        "redis+sentinel://localhost:26379",
        "redis+sentinel://localhost:port/queue",
        "redis+sentinel://localhost/queue/first",
        "redis+sentinel:///queue",
    ],
)
def test_others_stop_the_start_without_being_repeated(
    url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.model_dump(exclude_none=True).items():
        monkeypatch.setenv(name.upper(), str(value))
    monkeypatch.setenv("REDIS_URL", f"{url}#secret")
    with pytest.raises(ConfigError, match="REDIS_URL: write it as") as error:
        load_settings()
    assert "secret" not in str(error.value)


@pytest.fixture
def tls(redis_url: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL by TLS, and the certificate to trust."""
    parts = urlsplit(redis_url)
    with behind_tls(parts.port or 0, tmp_path) as (port, certificate):
        url = parts._replace(scheme="rediss", netloc=f":{parts.password}@localhost:{port}")
        yield url.geturl(), certificate


def test_tls_with_a_certificate_of_the_companys_own(tls: tuple[str, Path]) -> None:
    url, certificate = tls
    with connect_redis(f"{url}?ssl_ca_certs={certificate}", timeout=5) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_a_certificate_that_nobody_trusts_is_refused(tls: tuple[str, Path]) -> None:
    with connect_redis(tls[0], timeout=5) as client, pytest.raises(RedisConnectionError):
        client.ping()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey of this test alone, in a folder for more."""
    with own_valkey() as valkey:
        yield valkey


@pytest.fixture
def sentinel(valkey: Valkey) -> Iterator[SentinelServer]:
    """The sentinel that watches `valkey` and a replica of it."""
    replica = Replica(valkey.folder, valkey.account, durable=False)
    sentinel = SentinelServer(valkey.folder, valkey.account, durable=False)
    replica.primary = sentinel.primary = valkey.state
    with connect_redis(valkey.url) as client:
        client.config_set("repl-diskless-sync-delay", 0)  # it waits 5 s for other replicas
    try:
        replica.start()
        sentinel.start()
        yield sentinel
    finally:
        sentinel.stop()
        replica.stop()


def test_sentinel_names_the_master_and_a_failover_is_followed(
    valkey: Valkey, sentinel: SentinelServer
) -> None:
    url = validate_redis_url(sentinel.service_url)
    queue, limiter = JobQueue(url), RedisRateLimiter(url)
    with connect_redis(url, timeout=5) as client:
        assert queue.enqueue_backfill(1)
        assert limiter.hit("1 per hour", "somebody")
        before = client.info("server")["run_id"]
        valkey.kill()

        def has_taken_over() -> bool:
            try:
                return bool(client.info("server")["run_id"] != before)
            except RedisError:
                return False

        assert wait_until(has_taken_over, PATIENCE)
        assert wait_until(lambda: queue.enqueue_backfill(2), PATIENCE)
        make_worker(client)  # RQ accepts the client


@pytest.fixture
def node(valkey: Valkey) -> Iterator[ClusterNode]:
    node = ClusterNode(valkey.folder, valkey.account, durable=False)
    node.start()
    yield node
    node.stop()


def test_a_node_of_a_cluster_is_refused(valkey: Valkey, node: ClusterNode) -> None:
    url = f"redis://:{node.state.password}@127.0.0.1:{node.state.port}"
    with connect_redis(url, timeout=5) as client, pytest.raises(ConfigError, match="cluster mode"):
        require_no_cluster(client)
    with connect_redis(valkey.url, timeout=5) as client:
        require_no_cluster(client)
