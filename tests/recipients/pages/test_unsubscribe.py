"""The unsubscribe link, as people and mail clients use it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.clock import START, Clock
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import MakeToken
from tests.web.pages.visits import MESSAGE_ID

PAIR = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
FOREIGN = "moz-extension://3f0c1f2e-0000-4000-8000-000000000000"


def press(client: FlaskClient, path: str, **fields: str) -> str:
    """Press a button of an own page; the text of the page that the response redirects to."""
    pressed = client.post(path, data=fields)
    assert pressed.status_code == 303
    assert pressed.headers.getlist("Cache-Control") == ["no-store"]
    page = client.get(pressed.location)
    assert page.status_code == 200
    return page.text


def undo_of(page: str) -> str:
    found = re.search(r'name="undo" value="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


class TestReading:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE"])
    def test_changes_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger, method: str
    ) -> None:  # A6, I7
        before = ledger.rows()
        for path in (f"/u/{token}", f"/u/{token}?{PAIR}", f"/p/{token}"):
            client.open(path, method=method, data=PAIR if method == "GET" else None)
        assert ledger.rows() == before

    def test_shows_both_ways_out_one_of_them_filled_and_the_masked_address(
        self, client: FlaskClient, token: str
    ) -> None:  # C6
        page = client.get(f"/u/{token}")
        assert page.status_code == 200
        assert re.findall(
            r'<button(?: class="(\w+)")? name="confirm" value="(\w+)"', page.text
        ) == [
            ("primary", "this"),
            ("", "all"),
        ]
        assert page.text.count("<button") == 2
        assert "j***@e***.com" in page.text
        assert "jane" not in page.text
        assert "Weekly digest" in page.text
        assert 'lang="en"' in page.text
        assert "<script" not in page.text

    def test_by_head_answers_200_for_set_up_probes(self, client: FlaskClient, token: str) -> None:
        response = client.head(f"/u/{token}")
        assert (response.status_code, response.data) == (200, b"")

    def test_by_options_lets_an_add_on_post(self, client: FlaskClient, token: str) -> None:
        headers = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
        response = client.options(f"/u/{token}", headers=headers)
        assert response.status_code == 200
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_sets_no_cookie(self, client: FlaskClient, token: str) -> None:
        assert "Set-Cookie" not in client.get(f"/u/{token}").headers
        assert (
            "Set-Cookie"
            not in client.post(
                f"/u/{token}", data={"confirm": "this"}, follow_redirects=True
            ).headers
        )


class TestOtherBodies:
    @pytest.mark.parametrize("body", [b"confirm=", b"confirm=everything", b"confirm=digest"])
    def test_get_the_page_and_change_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger, body: bytes
    ) -> None:  # A9: those without a field of the page are one-click
        response = client.post(f"/u/{token}", data=body, content_type=FORM)
        assert response.status_code == 200
        assert 'name="confirm" value="this"' in response.text
        assert ledger.events() == []

    def test_may_not_be_huge(self, client: FlaskClient, token: str, ledger: Ledger) -> None:
        body = "a=" + "x" * 9_000_000
        assert client.post(f"/u/{token}", data=body, content_type=FORM).status_code == 413
        assert ledger.events() == []


class TestBrokenLinks:
    BROKEN = (
        "/u", "/u/", "/u//", "/u/*|TOKEN|*", "/u/{{token}}", "/u/%7B%7Btoken%7D%7D", "/u/x/y/z",
        "/u//etc//passwd", "/u/../u", "/u/%00%ff%fe", "/u/" + "A" * 10_000, "/u/l1.AAAA.BBBB",
        "/u/%F0%9F%92%A9", "/p", "/p/", "/p/{{token}}", "/p/l1.A.B", "/u/l1..", "/u/None",
    )  # fmt: skip

    @pytest.mark.parametrize("path", BROKEN, ids=lambda path: path[:20])
    def test_get_one_page_that_shows_the_way_and_is_no_success(
        self, client: FlaskClient, ledger: Ledger, path: str
    ) -> None:  # A7
        answers = [client.get(path), client.post(path, data=PAIR), client.post(path)]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.text for answer in answers}) == 1
        assert "Nothing was changed" in answers[0].text
        assert "hello@acme.example" in answers[0].text
        assert ledger.events() == []

    def test_say_nothing_of_whether_an_address_exists(
        self, client: FlaskClient, token: str, make_token: MakeToken
    ) -> None:  # A7
        client.post(f"/u/{token}", data=PAIR)
        known, unknown = token, make_token("nobody@example.com")
        answers = {client.get(f"/u/{link[:-1]}~").text for link in (known, unknown)}
        assert len(answers) == 1

    def test_of_a_flipped_bit_change_nothing(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        for at in range(0, len(token), 7):
            flipped = token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :]
            assert client.post(f"/u/{flipped}", data=PAIR).status_code in {404, 405}
        assert ledger.events() == []


class TestThePage:
    def test_confirms_and_offers_undo_all_marketing_and_the_preferences(
        self, client: FlaskClient, token: str, ledger: Ledger
    ) -> None:
        page = client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert page.status_code == 200
        assert "You are unsubscribed" in page.text
        assert 'role="status"' in page.text
        assert 'value="all"' in page.text
        assert f"/p/{token}" in page.text
        assert undo_of(page.text)
        [event] = ledger.events()
        assert event["source"] == "unsubscribe_page"
        assert event["evidence"]["language"] == "en"
        assert re.fullmatch(r"[0-9a-f]{12}", event["evidence"]["text_version"])

    def test_takes_back_exactly_what_it_just_removed(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], clock: Clock,
        ledger: Ledger,
    ) -> None:  # fmt: skip
        press(client, f"/u/{token}", confirm="this")
        clock.advance(timedelta(minutes=1))
        wide = press(client, f"/u/{token}", confirm="all")
        undone = press(client, f"/u/{token}", undo=undo_of(wide))
        assert "stays off: you turned it off separately" in undone
        assert not subscribed()  # the topic's own "no" stands
        narrow = client.get(f"/u/{token}").text
        press(client, f"/u/{token}", undo=undo_of(narrow))
        assert subscribed()
        assert [kind for kind, _ in ledger.kinds()] == [
            "opted_out", "opted_out", "retracted", "retracted",
        ]  # fmt: skip

    def test_undoes_once_however_often_it_is_pressed(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], ledger: Ledger
    ) -> None:
        undo = undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        )
        for _ in range(2):
            assert (
                "Undone"
                in client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True).text
            )
        assert [kind for kind, _ in ledger.kinds()] == ["opted_out", "retracted"]
        client.post(f"/u/{token}", data=PAIR)
        client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True)
        assert not subscribed()  # I5: the newer "no" is not what was taken back

    def test_undoes_both_presses_of_a_double_click(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], clock: Clock
    ) -> None:  # I7
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        clock.advance(timedelta(seconds=1))
        undo = undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        )
        client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True)
        assert subscribed()

    def test_offers_no_undo_for_what_it_did_not_do(
        self, client: FlaskClient, token: str, clock: Clock
    ) -> None:
        client.post(f"/u/{token}", data=PAIR)
        clock.advance(timedelta(minutes=1))
        page = client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert "You are unsubscribed" in page.text
        assert 'name="undo"' not in page.text

    def test_undoes_for_half_an_hour(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], clock: Clock
    ) -> None:
        undo = undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        )
        clock.advance(timedelta(minutes=30, seconds=1))
        assert (
            "Too late to undo"
            in client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True).text
        )
        assert not subscribed()
        clock.advance(timedelta(seconds=-1))
        assert (
            "Too late to undo"
            not in client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True).text
        )
        assert subscribed()

    @pytest.mark.parametrize("forged", ["", "x", "l1.A.B", "\x00"])
    def test_undoes_nothing_forged(
        self, client: FlaskClient, token: str, subscribed: Callable[..., bool], forged: str
    ) -> None:
        client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
        assert (
            "Too late to undo"
            in client.post(f"/u/{token}", data={"undo": forged}, follow_redirects=True).text
        )
        assert not subscribed()

    def test_undoes_nothing_of_another_link(
        self, client: FlaskClient, token: str, make_token: MakeToken,
        subscribed: Callable[..., bool],
    ) -> None:  # fmt: skip
        undo = undo_of(
            client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text
        )
        other = make_token("eve@example.com")
        assert "Unsubscribe from" in press(client, f"/u/{other}", undo=undo)  # its own page
        assert not subscribed()


def turn_on(client: FlaskClient, token: str, topic: str) -> None:
    """Opt in on the preference page, as a person does."""
    from tests.recipients.pages.test_preferences import Form

    form = Form.of(client, token)
    form.ticks.add(topic)
    form.send(client)


def test_no_page_writes_a_token_to_a_log(
    client: FlaskClient,
    token: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # I12
    caplog.set_level("DEBUG")
    seal = token.split(".")[1]
    for path in (f"/u/{token}", f"/p/{token}", f"/u/{token}x", f"/p/{token}x"):
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PROPFIND"):
            client.open(path, method=method, data=PAIR)
    client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
    out, err = capfd.readouterr()
    for text in (caplog.text, out, err):
        assert seal not in text
        assert "jane" not in text


@pytest.mark.parametrize("path", ["/u/{}", "/p/{}", "/u/{}x", "/p/{}x"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_every_response_guards_the_address_it_was_called_by(
    client: FlaskClient, token: str, path: str, method: str
) -> None:  # C7
    response = client.open(path.format(token), method=method, data=PAIR)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert response.headers.getlist("Referrer-Policy") == ["no-referrer"]
    assert response.headers.getlist("Cache-Control") == ["no-store"]
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_use_nothing_from_elsewhere(client: FlaskClient, token: str) -> None:  # C7
    for path in (f"/u/{token}", f"/p/{token}", "/u/x"):
        # What a reader may follow is not used by the page.
        page = client.get(path).text.replace('href="https://acme.example/privacy"', "")
        sources = re.findall(r'(?:src|href|action)="([^"]*)"', page)
        assert all(source.startswith(("/", "?lang=", "mailto:")) for source in sources)


def test_a_link_of_a_phone_masks_the_number(
    client: FlaskClient, make_token: MakeToken
) -> None:  # C6
    from preference_center.core.addresses import Channel

    token = make_token("+393331234567", scope="alerts", channel=Channel.SMS)
    page = client.get(f"/u/{token}").text
    assert "+39 *** **67" in page
    assert "3331234567" not in page


def test_four_posts_at_once_of_200_links_make_one_event_each(
    app: Flask, make_token: MakeToken, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:  # A8, I7
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    from preference_center.ledger import recording

    for name in ("SHARED_TOTAL_TIMEOUT", "SHARED_STATEMENT_TIMEOUT"):
        monkeypatch.setattr(recording, name, 60.0)  # a busy machine may take its time

    gate = Barrier(4)
    tokens = [make_token(f"person{number}@example.com") for number in range(200)]

    def press(_: int) -> list[int]:
        client = app.test_client()
        statuses = []
        for token in tokens:
            gate.wait(30)
            statuses.append(client.post(f"/u/{token}", data=PAIR).status_code)
        return statuses

    with ThreadPoolExecutor(4) as pool:
        answers = [status for statuses in pool.map(press, range(4)) for status in statuses]
    assert answers == [200] * 800
    assert len(ledger.events()) == 200
    assert {app.test_client().post(f"/u/{token}", data=PAIR).status_code for token in tokens} == {
        200
    }
    assert len(ledger.events()) == 200


def test_without_a_database_nothing_looks_like_success(redis_url: str) -> None:  # I1
    from preference_center.app.web import create_app
    from preference_center.core.addresses import Channel, parse_address
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import EXTENSION_NAME
    from tests.environment import settings_for

    app = create_app(settings_for("postgresql://nobody:x@127.0.0.1:1/none", redis_url))
    link = Link(parse_address("jane.doe@example.com", Channel.EMAIL), "digest", MESSAGE_ID, START)
    token = app.extensions[EXTENSION_NAME].links.create_token(link)
    for path, method in ((f"/u/{token}", "POST"), (f"/u/{token}", "GET"), (f"/p/{token}", "GET")):
        response = app.test_client().open(path, method=method, data=PAIR)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert response.headers.getlist("Cache-Control") == ["no-store"]
