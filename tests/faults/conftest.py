from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.accounts import server_account
from dev.engines import Engines
from dev.postgres import Postgres
from tests.environment import migrate, settings_for
from tests.faults.service import Service
from tests.faults.tool import SlowReceiver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def tool() -> Iterator[SlowReceiver]:
    with SlowReceiver() as tool:
        yield tool


@pytest.fixture
def service(own_engines: Engines, tool: SlowReceiver, tmp_path: Path) -> Iterator[Service]:
    """Tables, a catalogue and one destination, `tool`; the test starts what it needs.

    At the end no process may have written of an address or a token (I12).
    """
    with Service(own_engines, tmp_path) as service:
        service.add_destination(tool.url)
        yield service
    logs = service.logs()
    assert "example.com" not in logs.replace("preferences.example.com", "")
    assert "/u/" not in logs


@pytest.fixture
def durable(own_engines: Engines) -> None:
    """A PostgreSQL that syncs each commit, as in production; ask for it before `service`."""
    migrate(settings_for(own_engines.database.url, own_engines.redis.url))  # fast, before
    own_engines.database.stop()
    own_engines.database = Postgres(own_engines.folder, server_account(), durable=True)
    own_engines.database.start()
