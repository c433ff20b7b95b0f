"""The form for people without a link: its content, whom it mails, and how often."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Channel
from preference_center.web.languages import LANGUAGES
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, headers_of, queued_emails
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import MakeToken
from tests.web.pages.work import work_of

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

KNOWN, UNKNOWN = "jane.doe@example.com", "jack.poe@example.com"
PUBLIC = {"REMOTE_ADDR": "8.8.8.8"}  # what is reserved for documentation is not public


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


def ask(client: FlaskClient, address: str, **more: Any) -> TestResponse:
    return client.post("/form", data={"address": address}, **more)


def is_known(client: FlaskClient, token: str) -> None:
    assert (
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).status_code
        == 200
    )


def test_the_host_leads_to_the_form(client: FlaskClient) -> None:
    answer = client.get("/?lang=it", follow_redirects=True)
    assert answer.request.path == "/form"
    assert 'name="address"' in answer.text
    assert '<html lang="it">' in answer.text


def test_looking_at_the_form_mails_nobody(app: Flask, client: FlaskClient, ledger: Ledger) -> None:
    before = ledger.rows()  # I7
    for method in ("GET", "HEAD", "OPTIONS"):
        client.open("/form?address=jane.doe@example.com", method=method)
    assert queued_emails(app) == []
    assert ledger.rows() == before


def test_a_link_is_mailed_to_the_address(app: Flask, client: FlaskClient) -> None:
    answer = ask(client, " Jane.Doe@Example.COM ")
    assert answer.status_code == 200
    (email,) = queued_emails(app)
    assert email.recipient.exact == "jane.doe@example.com"
    assert email.expires_at == START + timedelta(hours=24)
    assert email.brand == "acme"
    assert email.values["link"].startswith("https://preferences.example.com/m/")
    assert "jane.doe" not in email.values["link"].lower()  # I12


def test_the_email_speaks_the_language_of_the_page(app: Flask, client: FlaskClient) -> None:
    client.post("/form?lang=fr", data={"address": KNOWN})
    ask(client, KNOWN, headers={"Accept-Language": "de"})
    assert {email.language for email in queued_emails(app)} == {"fr", "de"}


def test_known_and_unknown_addresses_get_the_same_answer(
    client: FlaskClient, token: str, clock: Clock
) -> None:
    is_known(client, token)
    known, unknown = ask(client, KNOWN), ask(client, UNKNOWN)
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(KNOWN, UNKNOWN) == unknown.text
    assert headers_of(known) == headers_of(unknown)
    assert "Set-Cookie" not in known.headers


def test_known_and_unknown_addresses_cost_the_same_work(
    app: Flask, client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # so they take the same time: nothing is looked up, and one row is written
    is_known(client, token)
    ask(client, "warm.up@example.com")
    _, known = work_of(ask, client, KNOWN, monkeypatch)
    _, unknown = work_of(ask, client, UNKNOWN, monkeypatch)
    assert known == unknown
    assert [step for step in known if "outgoing_mail" in step]
    assert not [step for step in known if "address" in step]
    assert len(queued_emails(app)) == 3


def test_nothing_but_the_outbox_is_written(client: FlaskClient, ledger: Ledger) -> None:
    before = ledger.rows()
    ask(client, UNKNOWN)
    assert ledger.rows() == before


@pytest.mark.parametrize("typed", ["", " ", "jane", "@example.com", "a@b@c.example", "x" * 5000])
def test_an_invalid_address_is_reported_and_kept_in_the_field(
    app: Flask, client: FlaskClient, typed: str
) -> None:
    answer = ask(client, typed)
    assert answer.status_code == 422
    assert "Enter an email address" in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{typed.strip()[:320]}"' in answer.text
    assert queued_emails(app) == []


def test_a_phone_number_gets_its_options(app: Flask, client: FlaskClient) -> None:
    answer = ask(client, "+39 333 123 4567")
    assert answer.status_code == 422
    assert "can’t send a link to a phone number" in answer.text
    assert queued_emails(app) == []


def test_what_is_typed_can_not_become_markup(client: FlaskClient) -> None:
    answer = ask(client, '"><script>alert(1)</script>')
    assert "<script" not in answer.text


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.dictionaries(
        st.sampled_from(["address", "link", "x"]), st.text(max_size=100) | st.emails()
    ),
    raw=st.none() | st.binary(max_size=200),
)
def test_no_body_breaks_it(client: FlaskClient, data: dict[str, str], raw: bytes | None) -> None:
    form = {key: value.encode("utf-8", "replace").decode() for key, value in data.items()}
    body = {"data": form} if raw is None else {"data": raw, "content_type": "multipart/form-data"}
    assert client.post("/form", **body).status_code in {200, 400, 404, 413, 422}


def test_a_mailbox_gets_three_an_hour_and_is_told_when_none_is_sent(
    app: Flask, client: FlaskClient
) -> None:
    answers = [ask(client, KNOWN) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert len({answer.text for answer in answers[:3]}) == 1
    assert "No link was sent" in answers[3].text
    assert len(queued_emails(app)) == 3
    for known in answers:  # nothing tells who is known
        unknown = ask(client, UNKNOWN)
        assert unknown.text.replace(UNKNOWN, KNOWN) == known.text
    assert len(queued_emails(app)) == 6


def test_spellings_of_one_mailbox_share_its_limit(app: Flask, client: FlaskClient) -> None:  # I9
    for spelling in ("jane@gmail.com", "j.ane@gmail.com", "jane+a@gmail.com", "ja.ne@gmail.com"):
        ask(client, spelling)
    assert len(queued_emails(app)) == 3


def test_a_network_may_ask_thirty_times_an_hour(app: Flask, client: FlaskClient) -> None:
    for number in range(30):
        near = {"REMOTE_ADDR": f"8.8.8.{number}"}
        assert ask(client, f"p{number}@example.com", environ_base=near).status_code == 200
    refused = ask(client, "late@example.com", environ_base=PUBLIC)
    assert refused.status_code == 429
    assert "Too many requests" in refused.text
    assert len(queued_emails(app)) == 30
    other = {"REMOTE_ADDR": "8.8.9.1"}
    assert ask(client, "late@example.com", environ_base=other).status_code == 200


def test_limits_hold_nothing_readable(client: FlaskClient, redis_url: str) -> None:  # I12
    from redis import Redis

    ask(client, KNOWN, environ_base=PUBLIC)
    with Redis.from_url(redis_url) as redis:
        keys = b" ".join(redis.keys()).decode()
    assert "links-from/8.8.8.0/24" in keys
    assert "email-to" in keys
    assert "jane" not in keys
    assert "8.8.8.8" not in keys


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "null"}, 200),
        ({"Origin": "https://preferences.example.com"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://preferences.example.com"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://preferences.example.com.evil.example"}, 403),
    ],
)
def test_another_site_can_not_have_its_visitors_ask(
    app: Flask, client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = ask(client, KNOWN, headers=headers)
    assert answer.status_code == status
    assert len(queued_emails(app)) == (status == 200)
    if status == 403:
        assert "press the button once more" in answer.text
        assert f'value="{KNOWN}"' in answer.text


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=3650)])
def test_an_old_link_has_a_fresh_one_mailed_to_its_own_address(
    app: Flask, client: FlaskClient, make_token: MakeToken, age: timedelta
) -> None:
    token = make_token(age=age)
    answer = client.post("/form", data={"link": token, "address": "thief@example.com"})
    assert answer.status_code == 200
    assert KNOWN not in answer.text  # masked: the link may be somebody else's (C6)
    assert [email.recipient.exact for email in queued_emails(app)] == [KNOWN]


def test_a_link_that_is_not_ours_mails_nobody(app: Flask, client: FlaskClient, token: str) -> None:
    for broken in ("", token[:-1], "x" * 500):
        assert client.post("/form", data={"link": broken}).status_code == 404
    assert queued_emails(app) == []


def test_the_link_of_a_text_message_can_not_be_mailed(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    token = make_token("+393331234567", "alerts", channel=Channel.SMS)
    answer = client.post("/form", data={"link": token})
    assert answer.status_code == 422
    assert "phone number" in answer.text
    assert queued_emails(app) == []


@pytest.mark.parametrize("path", ["/u/broken", "/p/broken", "/m/broken", "/portal/broken", "/u"])
def test_a_broken_link_offers_the_form(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert re.search(r'<form method="post" action="/form">', answer.text)


def test_without_a_mail_server_it_states_so_and_how_to_reach_the_company(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for answer in (client.get("/form"), ask(client, KNOWN)):
        assert "can’t send email at the moment" in answer.text
        assert "hello@acme.example" in answer.text
        assert "<form" not in answer.text
    assert answer.status_code == 503
    assert "<form" not in client.get("/u/broken").text
    assert queued_emails(app) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_form(client: FlaskClient, language: str) -> None:
    answer = client.post(f"/form?lang={language}", data={"address": KNOWN})
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["Content-Language"] == language
    assert f'href="/form?lang={language}"' in answer.text  # not a POST asked for again


def test_the_form_is_as_private_as_every_page(client: FlaskClient) -> None:  # C7
    for answer in (client.get("/form"), ask(client, KNOWN)):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in answer.headers
