"""What was posted to people, read from the outbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.extensions import NAME, services
from preference_center.storage.db.database import run
from preference_center.storage.mail.outbox import Claim, Letter

if TYPE_CHECKING:
    from flask import Flask

_ALL = """SELECT id, kind, ciphertext, language, brand, expires_at, attempts
    FROM outgoing_mail ORDER BY created_at, id"""


def give_mail_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the service believe that its mail is taken somewhere."""
    given = {"smtp_url": "smtp://mail.example.com", "mail_from": "choices@example.com"}
    current = app.extensions[NAME]
    settings = current.settings.model_copy(update=given)
    monkeypatch.setitem(app.extensions, NAME, replace(current, settings=settings))


def letters(app: Flask) -> list[Letter]:
    """Every letter that waits, oldest first."""
    with app.app_context():
        rows = run(lambda connection: connection.execute(_ALL).fetchall())
        return [Claim(*row).open(services().keys) for row in rows]


def link_in(letter: Letter) -> str:
    """The path of the letter's link."""
    return urlsplit(letter.values["link"]).path
