"""Whose address a request has: X-Forwarded-For counts as far as proxies of ours set it."""

from __future__ import annotations

import pytest
from flask import request

from preference_center.app.web import create_app
from tests.environment import settings_for


@pytest.mark.parametrize(
    "proxies, forwarded, seen",
    [
        (0, "9.9.9.9", "10.0.0.1"),
        (1, "9.9.9.9", "9.9.9.9"),
        (1, "1.1.1.1, 9.9.9.9", "9.9.9.9"),  # what the visitor made up comes first
        (2, "1.1.1.1, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        (1, "", "10.0.0.1"),
    ],
)
def test_only_as_many_proxies_are_believed_as_there_are(
    proxies: int, forwarded: str, seen: str
) -> None:
    settings = settings_for("postgresql://nobody@localhost/none", "redis://localhost")
    app = create_app(settings.model_copy(update={"trusted_proxies": proxies}))
    app.add_url_rule("/whoami", "whoami", lambda: f"{request.remote_addr} {request.host}")
    answer = app.test_client().get(
        "/whoami",
        headers={"X-Forwarded-For": forwarded, "X-Forwarded-Host": "evil.example"},
        environ_base={"REMOTE_ADDR": "10.0.0.1"},
    )
    assert answer.text == f"{seen} localhost"
