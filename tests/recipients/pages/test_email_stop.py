"""The link in an email that anybody can cause: it stops them for a time, and allows them again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.context import services
from preference_center.web.emails import emails_stopped, stop_url
from preference_center.web.languages import LANGUAGES
from tests.clock import START, Clock
from tests.infra.emails import outgoing_email
from tests.infra.mailing import give_mail_server, headers_of, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.erasing import tables_with
from tests.rights.pages.acts import erase_now

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

JANE = "jane.doe@example.com"


@pytest.fixture
def path(app: Flask) -> str:
    """The path of the link in an email to Jane."""
    with app.app_context():
        url = stop_url(outgoing_email(JANE, unproven=True, language="en"), None, START)
    parts = urlsplit(url)
    assert parts.query == "lang=en"
    return parts.path


@pytest.fixture
def stopped(app: Flask, clock: Clock) -> Callable[..., bool]:
    def ask(address: str = JANE) -> bool:
        with app.app_context():
            return emails_stopped(parse_address(address, Channel.EMAIL), clock())

    return ask


def test_looking_at_it_stops_nothing(
    client: FlaskClient, path: str, stopped: Callable[..., bool]
) -> None:  # I7
    for method in ("GET", "HEAD", "OPTIONS"):
        assert client.open(path, method=method).status_code == 200
    assert not stopped()


def test_the_page_has_one_button_and_shows_no_address(client: FlaskClient, path: str) -> None:
    html = client.get(path).text
    assert html.count("<button") == 1
    assert "j***@e***.com" in html
    assert "jane" not in html


def test_the_address_is_not_in_the_url(path: str) -> None:  # I12
    assert "jane" not in path


def test_the_button_stops_them_for_thirty_days(
    client: FlaskClient, path: str, stopped: Callable[..., bool], clock: Clock
) -> None:
    answer = client.post(path, data={"stop": "yes"})
    assert answer.status_code == 303
    page = client.get(answer.location)
    assert page.status_code == 200
    assert "We won’t send you these emails" in page.text
    assert "24 December 2026" in page.text
    assert stopped()
    clock.advance(timedelta(days=30))
    assert not stopped()
    assert "Stop these emails?" in client.get(path).text


def test_it_covers_every_spelling_of_the_mailbox(
    client: FlaskClient, path: str, stopped: Callable[..., bool]
) -> None:  # I9
    client.post(path, data={"stop": "yes"})
    assert stopped("Jane.Doe+x@example.com")
    assert not stopped("jane@example.com")


def test_pressed_again_it_lasts_longer_and_never_shorter(
    client: FlaskClient, path: str, stopped: Callable[..., bool], clock: Clock
) -> None:
    client.post(path, data={"stop": "yes"})
    clock.advance(timedelta(days=10))
    client.post(path, data={"stop": "yes"})
    clock.advance(timedelta(days=25))
    assert stopped()


def test_the_same_link_allows_them_again(
    client: FlaskClient, path: str, stopped: Callable[..., bool]
) -> None:
    client.post(path, data={"stop": "yes"})
    answer = client.post(path, data={"allow": "yes"})
    assert answer.status_code == 303
    assert not stopped()
    page = client.get(answer.location).text
    assert "Allowed again" in page
    assert "Stop these emails?" in page
    assert client.post(path, data={"allow": "yes"}).status_code == 303  # nothing left to end


def test_an_old_link_still_works(client: FlaskClient, path: str, clock: Clock) -> None:
    clock.advance(timedelta(days=3650))
    assert client.get(path).status_code == 200
    assert client.post(path, data={"stop": "yes"}).status_code == 303


@pytest.mark.parametrize("broken", ["/emails", "/emails/broken"])
def test_a_link_that_is_not_ours_changes_nothing(client: FlaskClient, broken: str) -> None:
    assert client.get(broken).status_code == 404
    assert client.post(broken, data={"stop": "yes"}).status_code == 404


def test_a_link_of_another_page_is_none_of_this_one(client: FlaskClient, token: str) -> None:
    assert client.post(f"/emails/{token}", data={"stop": "yes"}).status_code == 404


def test_marketing_and_service_mail_are_not_affected(
    client: FlaskClient, path: str, ledger: Ledger, subscribed: Callable[..., bool]
) -> None:  # I4
    before = ledger.rows()
    client.post(path, data={"stop": "yes"})
    assert ledger.rows() == before
    assert subscribed()


def test_it_outlives_an_erasure_and_names_nobody(
    app: Flask, client: FlaskClient, path: str, stopped: Callable[..., bool]
) -> None:  # I6
    client.post(path, data={"stop": "yes"})
    erase_now(app, JANE)
    assert stopped()
    with app.app_context():
        assert "email_stop" not in tables_with(JANE)


def test_the_form_answers_the_same_with_a_stop_and_without(
    app: Flask, client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(app, monkeypatch)
    client.post(path, data={"stop": "yes"})
    stopped = client.post("/form", data={"address": JANE})
    other = client.post("/form", data={"address": "jack.poe@example.com"})
    assert stopped.text.replace(JANE, "jack.poe@example.com") == other.text
    assert headers_of(stopped) == headers_of(other)
    assert len(queued_emails(app)) == 2  # the same work: the worker drops the one


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_every_language(client: FlaskClient, path: str, language: str) -> None:
    html = client.get(f"{path}?lang={language}").text
    assert f'<html lang="{language}">' in html
    assert re.search(r'<button class="primary" name="stop" value="yes">[^<]+</button>', html)


def test_the_database_is_read_and_written_by_digest_only(
    app: Flask, client: FlaskClient, path: str
) -> None:
    client.post(path, data={"stop": "yes"})
    with app.app_context():
        from preference_center.infra.db.transactions import run_in_transaction

        rows = run_in_transaction(lambda c: c.execute("SELECT * FROM email_stop").fetchall())
        digest = services().keys.digest(JANE)
    assert rows == [(digest, START + timedelta(days=30))]
