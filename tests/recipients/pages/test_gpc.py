"""Global Privacy Control is about sale and sharing: recorded by a press, shown, never by reading.

RULES D7 and D8; 11 CCR 7025.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, SHARING, Change, EventKind
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form
from tests.rights.pages.acts import press as rights_press
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import CATALOGUE, MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

NOTICED = "Your browser sends the Global Privacy Control signal."
COMING = "When you press a button on one of these pages, we record that your data may not be sold"
HONOURED = "Opt-out honoured"
OVERRIDDEN = "You have agreed since then"
MINUTE = timedelta(minutes=1)
ADDRESS = "jane.doe@example.com"
"""That of the link."""


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """One that sends the signal with every request."""
    client = app.test_client()
    client.environ_base["HTTP_SEC_GPC"] = "1"
    return client


def paths(token: str, make_token: MakeToken) -> list[str]:
    old = make_token(age=timedelta(days=90))
    return [f"/u/{token}", f"/p/{token}", f"/p/{old}"]


def happen(app: Flask, kind: EventKind, at: datetime, scope: str = SHARING) -> None:
    address = parse_address(ADDRESS, Channel.EMAIL)
    with app.app_context():
        record([Change(uuid4(), kind, address, scope, at, at, "test", "test")])


def press(client: FlaskClient, token: str, button: str = "this") -> str:
    return client.post(f"/u/{token}", data={"confirm": button}, follow_redirects=True).text


class TestIsShown:
    def test_with_what_a_button_will_do_and_nothing_is_recorded_by_reading(
        self, browser: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
    ) -> None:  # I7
        for path in paths(token, make_token):
            text = browser.get(path).text
            assert NOTICED in text, path
            assert COMING in text, path
            browser.head(path)
        browser.post(f"/u/{token}", data={"confirm": "something else"})  # A9
        assert ledger.events() == []

    @pytest.mark.parametrize("value", [None, "", "0", "true", "2", "1, 1"])
    def test_for_the_value_1_alone(
        self, client: FlaskClient, token: str, value: str | None, ledger: Ledger
    ) -> None:  # D7
        headers = {} if value is None else {"Sec-GPC": value}
        assert NOTICED not in client.get(f"/p/{token}", headers=headers).text
        client.post(f"/u/{token}", data={"confirm": "this"}, headers=headers)
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_with_a_valid_link_only(self, browser: FlaskClient) -> None:
        assert NOTICED not in browser.get("/p/broken").text

    @pytest.mark.parametrize("button", ["Unsubscribe", "Stop all marketing"])
    def test_beside_the_ways_out_of_marketing_which_are_only_offered(
        self, browser: FlaskClient, token: str, button: str
    ) -> None:
        assert browser.get(f"/u/{token}").text.count(f">{button}</button>") == 1


class TestIsRecorded:
    def test_with_an_unsubscribe_and_shown_as_honoured(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:  # D8
        assert HONOURED in press(browser, token)
        narrow, wide = ledger.events()
        assert (narrow["scope"], narrow["evidence"]["method"]) == ("digest", "unsubscribe_page")
        assert (wide["scope"], wide["source"]) == (SHARING, "global_privacy_control")
        assert wide["evidence"]["method"] == "global_privacy_control"
        assert wide["evidence"]["text_version"]

    def test_with_a_save_that_changes_nothing_else(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        after = Form.of(browser, token).send(browser)
        assert HONOURED in after.text
        assert "You changed nothing." in after.text
        assert after.ticks
        assert ledger.kinds() == [("opted_out", SHARING)]
        assert 'name="undo"' not in after.text

    def test_with_a_save_that_turns_something_on_as_well(
        self, browser: FlaskClient, proven: str, clock: Clock, ledger: Ledger
    ) -> None:
        press(browser, proven)
        clock.advance(MINUTE)
        form = Form.of(browser, proven)
        clock.advance(MINUTE)
        form.ticks.add("digest")
        assert "digest" in form.send(browser).ticks
        assert [scope for _, scope in ledger.kinds()].count(SHARING) == 1

    def test_once(
        self, browser: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:  # I7
        for _ in range(2):
            Form.of(browser, token).send(browser)
            clock.advance(timedelta(hours=1))
        assert len(ledger.events()) == 1

    def test_also_where_all_marketing_is_off_already(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        """Marketing may be opted in to again: that is no consent to sharing."""
        assert HONOURED in press(browser, token, "all")
        assert ledger.kinds() == [("opted_out", ALL_MARKETING), ("opted_out", SHARING)]

    def test_not_by_a_mail_clients_post(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:  # A16
        browser.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_and_shown_on_the_status_page(self, browser: FlaskClient, token: str) -> None:
        Form.of(browser, token).send(browser)
        text = browser.get(f"/w/{token}").text
        assert "Sale and sharing of your data for advertising" in text
        assert "By your browser’s Global Privacy Control" in text


class TestOnOtherPages:
    @pytest.mark.parametrize("act", ["object", "access", "close", "restrict"])
    def test_of_rights_it_is_shown_and_recorded_with_a_button(
        self, browser: FlaskClient, proven: str, ledger: Ledger, act: str
    ) -> None:
        path = f"/rights/{act}/{proven}"
        assert COMING in browser.get(path).text
        assert ledger.events() == []  # I7
        for _ in range(2):
            rights_press(browser, path, confirm="yes")
        assert [scope for _, scope in ledger.kinds()].count(SHARING) == 1
        assert HONOURED in browser.get(f"/rights/{proven}").text

    def test_of_rights_a_link_that_proves_nothing_is_enough_and_none_is_too_little(
        self, browser: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        assert NOTICED not in browser.get("/rights").text
        rights_press(browser, "/rights/complaint", address=ADDRESS, text="So slow!")
        assert ledger.kinds() == []
        browser.post(f"/rights/complaint/{token}")  # nothing was pressed
        assert ledger.kinds() == []
        rights_press(browser, f"/rights/complaint/{token}", text="So slow!")
        assert ledger.kinds() == [("opted_out", SHARING)]

    def test_that_confirm_an_opt_in_it_is_recorded_with_it(
        self,
        app: Flask,
        client: FlaskClient,
        browser: FlaskClient,
        token: str,
        ledger: Ledger,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        give_mail_server(app, monkeypatch)
        form = Form.of(client, token)
        form.ticks.add("offers")
        form.send(client)
        (email,) = queued_emails(app)
        assert COMING in browser.get(link_in(email)).text
        page = browser.post(link_in(email), data={"confirm": "yes"}, follow_redirects=True)
        assert HONOURED in page.text
        assert sorted(ledger.kinds()) == [("opted_in", "offers"), ("opted_out", SHARING)]

    def test_of_a_mailed_link_it_is_recorded_with_the_button_that_opens_it(
        self,
        app: Flask,
        client: FlaskClient,
        browser: FlaskClient,
        ledger: Ledger,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        give_mail_server(app, monkeypatch)
        client.post("/form", data={"address": ADDRESS})
        (email,) = queued_emails(app)
        assert COMING in browser.get(link_in(email)).text
        browser.post(link_in(email), data={"open": "yes"})
        assert ledger.kinds() == [("opted_out", SHARING)]


class TestAndAConsent:
    def test_from_before_the_signal_does_not_outweigh_it(
        self, app: Flask, browser: FlaskClient, token: str, clock: Clock
    ) -> None:  # 11 CCR 7025(c)(3)
        happen(app, EventKind.OPTED_OUT, START)
        clock.advance(MINUTE)
        happen(app, EventKind.OPTED_IN, clock.now)
        clock.advance(MINUTE)
        assert COMING in browser.get(f"/p/{token}").text
        assert HONOURED in press(browser, token)

    def test_from_after_it_does_for_as_long_as_it_holds(
        self, app: Flask, browser: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:
        press(browser, token)
        clock.advance(MINUTE)
        happen(app, EventKind.OPTED_IN, clock.now)
        clock.advance(MINUTE)
        assert OVERRIDDEN in browser.get(f"/p/{token}").text
        press(browser, token, "all")
        assert [scope for _, scope in ledger.kinds()].count(SHARING) == 2
        happen(app, EventKind.OPTED_OUT, clock.now)
        assert HONOURED in browser.get(f"/p/{token}").text


class TestIsShownOnEveryPageOfALink:
    def test_on_the_status_of_ones_requests(
        self,
        app: Flask,
        browser: FlaskClient,
        client: FlaskClient,
        token: str,
        ledger: Ledger,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        page = browser.get(f"/w/{token}")
        assert NOTICED in page.text
        assert f'data-gpc="/gpc/{token}"' in page.text
        assert "; script-src 'self'; connect-src 'self'" in page.headers["Content-Security-Policy"]
        assert ledger.events() == []  # I7
        give_mail_server(app, monkeypatch)
        browser.post("/form", data={"link": token})  # its button, without the script
        assert ledger.kinds() == [("opted_out", SHARING)]
        assert NOTICED not in client.get(f"/w/{token}").text
        press(browser, token)
        assert HONOURED in browser.get(f"/w/{token}").text

    def test_after_an_undo_and_after_one_that_came_too_late(
        self, browser: FlaskClient, token: str, clock: Clock
    ) -> None:
        undo = re.search(r'name="undo" value="([^"]+)"', press(browser, token))
        assert undo
        again = {"data": {"undo": undo[1]}, "follow_redirects": True}
        undone = browser.post(f"/u/{token}", **again).text
        assert "Undone" in undone
        assert HONOURED in undone
        press(browser, token)
        clock.advance(timedelta(hours=1))
        late = browser.post(f"/u/{token}", **again).text
        assert "Too late to undo" in late
        assert HONOURED in late

    def test_after_the_survey(self, browser: FlaskClient, token: str) -> None:
        press(browser, token)
        data = {"reason": "too_often"}
        thanks = browser.post(f"/reason/{token}", data=data, follow_redirects=True).text
        assert "Thank you" in thanks
        assert HONOURED in thanks


def test_the_support_resource_is_dated_by_the_catalogue(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # D7
    found = client.get("/.well-known/gpc.json")
    assert found.mimetype == "application/json"
    assert found.json == {"gpc": True, "lastUpdate": START.date().isoformat()}
    clock.advance(timedelta(days=3))
    put_in_force(app, clock, CATALOGUE + '\n[policy]\nunproven_imports = "flag"\n')
    assert client.get("/.well-known/gpc.json").json == {"gpc": True, "lastUpdate": "2026-11-27"}


class TestIsRecordedByThePage:
    """Its script posts the signal; without script the next press records it."""

    def test_with_a_post_of_its_own(
        self, browser: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
    ) -> None:
        for path in paths(token, make_token):
            assert f'data-gpc="/gpc/{path[3:]}"' in browser.get(path).text
        assert ledger.events() == []  # I7
        for _ in range(2):
            assert browser.post(f"/gpc/{token}").status_code == 204
        assert ledger.kinds() == [("opted_out", SHARING)]
        [event] = ledger.events()
        assert (event["source"], event["scope"]) == ("global_privacy_control", SHARING)
        assert "<script" not in browser.get(f"/p/{token}").text

    def test_by_no_one_who_does_not_send_the_signal(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        assert client.post(f"/gpc/{token}").status_code == 400  # I1: nothing recorded, no 2xx
        assert client.get(f"/gpc/{token}", headers={"Sec-GPC": "1"}).status_code == 405  # I7
        assert client.post("/gpc/broken", headers={"Sec-GPC": "1"}).status_code == 404
        assert ledger.events() == []

    def test_and_only_pages_that_have_the_script_may_run_one(
        self, client: FlaskClient, browser: FlaskClient, token: str
    ) -> None:
        for each, expected in ((client, False), (browser, True)):
            page = each.get(f"/p/{token}")
            assert ("<script" in page.text) is expected
            policy = page.headers["Content-Security-Policy"]
            assert ("; script-src 'self'; connect-src 'self'" in policy) is expected

    def test_not_against_a_newer_consent(
        self, app: Flask, browser: FlaskClient, token: str, ledger: Ledger, clock: Clock
    ) -> None:
        browser.post(f"/gpc/{token}")
        happen(app, EventKind.OPTED_IN, START + MINUTE)
        clock.advance(2 * MINUTE)
        browser.post(f"/gpc/{token}")
        assert [kind for kind, _ in ledger.kinds()] == ["opted_out", "opted_in"]
