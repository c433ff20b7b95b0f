"""Tools that the console connects to, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.integrations.tools.receiver import Receiver
from tests.integrations.tools.sendgrid import SendGridStandIn

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service with a catalogue, allowed to connect to this machine."""
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    monkeypatch.setattr("preference_center.destinations.console.add.BACKFILL_SECONDS", 60.0)
    put_in_force(app)
    return app


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def sendgrid() -> Iterator[SendGridStandIn]:
    with SendGridStandIn() as server:
        yield server
