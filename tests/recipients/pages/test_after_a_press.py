"""The page after a press: what it says, to whom, for how long; and who is out already."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.recipients.pages import unsubscribe
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_unsubscribe import PAIR, press, undo_of
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

JANE = parse_address("jane.doe@example.com", Channel.EMAIL)
MINUTE = timedelta(minutes=1)
ASKS = "Unsubscribe from “"
ALREADY = "<h1>You are already unsubscribed</h1>"
DONE = "<h1>You are unsubscribed</h1>"
SINCE = f"We received this on {START.day} {START:%B %Y}."


def result_of(client: FlaskClient, token: str, **fields: str) -> str:
    """The URL that a press redirects to, without its fragment."""
    pressed = client.post(f"/u/{token}", data=fields)
    assert pressed.status_code == 303
    url, _, fragment = pressed.location.partition("#")
    assert fragment == "result"
    return str(url)


def record_event(app: Flask, kind: EventKind, scope: str = "digest", source: str = "test") -> None:
    with app.app_context():
        now = services().now()
        record([Change(services().new_id(), kind, JANE, scope, now, now, source, "test")])


class TestTheResult:
    def test_is_a_page_to_reload_that_writes_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:  # I7
        url = result_of(client, token, confirm="this")
        before = ledger.rows()
        for _ in range(2):
            assert DONE in client.get(url).text
        assert client.head(url).status_code == 200
        assert ledger.rows() == before

    def test_holds_nothing_that_can_be_read(self, client: FlaskClient, token: str) -> None:  # I12
        url = result_of(client, token, confirm="all")
        value = url.partition("?result=")[2]
        assert re.fullmatch(r"l1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", value)
        assert "jane" not in url
        assert "marketing" not in url

    @pytest.mark.parametrize("value", ["", "x", "l1.A.B", "\x00", "unsubscribed"])
    def test_that_is_forged_says_nothing(self, client: FlaskClient, token: str, value: str) -> None:
        page = client.get(f"/u/{token}", query_string={"result": value})
        assert page.status_code == 200
        assert ASKS in page.text

    def test_of_another_link_says_nothing(
        self, client: FlaskClient, token: str, make_token: MakeToken
    ) -> None:
        value = result_of(client, token, confirm="this").partition("?")[2]
        assert ASKS in client.get(f"/u/{make_token('eve@example.com')}?{value}").text

    def test_never_outweighs_the_ledger(
        self, app: Flask, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        done = result_of(client, token, confirm="this")
        undone = result_of(client, token, undo=undo_of(client.get(done).text))
        assert ASKS in client.get(done).text
        assert "Everything is as it was before." in client.get(undone).text
        clock.advance(MINUTE)
        client.post(f"/u/{token}", data=PAIR)
        assert ALREADY in client.get(undone).text
        clock.advance(MINUTE)
        record_event(app, EventKind.OPTED_IN)
        assert ASKS in client.get(done).text

    def test_is_one_thing_for_all_marketing_and_another_for_a_topic(
        self, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        narrow = result_of(client, token, confirm="this")
        assert "is unsubscribed from “" in client.get(narrow).text
        clock.advance(MINUTE)
        wide = result_of(client, token, confirm="all")
        for url in (narrow, wide):  # whichever is reloaded
            assert "is unsubscribed from all marketing" in client.get(url).text
        client.post(f"/u/{token}", data={"undo": undo_of(client.get(wide).text)})
        assert ALREADY in client.get(wide).text  # of the topic, which was pressed before
        assert DONE in client.get(narrow).text

    def test_becomes_what_holds_after_half_an_hour(
        self, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        url = result_of(client, token, confirm="this")
        clock.advance(30 * MINUTE)
        assert DONE in client.get(url).text
        clock.advance(timedelta(seconds=1))
        late = client.get(url).text
        assert ALREADY in late
        assert 'name="undo"' not in late

    def test_of_a_late_undo_differs_from_success(
        self, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        undo = undo_of(client.get(result_of(client, token, confirm="this")).text)
        clock.advance(31 * MINUTE)
        page = press(client, f"/u/{token}", undo=undo)
        assert "<title>Error: Too late to undo · Acme</title>" in page
        assert 'role="alert"' in page

    def test_repeats_the_response_while_the_database_is_away(
        self, client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = result_of(client, token, confirm="all")

        def gone(_link: object) -> None:
            raise Unavailable("the database can't be reached")

        monkeypatch.setattr(unsubscribe, "load_opt_out", gone)
        assert "is unsubscribed from all marketing" in client.get(url).text
        assert ASKS in client.get(f"/u/{token}").text


class TestSomebodyWhoIsOut:
    def test_reads_since_when_and_is_not_asked_again(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:
        client.post(f"/u/{token}", data=PAIR)
        clock.advance(timedelta(days=3))
        before = ledger.rows()
        page = client.get(f"/u/{token}").text
        assert ledger.rows() == before  # I7
        assert ALREADY in page
        assert "<title>Already unsubscribed: Weekly digest · Acme</title>" in page
        assert SINCE in page
        assert 'name="undo"' not in page
        assert re.findall(r'name="confirm" value="(\w+)"', page) == ["all"]
        assert f'href="/w/{token}"' in page
        assert f'href="/p/{token}"' in page

    def test_of_all_marketing_has_nothing_left_to_press(
        self, client: FlaskClient, token: str, make_token: MakeToken
    ) -> None:
        client.post(f"/u/{make_token(scope=ALL_MARKETING)}", data=PAIR)
        for link in (token, make_token(scope=ALL_MARKETING), make_token(scope="offers")):
            page = client.get(f"/u/{link}").text
            assert ALREADY in page
            assert "is unsubscribed from all marketing" in page
            assert "<button" not in page

    def test_by_a_press_may_undo_it_when_the_link_is_opened_again(
        self, client: FlaskClient, token: str, make_token: MakeToken, clock: Clock,
        subscribed: Callable[..., bool],
    ) -> None:  # fmt: skip
        client.post(f"/u/{token}", data={"confirm": "this"})
        clock.advance(29 * MINUTE)
        newer = make_token(age=timedelta(hours=1))
        assert 'name="undo"' not in client.get(f"/u/{newer}").text  # not by another link
        undo = undo_of(client.get(f"/u/{token}").text)
        clock.advance(MINUTE + timedelta(seconds=1))  # counted from the press
        assert "Too late to undo" in press(client, f"/u/{token}", undo=undo)
        assert not subscribed()

    def test_by_an_import_is_asked_since_the_import_may_be_undone(
        self, app: Flask, client: FlaskClient, token: str, ledger: Ledger, clock: Clock
    ) -> None:  # I5
        record_event(app, EventKind.OPTED_OUT, source="import")
        clock.advance(MINUTE)
        assert ASKS in client.get(f"/u/{token}").text
        assert DONE in press(client, f"/u/{token}", confirm="this")
        assert len(ledger.events()) == 2

    def test_is_another_form_of_the_mailbox_and_not_this_one(
        self, client: FlaskClient, token: str, make_token: MakeToken
    ) -> None:  # I9
        client.post(f"/u/{make_token('jane.doe+shop@example.com')}", data=PAIR)
        assert ASKS in client.get(f"/u/{token}").text

    def test_by_an_old_link_is_not_asked_again_either(
        self, client: FlaskClient, make_token: MakeToken
    ) -> None:
        old = make_token(age=timedelta(days=90))
        client.post(f"/u/{old}", data=PAIR)
        page = client.get(f"/p/{old}").text
        assert SINCE in page
        assert re.findall(r'name="confirm" value="(\w+)"', page) == ["all"]
        client.post(f"/u/{old}", data={"confirm": "all"})
        page = client.get(f"/p/{old}").text
        assert "All our marketing is off." in page
        assert 'name="confirm"' not in page


class TestARevokedLink:
    @pytest.fixture(autouse=True)
    def _revoked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dataclasses import replace

        from preference_center.core.links import Links
        from preference_center.core.links.tokens import Link

        def read(links: Links, token: str, now: object) -> Link:
            return replace(links.read_any_token(token), revoked=True)

        monkeypatch.setattr(Links, "read_token", read)

    def test_shows_the_result_of_its_own_press_and_no_other_choice(
        self, client: FlaskClient, token: str
    ) -> None:
        before = client.get(f"/u/{token}").text
        done = result_of(client, token, confirm="this")
        assert client.get(f"/u/{token}").text == before
        page = client.get(done).text
        assert DONE in page
        assert f"/w/{token}" not in page
        undone = result_of(client, token, undo=undo_of(page))
        assert "Undone" in client.get(undone).text


class TestTheMailedLink:
    @pytest.fixture
    def mailed(self, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> str:
        give_mail_server(app, monkeypatch)
        client.post("/form", data={"address": JANE.exact})
        (email,) = queued_emails(app)
        return link_in(email)

    def test_stops_all_marketing_and_is_not_consumed(
        self, client: FlaskClient, mailed: str, ledger: Ledger
    ) -> None:
        page = press(client, mailed, confirm="all")
        assert DONE in page
        assert 'action="/reason/' not in page  # which takes other links only
        assert ledger.kinds() == [("opted_out", ALL_MARKETING)]
        assert client.post(mailed, data={"open": "yes"}).status_code == 303
        assert "Everything is as it was before." in press(client, mailed, undo=undo_of(page))

    @pytest.mark.parametrize("field", ["confirm", "undo"])
    def test_that_has_expired_still_stops_all_marketing(
        self, client: FlaskClient, mailed: str, clock: Clock, ledger: Ledger, field: str
    ) -> None:  # I7
        clock.advance(timedelta(days=2))
        expired = client.get(mailed)
        assert expired.status_code == 410
        assert f'action="{mailed}"' in expired.text
        page = press(client, mailed, confirm="all")
        assert DONE in page
        assert 'name="open"' not in page
        if field == "undo":
            assert "Everything is as it was before." in press(client, mailed, undo=undo_of(page))
        assert ledger.kinds()[0] == ("opted_out", ALL_MARKETING)
        assert client.post(mailed, data={"open": "yes", "confirm": "all"}).status_code == 410
        assert client.post(mailed, data={"other": "yes"}).status_code == 410

    def test_offers_nothing_to_stop_where_nothing_is_on(
        self, client: FlaskClient, mailed: str, make_token: MakeToken
    ) -> None:
        client.post(f"/u/{make_token(scope=ALL_MARKETING)}", data=PAIR)
        page = client.get(mailed).text
        assert "All our marketing is off." in page
        assert SINCE in page
        assert re.findall(r'<button class="primary" name="(\w+)"', page) == ["open"]
        assert 'name="confirm"' not in page


def test_a_page_visit_that_has_expired_still_stops_all_marketing(
    app: Flask, client: FlaskClient, proven: str, clock: Clock, ledger: Ledger
) -> None:  # I7
    clock.advance(timedelta(hours=1))
    expired = client.get(f"/p/{proven}")
    assert expired.status_code == 410
    assert f'action="/u/{proven}"' in expired.text
    assert DONE in press(client, f"/u/{proven}", confirm="all")
    assert ledger.kinds() == [("opted_out", ALL_MARKETING)]


def test_an_undo_takes_back_the_press_and_not_the_signal_of_the_browser(
    client: FlaskClient, token: str, ledger: Ledger, subscribed: Callable[..., bool]
) -> None:
    client.environ_base["HTTP_SEC_GPC"] = "1"
    done = press(client, f"/u/{token}", confirm="this")
    client.post(f"/u/{token}", data={"undo": undo_of(done)})
    assert subscribed()
    assert ledger.kinds()[:2] == [("opted_out", "digest"), ("opted_out", "sharing")]
    assert ledger.kinds()[2:] == [("retracted", "digest")]
