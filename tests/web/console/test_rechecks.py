"""A person who leaves the company, or a group, loses the session within minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts
from preference_center.web.console.frame import CHECK_INTERVAL
from tests.web.console.providers import NEW_KEY, OTHER_KEY, FakeProvider, sign
from tests.web.console.sign_ins import Browser, browser, trusting

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock

USERINFO, TOKEN = "/userinfo", "/token"


@pytest.fixture
def ada(app: Flask, provider: FakeProvider) -> Browser:
    """Signed in as support."""
    found = browser(app)
    assert found.sign_in(provider).status_code == 303
    provider.requests.clear()
    return found


def roles(app: Flask) -> set[Role]:
    with app.app_context():
        (session,) = accounts.list_sessions()
    return set(session.roles)


def actions(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        return run_in_transaction(
            lambda connection: connection.execute(
                "SELECT actor, action FROM audit ORDER BY id"
            ).fetchall()
        )[1:]


def test_the_provider_is_asked_every_five_minutes_and_not_for_every_page(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    clock.advance(CHECK_INTERVAL - timedelta(seconds=1))
    assert ada.is_signed_in()
    assert not provider.requests
    clock.advance(timedelta(seconds=1))
    assert ada.is_signed_in()
    assert ada.is_signed_in()
    ((path, _form, headers),) = provider.requests
    assert path == USERINFO
    assert headers["Authorization"] == "Bearer access"


@pytest.mark.parametrize("status", [401, 403, 400])
def test_a_revoked_token_ends_the_session(
    app: Flask, provider: FakeProvider, ada: Browser, clock: Clock, status: int
) -> None:
    provider.statuses = {USERINFO: status}
    clock.advance(CHECK_INTERVAL)
    assert not ada.is_signed_in()
    assert actions(app) == [("oidc", "staff.session_ended")]
    provider.statuses = {}
    assert not ada.is_signed_in()


def test_other_groups_are_other_roles_at_once(
    app: Flask, provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    provider.groups = ["privacy"]
    clock.advance(CHECK_INTERVAL)
    assert ada.is_signed_in()
    assert roles(app) == {Role.COMPLIANCE}
    assert actions(app) == [("oidc", "staff.roles_changed")]


@pytest.mark.parametrize("groups", [[], None, ["strangers"]])
def test_without_a_group_that_has_a_role_the_session_ends(
    provider: FakeProvider, ada: Browser, clock: Clock, groups: list[str] | None
) -> None:
    provider.groups = groups
    clock.advance(CHECK_INTERVAL)
    assert not ada.is_signed_in()


def test_an_answer_about_somebody_else_ends_the_session(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    provider.subject = "u-2"
    clock.advance(CHECK_INTERVAL)
    assert not ada.is_signed_in()


def test_while_the_provider_is_away_the_session_goes_on_and_it_is_asked_each_minute(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    provider.statuses = {USERINFO: 503}
    clock.advance(CHECK_INTERVAL)
    assert ada.is_signed_in()
    assert ada.is_signed_in()
    assert provider.count(USERINFO) == 1
    clock.advance(timedelta(minutes=1))
    assert ada.is_signed_in()
    assert provider.count(USERINFO) == 2
    provider.statuses = {USERINFO: 401}
    clock.advance(timedelta(minutes=1))
    assert not ada.is_signed_in()


def test_not_even_then_does_it_live_longer_than_a_working_day(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    provider.statuses = {USERINFO: 503}
    alive = []
    for _ in range(20):
        clock.advance(timedelta(minutes=25))
        alive.append(ada.is_signed_in())
    assert alive == [True] * 19 + [False]


def test_an_access_token_that_has_expired_is_refreshed(
    app: Flask, provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    for _ in range(3):
        clock.advance(timedelta(minutes=25))
        assert ada.is_signed_in()
    (form,) = (form for path, form, _ in provider.requests if path == TOKEN)
    assert form["grant_type"] == "refresh_token"
    assert form["refresh_token"] == "refresh"


def test_a_refresh_token_that_was_revoked_ends_the_session(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    for _ in range(2):
        clock.advance(timedelta(minutes=25))
        assert ada.is_signed_in()
    provider.statuses = {TOKEN: 400}
    clock.advance(timedelta(minutes=25))
    assert not ada.is_signed_in()


def test_a_new_refresh_token_is_kept_even_if_the_next_request_fails(
    provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    for _ in range(2):
        clock.advance(timedelta(minutes=25))
        assert ada.is_signed_in()
    provider.tokens = {"refresh_token": "refresh-2", "expires_in": 60}
    provider.statuses = {USERINFO: 503}
    clock.advance(timedelta(minutes=25))
    assert ada.is_signed_in()
    provider.statuses = {}
    clock.advance(timedelta(minutes=2))
    assert ada.is_signed_in()
    assert [form["refresh_token"] for path, form, _ in provider.requests if path == TOKEN] == [
        "refresh",
        "refresh-2",
    ]


class TestGroupsOfIdTokens:
    """As of providers whose userinfo has no groups, such as Entra ID."""

    @pytest.fixture
    def ada(self, app: Flask, provider: FakeProvider) -> Browser:
        provider.groups, provider.claims = None, {"groups": ["helpdesk"]}
        found = browser(app)
        assert found.sign_in(provider).status_code == 303
        provider.requests.clear()
        return found

    def test_they_come_with_a_refreshed_token(
        self, app: Flask, provider: FakeProvider, ada: Browser, clock: Clock
    ) -> None:
        provider.claims = {"groups": ["leads"], "nonce": None}
        clock.advance(CHECK_INTERVAL)
        assert ada.is_signed_in()
        assert roles(app) == {Role.ADMIN}

    def test_a_refreshed_token_is_verified_as_the_first_was(
        self, provider: FakeProvider, ada: Browser, clock: Clock
    ) -> None:
        provider.encode = lambda claims: sign(claims, OTHER_KEY)
        clock.advance(CHECK_INTERVAL)
        assert not ada.is_signed_in()

    def test_one_of_somebody_else_ends_the_session(
        self, provider: FakeProvider, ada: Browser, clock: Clock
    ) -> None:
        provider.claims |= {"sub": "u-2"}
        clock.advance(CHECK_INTERVAL)
        assert not ada.is_signed_in()

    def test_without_a_token_for_that_they_stay_while_the_access_token_is_accepted(
        self, app: Flask, provider: FakeProvider, clock: Clock
    ) -> None:
        provider.tokens = {"refresh_token": None}
        found = browser(app)
        found.sign_in(provider)
        clock.advance(CHECK_INTERVAL)
        assert found.is_signed_in()
        provider.statuses = {USERINFO: 401}
        clock.advance(CHECK_INTERVAL)
        assert not found.is_signed_in()


def test_a_session_of_a_provider_that_is_no_longer_set_ends(
    app: Flask, provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    clock.advance(CHECK_INTERVAL)
    with trusting(app, None):
        assert not ada.is_signed_in()


def test_a_provider_that_changes_its_keys_meanwhile_is_followed(
    app: Flask, provider: FakeProvider, ada: Browser, clock: Clock
) -> None:
    provider.keys, provider.encode = [NEW_KEY], lambda claims: sign(claims, NEW_KEY)
    for _ in range(3):
        clock.advance(timedelta(minutes=25))
        assert ada.is_signed_in()
    assert provider.count("/keys") == 1
