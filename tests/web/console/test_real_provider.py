"""Signing in at a provider that others wrote (oidc-provider-mock), over HTTP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from preference_center.core.staff import Role
from preference_center.web.console import accounts
from preference_center.web.console.frame import CHECK_INTERVAL
from tests.web.console.sign_ins import Browser, browser, trusting
from tests.web.console.staff import words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock

# It uses Authlib's former module for JWTs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from oidc_provider_mock import run_server_in_thread

        with run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture
def ada(app: Flask, clock: Clock, issuer: str) -> Iterator[Browser]:
    """Somebody in the group helpdesk, who has confirmed that at the provider."""
    clock.now = datetime.now(UTC)  # the provider goes by the real time
    put_user(issuer, "helpdesk")
    with trusting(app, issuer):
        yield browser(app)


def put_user(issuer: str, *groups: str) -> None:
    claims = {"preferred_username": "ada@example.com", "groups": list(groups)}
    httpx.put(f"{issuer}/users/u-1", json=claims, timeout=60).raise_for_status()


def confirm(ada: Browser, **form: str) -> dict[str, str]:
    """Press the provider's button, and return what it sends back."""
    url = ada.begin().headers["Location"]
    answer = httpx.post(url, data={"sub": "u-1", **form}, timeout=60)
    return dict(httpx.URL(answer.headers["Location"]).params)


def test_somebody_signs_in_changes_groups_and_is_signed_out_by_the_provider(
    app: Flask, ada: Browser, issuer: str, clock: Clock
) -> None:
    answered = confirm(ada)
    assert ada.come_back(**answered).headers["Location"] == "/console/sessions"
    assert ada.is_signed_in()
    assert "ada" in words(ada.get("/console/sessions"))

    put_user(issuer, "privacy", "leads")
    clock.advance(CHECK_INTERVAL)
    assert ada.is_signed_in()
    with app.app_context():
        (session,) = accounts.list_sessions()
    assert session.roles == {Role.COMPLIANCE, Role.ADMIN}

    httpx.post(f"{issuer}/users/u-1/revoke-tokens", timeout=60).raise_for_status()
    assert ada.is_signed_in()  # not asked yet
    clock.advance(CHECK_INTERVAL)
    assert not ada.is_signed_in()
    assert ada.get("/console/sessions").headers["Location"].startswith("/console/sign-in")


def test_a_token_is_refreshed_when_it_has_expired(ada: Browser, clock: Clock) -> None:
    ada.come_back(**confirm(ada))
    for _ in range(3):
        clock.advance(timedelta(minutes=25))
        assert ada.is_signed_in()


def test_a_code_is_accepted_once(ada: Browser) -> None:
    first = confirm(ada)
    assert ada.come_back(**first).status_code == 303
    confirm(ada)
    answer = ada.come_back(code=first["code"])
    assert answer.status_code == 400
    assert "used already" in words(answer)


def test_who_denies_it_at_the_provider_is_not_signed_in(ada: Browser) -> None:
    answered = confirm(ada, action="deny")
    assert answered["error"] == "access_denied"
    assert ada.come_back(state=ada.asked["state"], **answered).status_code == 403
    assert not ada.is_signed_in()


def test_without_a_group_that_has_a_role_nobody_is_signed_in(ada: Browser, issuer: str) -> None:
    put_user(issuer, "strangers")
    assert ada.come_back(**confirm(ada)).status_code == 403
    assert not ada.is_signed_in()
