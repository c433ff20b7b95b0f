"""A mail server, and a service that writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from flask import Flask

from preference_center.extensions import EXTENSION_NAME, services
from preference_center.mail_server import MailServer
from tests.in_force import put_in_force
from tests.workers.mail.sending import at
from tests.workers.mail_server import (
    Answers,
    mail_server,
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
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(answers: Answers) -> Iterator[MailServer]:
    with mail_server(answers) as port:
        yield at(port)
