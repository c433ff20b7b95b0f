"""Somebody who signs in to the console at a provider, with a browser's cookies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.http import HttpTimeouts
from preference_center.web.console import provider
from preference_center.web.console.provider import EXTENSION_KEY
from tests.web.console.providers import CLIENT_ID, GROUPS, SECRET, FakeProvider
from tests.web.console.staff import BASE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


@contextmanager
def trusting(app: Flask, issuer: str | None, **settings: Any) -> Iterator[None]:
    """With a provider in the settings."""
    wired = app.extensions[EXTENSION_NAME]
    changed = {
        "console_oidc_issuer": issuer,
        "console_oidc_client_id": CLIENT_ID,
        "console_oidc_client_secret": SECRET,
        "console_oidc_roles": GROUPS,
    } | settings
    app.extensions.pop(EXTENSION_KEY, None)
    app.extensions[EXTENSION_NAME] = replace(
        wired, settings=wired.settings.model_copy(update=changed)
    )
    patient = HttpTimeouts(connect=30, read=60, total=60)  # a machine may be busy
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(provider, "TIMEOUTS", patient)
            yield
    finally:
        app.extensions[EXTENSION_NAME] = wired
        app.extensions.pop(EXTENSION_KEY, None)


@dataclass
class Browser:
    client: FlaskClient
    asked: dict[str, str] = field(default_factory=dict)
    """The parameters of the last authorization request."""

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, base_url=BASE, **options)

    def begin(self, target: str = "/console/sessions") -> TestResponse:
        """Go to the provider: only as far as its address."""
        answer = self.get("/console/sign-in/oidc", query_string={"next": target})
        query = urlsplit(answer.headers.get("Location", "")).query
        self.asked = {name: values[0] for name, values in parse_qs(query).items()}
        return answer

    def come_back(self, **params: str) -> TestResponse:
        given = {"code": "a-code", "state": self.asked.get("state", "")} | params
        return self.get(f"/console/sign-in/callback?{urlencode(given)}")

    def sign_in(self, provider: FakeProvider, target: str = "/console/sessions") -> TestResponse:
        self.begin(target)
        provider.nonce, provider.challenge = self.asked["nonce"], self.asked["code_challenge"]
        return self.come_back()

    def is_signed_in(self) -> bool:
        return self.get("/console/sessions").status_code == 200


def browser(app: Flask) -> Browser:
    return Browser(app.test_client())


def audit(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    with app.app_context():
        return run_in_transaction(
            lambda connection: connection.execute(
                "SELECT actor, action, detail FROM audit ORDER BY id"
            ).fetchall()
        )
