"""Objections and complaints: by anybody, in any words, with the reference at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.rights.requests.steps import find_request_by_reference, open_sealed
from preference_center.rights.rules.requests import IdentityLevel, RequestKind, RequestState
from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import erase_now, form_fields, press, reference_in, requests_in
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.clock import Clock

KNOWN, UNKNOWN, ERASED = "jane.doe@example.com", "jack.poe@example.com", "jill.roe@example.com"


def object_to(client: FlaskClient, path: str = "/rights/object", **fields: Any) -> TestResponse:
    return client.post(path, data={"address": KNOWN, "text": "Basta!", **fields})


def test_an_objection_counts_at_once_and_gets_its_reference(
    app: Flask, client: FlaskClient, subscribed: Callable[..., Any]
) -> None:
    assert subscribed()
    answer = object_to(client)
    assert answer.status_code == 303
    assert not subscribed()  # I2
    page = client.get(answer.location)
    assert "We have stopped all marketing to this address" in page.text
    with app.app_context():
        asked = find_request_by_reference(reference_in(client, answer))
        assert (asked.kind, asked.level) == (RequestKind.OBJECT, IdentityLevel.NONE)
        assert open_sealed(asked).text == "Basta!"
    assert "Basta" not in page.text
    assert KNOWN not in page.text  # C6


@pytest.mark.parametrize(
    "path", ["/rights/object", "/rights/object/{link}", "/rights/object/{visit}"]
)
def test_it_takes_any_level_and_no_words(
    client: FlaskClient, token: str, proven: str, path: str, subscribed: Callable[..., Any]
) -> None:
    path = path.format(link=token, visit=proven)
    assert press(client, path, address=KNOWN, text="").status_code == 303
    assert not subscribed()


@pytest.mark.parametrize("visit", ["", "/{link}", "/{visit}"])
def test_sale_and_sharing_are_off_at_any_level_and_no_message_is(
    app: Flask,
    client: FlaskClient,
    token: str,
    proven: str,
    visit: str,
    ledger: Ledger,
    subscribed: Callable[..., Any],
) -> None:  # 11 CCR 7026(d), I4
    path = "/rights/dont_sell_or_share" + visit.format(link=token, visit=proven)
    answer = press(client, path, address=KNOWN)
    assert answer.status_code == 303
    assert "It is done." in client.get(answer.location).text
    assert ledger.kinds() == [("opted_out", "sharing")]
    assert subscribed()
    assert [(each.kind, each.state) for each in requests_in(app)] == [
        (RequestKind.DONT_SELL_OR_SHARE, RequestState.DONE)
    ]


def test_not_to_sell_or_share_is_one_press_of_one_button_without_words(
    client: FlaskClient, token: str
) -> None:  # 11 CCR 7026(a)
    page = client.get(f"/rights/dont_sell_or_share/{token}").text
    assert "<textarea" not in page
    assert 'name="address"' not in page
    for path in ("/rights", f"/rights/{token}", f"/p/{token}"):
        assert "Do not sell or share my personal information" in client.get(path).text, path


def test_known_and_unknown_addresses_get_the_same_answer_about_sharing(
    client: FlaskClient,
) -> None:
    path = "/rights/dont_sell_or_share"
    locations = [client.post(path, data={"address": a}).location for a in (KNOWN, UNKNOWN)]
    varying = r"<code>.*</code>|/rights/status/[^\"?]*|j\S*@e\S*"
    assert len({re.sub(varying, "", client.get(each).text) for each in locations}) == 1


def test_a_link_objects_for_its_own_address_only(
    client: FlaskClient, token: str, subscribed: Callable[..., Any], ledger: Ledger
) -> None:
    object_to(client, f"/rights/object/{token}", address=UNKNOWN)
    assert not subscribed()
    assert len(ledger.events()) == 1


def test_pressed_twice_it_is_one_request(app: Flask, client: FlaskClient) -> None:
    path = "/rights/object"
    fields = form_fields(client, path) | {"address": KNOWN, "text": ""}
    first, second = client.post(path, data=fields), client.post(path, data=fields)
    assert reference_in(client, first) == reference_in(client, second)
    assert len(requests_in(app)) == 1


def test_other_words_are_read_too(app: Flask, client: FlaskClient) -> None:
    for text in ("Basta!", "And my neighbour's as well."):
        client.post("/rights/object", data={"address": KNOWN, "text": text})
    with app.app_context():
        texts = {open_sealed(asked).text for asked in requests_in(app)}
    assert texts == {"Basta!", "And my neighbour's as well."}


def test_known_unknown_and_erased_addresses_get_the_same_answer(
    app: Flask, client: FlaskClient, token: str
) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"})
    erase_now(app, ERASED)
    named = (KNOWN, UNKNOWN, ERASED)
    pages = [client.get(object_to(client, address=to).location).text for to in named]
    varying = r"<code>.*</code>|/rights/status/[^\"?]*|j\S*@e\S*"
    assert len({re.sub(varying, "", page) for page in pages}) == 1


def test_a_complaint_needs_words_and_names_the_authority(app: Flask, client: FlaskClient) -> None:
    page = client.get("/rights/complaint")
    assert 'href="https://garante.example"' in page.text
    empty = client.post("/rights/complaint", data={"address": KNOWN, "text": " "})
    assert empty.status_code == 422
    assert f'value="{KNOWN}"' in empty.text
    assert requests_in(app) == []
    sent = client.post("/rights/complaint", data={"address": KNOWN, "text": "You called me."})
    assert "Our staff read it" in client.get(sent.location).text
    assert [each.kind for each in requests_in(app)] == [RequestKind.COMPLAINT]


def test_a_complaint_stops_nothing(client: FlaskClient, subscribed: Callable[..., Any]) -> None:
    client.post("/rights/complaint", data={"address": KNOWN, "text": "You called me."})
    assert subscribed()


@pytest.mark.parametrize(
    "fields, remedy",
    [
        ({"address": ""}, "Enter an email address"),
        ({"address": "a@example.com, b@example.com"}, "more than one email address"),
        ({"text": "x" * 4001}, "longer than 4000 characters"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_half_written(
    app: Flask, client: FlaskClient, fields: dict[str, str], remedy: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    answer = object_to(client, **fields)
    assert answer.status_code == 422
    assert remedy in answer.text
    assert ledger.rows() == before
    assert requests_in(app) == []


def test_another_site_can_not_object_for_its_visitors(
    app: Flask, client: FlaskClient, token: str, proven: str
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/rights/object", f"/rights/object/{token}"):
        answer = client.post(path, data={"address": KNOWN}, headers=headers)
        assert answer.status_code == 403
    lacks_cookie = client.post(f"/rights/object/{proven}", data={"text": "x"})
    assert lacks_cookie.status_code == 400
    assert "allow cookies" in lacks_cookie.text
    assert requests_in(app) == []


def test_one_network_objects_thirty_times_an_hour(app: Flask, client: FlaskClient) -> None:
    public = {"REMOTE_ADDR": "8.8.8.8"}
    statuses = [
        client.post(
            "/rights/object", data={"address": f"p{number}@example.com"}, environ_base=public
        ).status_code
        for number in range(40)
    ]
    assert statuses == [303] * 30 + [429] * 10
    assert len(requests_in(app)) == 30


def test_a_phones_link_objects_too(
    client: FlaskClient, make_token: MakeToken, ledger: Ledger
) -> None:
    from preference_center.core.addresses import Channel

    path = f"/rights/object/{make_token('+393331234567', 'alerts', channel=Channel.SMS)}"
    assert client.post(path, data={"text": ""}).status_code == 303
    assert ledger.kinds() == [("opted_out", "all_marketing")]


def test_the_status_page_is_withdrawn_from_once_and_marketing_stays_off(
    app: Flask, client: FlaskClient, subscribed: Callable[..., Any], clock: Clock, ledger: Ledger
) -> None:
    status = object_to(client).location
    before = ledger.rows()
    for method in ("GET", "HEAD", "OPTIONS", "POST"):  # a POST of nothing is no press (I7)
        assert client.open(status, method=method).status_code == 200
    assert ledger.rows() == before
    for _ in range(2):
        assert client.post(status, data={"withdraw": "yes"}).status_code == 303
    page = client.get(status)
    assert "You have withdrawn it" in page.text
    assert 'name="withdraw"' not in page.text
    assert [each.state for each in requests_in(app)] == [RequestState.WITHDRAWN]
    assert not subscribed()  # I5


def test_a_status_link_that_was_altered_shows_nothing(client: FlaskClient, token: str) -> None:
    status, _, fragment = object_to(client).location.partition("#")
    assert fragment == "result"  # where the browser moves the focus to
    for path in (status[:-1], "/rights/status/broken", f"/rights/status/{token}"):
        assert client.get(path).status_code == 404
        assert client.post(path, data={"withdraw": "yes"}).status_code == 404


def test_nobody_withdraws_by_repeating_without_words(app: Flask, client: FlaskClient) -> None:
    """Anyone who has proven nothing gets no page of what somebody else wrote."""
    object_to(client)
    repeated = object_to(client, text="").location
    client.post(repeated, data={"withdraw": "1"})
    states = [asked.state for asked in requests_in(app)]
    assert sorted(states) == [RequestState.DONE, RequestState.OPEN]


def test_strangers_fill_no_mailbox_with_receipts(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(app, monkeypatch)
    for number in range(6):
        assert object_to(client, text=f"No {number}").status_code == 303
    assert len(requests_in(app)) == 6
    assert len(queued_emails(app)) == 3


def test_an_objection_without_words_is_one_mail(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(app, monkeypatch)
    object_to(client, text="")
    assert len(queued_emails(app)) == 1


def test_an_error_stands_above_and_at_its_field(client: FlaskClient, token: str) -> None:
    page = object_to(client, text="a" * 4001).text
    assert "<title>Error: " in page
    assert page.index('id="problem"') < page.index("<h1>")
    assert '<a href="#text">Nothing was sent: the text is longer' in page
    assert page.index('<p class="field-error" id="text-error">') < page.index("<textarea")
    assert 'aria-describedby="text-error text-hint" aria-invalid="true"' in page
