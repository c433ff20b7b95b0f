"""One page for several addresses of one person, each proven by a token of its own (I9)."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.core.links.tokens import Link, TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from tests.clock import Clock
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

MAILBOX = parse_address("jane.doe@example.com", Channel.EMAIL)
PHONE = parse_address("+393331234567", Channel.SMS)
MASKED_MAILBOX, MASKED_PHONE = mask_address(MAILBOX), mask_address(PHONE)


def one_time(app: Flask, clock: Clock, address: Address, purpose: TokenPurpose) -> str:
    context = app.extensions[EXTENSION_NAME]
    token: str = context.links.create_one_time_token(purpose, address, context.new_id(), clock())
    return token


@pytest.fixture
def page(app: Flask, clock: Clock) -> str:
    """The path of a page of a mailbox and a phone number."""
    mailbox, phone = (
        one_time(app, clock, each, TokenPurpose.PAGE_VISIT) for each in (MAILBOX, PHONE)
    )
    return f"/p/{mailbox}?{urlencode({'also': phone})}"


def forms_of(html: str) -> list[tuple[str, dict[str, str]]]:
    """Where each Save of the page posts to, and its hidden fields."""
    found = []
    for action, body in re.findall(
        r'<form method="post" action="([^"]*)"(.*?)</form>', html, re.DOTALL
    ):
        fields = {}
        for tag in re.findall(r"<input[^>]*hidden[^>]*>", body):
            name, value = (re.search(f'{key}="([^"]*)"', tag) for key in ("name", "value"))
            if name and value:
                fields[name[1]] = unescape(value[1])
        if "state" in fields:
            found.append((unescape(action), fields))
    return found


def test_a_portal_link_of_two_addresses_opens_one_page(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    mailbox, phone = (one_time(app, clock, each, TokenPurpose.PORTAL) for each in (MAILBOX, PHONE))
    html = client.get(f"/portal/{phone}?{urlencode({'also': mailbox})}", follow_redirects=True).text
    assert html.index(MASKED_MAILBOX) < html.index(MASKED_PHONE)
    assert "Weekly digest" in html
    assert "Text alerts" in html


def test_each_save_is_recorded_for_its_own_address(
    client: FlaskClient, page: str, ledger: Ledger
) -> None:  # I9
    (_, _), (path, fields) = forms_of(client.get(page).text)
    answer = client.post(path, data={**fields, "topics": ["alerts"]})
    assert answer.status_code == 303
    html = client.get(answer.headers["Location"]).text
    assert "Turned on:" in html
    assert MASKED_MAILBOX in html
    assert MASKED_PHONE in html
    assert ledger.kinds() == [(EventKind.OPTED_IN, "alerts")]
    (path, fields), _ = forms_of(html)
    client.post(path, data=fields)
    first, second = ledger.events()
    assert (second["kind"], second["scope"]) == (EventKind.OPTED_OUT, "digest")
    assert first["address_id"] != second["address_id"]


def test_opting_out_on_it_needs_no_cookie(app: Flask, page: str, ledger: Ledger) -> None:
    (path, fields), _ = forms_of(app.test_client(use_cookies=False).get(page).text)
    client = app.test_client(use_cookies=False)
    assert client.post(path, data={"state": fields["state"]}).status_code == 303
    assert ledger.kinds() == [(EventKind.OPTED_OUT, "digest")]


def test_a_switch_of_language_and_an_undo_keep_both(
    client: FlaskClient, page: str, ledger: Ledger
) -> None:
    (path, fields), _ = forms_of(client.get(page).text)
    url = client.post(path, data=fields).headers["Location"]
    html = client.get(url).text
    (query,) = {unescape(each) for each in re.findall(r'href="(\?[^"]*lang=it)"', html)}
    html = client.get(urlsplit(url).path + query).text
    assert MASKED_PHONE in html
    assert "Salvat" in html
    undo = re.search(r'name="undo" value="([^"]+)"', html)
    actions = re.findall(r'<form method="post" action="([^"]*)">\s*<button[^>]*name="undo"', html)
    assert undo
    html = client.post(
        unescape(actions[0]), data={"undo": unescape(undo[1])}, follow_redirects=True
    ).text
    assert MASKED_PHONE in html
    assert [event["kind"] for event in ledger.events()][-1] == EventKind.RETRACTED


def test_no_id_occurs_twice(client: FlaskClient, page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', client.get(page).text)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("case", ["message", "expired", "forged", "portal"])
def test_what_proves_nothing_adds_nothing(
    app: Flask, client: FlaskClient, clock: Clock, case: str
) -> None:
    links = app.extensions[EXTENSION_NAME].links
    expired = one_time(app, clock, PHONE, TokenPurpose.PAGE_VISIT)
    clock.advance(timedelta(hours=1))
    fresh = one_time(app, clock, PHONE, TokenPurpose.PAGE_VISIT)
    token = {
        "message": links.create_token(Link(PHONE, ALL_MARKETING, "", clock())),
        "expired": expired,
        "forged": fresh[:-3] + "abc",
        "portal": one_time(app, clock, PHONE, TokenPurpose.PORTAL),
    }[case]
    mailbox = one_time(app, clock, MAILBOX, TokenPurpose.PAGE_VISIT)
    html = client.get(f"/p/{mailbox}?{urlencode({'also': token})}").text
    assert MASKED_MAILBOX in html
    assert MASKED_PHONE not in html


def test_a_link_that_proves_nothing_shows_no_other_address(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # I9: links get forwarded
    links = app.extensions[EXTENSION_NAME].links
    message = links.create_token(Link(MAILBOX, ALL_MARKETING, "", clock()))
    phone = one_time(app, clock, PHONE, TokenPurpose.PAGE_VISIT)
    html = client.get(f"/p/{message}?{urlencode({'also': phone})}").text
    assert MASKED_PHONE not in html


def test_the_same_address_twice_is_one_section(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    first, again = (one_time(app, clock, MAILBOX, TokenPurpose.PAGE_VISIT) for _ in range(2))
    html = client.get(f"/p/{first}?{urlencode({'also': again})}").text
    assert len(forms_of(html)) == 1
    assert parse_qs(urlsplit(forms_of(html)[0][0]).query) == {}
