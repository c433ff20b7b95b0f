"""The one-click POST, as mail clients send it, at whatever path."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, RawIOBase
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import Link, TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from tests.clock import START, Clock
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_unsubscribe import turn_on, undo_of
from tests.triggers import without_triggers
from tests.web.pages.fixtures import MakeToken
from tests.web.pages.visits import MESSAGE_ID

PAIR = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    "--sep\r\n"
    'Content-Disposition: form-data; name="List-Unsubscribe"\r\n'
    "\r\n"
    "One-Click\r\n"
    "--sep--\r\n"
)
FOREIGN = "moz-extension://3f0c1f2e-0000-4000-8000-000000000000"

# CLIENTS.md, one each; those that never POST are tested further down.
SHAPES: dict[str, dict[str, Any]] = {
    "Gmail": {"data": PAIR, "content_type": FORM, "headers": {"Content-Length": "26"}},
    "RFC 8058 8.3": {"data": MULTIPART, "content_type": "multipart/form-data; boundary=sep"},
    "Nextcloud Mail": {"data": PAIR, "content_type": FORM, "headers": {"User-Agent": "Nextcloud"}},
    "FairEmail": {"data": PAIR, "content_type": FORM, "headers": {"User-Agent": "FairEmail/1.2"}},
    "BetterUnsubscribe": {"data": PAIR, "content_type": FORM, "headers": {"Origin": FOREIGN}},
    "List-Unsubscribe add-on": {"data": PAIR, "content_type": "text/plain;charset=UTF-8"},
    "List-Unsubscribe add-on, value with its space": {"data": " " + PAIR, "content_type": FORM},
    "Inbox Zero": {"data": {"List-Unsubscribe": "One-Click"}, "headers": {"User-Agent": "axios"}},
    "no content type": {"data": PAIR},
    "no User-Agent": {"data": PAIR, "content_type": FORM, "headers": {"User-Agent": ""}},
    "null Origin": {"data": PAIR, "content_type": FORM, "headers": {"Origin": "null"}},
    "stale cookie": {"data": PAIR, "content_type": FORM, "headers": {"Cookie": "session=x"}},
    "text/plain in chunks": {"data": PAIR, "content_type": "text/plain", "chunked": True},
    "form in chunks": {"data": PAIR, "content_type": FORM, "chunked": True},
    "multipart in chunks": {
        "data": MULTIPART,
        "content_type": "multipart/form-data; boundary=sep",
        "chunked": True,
    },
    "more fields": {"data": PAIR + "&utm_source=mail&confirm=", "content_type": FORM},
}


OTHER_BODIES: dict[str, dict[str, Any]] = {
    "empty": {},
    "lower case": {"data": PAIR.lower(), "content_type": FORM},
    "JSON": {"json": {"List-Unsubscribe": "One-Click"}},
    "gzip": {"data": gzip.compress(PAIR.encode()), "headers": {"Content-Encoding": "gzip"}},
    "UTF-16": {"data": PAIR.encode("utf-16"), "content_type": f"{FORM}; charset=utf-16"},
    "binary": {"data": bytes(range(256)), "content_type": "application/octet-stream"},
    "broken multipart": {"data": MULTIPART[:40], "content_type": "multipart/form-data; boundary=x"},
    "multipart without boundary": {"data": MULTIPART, "content_type": "multipart/form-data"},
    "cut off": {"data": PAIR[:-6], "content_type": FORM},
}


def in_chunks(*, chunked: bool = False, **given: Any) -> dict[str, Any]:
    """The request as the bridge hands on one without Content-Length."""
    if not chunked:
        return given
    stream = BytesIO(given.pop("data").encode())
    return {
        **given,
        "input_stream": stream,
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True},
    }


JANE = parse_address("jane.doe@example.com", Channel.EMAIL)
TOKEN_ID = UUID(MESSAGE_ID)


@pytest.fixture
def tokens(app: Flask, token: str, clock: Clock) -> dict[str, str]:
    """One of every kind that is signed for a person."""
    links, now = app.extensions[EXTENSION_NAME].links, clock()
    expired = now - timedelta(days=30)
    return {
        "message": token,
        "column": links.create_permanent_token(
            Link(JANE, ALL_MARKETING, "", now, destination_id=1)
        ),
        **{
            purpose.name.lower(): links.create_one_time_token(purpose, JANE, TOKEN_ID, now)
            for purpose in (TokenPurpose.PAGE_VISIT, TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL)
        },
        "expired page": links.create_one_time_token(
            TokenPurpose.PAGE_VISIT, JANE, TOKEN_ID, expired
        ),
        "expired mail": links.create_one_time_token(
            TokenPurpose.EMAILED_LINK, JANE, TOKEN_ID, expired
        ),
    }


KINDS = (
    *("message", "column", "page_visit", "emailed_link", "portal"),
    *("expired page", "expired mail"),
)
PATHS = {
    "page": "/u/{}", "preferences": "/p/{}", "mailed": "/m/{}", "portal": "/portal/{}",
    "confirm": "/c/{}", "where": "/w/{}", "receipt": "/w/{}/receipt.json", "reason": "/reason/{}",
    "upper case": "/U/{}", "slashes": "//u//{}", "unknown": "/unsubscribe/{}", "bare": "/{}",
    "inside": "/mail/{}/stop", "https": "/https://prefs.example.com/u/{}",
}  # fmt: skip


class TestAnywhere:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    def test_the_pair_with_a_token_opts_out(
        self, client: FlaskClient, tokens: dict[str, str], ledger: Ledger, path: str, kind: str
    ) -> None:  # I7, A5
        response = client.post(
            data=PAIR,
            content_type="text/plain",
            environ_overrides={"PATH_INFO": path.format(tokens[kind])},
        )
        assert (response.status_code, response.text) == (200, "You are unsubscribed.\n")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        scope = "digest" if kind == "message" else ALL_MARKETING
        assert ledger.kinds() == [("opted_out", scope)]

    def test_an_emailed_link_is_not_consumed(
        self, client: FlaskClient, tokens: dict[str, str]
    ) -> None:
        client.post(f"/m/{tokens['emailed_link']}", data=PAIR)
        assert client.post(f"/m/{tokens['emailed_link']}", data={"open": "1"}).status_code == 303

    def test_a_link_that_confirms_opts_out_however_old_it_is(
        self, app: Flask, client: FlaskClient, tokens: dict[str, str], ledger: Ledger, clock: Clock
    ) -> None:  # I7
        data = {"link": tokens["expired page"]}
        then = clock() - timedelta(days=30)
        token = app.extensions[EXTENSION_NAME].links.seal_form(FormPurpose.CONFIRMATION, data, then)
        assert client.post(f"/c/{token}", data=PAIR).status_code == 200
        assert ledger.kinds() == [("opted_out", ALL_MARKETING)]

    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    def test_without_the_pair_or_with_a_forged_token_records_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger, path: str
    ) -> None:  # A7, A9
        if path != PATHS["page"]:
            client.post(path.format(token), data={"other": "One-Click"})
        assert not client.post(path.format(token[:-1] + "~"), data=PAIR).status_code < 400
        assert ledger.events() == []

    @pytest.mark.parametrize("path", ["/v1/decisions/{}", "/hooks/x/{}", "/healthz/{}"])
    def test_no_path_of_the_api_reads_a_body_for_it(
        self, client: FlaskClient, token: str, path: str
    ) -> None:
        assert client.post(path.format(token), data=b"{}").status_code in {401, 404, 405}

    @pytest.mark.parametrize("path", ["/nowhere", "/wp/xmlrpc.php", "/v1/nowhere", "/"])
    def test_no_body_is_read_where_no_token_is(self, client: FlaskClient, path: str) -> None:
        body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "1048576"}
        answer = client.post(path, environ_overrides=body)
        assert answer.status_code in {404, 405}


class Unread(RawIOBase):
    """A body that fails anyone who reads it."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object, /) -> int:
        raise AssertionError("the body was read")


class TestOneClick:
    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_of_every_client_opts_out(
        self, client: FlaskClient, token: str, ledger: Ledger, shape: dict[str, Any]
    ) -> None:  # A3, A4, A5
        response = client.post(f"/u/{token}", **in_chunks(**shape))
        assert response.status_code == 200
        assert "Set-Cookie" not in response.headers
        assert ledger.kinds() == [("opted_out", "digest")]

    @pytest.mark.parametrize("body", OTHER_BODIES.values(), ids=OTHER_BODIES)
    def test_opts_out_whatever_a_client_sends(
        self, client: FlaskClient, token: str, ledger: Ledger, body: dict[str, Any]
    ) -> None:  # I1: it takes a 2xx for an opt-out
        response = client.post(f"/u/{token}", **body)
        assert (response.status_code, response.text) == (200, "You are unsubscribed.\n")
        assert ledger.kinds() == [("opted_out", "digest")]

    @pytest.mark.parametrize("field", ["confirm", "undo"])
    def test_is_not_a_press_on_the_page(
        self, client: FlaskClient, token: str, ledger: Ledger, field: str
    ) -> None:
        response = client.post(f"/u/{token}", data={field: "nonsense"}, follow_redirects=True)
        assert "<form" in response.text
        assert ledger.events() == []

    def test_answer_can_be_read_by_an_add_on(
        self, client: FlaskClient, token: str
    ) -> None:  # CLIENTS.md
        response = client.post(f"/u/{token}", data=PAIR, headers={"Origin": FOREIGN})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.text == "You are unsubscribed.\n"

    def test_is_one_event_however_often_it_comes_within_seconds(
        self, client: FlaskClient, token: str, ledger: Ledger, clock: Clock
    ) -> None:  # A8, I7
        for _ in range(3):
            assert client.post(f"/u/{token}", data=PAIR).status_code == 200
            clock.advance(timedelta(seconds=2))
        assert len(ledger.events()) == 1

    def test_stays_when_what_the_page_did_before_is_undone(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], clock: Clock
    ) -> None:  # I5
        undo = undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        )
        clock.advance(timedelta(minutes=5))
        client.post(f"/u/{token}", data=PAIR)
        client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True)
        assert not subscribed()

    def test_stops_its_topic_only(
        self,
        client: FlaskClient,
        token: str,
        proven: str,
        subscribed: Callable[..., bool],
    ) -> None:  # A16
        turn_on(client, proven, "offers")
        client.post(f"/u/{token}", data=PAIR)
        assert not subscribed(topic="digest")
        assert subscribed(topic="offers")

    @pytest.mark.parametrize("scope", ["all_marketing", "a_topic_no_longer_declared"])
    def test_honours_every_scope_a_link_may_name(
        self, client: FlaskClient, make_token: MakeToken, ledger: Ledger, scope: str
    ) -> None:
        assert client.post(f"/u/{make_token(scope=scope)}", data=PAIR).status_code == 200
        assert ledger.kinds() == [("opted_out", scope)]

    def test_never_expires(
        self, client: FlaskClient, make_token: MakeToken, ledger: Ledger
    ) -> None:  # B11
        old = make_token(age=timedelta(days=5000))
        assert client.post(f"/u/{old}", data=PAIR).status_code == 200
        assert len(ledger.events()) == 1

    def test_keeps_evidence_of_the_link_and_nothing_of_the_device(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:  # I8
        headers = {"User-Agent": "Robot/9", "X-Forwarded-For": "198.51.100.7"}
        client.post(f"/u/{token}", data=PAIR, headers=headers)
        [event] = ledger.events()
        assert event["evidence"] == {
            "method": "one_click",
            "key_id": "l1",
            "message_id": MESSAGE_ID,
            "issued_at": (START - timedelta(days=1)).isoformat(),
        }
        assert (event["source"], event["actor"]) == ("one_click", "recipient")
        assert event["received_at"] == START
        assert not re.search(r"Robot|198\.51|127\.0\.0\.1", str(ledger.rows()))

    def test_works_without_any_catalogue(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        import psycopg

        from preference_center.catalogue.store import clear_catalogue_cache

        with psycopg.connect(ledger.url) as connection, without_triggers(connection):
            connection.execute("DELETE FROM catalogue_version")
        with client.application.app_context():
            clear_catalogue_cache()
        assert client.get(f"/u/{token}").status_code == 200
        assert client.post(f"/u/{token}", data=PAIR).status_code == 200
        assert ledger.kinds() == [("opted_out", "digest")]
