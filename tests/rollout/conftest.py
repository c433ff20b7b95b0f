from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from dev.engines import Engines
from tests.nginx import Nginx, nginx
from tests.rollout.fleet import Fleet, Web
from tests.rollout.traffic import Traffic

HERE = Path(__file__).parent

InFront = Callable[..., AbstractContextManager[Nginx]]
NewTraffic = Callable[[Nginx, str], Traffic]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.faults)
            if "TEST_ROLLOUT" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="make test-rollout"))


@pytest.fixture
def fleet(own_engines: Engines, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(own_engines, tmp_path) as fleet:
        yield fleet
        logs = "".join(web.log.read_text() for web in fleet.webs)
        assert "@example.com" not in logs  # I12
        assert "/u/" not in logs


@pytest.fixture
def in_front(tmp_path: Path) -> InFront:
    """`in_front(*webs)`: the shipped nginx in front of them."""

    @contextmanager
    def start(*webs: Web) -> Iterator[Nginx]:
        with nginx(tmp_path / "nginx", [web.port for web in webs]) as proxy:
            yield proxy

    return start


@pytest.fixture
def traffic(fleet: Fleet) -> NewTraffic:
    """`traffic(proxy, key)`: requests to the fleet, each over a connection of its own.

    As mail programs do. A connection that is kept may be closed just when a request is sent.
    """
    once = httpx.Limits(max_keepalive_connections=0)
    return lambda proxy, key: Traffic(fleet.settings, key, partial(proxy.client, once))
