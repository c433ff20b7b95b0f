"""Signing in with an account, and attacks on that."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import g

from preference_center.core.staff import Role
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.redis import RedisRateLimiter
from preference_center.web.console import accounts, store
from preference_center.web.console.accounts import SignInRefused
from preference_center.web.console.sign_in import own_target
from preference_center.web.console.store import StaffAccount
from tests.web.console.accounts import PASSWORD, Member, enrolled
from tests.web.console.staff import BASE, HOST, staff, words
from tests.web.console.test_accounts import HALF_MINUTE

pytestmark = pytest.mark.usefixtures("quick_hashes")

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.clock import Clock


@pytest.fixture
def ada(app: Flask, clock: Clock) -> Member:
    with app.app_context():
        found = enrolled("ada")
    clock.advance(HALF_MINUTE)
    return found


def code_of(app: Flask, member: Member) -> str:
    with app.app_context():
        return member.code()


def press(client: FlaskClient, page: str, **fields: str) -> TestResponse:
    """Open a page and send its form, as a browser does."""
    html = client.get(page, base_url=BASE).get_data(as_text=True)
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found is not None
    return client.post(
        page,
        data=fields | {"csrf_token": found[1]},
        headers={"Referer": f"{BASE}{page}"},
        base_url=BASE,
    )


def sign_in(client: FlaskClient, code: str, **fields: str) -> TestResponse:
    return press(
        client,
        "/console/sign-in",
        **{"name": "ada", "password": PASSWORD, "code": code} | fields,
    )


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/console/sessions", base_url=BASE).status_code == 200


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("console", path="/console", domain=HOST)
    assert cookie is not None
    return cookie.value


def test_name_password_and_code_lead_to_the_page_that_was_wanted(app: Flask, ada: Member) -> None:
    client = app.test_client()
    wanted = client.get("/console/sessions?lang=it", base_url=BASE)
    assert "next=/console/sessions" in wanted.headers["Location"]
    answer = sign_in(client, code_of(app, ada), next="/console/sessions?lang=it")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/console/sessions?lang=it"
    assert is_signed_in(client)


def test_a_cookie_that_was_planted_before_is_signed_in_by_nobody(app: Flask, ada: Member) -> None:
    mallory, victim = app.test_client(), app.test_client()
    mallory.get("/console/sign-in?lang=it", base_url=BASE)
    planted = cookie_of(mallory)
    victim.set_cookie("console", planted, path="/console", domain=HOST)
    assert sign_in(victim, code_of(app, ada)).status_code == 303
    assert cookie_of(victim) != planted
    assert is_signed_in(victim)
    assert not is_signed_in(mallory)


def test_a_cookie_of_before_signing_out_is_worth_nothing(app: Flask, ada: Member) -> None:
    client = app.test_client()
    sign_in(client, code_of(app, ada))
    stolen = cookie_of(client)
    html = client.get("/console/sessions", base_url=BASE).get_data(as_text=True)
    token = html.split('name="csrf_token" value="')[1].split('"')[0]
    headers = {"Referer": f"{BASE}/console/sessions"}
    form = {"csrf_token": token}
    answer = client.post("/console/sign-out", data=form, headers=headers, base_url=BASE)
    assert answer.headers["Location"] == "/console/sign-in"
    thief = app.test_client()
    thief.set_cookie("console", stolen, path="/console", domain=HOST)
    assert not is_signed_in(thief)


def test_another_site_signs_nobody_in(app: Flask, ada: Member) -> None:
    """Else a victim would work in an account of the attacker."""
    client = app.test_client()
    form = {"name": "ada", "password": PASSWORD, "code": code_of(app, ada)}
    for headers in ({}, {"Referer": "https://evil.example/"}, {"Referer": f"{BASE}/console/"}):
        answer = client.post("/console/sign-in", data=form, headers=headers, base_url=BASE)
        assert answer.status_code == 400
    html = client.get("/console/sign-in", base_url=BASE).get_data(as_text=True)
    token = html.split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.post(
        "/console/sign-in",
        data=form | {"csrf_token": token},
        headers={"Referer": "https://evil.example/"},
        base_url=BASE,
    )
    assert answer.status_code == 400
    assert not is_signed_in(client)


def test_whatever_is_wrong_the_page_says_the_same(app: Flask, ada: Member) -> None:
    with app.app_context():
        enrolled("disabled")
        accounts.change_account("disabled", "cli:test", disabled=True)
    right = code_of(app, ada)
    texts = {
        words(sign_in(app.test_client(), code, name=name, password=password)).replace(name, "")
        for name, password, code in (
            ("ada", "wrong", right),
            ("ada", PASSWORD, "000000"),
            ("nobody", PASSWORD, right),
            ("disabled", PASSWORD, right),
            ("ada", "x" * 300, right),
        )
    }
    assert len(texts) == 1


def test_what_was_entered_is_shown_as_text(app: Flask) -> None:
    answer = sign_in(app.test_client(), "1", name='"><script>alert(1)</script>')
    assert answer.status_code == 422
    assert b"<script>alert" not in answer.data
    assert PASSWORD.encode() not in answer.data


def test_a_text_that_the_database_can_not_have_is_refused(app: Flask) -> None:
    assert sign_in(app.test_client(), "1", name="ada\0").status_code == 400
    client = app.test_client()
    assert client.get("/console/sign-in?next=%00", base_url=BASE).status_code == 400
    assert staff(app, Role.ADMIN).get("/console/audit?actor=%00").status_code == 400


def test_who_signs_in_does_not_count_for_their_network(
    app: Flask, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = iter([True] * 25 + [False] * 20)
    with app.app_context():
        account = run_in_transaction(lambda c: store.find_account(c, "ada"))

    def authenticate(*_: str) -> StaffAccount | None:
        if not next(allowed):
            raise SignInRefused
        return account

    monkeypatch.setattr(accounts, "authenticate", authenticate)
    statuses = [sign_in(app.test_client(), "1", name="ada").status_code for _ in range(46)]
    assert statuses == [303] * 25 + [422] * 20 + [429]


@pytest.mark.parametrize("redis", ["there", "away"])
def test_one_network_tries_twenty_times_whatever_the_names(
    app: Flask, monkeypatch: pytest.MonkeyPatch, redis: str
) -> None:
    monkeypatch.setattr(accounts, "_verify_password", lambda *_: False)
    if redis == "away":
        limiter = RedisRateLimiter("redis://127.0.0.1:1/0")
        changed = replace(app.extensions[EXTENSION_NAME], make_limiter=lambda: limiter)
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, changed)
    client = app.test_client()
    statuses = [sign_in(client, "1", name=f"user{number}").status_code for number in range(21)]
    assert statuses == [422] * 20 + [429]
    html = client.get("/console/sign-in", base_url=BASE)
    assert html.status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/console/",
        "//evil.example/console/",
        "///evil.example",
        "/\\evil.example",
        "/console/\\evil.example",
        "\\\\evil.example",
        "/consoles",
        "/console@evil.example",
        "console/",
        " /console/",
        "\t//evil.example",
        "javascript:alert(1)",
        "/u/TOKEN",
        "/%2f/evil.example",
        "",
    ],
)
def test_signing_in_leads_to_a_page_of_the_console_only(app: Flask, target: str) -> None:
    with app.test_request_context(base_url=BASE):
        assert own_target(target) == "/console/"


def test_signing_in_leads_to_no_other_site(app: Flask, ada: Member) -> None:
    answer = sign_in(app.test_client(), code_of(app, ada), next="//evil.example/console/")
    assert answer.headers["Location"] == "/console/"


def on_another_host(app: Flask, path: str, host: str, **headers: str) -> int:
    g.pop("staff", None)
    return app.test_client().get(path, base_url=f"https://{host}", headers=headers).status_code


def test_a_console_with_a_host_of_its_own_is_on_no_other(
    app: Flask, monkeypatch: pytest.MonkeyPatch, in_context: None
) -> None:
    settings = services().settings.model_copy(update={"console_url": "https://console.example"})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
    page = "/console/sign-in"
    for host in ("console.example", "console.example:8443", "CONSOLE.EXAMPLE"):
        assert on_another_host(app, page, host) == 200
    for host in (HOST, "console.example.evil.example", "evil.example", "127.0.0.1"):
        assert on_another_host(app, page, host) == 404
        assert on_another_host(app, "/console/nothing", host) == 404
    for header in ("X-Forwarded-Host", "X-Host", "Forwarded"):
        assert on_another_host(app, page, HOST, **{header: "console.example"}) == 404


def test_the_link_of_a_new_account_sets_its_password_and_shows_codes_once(app: Flask) -> None:
    with app.app_context():
        token = accounts.create_account("eve", [Role.SUPPORT], "cli:test")
        enrolment = accounts.find_enrolment(token)
        assert enrolment is not None
    import pyotp

    page, client = f"/console/enrol/{token}", app.test_client()
    with app.app_context():
        code = pyotp.TOTP(enrolment.totp_secret).at(services().now())
    differing = press(client, page, password=PASSWORD, repeated="another one", code=code)
    assert differing.status_code == 422
    answer = press(client, page, password=PASSWORD, repeated=PASSWORD, code=code)
    assert len(re.findall(r"(?:[a-z2-7]{5}-){3}[a-z2-7]{5}", words(answer))) == 10
    assert answer.headers["Cache-Control"] == "no-store"
    again = client.get(page, base_url=BASE)
    assert again.status_code == 410
    assert "no longer works" in words(again)
    assert not is_signed_in(client)


def test_a_page_that_polls_does_not_keep_a_session_alive(app: Flask, clock: Clock) -> None:
    grace = staff(app, Role.ADMIN)
    poll = {"X-Requested-With": "poll"}
    clock.advance(HALF_MINUTE * 30)
    assert grace.get("/console/sessions", headers=poll).status_code == 200
    clock.advance(HALF_MINUTE * 30)
    assert grace.get("/console/sessions", headers=poll).status_code == 302
    with app.app_context():
        assert not accounts.list_sessions()


def test_somebody_ends_their_own_sessions_and_nobody_elses(app: Flask) -> None:
    first, second = staff(app, Role.SUPPORT), staff(app, Role.SUPPORT)
    eve = staff(app, Role.SUPPORT, name="eve")
    assert first.post(f"/console/sessions/{eve.session_id}/end").status_code == 404
    assert eve.get("/console/sessions").status_code == 200
    assert first.post(f"/console/sessions/{second.session_id}/end").status_code == 303
    assert second.get("/console/sessions").status_code == 302


def test_one_password_is_hashed_at_a_time_and_the_others_are_asked_to_wait(
    app: Flask, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: sixteen at once took the memory of the unsubscribe pages
    code, answers = code_of(app, ada), list[int]()
    real = accounts._verify_password

    def sign_in_twice(*given: Any) -> bool:
        answers.append(sign_in(app.test_client(), code).status_code)
        return real(*given)

    monkeypatch.setattr(accounts, "_verify_password", sign_in_twice)
    assert sign_in(app.test_client(), code).status_code == 303
    assert answers == [503]
