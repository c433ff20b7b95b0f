"""The probes on their own port: no public one has them then, and a taken port stops the start."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from flask import Flask

from dev.server import free_port
from preference_center.app.web import create_app
from preference_center.core.errors import ConfigError
from preference_center.infra.config import Settings
from preference_center.infra.context import db
from preference_center.monitoring.probes import PROBE_PATHS, InternalServer, start_internal_server

PROBES = sorted(PROBE_PATHS)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def internal(app: Flask, settings: Settings, port: int) -> Iterator[Flask]:
    """A process with an internal port, which it does not serve yet."""
    internal = create_app(settings.model_copy(update={"internal_port": port}))
    yield internal
    with internal.app_context():
        db.engine.dispose()


@pytest.fixture
def served(internal: Flask) -> Iterator[InternalServer]:
    server = start_internal_server(internal)
    assert server
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", PROBES)
def test_the_internal_port_has_the_probes(served: InternalServer, port: int, path: str) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 200


def test_it_has_nothing_else(served: InternalServer, port: int) -> None:
    for path in ("/", "/v1/openapi.json", "/u/x", "/livez/"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 404


@pytest.mark.parametrize("path", PROBES)
def test_the_public_port_has_them_no_more(internal: Flask, app: Flask, path: str) -> None:
    assert internal.test_client().get(path).status_code == 404
    assert app.test_client().get(path).status_code == 200


def test_a_taken_port_is_named(served: InternalServer, internal: Flask, port: int) -> None:
    with pytest.raises(ConfigError, match=f"INTERNAL_PORT {port}: Address already in use"):
        start_internal_server(internal)


def test_web_processes_share_theirs(internal: Flask) -> None:
    servers = [start_internal_server(internal, shares_port=True) for _ in range(2)]
    for server in servers:
        assert server
        server.shutdown()
        server.server_close()


def test_without_a_port_there_is_none(app: Flask) -> None:
    assert start_internal_server(app) is None
