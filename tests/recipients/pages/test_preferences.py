"""The preference page: what it shows, and what it can and can't change."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from preference_center.infra.context import EXTENSION_NAME
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.tables import Ledger, restrict
from tests.web.pages.fixtures import CATALOGUE, MakeToken

Subscribed = Callable[..., bool]


@dataclass(slots=True)
class Form:
    """The page's form as a browser without JavaScript holds it."""

    path: str
    hidden: dict[str, str]
    ticks: set[str]
    text: str
    pauses: dict[str, str] = field(default_factory=dict)
    """What was chosen of which pause."""
    button: dict[str, str] = field(default_factory=dict)
    """The name and value of the button that is pressed; none is Save."""

    @classmethod
    def of(cls, client: FlaskClient, token: str) -> Form:
        return cls.in_page(f"/p/{token}", client.get(f"/p/{token}").text)

    @classmethod
    def in_page(cls, path: str, text: str) -> Form:
        inputs = re.findall(r"<input[^>]*>", text)
        hidden = {name(tag): html.unescape(value(tag)) for tag in inputs if 'type="hidden"' in tag}
        ticks = {value(tag) for tag in inputs if " checked" in tag and 'type="checkbox"' in tag}
        return cls(path, hidden, ticks, text)

    def send(self, client: FlaskClient) -> Form:
        response = self.post(client)
        assert response.status_code == 303
        shown = client.get(response.location)
        assert shown.status_code == 200
        return self.in_page(self.path, shown.text)

    def post(self, client: FlaskClient) -> TestResponse:
        """The answer to the form itself: a redirect to the page with the result."""
        return client.post(self.path, data=self.data())

    def data(self) -> dict[str, object]:
        """What the browser sends."""
        data: dict[str, object] = {**self.hidden, "topics": sorted(self.ticks)}
        data |= {f"pause:{scope}": choice for scope, choice in self.pauses.items()}
        return data | self.button


def name(tag: str) -> str:
    found = re.search(r'name="([^"]*)"', tag)
    return found[1] if found else ""


def value(tag: str) -> str:
    found = re.search(r'value="([^"]*)"', tag)
    return found[1] if found else ""


class TestShows:
    def test_the_topics_of_the_channel_as_they_stand(self, client: FlaskClient, token: str) -> None:
        form = Form.of(client, token)
        assert form.ticks == {"digest"}  # `offers` is opt-in, and nobody asked (I11)
        assert "Weekly digest" in form.text
        assert "Offers" in form.text
        assert "Text alerts" not in form.text  # not for an email address to say

    def test_that_every_topic_is_off_while_all_marketing_is_on(
        self, client: FlaskClient, token: str
    ) -> None:
        form = Form.of(client, token)
        assert "Every topic is off" not in form.text
        form.ticks.clear()
        assert "Every topic is off" in form.send(client).text
        client.post(f"/u/{token}", data={"confirm": "all"})
        assert "Every topic is off" not in client.get(f"/p/{token}").text  # all marketing is

    def test_service_mail_as_on_and_not_switchable_with_its_reason(
        self, client: FlaskClient, token: str
    ) -> None:  # I4
        text = client.get(f"/p/{token}").text
        assert "Password reset" in text
        assert "Account security" in text
        assert 'value="password_reset"' not in text

    def test_the_address_masked(self, client: FlaskClient, token: str) -> None:  # C6
        text = client.get(f"/p/{token}").text
        assert "j***@e***.com" in text
        assert "jane" not in text

    def test_the_way_out_before_everything_else_and_no_script(
        self, client: FlaskClient, token: str
    ) -> None:  # C2
        text = client.get(f"/p/{token}").text
        assert text.index("Stop all marketing") < text.index("Weekly digest")
        assert "<script" not in text

    def test_a_label_for_every_box(
        self, client: FlaskClient, proven: str
    ) -> None:  # C8: 1.3.1, 3.3.2
        text = client.get(f"/p/{proven}").text
        boxes = re.findall(r'<input type="checkbox" id="([^"]+)"', text)
        assert len(boxes) == 2
        assert all(f'<label class="switch" for="{box}">' in text for box in boxes)

    def test_nothing_to_turn_on_for_a_closed_account(
        self, client: FlaskClient, token: str, clock: Clock
    ) -> None:  # I4
        from preference_center.core.addresses import Channel, parse_address
        from preference_center.core.events import EVERYTHING, Change, EventKind
        from preference_center.infra.context import services
        from preference_center.ledger import record

        with client.application.app_context():
            address = parse_address("jane.doe@example.com", Channel.EMAIL)
            id_ = services().new_id()
            closing = Change(
                id_, EventKind.DEACTIVATED, address, EVERYTHING, clock(), clock(), "test", "test"
            )
            record([closing])
        text = client.get(f"/p/{token}").text
        assert "This account is closed" in text
        assert "checkbox" not in text

    @pytest.mark.parametrize("restricted", ["jane.doe@example.com", "jane.doe+x@example.com"])
    def test_nothing_to_turn_on_for_who_limits_the_use_of_their_data(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger, restricted: str
    ) -> None:  # I9: by whichever form of the mailbox
        form = Form.of(client, token)
        form.ticks.add("offers")
        with client.application.app_context():
            restrict(restricted, clock())
        text = client.get(f"/p/{token}").text
        assert "You have limited what we do with your data." in text
        assert "checkbox" not in text
        clock.advance(timedelta(seconds=1))
        after = form.send(client)  # opened before
        assert "Nothing was turned on." in after.text
        assert ledger.kinds() == [("restricted", "restriction")]


class TestSaves:
    def test_a_topic_turned_off(
        self, client: FlaskClient, token: str, ledger: Ledger, clock: Clock
    ) -> None:
        form = Form.of(client, token)
        clock.advance(timedelta(hours=1))
        form.ticks.discard("digest")
        after = form.send(client)
        assert "Turned off: <strong>" in after.text
        assert after.ticks == set()
        [event] = ledger.events()
        assert (event["kind"], event["scope"]) == ("opted_out", "digest")
        assert event["occurred_at"] == START + timedelta(hours=1)  # from the POST

    def test_a_topic_turned_on_from_when_the_form_was_seen(
        self, client: FlaskClient, proven: str, ledger: Ledger, clock: Clock
    ) -> None:  # I5
        form = Form.of(client, proven)
        clock.advance(timedelta(minutes=20))
        form.ticks.add("offers")
        assert form.send(client).ticks == {"digest", "offers"}
        [event] = ledger.events()
        assert (event["kind"], event["scope"]) == ("opted_in", "offers")
        assert event["occurred_at"] == START
        assert event["received_at"] == START + timedelta(minutes=20)
        assert event["evidence"]["method"] == "preference_page"
        assert set(event["evidence"]) == {
            "method", "key_id", "message_id", "issued_at", "text_version", "language",
        }  # fmt: skip

    def test_nothing_when_nothing_was_changed(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        assert "You changed nothing." in Form.of(client, token).send(client).text
        assert ledger.events() == []

    def test_one_topic_and_nothing_else_in_one_save(
        self, client: FlaskClient, token: str, ledger: Ledger, subscribed: Subscribed
    ) -> None:  # what stays on needs no confirmation, whatever else is turned off
        put_in_force(client.application, CATALOGUE.replace('"opt_in"', '"opt_out"'))
        form = Form.of(client, token)
        form.ticks = {"offers"}
        assert form.send(client).ticks == {"offers"}
        assert subscribed(topic="offers")
        assert not subscribed()
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_all_marketing_by_its_button_and_single_topics_afterwards(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5
        client.post(f"/u/{proven}", data={"confirm": "all"})
        clock.advance(timedelta(minutes=2))
        form = Form.of(client, proven)
        assert form.ticks == set()
        assert "All marketing has been off since 24 November 2026." in form.text
        assert "Stop all marketing" not in form.text
        form.ticks.add("digest")
        after = form.send(client)
        assert after.ticks == {"digest"}
        assert "nothing that we add later" in after.text
        assert subscribed()
        assert not subscribed(topic="offers")

    def test_one_topic_on_while_all_marketing_stays_off(
        self, client: FlaskClient, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5: a topic's opt-in overrides older wider opt-outs for that topic
        client.post(f"/u/{proven}", data={"confirm": "all"}, follow_redirects=True)
        clock.advance(timedelta(minutes=1))
        form = Form.of(client, proven)
        form.ticks.add("offers")
        assert form.send(client).ticks == {"offers"}
        assert subscribed(topic="offers")
        assert not subscribed(topic="digest")

    def test_no_topic_that_the_form_did_not_show(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        form = Form.of(client, token)
        form.ticks |= {"alerts", "all_marketing", "everything", "no_such_topic", "\x00"}
        form.send(client)
        assert ledger.events() == []


class TestAStaleForm:
    def test_in_a_second_tab_never_resubscribes(
        self, client: FlaskClient, token: str, clock: Clock, subscribed: Subscribed, ledger: Ledger
    ) -> None:  # C4, I5
        first, second = Form.of(client, token), Form.of(client, token)
        clock.advance(timedelta(minutes=1))
        first.ticks.discard("digest")
        first.send(client)
        clock.advance(timedelta(minutes=1))
        assert "digest" not in second.send(client).ticks
        assert not subscribed()
        assert len(ledger.events()) == 1

    def test_loses_against_a_newer_opt_out_and_shows_it(
        self, client: FlaskClient, token: str, proven: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        clock.advance(timedelta(minutes=1))
        stale, other = Form.of(client, proven), Form.of(client, proven)
        clock.advance(timedelta(minutes=1))
        other.ticks.add("digest")
        other.send(client)
        assert subscribed()
        clock.advance(timedelta(minutes=1))
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        clock.advance(timedelta(minutes=5))
        stale.ticks.add("digest")
        after = stale.send(client)
        assert "We left this turned off" in after.text
        assert "It was turned off after this form was opened" in after.text
        assert "digest" not in after.ticks
        assert not subscribed()

    def test_sent_twice_changes_nothing_the_second_time(
        self, client: FlaskClient, token: str, clock: Clock, ledger: Ledger
    ) -> None:
        form = Form.of(client, token)
        form.ticks.discard("digest")
        form.send(client)
        clock.advance(timedelta(seconds=1))
        form.send(client)
        assert ledger.kinds() == [("opted_out", "digest")]

    @pytest.mark.parametrize("state", ["", "x", "\x00", "l1.A.B", None])
    def test_without_its_seal_saves_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger, state: str | None
    ) -> None:
        form = Form.of(client, token)
        form.ticks = {"offers"}
        form.hidden = {**form.hidden, "state": state} if state is not None else {}
        assert "Nothing was saved." in form.send(client).text
        assert ledger.events() == []

    def test_of_another_link_saves_nothing(
        self, client: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
    ) -> None:
        form = Form.of(client, make_token("eve@example.com"))
        form.path = f"/p/{token}"
        form.ticks = set()
        assert "Nothing was saved." in form.send(client).text
        assert ledger.events() == []


class TestWithoutACookie:
    def test_turning_off_is_saved(
        self, client: FlaskClient, token: str, subscribed: Subscribed
    ) -> None:  # C1
        form = Form.of(client, token)
        form.ticks.discard("digest")
        after = form.send(client.application.test_client())
        assert "Turned off:" in after.text
        assert not subscribed()

    def test_turning_on_waits_and_nothing_ticked_is_lost(
        self, client: FlaskClient, proven: str, clock: Clock, ledger: Ledger
    ) -> None:
        form = Form.of(client, proven)
        form.ticks = {"offers"}
        stranger = client.application.test_client()
        again = form.send(stranger)
        assert "not saved yet" in again.text
        assert again.ticks == {"offers"}
        assert ledger.kinds() == [("opted_out", "digest")]
        clock.advance(timedelta(seconds=5))
        again.send(stranger)  # now with the cookie that came with the page
        assert ledger.kinds() == [("opted_out", "digest"), ("opted_in", "offers")]

    def test_the_plain_button_stops_all_marketing(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        assert f'action="/u/{token}"' in client.get(f"/p/{token}").text
        client.application.test_client().post(
            f"/u/{token}", data={"confirm": "all"}, follow_redirects=True
        )
        assert ledger.kinds() == [("opted_out", "all_marketing")]


class TestAnOldLink:
    OLD = timedelta(days=60, seconds=1)

    def test_shows_nothing_but_the_ways_out(
        self, client: FlaskClient, make_token: MakeToken
    ) -> None:
        old = make_token(age=self.OLD)
        text = client.get(f"/p/{old}").text
        assert "more than 60 days old" in text
        assert "j***@e***.com" in text
        assert "Offers" not in text
        assert f'action="/u/{old}"' in text
        assert 'value="this"' in text
        assert 'value="all"' in text
        assert "new link" not in text  # there is no way to send mail

    def test_opts_out_on_a_page_that_was_left_open(
        self, client: FlaskClient, make_token: MakeToken, clock: Clock, ledger: Ledger
    ) -> None:
        form = Form.of(client, make_token(age=timedelta(days=60)))
        clock.advance(timedelta(seconds=1))
        form.ticks = {"offers"}
        after = form.send(client)
        assert "Turned off:" in after.text
        assert "Nothing was turned on." in after.text
        assert "more than 60 days old" in after.text
        assert ledger.kinds() == [("opted_out", "digest")]

    def test_has_a_fresh_one_mailed_to_its_own_address(
        self, app: Flask, client: FlaskClient, make_token: MakeToken,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        give_mail_server(app, monkeypatch)
        old = make_token(age=self.OLD)
        form = Form.of(client, old)
        assert 'action="/form"' in form.text
        client.post("/form", data={"link": form.hidden["link"]})
        (email,) = queued_emails(app)
        assert email.recipient.exact == "jane.doe@example.com"

    def test_that_names_no_message_stands_for_ever_and_proves_nothing(
        self, app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger
    ) -> None:
        from preference_center.core.addresses import Channel, parse_address
        from preference_center.core.links.tokens import Link

        address = parse_address("jane.doe@example.com", Channel.EMAIL)
        permanent = Link(address, "all_marketing", "", clock() - timedelta(days=2000))
        token = app.extensions[EXTENSION_NAME].links.create_token(permanent)
        form = Form.of(client, token)
        assert "Weekly digest" in form.text
        form.ticks.add("offers")
        form.send(client)
        assert ledger.events() == []


def test_a_cookie_is_set_only_where_a_form_needs_it(
    client: FlaskClient, token: str, proven: str
) -> None:
    assert "Set-Cookie" not in client.get(f"/p/{token}").headers  # it turns nothing on by itself
    cookie = client.get(f"/p/{proven}").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "Set-Cookie" not in client.head("/p/broken").headers
