"""Opting in from a link that proves nothing: nothing is on before the mail is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel
from preference_center.core.links import FormPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.outbox import EmailKind
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger, restrict
from tests.recipients.pages.test_preferences import Form
from tests.web.pages.fixtures import MakeToken
from tests.web.pages.visits import MESSAGE_ID

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

Subscribed = Callable[..., bool]

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def mail_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


def ask(client: FlaskClient, token: str, topic: str = "offers") -> Form:
    form = Form.of(client, token)
    form.ticks.add(topic)
    return form.send(client)


def press(client: FlaskClient, path: str) -> TestResponse:
    return client.post(path, data={"confirm": "yes"}, follow_redirects=True)


@pytest.fixture
def mailed(app: Flask, client: FlaskClient, token: str) -> str:
    """The path in the mail by which Jane may confirm that she wants offers."""
    ask(client, token)
    (email,) = queued_emails(app)
    return link_in(email)


def test_nothing_is_turned_on_for_who_limits_the_use_of_their_data(
    app: Flask, client: FlaskClient, mailed: str, ledger: Ledger, clock: Clock
) -> None:
    with app.app_context():
        restrict("jane.doe@example.com", clock())
    clock.advance(MINUTE)
    page = press(client, mailed)
    assert "Nothing was turned on" in page.text
    assert ledger.kinds() == [("restricted", "restriction")]


class TestAsking:
    def test_turns_nothing_on_and_announces_a_mail(
        self, app: Flask, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        before = Form.of(client, token)
        assert "we ask by an email to j***@e***.com" in before.text  # before the choice
        after = ask(client, token)
        assert "Please confirm" in after.text
        assert 'within 7 days: <strong><span lang="en">Offers</span></strong>' in after.text
        assert "offers" not in after.ticks
        assert ledger.events() == []
        (email,) = queued_emails(app)
        assert email.kind is EmailKind.CONFIRM_OPT_IN
        assert email.recipient.exact == "jane.doe@example.com"
        assert email.values["what"] == "Offers"
        assert email.brand == "acme"
        assert email.expires_at == START + timedelta(days=7)

    def test_needs_no_cookie(self, app: Flask, client: FlaskClient, token: str) -> None:
        form = Form.of(client, token)
        form.ticks.add("offers")
        form.send(app.test_client(use_cookies=False))
        assert len(queued_emails(app)) == 1

    def test_saves_an_opt_out_of_the_same_answer_at_once(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        form = Form.of(client, token)
        form.ticks = {"offers"}
        after = form.send(client)
        assert "Turned off:" in after.text
        assert "Please confirm" in after.text
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_twice_by_one_form_is_mailed_once(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        form = Form.of(client, token)
        form.ticks.add("offers")
        form.send(client)
        clock.advance(timedelta(seconds=1))
        form.send(client)
        assert len(queued_emails(app)) == 1

    def test_fills_no_mailbox(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        for _ in range(3):
            ask(client, token)
            clock.advance(MINUTE)
        assert "We have sent several emails to j***@e***.com lately." in ask(client, token).text
        assert len(queued_emails(app)) == 3

    def test_speaks_the_language_of_the_page(
        self, app: Flask, client: FlaskClient, token: str
    ) -> None:
        path = f"/p/{token}?lang=it"
        form = Form.in_page(path, client.get(path).text)
        form.ticks.add("offers")
        form.send(client)
        (email,) = queued_emails(app)
        assert (email.language, email.values["what"]) == ("it", "Offerte")

    def test_is_not_offered_to_a_phone_number(
        self, app: Flask, client: FlaskClient, make_token: MakeToken, ledger: Ledger
    ) -> None:
        form = Form.of(client, make_token("+393331234567", "alerts", channel=Channel.SMS))
        assert "send one to a phone number" in form.text
        assert 'value="alerts"' not in form.text
        form.ticks.add("alerts")
        assert "Nothing was turned on." in form.send(client).text
        assert (queued_emails(app), ledger.events()) == ([], [])

    def test_for_an_old_link_too_goes_by_mail(
        self, app: Flask, client: FlaskClient, make_token: MakeToken, clock: Clock
    ) -> None:
        form = Form.of(client, make_token(age=timedelta(days=60)))
        clock.advance(MINUTE)
        form.ticks.add("offers")
        assert "Please confirm" in form.send(client).text
        assert len(queued_emails(app)) == 1


def test_without_a_mail_server_the_page_states_so_beforehand(
    client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    monkeypatch.undo()
    form = Form.of(client, token)
    assert "this service can’t send email" in form.text
    assert 'value="offers"' not in form.text
    form.ticks.add("offers")
    assert "Nothing was turned on." in form.send(client).text
    assert ledger.events() == []


class TestConfirming:
    def test_takes_the_button(self, client: FlaskClient, mailed: str, ledger: Ledger) -> None:  # I7
        for method in ("GET", "HEAD"):
            assert client.open(mailed, method=method).status_code == 200
        shown = client.post(mailed, data={"something": "else"})
        assert "Do you want to receive this?" in shown.text
        assert "<li>Offers</li>" in shown.text
        assert "jane" not in shown.text
        assert ledger.events() == []

    def test_opts_in_from_when_the_form_was_rendered(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock, ledger: Ledger,
        subscribed: Subscribed,
    ) -> None:  # fmt: skip  # I5
        form = Form.of(client, token)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        form.send(client)
        clock.advance(timedelta(days=6))
        done = press(client, link_in(queued_emails(app)[0]))
        assert "Confirmed" in done.text
        assert subscribed(topic="offers")
        [event] = ledger.events()
        assert (event["kind"], event["scope"]) == ("opted_in", "offers")
        assert event["occurred_at"] == event["counts_at"] == START
        assert event["received_at"] == clock()
        assert event["evidence"]["method"] == "confirmed_by_mail"
        assert event["evidence"]["message_id"] == MESSAGE_ID

    def test_twice_is_once(
        self, client: FlaskClient, mailed: str, clock: Clock, ledger: Ledger
    ) -> None:
        press(client, mailed)
        clock.advance(MINUTE)
        assert "Confirmed" in press(client, mailed).text
        assert len(ledger.events()) == 1

    def test_a_used_link_says_when_it_was_confirmed(
        self, client: FlaskClient, mailed: str, clock: Clock
    ) -> None:
        press(client, mailed)
        clock.advance(timedelta(days=2))
        page = client.get(mailed).text
        assert "You confirmed this on 24 November 2026." in page
        assert "Nothing has changed." not in page
        assert 'value="yes"' not in page

    def test_loses_against_a_newer_opt_out_and_shows_it(
        self, client: FlaskClient, token: str, mailed: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5
        clock.advance(MINUTE)
        client.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True)
        clock.advance(MINUTE)
        assert "We left this turned off" in press(client, mailed).text
        assert not subscribed(topic="offers")

    def test_again_after_a_newer_no_changes_nothing(
        self, client: FlaskClient, token: str, mailed: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5
        press(client, mailed)
        clock.advance(MINUTE)
        client.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True)
        press(client, mailed)
        assert not subscribed(topic="offers")

    def test_ends_a_pause(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        for choice in ("90", "resume"):
            form = Form.of(client, token)
            clock.advance(MINUTE)
            form.pauses = {"digest": choice}
            form.send(client)
        assert not subscribed()
        assert "Confirmed" in press(client, link_in(queued_emails(app)[0])).text
        assert subscribed()

    def test_is_possible_for_seven_days(
        self, client: FlaskClient, mailed: str, clock: Clock, ledger: Ledger
    ) -> None:
        clock.advance(timedelta(days=7, seconds=1))
        for response in (client.get(mailed), press(client, mailed)):
            assert response.status_code == 410
            assert "Too late to confirm" in response.text
            assert "Email me a new link" in response.text
        assert ledger.events() == []

    def test_takes_the_whole_token_unaltered(
        self, client: FlaskClient, mailed: str, ledger: Ledger
    ) -> None:
        middle = len(mailed) // 2
        altered = mailed[:middle] + ("A" if mailed[middle] != "A" else "B") + mailed[middle + 1 :]
        for path in (altered, mailed[:-1], "/c/", "/c", "/c/x"):
            response = press(client, path)
            assert response.status_code == 404
            assert "This link doesn’t work" in response.text
        assert ledger.events() == []

    def test_takes_no_other_form_that_we_sealed(
        self, app: Flask, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        state = Form.of(client, token).hidden["state"]
        undo = app.extensions[EXTENSION_NAME].links.seal_form(
            FormPurpose.UNDO, {"link": "x"}, START
        )
        for form in (state, undo, token):
            assert press(client, f"/c/{form}").status_code == 404
        assert ledger.events() == []
