"""A mail server, and a service that writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from flask import Flask

from preference_center.infra.config_sections import MailServer
from preference_center.infra.context import EXTENSION_NAME, services
from tests.in_force import put_in_force
from tests.infra.smtp.sending import at
from tests.infra.smtp.stub import (
    SmtpStub,
    run_smtp_stub,
)


@pytest.fixture(autouse=True)
def _context(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        settings = services().settings.model_copy(
            update={"smtp_url": "smtp://unused.example.com", "mail_from": "choices@example.com"}
        )
        changed = replace(services(), settings=settings, random=Random(1))
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, changed)
        yield


@pytest.fixture
def stub() -> SmtpStub:
    return SmtpStub()


@pytest.fixture
def server(stub: SmtpStub) -> Iterator[MailServer]:
    with run_smtp_stub(stub) as port:
        yield at(port)
