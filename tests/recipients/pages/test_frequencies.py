"""How often, on the preference page."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from tests.clock import Clock
from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form, name, value
from tests.web.pages.fixtures import CATALOGUE, MakeToken

if TYPE_CHECKING:
    from flask import Flask

MINUTE = timedelta(minutes=1)
DIGEST = """description = { en = "The week in five lines.", it = "La settimana in cinque righe." }
"""
OFFERED = """frequencies.daily = { en = "Every day", it = "Ogni giorno" }
frequencies.weekly = { en = "Every week", it = "Ogni settimana" }
frequencies.monthly = { en = "Every month", it = "Ogni mese" }
default_frequency = "weekly"
"""


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app, CATALOGUE.replace(DIGEST, DIGEST + OFFERED, 1))
    return app


def chosen(text: str) -> str | None:
    tags = re.findall(r"<input[^>]*>", text)
    found = [value(t) for t in tags if name(t) == "frequency:digest" and " checked" in t]
    return found[0] if found else None


def choose(client: FlaskClient, token: str, key: str) -> str:
    """The page after a Save of this choice, and of nothing else."""
    form = Form.of(client, token)
    data = {**form.hidden, "topics": sorted(form.ticks), "frequency:digest": key}
    response = client.post(form.path, data=data)
    assert response.status_code == 303
    return client.get(response.location).text


def result_of(text: str) -> str:
    """The words of the page without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split()).replace(" :", ":")


def test_only_a_topic_that_offers_it_has_a_choice(client: FlaskClient, proven: str) -> None:
    text = client.get(f"/p/{proven}").text
    (legend,) = re.findall(r"<legend>.*?>How often<(.*?)</legend>", text)
    assert result_of(f"<{legend}") == "How often: Weekly digest"  # each group has its own name
    assert chosen(text) == "weekly"


def test_less_often_works_at_once_with_any_link(
    client: FlaskClient, token: str, ledger: Ledger
) -> None:
    text = choose(client, token, "monthly")
    assert "How often: Weekly digest: Every month" in result_of(text)
    assert chosen(text) == "monthly"
    (event,) = ledger.events()
    assert (event["kind"], event["frequency"]) == ("frequency_chosen", "monthly")
    assert event["evidence"]["method"] == "preference_page"


def test_less_often_can_be_undone(client: FlaskClient, token: str) -> None:
    text = choose(client, token, "monthly")
    undo = Form.in_page(f"/p/{token}", text).hidden
    sealed = re.search(r'name="undo" value="([^"]+)"', text)
    assert sealed, undo
    response = client.post(f"/p/{token}", data={"undo": sealed[1]})
    assert chosen(client.get(response.location).text) == "weekly"


def test_the_same_form_sent_twice_says_the_same_and_can_be_undone(
    client: FlaskClient, token: str, clock: Clock, ledger: Ledger
) -> None:  # I7
    form = Form.of(client, token)
    data = {**form.hidden, "topics": sorted(form.ticks), "frequency:digest": "monthly"}
    sealed = None
    for _ in range(2):
        clock.advance(MINUTE)
        text = client.get(client.post(form.path, data=data).location).text
        assert "How often: Weekly digest: Every month" in result_of(text)
        sealed = re.search(r'name="undo" value="([^"]+)"', text)
        assert sealed
    assert sealed
    assert len(ledger.events()) == 1
    response = client.post(form.path, data={"undo": sealed[1]})
    assert chosen(client.get(response.location).text) == "weekly"


def test_an_undo_names_only_what_it_takes_back(
    client: FlaskClient, proven: str, clock: Clock
) -> None:
    form = Form.of(client, proven)
    clock.advance(MINUTE)
    form.ticks = {"digest", "offers"}
    form.post(client)
    clock.advance(MINUTE)
    form = Form.of(client, proven)
    clock.advance(MINUTE)
    data = {**form.hidden, "topics": ["digest"], "frequency:digest": "daily"}
    text = client.get(client.post(form.path, data=data).location).text
    assert "How often: Weekly digest: Every day" in result_of(text)
    sealed = re.search(r'name="undo" value="([^"]+)"', text)
    assert sealed
    undone = client.post(f"/p/{proven}", data={"undo": sealed[1]}, follow_redirects=True).text
    assert "As before: Offers Everything else" in result_of(undone)
    assert chosen(undone) == "daily"


def test_more_often_is_confirmed_by_email(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # links can be forwarded
    give_mail_server(app, monkeypatch)
    text = choose(client, token, "daily")
    assert "To get more, press the button" in text
    assert chosen(text) == "weekly"
    assert ledger.events() == []
    (email,) = queued_emails(app)
    assert email.values["what"] == "Weekly digest: Every day"
    path = link_in(email)
    assert "Weekly digest: Every day" in client.get(path).text
    assert ledger.events() == []  # I7
    clock.advance(MINUTE)
    for _ in range(2):
        confirmed = client.post(path, data={"confirm": "yes"}, follow_redirects=True)
        assert confirmed.status_code == 200
    (event,) = ledger.events()
    assert (event["kind"], event["frequency"]) == ("frequency_chosen", "daily")
    assert event["evidence"]["method"] == "confirmed_by_mail"
    assert chosen(client.get(f"/p/{token}").text) == "daily"


def test_without_an_email_nothing_is_raised(
    client: FlaskClient, token: str, ledger: Ledger
) -> None:
    choose(client, token, "daily")
    assert ledger.events() == []


def test_with_proof_more_often_works_at_once(client: FlaskClient, proven: str) -> None:
    text = choose(client, proven, "daily")
    assert "How often: Weekly digest: Every day" in result_of(text)
    assert chosen(text) == "daily"


def test_a_stale_form_raises_nothing(client: FlaskClient, proven: str, clock: Clock) -> None:  # I5
    stale = Form.of(client, proven)
    clock.advance(MINUTE)
    choose(client, proven, "monthly")
    clock.advance(MINUTE)
    data = {**stale.hidden, "topics": sorted(stale.ticks), "frequency:digest": "daily"}
    client.post(stale.path, data=data)
    assert chosen(client.get(stale.path).text) == "monthly"


def test_a_form_that_did_not_touch_it_leaves_it(
    client: FlaskClient, proven: str, clock: Clock, ledger: Ledger
) -> None:  # I5
    stale = Form.of(client, proven)
    clock.advance(MINUTE)
    choose(client, proven, "monthly")
    data = {**stale.hidden, "topics": sorted(stale.ticks), "frequency:digest": "weekly"}
    client.post(stale.path, data=data)
    assert [event["frequency"] for event in ledger.events()] == ["monthly"]


@pytest.mark.parametrize("key", ["hourly", "", "monthly\x00"])
def test_what_is_not_offered_changes_nothing(
    client: FlaskClient, proven: str, key: str, ledger: Ledger
) -> None:
    choose(client, proven, key)
    assert ledger.events() == []


def test_what_is_turned_off_has_no_frequency_to_choose(
    client: FlaskClient, token: str, ledger: Ledger
) -> None:
    form = Form.of(client, token)
    data = {**form.hidden, "topics": [], "frequency:digest": "monthly"}
    text = client.get(client.post(form.path, data=data).location).text
    assert ledger.kinds() == [("opted_out", "digest")]
    assert chosen(text) is None


def test_who_is_about_to_leave_is_offered_fewer(client: FlaskClient, make_token: MakeToken) -> None:
    text = client.get(f"/u/{make_token()}").text
    assert "Get fewer messages instead" in text
    assert "Get fewer messages instead" not in client.get(f"/u/{make_token(scope='offers')}").text
