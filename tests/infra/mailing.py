"""Emails in the outbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import ClaimedEmail, OutgoingEmail

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

_ALL = """SELECT id, kind, ciphertext, language, brand, expires_at, attempts
    FROM outgoing_mail ORDER BY created_at, id"""


def give_mail_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a mail server."""
    given = {"smtp_url": "smtp://mail.example.com", "mail_from": "choices@example.com"}
    current = app.extensions[EXTENSION_NAME]
    settings = current.settings.model_copy(update=given)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(current, settings=settings))


def queued_emails(app: Flask) -> list[OutgoingEmail]:
    """All queued emails, oldest first."""
    with app.app_context():
        rows = run_in_transaction(lambda connection: connection.execute(_ALL).fetchall())
        return [ClaimedEmail(*row).decrypt(services().keys) for row in rows]


def link_in(email: OutgoingEmail) -> str:
    """The path of the link in an email."""
    return urlsplit(email.values["link"]).path


def headers_of(response: TestResponse) -> list[tuple[str, str]]:
    """The headers that could tell one answer from another: all but the id of the request."""
    return [each for each in response.headers.to_wsgi_list() if each[0] != "X-Request-Id"]
