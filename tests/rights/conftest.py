"""A service with a catalogue that names the controller, and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from flask import Flask

from preference_center.infra.context import EXTENSION_NAME, services
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.emails.test_texts import CONTROLLER


@pytest.fixture
def can_mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With mail to people, and to the company's privacy contact."""
    put_in_force(app, CATALOGUE + CONTROLLER)
    with app.app_context():
        settings = services().settings.model_copy(
            update={"smtp_url": "smtp://unused.example.com", "mail_from": "choices@example.com"}
        )
        changed = replace(services(), settings=settings, random=Random(1))
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, changed)
        yield
