"""Signing in at a provider: who gets in, as whom, and what does not hold."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts
from tests.web.console.providers import FakeProvider
from tests.web.console.sign_ins import audit, browser, trusting
from tests.web.console.staff import BASE, words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def test_somebody_with_a_group_that_has_a_role_is_signed_in(
    app: Flask, provider: FakeProvider
) -> None:
    ada = browser(app)
    answer = ada.sign_in(provider, "/console/sessions?lang=it")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sessions?lang=it")
    with app.app_context():
        (session,) = accounts.list_sessions()
    assert session.name == "ada"
    assert session.roles == frozenset({Role.SUPPORT})
    assert (session.issuer, session.subject) == (provider.issuer, "u-1")
    assert session.tokens is not None
    assert b"access" not in session.tokens
    (entry,) = audit(app)
    assert entry[:2] == ("console:ada", "staff.signed_in")


def test_the_request_has_pkce_state_nonce_and_the_address_of_the_settings(
    app: Flask, provider: FakeProvider
) -> None:
    ada = browser(app)
    ada.begin()
    assert ada.asked["code_challenge_method"] == "S256"
    assert ada.asked["response_type"] == "code"
    assert ada.asked["scope"] == "openid profile"
    assert ada.asked["redirect_uri"] == f"{BASE}/console/sign-in/callback"
    first = dict(ada.asked)
    ada.begin()
    assert not {first[name] for name in ("state", "nonce", "code_challenge")} & set(
        ada.asked.values()
    )


def test_the_secret_goes_encoded_in_the_header(app: Flask, provider: FakeProvider) -> None:
    browser(app).sign_in(provider)
    (request,) = (request for request in provider.requests if request[0] == "/token")
    assert request[2]["Authorization"].startswith("Basic ")
    assert "client_secret" not in request[1]


def test_it_goes_in_the_form_where_the_provider_has_no_other_way(
    app: Flask, provider: FakeProvider
) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert browser(app).sign_in(provider).status_code == 303
    (request,) = (request for request in provider.requests if request[0] == "/token")
    assert request[1]["client_secret"] == "a secret: with + and /"
    assert "Authorization" not in request[2]


def test_a_state_of_another_browser_signs_nobody_in(app: Flask, provider: FakeProvider) -> None:
    mallory, ada = browser(app), browser(app)
    mallory.begin()
    ada.begin()
    answer = ada.come_back(state=mallory.asked["state"])
    assert answer.status_code == 400
    assert not ada.is_signed_in()
    assert not provider.count("/token")


def test_an_answer_counts_once(app: Flask, provider: FakeProvider) -> None:
    ada = browser(app)
    assert ada.sign_in(provider).status_code == 303
    assert ada.come_back().status_code == 400
    assert provider.count("/token") == 1


def test_an_answer_after_ten_minutes_is_too_late(
    app: Flask, provider: FakeProvider, clock: Clock
) -> None:
    ada = browser(app)
    ada.begin()
    clock.advance(timedelta(minutes=11))
    assert ada.come_back().status_code == 400


def test_an_answer_without_an_attempt_asks_the_provider_nothing(
    app: Flask, provider: FakeProvider
) -> None:
    assert browser(app).come_back(state="").status_code == 400
    assert not provider.requests


def test_an_answer_that_names_another_issuer_is_refused(app: Flask, provider: FakeProvider) -> None:
    ada = browser(app)
    ada.begin()
    assert ada.come_back(iss="https://login.example.net").status_code == 400


def test_a_code_of_another_attempt_fails_for_its_verifier(
    app: Flask, provider: FakeProvider
) -> None:
    ada = browser(app)
    ada.begin()
    provider.nonce, provider.challenge = ada.asked["nonce"], "of another attempt"
    answer = ada.come_back()
    assert answer.status_code == 400
    assert "used already" in words(answer)


def test_who_stops_at_the_provider_is_told_so(app: Flask, provider: FakeProvider) -> None:
    ada = browser(app)
    ada.begin()
    url = f"/console/sign-in/callback?error=access_denied&state={ada.asked['state']}"
    answer = ada.get(f"{url}&error_description=<script>alert(1)</script>")
    assert answer.status_code == 403
    assert b"alert(1)" not in answer.data


@pytest.mark.parametrize(
    "groups", [None, [], ["strangers"], "strangers", {"helpdesk": 1}, [["helpdesk"]]]
)
def test_without_a_group_that_has_a_role_the_page_names_the_claim(
    app: Flask, provider: FakeProvider, groups: Any
) -> None:
    provider.groups = groups
    ada = browser(app)
    answer = ada.sign_in(provider)
    assert answer.status_code == 403
    assert "The claim groups names no group of yours" in words(answer)
    assert not ada.is_signed_in()
    (entry,) = audit(app)
    assert entry[:2] == ("console:ada", "staff.sign_in_refused")
    assert entry[2] == {"reason": "no_role", "issuer": provider.issuer, "subject": "u-1"}


def test_groups_may_be_in_the_id_token_and_add_up(app: Flask, provider: FakeProvider) -> None:
    provider.groups = None
    provider.claims = {"groups": ["helpdesk", "strangers", "privacy"]}
    assert browser(app).sign_in(provider).status_code == 303
    with app.app_context():
        (session,) = accounts.list_sessions()
    assert session.roles == {Role.SUPPORT, Role.COMPLIANCE}


def test_an_address_is_a_group_only_if_the_provider_has_verified_it(
    app: Flask, provider: FakeProvider
) -> None:
    settings = {
        "console_oidc_roles": "support=ada@example.com",
        "console_oidc_groups_claim": "email",
    }
    provider.userinfo = {"email": "ada@example.com", "email_verified": False}
    with trusting(app, provider.issuer, **settings):
        assert browser(app).sign_in(provider).status_code == 403
        provider.userinfo["email_verified"] = True
        assert browser(app).sign_in(provider).status_code == 303


@pytest.mark.parametrize("name", [None, "", "@example.com", "a b", "<script>", 7, "a" * 65])
def test_a_name_that_the_audit_cannot_have_signs_nobody_in(
    app: Flask, provider: FakeProvider, name: Any
) -> None:
    provider.claims = {"preferred_username": name}
    answer = browser(app).sign_in(provider)
    assert answer.status_code == 403
    assert "The claim preferred_username has no name" in words(answer)


def test_two_spellings_of_a_name_are_one_person(app: Flask, provider: FakeProvider) -> None:
    provider.claims = {"preferred_username": "Ada@example.com", "groups": ["helpdesk"]}
    assert browser(app).sign_in(provider).status_code == 303
    with app.app_context():
        assert [each.name for each in accounts.list_sessions()] == ["ada"]
        with pytest.raises(InvalidInput, match="small letters"):
            accounts.create_account("Ada", [Role.SUPPORT], "cli:test")


def test_nobody_is_signed_in_by_the_name_of_an_account_or_of_somebody_else(
    app: Flask, provider: FakeProvider
) -> None:
    with app.app_context():
        accounts.create_account("ada", [Role.ADMIN], "cli:test")
    assert browser(app).sign_in(provider).status_code == 403
    with app.app_context():
        accounts.change_account("ada", "cli:test", disabled=True)
    assert browser(app).sign_in(provider).status_code == 303
    assert browser(app).sign_in(provider).status_code == 303  # on a second machine
    provider.subject = "u-2"
    answer = browser(app).sign_in(provider)
    assert answer.status_code == 403
    assert "Somebody else is signed in by your name" in words(answer)


def test_signing_in_makes_a_new_session_and_ends_the_one_before(
    app: Flask, provider: FakeProvider
) -> None:
    ada = browser(app)
    ada.sign_in(provider)
    before = ada.client.get_cookie("console", path="/console", domain="preferences.example.com")
    ada.sign_in(provider)
    after = ada.client.get_cookie("console", path="/console", domain="preferences.example.com")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    with app.app_context():
        assert len(accounts.list_sessions()) == 1
    ada.client.set_cookie(
        "console", before.value, path="/console", domain="preferences.example.com"
    )
    assert not ada.is_signed_in()


def test_without_a_provider_its_pages_are_not_there(app: Flask) -> None:
    assert browser(app).get("/console/sign-in/oidc").status_code == 404
    assert browser(app).get("/console/sign-in/callback").status_code == 404


def test_signing_out_ends_the_session_and_leads_to_the_providers_page(
    app: Flask, provider: FakeProvider
) -> None:
    ada = browser(app)
    ada.sign_in(provider)
    page = ada.get("/console/sessions").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    headers = {"Referer": f"{BASE}/console/sessions"}
    answer = ada.client.post(
        "/console/sign-out", data={"csrf_token": token}, headers=headers, base_url=BASE
    )
    assert answer.headers["Location"] == "/console/sign-in/out"
    assert not ada.is_signed_in()
    page = ada.get("/console/sign-in/out").get_data(as_text=True)
    assert f"{provider.issuer}/logout?realm=staff&amp;client_id=console&amp;post_logout" in page
    assert "id_token_hint" not in page  # I12: it holds a name
    with app.app_context():
        stored = run_in_transaction(
            lambda connection: connection.execute("SELECT tokens FROM staff_session").fetchone()
        )
    assert stored == (None,)
