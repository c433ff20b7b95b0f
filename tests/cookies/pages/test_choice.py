"""A choice is recorded, and answered with the cookie that holds it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.cookies.pages import choice
from preference_center.core.errors import Unavailable
from preference_center.infra.context import EXTENSION_NAME
from tests.clock import START, Clock
from tests.cookies.pages.conftest import Choose, config
from tests.cookies.pages.shop import ORIGIN, SITES
from tests.in_force import put_in_force
from tests.ledger.tables import read_rows
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

COLUMNS = "id, site, choices, method, version, language, decided_at, expires_at, previous"


def rows(database_url: str, columns: str = COLUMNS) -> list[tuple[object, ...]]:
    found = read_rows(database_url, f"SELECT {columns} FROM browser_consent ORDER BY seq")
    return [tuple(row.values()) for row in found]


def test_a_choice_is_recorded_and_answered(
    choose: Choose, client: FlaskClient, database_url: str
) -> None:
    response = choose("choose", functional=True, headers={"Origin": ORIGIN})
    version = config(client)["version"]
    assert response.status_code == 201
    answer = response.get_json()
    assert answer == {
        "id": answer["id"],
        "site": "shop",
        "choices": {"functional": True, "advertising": False},
        "method": "choose",
        "version": version,
        "decided_at": START.isoformat(),
        "expires_at": (START + timedelta(seconds=15_768_000)).isoformat(),
    }
    value = f"1.{answer['id']}.{version}.{START:%Y%m%d}.functional"
    assert response.headers["Set-Cookie"].startswith(f"pc_consent={value};")
    [row] = rows(database_url)
    assert row == (
        UUID(hex=answer["id"]),
        "shop",
        {"functional": True, "advertising": False},
        "choose",
        version,
        "en",
        START,
        START + timedelta(seconds=15_768_000),
        None,
    )


def test_the_cookie_is_for_scripts_too_and_for_half_a_year(choose: Choose) -> None:
    cookie = choose("accept", functional=True, advertising=True).headers["Set-Cookie"]
    value, *attributes = cookie.split("; ")
    assert value.endswith(".functional+advertising")
    parts = {part for part in attributes if not part.startswith("Expires=")}
    assert parts == {"Secure", "Max-Age=15768000", "Path=/", "SameSite=Lax"}


def test_on_a_developers_own_machine_it_is_not_secure(choose: Choose, client: FlaskClient) -> None:
    version = config(client, site="blog")["version"]
    response = choose("refuse", site="blog", choices={}, version=version)
    assert response.status_code == 201
    assert "Secure" not in response.headers["Set-Cookie"]
    assert response.headers["Set-Cookie"].split(";")[0].endswith(".-")


@pytest.mark.parametrize("method", ["refuse", "close", "gpc"])
def test_a_refusal_is_recorded_too(choose: Choose, database_url: str, method: str) -> None:
    assert choose(method).status_code == 201  # RULES D5
    assert rows(database_url, "method, choices") == [
        (method, {"functional": False, "advertising": False})
    ]


@pytest.mark.parametrize("method", ["refuse", "close", "gpc"])
def test_no_refusal_can_allow_anything(choose: Choose, database_url: str, method: str) -> None:
    response = choose(method, functional=True)
    assert response.status_code == 400
    assert "send false for each category" in response.get_json()["error"]
    assert not rows(database_url)


def test_with_the_signal_of_the_browser_advertising_stays_off(
    choose: Choose, database_url: str
) -> None:
    headers = {"Sec-GPC": "1"}
    response = choose("accept", functional=True, advertising=True, headers=headers)
    assert response.get_json()["choices"] == {"functional": True, "advertising": False}
    assert response.headers["Set-Cookie"].split(";")[0].endswith(".functional")
    assert rows(database_url, "choices") == [({"functional": True, "advertising": False},)]


@pytest.mark.parametrize("value", ["0", "true", "", "1, 1"])
def test_only_1_is_the_signal(choose: Choose, value: str) -> None:
    response = choose("choose", advertising=True, headers={"Sec-GPC": value})
    assert response.get_json()["choices"]["advertising"] is True  # RULES D7


def test_a_new_choice_names_the_one_it_ends_and_changes_no_row(
    choose: Choose, clock: Clock, database_url: str
) -> None:
    first = choose("accept", functional=True, advertising=True).get_json()["id"]
    before = rows(database_url)
    clock.now += timedelta(days=1)
    second = choose("refuse").get_json()["id"]
    after = rows(database_url)
    assert after[0] == before[0]
    assert after[1][-1] == UUID(hex=first)
    assert first != second


def test_a_cookie_of_another_site_ends_nothing_there(
    choose: Choose, client: FlaskClient, database_url: str
) -> None:
    choose("refuse")
    version = config(client, site="blog")["version"]
    choose("refuse", site="blog", choices={}, version=version)
    assert [row[0] for row in rows(database_url, "previous")] == [None, None]


def test_a_replayed_post_of_another_browser_ends_nothing(
    choose: Choose, client: FlaskClient, database_url: str
) -> None:
    choose("accept", functional=True, advertising=True)
    client.delete_cookie("pc_consent")
    choose("accept", functional=True, advertising=True)
    found = rows(database_url, "id, previous")
    assert [previous for _, previous in found] == [None, None]
    assert found[0][0] != found[1][0]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1.x.y.z.-",
        f"1.{'0' * 32}.abc.20261340.-",
        f"1.{'0' * 32}.abc.20261128.everything",
        f"2.{'0' * 32}.abc.20261128.-",
        f"1.{'0' * 32}.abc.20261128.functional+",
        f"1.{'0' * 32}.abc.٢٠٢٦١١٢٨.-",
        "%00",
        "x" * 3000,
    ],
)
def test_an_odd_cookie_is_as_none(choose: Choose, database_url: str, value: str) -> None:
    headers = {"Cookie": f"pc_consent={value}".encode().decode("latin-1")}
    assert choose("refuse", headers=headers).status_code == 201
    assert rows(database_url, "previous") == [(None,)]


def test_a_forged_id_ends_nothing(choose: Choose, database_url: str) -> None:
    headers = {"Cookie": f"pc_consent=1.{'0' * 32}.abc.20261128.-"}
    assert choose("refuse", headers=headers).status_code == 201
    assert rows(database_url, "previous") == [(None,)]


ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)
"""Ids as the script makes them."""


def state_of(database_url: str) -> dict[str, tuple[object, object]]:
    found = rows(database_url, "id, method, previous")
    return {row[0].hex: (row[1], row[2] and row[2].hex) for row in found}  # type: ignore[attr-defined]


def test_a_choice_that_is_sent_again_is_one_and_has_its_first_time(
    choose: Choose, clock: Clock, database_url: str
) -> None:
    first = choose("refuse", id=ONE, ends=[])
    clock.now += timedelta(days=1)
    again = choose("refuse", id=ONE, ends=[])
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert again.headers["Set-Cookie"].split(";")[0] == first.headers["Set-Cookie"].split(";")[0]
    assert state_of(database_url) == {ONE: ("refuse", None)}


@pytest.mark.parametrize("late", [False, True])
def test_a_choice_whose_answer_was_lost_is_ended_by_the_next_before_or_after_it_comes(
    choose: Choose, database_url: str, *, late: bool
) -> None:
    def accept() -> TestResponse:
        return choose("accept", functional=True, advertising=True, id=TWO, ends=[ONE])

    choose("choose", functional=True, id=ONE, ends=[])
    if not late:
        assert accept().status_code == 201
    assert choose("refuse", id=THREE, ends=[ONE, TWO]).status_code == 201
    response = accept()
    assert response.status_code == 410
    assert "Set-Cookie" not in response.headers
    assert state_of(database_url) == {
        ONE: ("choose", None),
        TWO: ("unsaved" if late else "accept", ONE),
        THREE: ("refuse", TWO),
    }


def test_what_nobody_chose_is_recorded_and_not_kept_by_the_browser(
    choose: Choose, database_url: str
) -> None:
    response = choose("unsaved", id=TWO, ends=[ONE])
    assert response.status_code == 201
    assert response.headers["Set-Cookie"].startswith("pc_consent=; ")
    assert state_of(database_url) == {ONE: ("unsaved", None), TWO: ("unsaved", ONE)}


def test_the_page_without_a_script_ends_what_has_no_answer(
    client: FlaskClient, database_url: str
) -> None:
    version = config(client)["version"]
    cookie = f"1.{TWO}.{version}.20261128.-.accept.functional+advertising.{ONE}"
    client.set_cookie("pc_consent", cookie)
    form = {"press": "refuse", "version": version}
    response = client.post("/consent/shop", data=form)
    assert response.status_code == 303
    found = state_of(database_url)
    assert found[ONE] == ("unsaved", None)
    assert found[TWO] == ("unsaved", ONE)
    assert ("page", TWO) in found.values()


def test_an_id_of_another_site_is_refused(choose: Choose, client: FlaskClient) -> None:
    version = config(client, site="blog")["version"]
    blog = choose("refuse", site="blog", choices={}, version=version, id=ONE, ends=[])
    assert blog.status_code == 201
    assert choose("refuse", id=ONE, ends=[]).status_code == 400


def test_a_choice_about_cookies_that_have_changed_is_not_recorded(
    choose: Choose, client: FlaskClient, database_url: str
) -> None:
    response = choose("accept", functional=True, advertising=True, version="0123456789")
    assert response.status_code == 409
    assert response.get_json()["version"] == config(client)["version"]
    assert "Set-Cookie" not in response.headers
    assert not rows(database_url)


@pytest.mark.parametrize(
    "members",
    [
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": {"functional": True}},
        {"choices": {"functional": True, "advertising": 1}},
        {"choices": {"functional": True, "advertising": True, "essential": False}},
        {"method": "page"},
        {"method": "scroll"},
        {"method": None},
        {"method": ["accept"]},
        {"id": "x"},
        {"id": None},
        {"id": "A" * 32},
        {"id": "1" * 32, "ends": "2"},
        {"id": "1" * 32, "ends": [2]},
        {"id": "1" * 32, "ends": ["2" * 32] * 9},
    ],
)
def test_what_is_no_choice_is_refused_with_the_remedy(
    choose: Choose, database_url: str, members: dict[str, object]
) -> None:
    response = choose(**members)
    assert response.status_code == 400
    assert response.get_json()["error"]
    assert not rows(database_url)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 4000])
def test_what_is_no_json_is_refused(client: FlaskClient, database_url: str, body: bytes) -> None:
    response = client.post("/consent/shop", data=body, content_type="application/json")
    assert response.status_code == 400
    assert not rows(database_url)


def test_an_oversized_body_is_refused(client: FlaskClient, database_url: str) -> None:
    body = json.dumps({"choices": {}, "padding": "x" * choice.MAX_BODY_BYTES})
    response = client.post("/consent/shop", data=body, content_type="application/json")
    assert response.status_code == 413
    assert not rows(database_url)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://shop.acme.example"},
        {"Origin": "https://shop.acme.example.evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_other_site_chooses_for_this_one(
    choose: Choose, database_url: str, headers: dict[str, str]
) -> None:
    response = choose("accept", functional=True, advertising=True, headers=headers)
    assert response.status_code == 403
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert not rows(database_url)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ORIGIN},
        {"Origin": "https://www.shop.acme.example"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_the_sites_own_pages_may_choose(choose: Choose, headers: dict[str, str]) -> None:
    assert choose("refuse", headers=headers).status_code == 201


def test_one_network_cannot_fill_the_table(choose: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "NETWORK_RATE", "1 per hour")
    headers = {"X-Forwarded-For": "203.0.114.7, 10.0.0.1"}
    assert choose("refuse", headers=headers).status_code == 201
    assert choose("refuse", headers=headers).status_code == 429
    assert choose("refuse", headers={"X-Forwarded-For": "198.51.101.7"}).status_code == 201


@pytest.mark.parametrize("rate", ["NETWORK_RATE", "SENDER_RATE"])
def test_who_claims_to_send_for_a_visitor_uses_up_nothing_of_theirs(
    choose: Choose, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    monkeypatch.setattr(choice, rate, "1 per hour")
    visitor = {"X-Forwarded-For": "203.0.114.7"}
    client.environ_base["REMOTE_ADDR"] = "198.51.101.66"
    assert choose("refuse", headers=visitor).status_code == 201
    assert choose("refuse", headers=visitor).status_code == 429
    client.environ_base["REMOTE_ADDR"] = "192.0.3.1"  # the site's server
    assert choose("refuse", headers=visitor).status_code == 201


def test_one_sender_cannot_fill_the_table(choose: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "SENDER_RATE", "1 per hour")
    assert choose("refuse").status_code == 201
    assert choose("refuse").status_code == 429


def statuses(choose: Choose, count: int, **headers: str) -> list[int]:
    return [choose("refuse", headers=headers).status_code for _ in range(count)]


def test_a_site_records_as_many_choices_a_minute_as_the_catalogue_says(
    app: Flask, choose: Choose
) -> None:
    brand = 'brand = "acme"\n'
    put_in_force(app, CATALOGUE + SITES.replace(brand, f"{brand}choices_per_minute = 60\n", 1))
    assert statuses(choose, 61) == [201] * 60 + [429]


@pytest.fixture
def secret(app: Flask, monkeypatch: pytest.MonkeyPatch) -> str:
    """The secret of the site's endpoint; another replaces it just now."""
    wired = app.extensions[EXTENSION_NAME]
    found = {"consent_secrets": f"shop:{'a' * 32} shop:{'b' * 32} blog:{'c' * 32}"}
    settings = wired.settings.model_copy(update=found)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    return "a" * 32


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("sent", [None, "", "a", "c" * 32, "é" * 32])
def test_where_the_endpoint_has_a_secret_nobody_else_records_a_choice(
    choose: Choose, client: FlaskClient, database_url: str, sent: str | None
) -> None:
    headers = {} if sent is None else {"X-Consent-Secret": sent}
    response = choose("accept", functional=True, advertising=True, headers=headers)
    assert response.status_code == 403
    form = {"press": "accept", "version": config(client)["version"]}
    assert client.post("/consent/shop", data=form, headers=headers).status_code == 403
    assert not rows(database_url)
    assert client.get("/consent/shop").status_code == 200


@pytest.mark.parametrize("last", [False, True])
def test_the_endpoint_with_its_secret_has_the_rate_of_the_site_alone(
    choose: Choose, secret: str, monkeypatch: pytest.MonkeyPatch, *, last: bool
) -> None:
    monkeypatch.setattr(choice, "SENDER_RATE", "1 per hour")
    sent = "b" * 32 if last else secret
    assert statuses(choose, 3, **{"X-Consent-Secret": sent}) == [201, 201, 201]


def test_a_visitor_is_counted_whichever_server_of_the_site_sends(
    choose: Choose, client: FlaskClient, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "NETWORK_RATE", "1 per hour")
    headers = {"X-Consent-Secret": secret, "X-Forwarded-For": "203.0.114.7"}
    assert choose("refuse", headers=headers).status_code == 201
    client.environ_base["REMOTE_ADDR"] = "198.51.101.66"
    assert choose("refuse", headers=headers).status_code == 429


def test_nothing_personal_is_in_the_rows(choose: Choose, database_url: str) -> None:
    choose(
        "accept",
        functional=True,
        advertising=True,
        email="jane.doe@example.com",
        language="jane.doe@example.com",
        headers={
            "User-Agent": "Jane’s browser".encode().decode("latin-1"),
            "X-Forwarded-For": "203.0.114.7",
        },
    )  # I12
    [row] = rows(database_url, "*")
    assert not [part for part in ("jane", "203.0.114", "browser") if part in repr(row).lower()]


def test_the_version_of_the_policy_in_force_is_kept(
    app: Flask, choose: Choose, database_url: str
) -> None:
    policy = """
[policies.privacy."2026-01"]
effective = 2026-01-01
material = false
url = "https://acme.example/privacy"
sha256 = "%s"
summary = { en = "First version.", it = "Prima versione." }
"""
    put_in_force(app, CATALOGUE + SITES + policy % ("0" * 64))
    assert choose("refuse").status_code == 201
    assert rows(database_url, "policy_version") == [("privacy/2026-01",)]


def test_without_the_database_nothing_is_said_to_be_saved(
    choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(_: object) -> object:
        raise Unavailable("no database")

    monkeypatch.setattr(choice, "run_in_transaction", unavailable)
    response = choose("accept", functional=True, advertising=True)
    assert response.status_code == 503  # I1
    assert "Set-Cookie" not in response.headers
