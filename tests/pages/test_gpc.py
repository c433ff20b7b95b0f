"""Global Privacy Control: offered or honoured, shown, and never by reading (D7, D8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.clock import START, Clock
from tests.pages.conftest import CATALOGUE, MakeToken
from tests.pages.demo import put_in_force
from tests.pages.ledger import Ledger
from tests.pages.mailing import give_mail_server, queued_emails
from tests.pages.test_preferences import Form
from tests.pages.test_unsubscribe import undo_of

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

Subscribed = Callable[..., bool]

NOTICED = "Your browser sends the Global Privacy Control signal."
COMING = "When you press any button here, we also stop all marketing."
HONOURED = "We follow it: all marketing is off."
MINUTE = timedelta(minutes=1)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """One that sends the signal with every request."""
    client = app.test_client()
    client.environ_base["HTTP_SEC_GPC"] = "1"
    return client


@pytest.fixture
def honoured(app: Flask, clock: Clock) -> None:
    """A catalogue that honours the signal."""
    put_in_force(app, clock, CATALOGUE + '\n[policy]\ngpc = "honour"\n')


def paths(token: str, make_token: MakeToken) -> list[str]:
    old = make_token(age=timedelta(days=90))
    return [f"/u/{token}", f"/p/{token}", f"/p/{old}"]


class TestOffered:
    def test_as_a_button_on_every_page_of_a_link(
        self, browser: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
    ) -> None:
        for path in paths(token, make_token):
            text = browser.get(path).text
            assert NOTICED in text, path
            assert text.count("Stop all marketing, as your browser asks") == 1
        assert ledger.events() == []  # I7

    def test_and_nothing_more_unless_it_is_pressed(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        browser.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert ledger.kinds() == [("opted_out", "digest")]
        done = browser.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True)
        assert HONOURED in done.text
        assert ledger.kinds()[1:] == [("opted_out", "all_marketing")]

    @pytest.mark.parametrize("value", [None, "", "0", "true", "2", "1, 1"])
    def test_for_the_value_1_alone(
        self, client: FlaskClient, token: str, value: str | None
    ) -> None:  # D7
        headers = {} if value is None else {"Sec-GPC": value}
        assert NOTICED not in client.get(f"/p/{token}", headers=headers).text

    def test_with_a_valid_link_only(self, browser: FlaskClient) -> None:
        assert NOTICED not in browser.get("/p/broken").text


@pytest.mark.usefixtures("honoured")
class TestHonoured:
    def test_not_by_reading_which_shows_what_a_button_will_do(
        self, browser: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
    ) -> None:  # I7
        for path in paths(token, make_token):
            assert COMING in browser.get(path).text
            browser.head(path)
        browser.post(f"/u/{token}", data={"something": "else"})  # A9
        assert ledger.events() == []

    def test_with_an_unsubscribe_and_undone_with_it(
        self, browser: FlaskClient, token: str, ledger: Ledger, subscribed: Subscribed
    ) -> None:
        done = browser.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert HONOURED in done.text
        assert "is unsubscribed from all marketing" in done.text
        narrow, wide = ledger.events()
        assert (narrow["scope"], narrow["evidence"]["method"]) == ("digest", "unsubscribe_page")
        assert (wide["scope"], wide["evidence"]["method"]) == (
            "all_marketing",
            "global_privacy_control",
        )
        undo = undo_of(done.text)
        browser.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True)
        assert subscribed()

    def test_with_a_save_that_changes_nothing_else(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        after = Form.of(browser, token).send(browser)
        assert HONOURED in after.text
        assert "Turned off: <strong>All marketing</strong>" in after.text
        assert after.ticks == set()
        assert ledger.kinds() == [("opted_out", "all_marketing")]

    def test_once(
        self, browser: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:  # I7
        for _ in range(2):
            Form.of(browser, token).send(browser)
            clock.advance(timedelta(hours=1))
        assert len(ledger.events()) == 1

    def test_before_anything_is_turned_on_and_what_is_chosen_after_counts(
        self, browser: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        form = Form.of(browser, proven)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        again = form.send(browser)
        assert "We stopped all marketing first" in again.text
        assert again.ticks == set()
        clock.advance(MINUTE)
        again = Form.of(browser, proven)
        again.ticks.add("offers")
        assert again.send(browser).ticks == {"offers"}
        assert subscribed(topic="offers")
        assert not subscribed()

    def test_and_asks_nobody_to_confirm_what_it_has_just_stopped(
        self, app: Flask, browser: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give_mail_server(app, monkeypatch)
        form = Form.of(browser, token)
        form.ticks.add("offers")
        form.send(browser)
        assert queued_emails(app) == []

    def test_not_against_the_persons_own_later_choice(
        self, browser: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        form = Form.of(browser, proven).send(browser)
        for _ in range(2):
            clock.advance(MINUTE)
            form.ticks.add("digest")
            form = form.send(browser)
        assert subscribed()

    def test_not_by_a_mail_clients_post(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:  # A16
        browser.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_not_without_the_signal(self, client: FlaskClient, token: str, ledger: Ledger) -> None:
        Form.of(client, token).send(client)
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_and_shown_the_status_of_the_opt_out(self, browser: FlaskClient, token: str) -> None:
        Form.of(browser, token).send(browser)
        text = browser.get(f"/w/{token}").text
        assert "By your browser’s Global Privacy Control" in text


def test_the_support_resource_is_dated_by_the_catalogue(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # D7
    found = client.get("/.well-known/gpc.json")
    assert found.mimetype == "application/json"
    assert found.json == {"gpc": True, "lastUpdate": START.date().isoformat()}
    clock.advance(timedelta(days=3))
    put_in_force(app, clock, CATALOGUE + '\n[policy]\ngpc = "honour"\n')
    assert client.get("/.well-known/gpc.json").json == {"gpc": True, "lastUpdate": "2026-11-27"}
