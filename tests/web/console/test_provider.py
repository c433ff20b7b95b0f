"""A provider that is away, slow or odd: a page that says so, and a line in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dev.processes import wait_until
from preference_center.integrations.base.http import HttpTimeouts
from preference_center.web.console import provider as provider_module
from tests.web.console.providers import FakeProvider
from tests.web.console.sign_ins import browser, trusting
from tests.web.console.staff import words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


DOCUMENTS: dict[str, dict[str, Any]] = {
    "of another issuer": {"issuer": "https://login.example.net"},
    "without an endpoint": {"token_endpoint": None},
    "with a file as keys": {"jwks_uri": "file:///etc/passwd"},
}


@pytest.mark.parametrize("odd", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_an_odd_discovery_document_is_a_page_and_no_error(
    app: Flask, provider: FakeProvider, odd: dict[str, Any]
) -> None:
    provider.metadata = odd
    answer = browser(app).begin()
    assert answer.status_code == 503
    assert "can’t be reached" in words(answer)


def test_endpoints_without_https_are_refused_where_the_issuer_has_it() -> None:
    document = FakeProvider("http://login.example.com", lambda: None).document()  # type: ignore[arg-type,return-value]
    found = provider_module.ProviderMetadata(**document)
    secure = provider_module.Provider("https://login.example.com", "console", "")
    with pytest.raises(provider_module.ProviderUnavailable, match="without https"):
        secure._check_encryption(found)


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"]
)
def test_a_provider_that_fails_is_a_page_and_a_log_line_without_a_token(
    app: Flask, provider: FakeProvider, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.statuses = {path: 500}
    ada = browser(app)
    answer = ada.begin()
    if answer.status_code == 302:
        provider.nonce, provider.challenge = ada.asked["nonce"], ada.asked["code_challenge"]
        answer = ada.come_back()
    assert answer.status_code == 503
    output = "".join(capsys.readouterr())
    assert "staff_provider_unavailable" in output
    for secret in ("a-code", "a secret", ada.asked.get("state", "a-code"), "access_token"):
        assert secret not in output


def test_a_provider_that_never_answers_is_given_up_and_left_alone_for_seconds(
    app: Flask, provider: FakeProvider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = HttpTimeouts(connect=30, read=0.2, total=30)
    monkeypatch.setattr(provider_module, "TIMEOUTS", timeouts)
    provider.is_frozen = True
    assert browser(app).begin().status_code == 503
    assert browser(app).begin().status_code == 503
    assert wait_until(lambda: len(provider.requests) == 1, 10)
    provider.is_frozen = False
    clock.advance(timedelta(seconds=11))
    found = app.extensions[provider_module.EXTENSION_KEY]
    found._http = replace(found._http, timeouts=HttpTimeouts(connect=30, read=60, total=60))
    assert browser(app).sign_in(provider).status_code == 303


def test_nobody_answers_on_the_port_of_the_provider(app: Flask) -> None:
    with trusting(app, "http://127.0.0.1:1"):
        assert browser(app).begin().status_code == 503
        answer = browser(app).get("/console/sign-in")
        assert "Or with an account of this service" in words(answer)
