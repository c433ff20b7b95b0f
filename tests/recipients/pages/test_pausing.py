"""Pauses from the preference page: they begin, end by themselves, and end early."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.clock import START, Clock
from tests.destinations.connected import connect
from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form
from tests.web.pages.fixtures import CATALOGUE

Subscribed = Callable[..., bool]

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def choose(client: FlaskClient, token: str, clock: Clock, **pauses: str) -> Form:
    """Open the page, and a minute later save it with these pauses."""
    form = Form.of(client, token)
    clock.advance(MINUTE)
    form.pauses = pauses
    return form.send(client)


@pytest.mark.parametrize("days", [7, 30, 90])
def test_a_topic_is_paused_for_so_many_days_and_the_page_shows_until_when(
    client: FlaskClient, token: str, clock: Clock, ledger: Ledger, subscribed: Subscribed, days: int
) -> None:
    until = START + MINUTE + days * DAY
    after = choose(client, token, clock, digest=str(days))
    assert f"Paused until {until.day} {until:%B} {until.year}:" in after.text
    assert f"Paused until {until.day} {until:%B} {until.year}" in after.text
    assert after.ticks == {"digest"}  # paused, not off
    [event] = ledger.events()
    assert (event["kind"], event["scope"], event["until"]) == ("paused", "digest", until)
    assert not subscribed()
    clock.now = until - MINUTE
    assert not subscribed()
    clock.now = until  # I5: by its own stated end
    assert subscribed()
    assert "Paused until" not in client.get(f"/p/{token}").text


def test_the_same_form_sent_twice_says_the_same_and_can_be_undone(
    client: FlaskClient, token: str, clock: Clock, ledger: Ledger, subscribed: Subscribed
) -> None:  # I7
    form = Form.of(client, token)
    form.pauses = {"digest": "30"}
    after = form
    for _ in range(2):
        clock.advance(timedelta(seconds=1))
        after = form.send(client)
        assert "Paused until 24 December 2026:" in after.text
        assert "You can undo this for 30 minutes." in after.text
    assert len(ledger.events()) == 1
    client.post(form.path, data=undo(after.text))
    assert subscribed()


def undo(text: str) -> dict[str, str]:
    found = re.search(r'name="undo" value="([^"]+)"', text)
    assert found
    return {"undo": found[1]}


def test_the_day_is_written_as_the_reader_writes_it(
    client: FlaskClient, token: str, clock: Clock
) -> None:
    choose(client, token, clock, all_marketing="30")
    assert "Tutte le comunicazioni promozionali sono in pausa fino al 24 dicembre 2026." in (
        client.get(f"/p/{token}?lang=it").text
    )


def test_everything_is_paused_and_what_was_never_asked_for_stays_off(
    client: FlaskClient, token: str, clock: Clock, subscribed: Subscribed
) -> None:
    after = choose(client, token, clock, all_marketing="7")
    assert "All marketing is paused until 1 December 2026." in after.text
    assert after.ticks == {"digest"}  # not `offers`, which is opt-in
    assert not subscribed()
    clock.advance(7 * DAY)
    assert subscribed()
    assert not subscribed(topic="offers")


class TestEndingItEarly:
    @pytest.mark.parametrize("scope", ["digest", "all_marketing"])
    def test_brings_back_what_was_before(
        self, client: FlaskClient, proven: str, clock: Clock, scope: str, subscribed: Subscribed
    ) -> None:
        choose(client, proven, clock, **{scope: "90"})
        clock.advance(MINUTE)
        after = choose(client, proven, clock, **{scope: "resume"})
        assert "Paused until" not in after.text
        assert subscribed()
        assert not subscribed(topic="offers")  # no consent came of it

    def test_lifts_no_opt_out(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5: a "no" under the pause outlives it
        choose(client, proven, clock, all_marketing="30")
        clock.advance(MINUTE)
        form = Form.of(client, proven)
        form.ticks.discard("digest")
        form.send(client)
        clock.advance(MINUTE)
        choose(client, proven, clock, all_marketing="resume", digest="resume")
        assert not subscribed()

    def test_ends_a_longer_one_from_before_too(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        for choice in ("90", "7", "resume"):
            choose(client, proven, clock, digest=choice)
        assert subscribed()

    def test_from_a_stale_form_leaves_a_newer_pause(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5: it counts from when the form was rendered
        choose(client, proven, clock, digest="7")
        clock.advance(MINUTE)
        stale = Form.of(client, proven)
        clock.advance(MINUTE)
        choose(client, proven, clock, digest="30")
        stale.pauses = {"digest": "resume"}
        stale.send(client)
        assert not subscribed()

    def test_takes_a_link_that_proves_something(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:
        choose(client, token, clock, digest="7")
        form = Form.of(client, token)
        assert 'value="resume"' not in form.text
        form.pauses = {"digest": "resume"}
        assert "Nothing was turned on." in form.send(client).text
        assert ledger.kinds() == [("paused", "digest")]


class TestRecordsNothing:
    def test_when_the_form_is_sent_twice(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:  # I7
        form = Form.of(client, token)
        form.pauses = {"digest": "7"}
        form.send(client)
        clock.advance(timedelta(seconds=3))
        form.send(client)
        assert len(ledger.events()) == 1

    def test_of_a_pause_where_something_is_off_or_goes_off(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        form = Form.of(client, token)
        form.ticks.discard("digest")
        form.pauses = {"digest": "7", "offers": "7"}
        form.send(client)
        assert ledger.kinds() == [("opted_out", "digest")]

    @pytest.mark.parametrize("choice", ["", "0", "-7", "8", "9999", "x", "\x00"])
    def test_of_a_length_that_the_page_does_not_offer(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger, choice: str
    ) -> None:
        choose(client, token, clock, digest=choice, everything="7", alerts="7")
        assert ledger.events() == []

    def test_to_end_when_nothing_is_paused(
        self, client: FlaskClient, proven: str, clock: Clock, ledger: Ledger
    ) -> None:
        choose(client, proven, clock, digest="resume", all_marketing="resume")
        assert ledger.events() == []


class TestHolds:
    """What is turned on under a running pause stays paused until the same end."""

    @pytest.mark.parametrize("scope", ["digest", "all_marketing"])
    def test_when_a_topic_is_turned_off_and_on_again(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed, scope: str
    ) -> None:
        choose(client, proven, clock, **{scope: "30"})
        until = clock() + 30 * DAY
        form = Form.of(client, proven)
        clock.advance(MINUTE)
        form.ticks.discard("digest")
        form.send(client)
        clock.advance(MINUTE)
        form = Form.of(client, proven)
        clock.advance(MINUTE)
        form.ticks.add("digest")
        after = form.send(client)
        assert "Turned on:" in after.text
        assert "Still paused until 24 December 2026:" in after.text
        assert "Paused until 24 December 2026." in after.text
        assert not subscribed()
        clock.now = until - MINUTE
        assert not subscribed()
        clock.now = until
        assert subscribed()

    def test_and_ends_with_the_pause_of_everything(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        choose(client, proven, clock, all_marketing="30")
        form = Form.of(client, proven)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        form.send(client)
        assert not subscribed(topic="offers")
        clock.advance(MINUTE)
        after = choose(client, proven, clock, all_marketing="resume")
        assert "Paused until" not in after.text
        assert subscribed(topic="offers")

    def test_but_not_of_a_pause_that_the_same_form_ends(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        choose(client, proven, clock, all_marketing="30")
        form = Form.of(client, proven)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        form.pauses = {"all_marketing": "resume"}
        after = form.send(client)
        assert "paused until" not in after.text.lower()
        assert subscribed(topic="offers")

    def test_through_a_confirmation_by_email(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock, subscribed: Subscribed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        give_mail_server(app, monkeypatch)
        choose(client, token, clock, all_marketing="30")
        form = Form.of(client, token)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        form.send(client)
        (email,) = queued_emails(app)
        clock.advance(DAY)
        for _ in range(2):
            done = client.post(link_in(email), data={"confirm": "yes"}, follow_redirects=True)
            assert "messages start after 24 December 2026" in done.text
        assert not subscribed(topic="offers")
        clock.advance(30 * DAY)
        assert subscribed(topic="offers")


@pytest.mark.parametrize("language", ["en", "it"])
def test_a_tool_that_can_hold_no_pause_is_named_before_the_choice(
    app: Flask, client: FlaskClient, token: str, language: str
) -> None:  # I10
    put_in_force(
        app,
        CATALOGUE
        + """
        [destinations.email-tool]
        title = { en = "Letters", it = "Lettere" }
        company = "Letters Ltd"
        country = "GB"
        [destinations.good-tool]
        title = { en = "Customer service", it = "Assistenza" }
        company = "Service Ltd"
        country = "GB"
        [destinations.text-tool]
        title = { en = "Texts", it = "Messaggi" }
        company = "Texts Ltd"
        country = "GB"
        """,
    )
    connect(app, "email-tool", ["digest"], can_lift=False)
    connect(app, "good-tool", ["digest"])
    connect(app, "text-tool", ["alerts"], can_lift=False)  # nothing that this page is about
    text = client.get(f"/p/{token}?lang={language}").text
    title = {"en": "Letters", "it": "Lettere"}[language]
    assert text.index(title) < text.index('name="topics"')
    for other in ("Customer service", "Assistenza", "Texts", "Messaggi"):
        assert other not in text
