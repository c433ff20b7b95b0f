"""Who runs commands, and tools that they connect to."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.cli.fixtures import _staff_name
from tests.integrations.tools.receiver import Receiver
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[SendGridStandIn]:
    monkeypatch.setenv("SENDGRID_KEY", KEY)
    with SendGridStandIn() as server:
        yield server
