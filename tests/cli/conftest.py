"""Who runs commands, and tools that they connect to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.tools.receiver import Receiver
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn


@pytest.fixture(autouse=True)
def _staff_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFF_NAME", "grace")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[SendGridStandIn]:
    monkeypatch.setenv("SENDGRID_KEY", KEY)
    with SendGridStandIn() as server:
        yield server
