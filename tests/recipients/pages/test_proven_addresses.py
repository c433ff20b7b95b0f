"""One page for several addresses of one person, each proven by a token of its own (I9)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.core.links.tokens import Link, TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.screen import Screen

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
    screen = Screen.open(client, page)
    screen.boxes("alerts")[0].checked = True
    screen = screen.press(f"Save for {MASKED_PHONE}")
    assert "Turned on:" in screen.text
    assert MASKED_MAILBOX in screen.text
    assert MASKED_PHONE in screen.text
    assert ledger.kinds() == [(EventKind.OPTED_IN, "alerts")]
    screen.boxes("digest")[0].checked = False
    screen.press(f"Save for {MASKED_MAILBOX}")
    first, second = ledger.events()
    assert (second["kind"], second["scope"]) == (EventKind.OPTED_OUT, "digest")
    assert first["address_id"] != second["address_id"]


def test_opting_out_on_it_needs_no_cookie(app: Flask, page: str, ledger: Ledger) -> None:
    screen = Screen.open(app.test_client(use_cookies=False), page)
    screen.boxes("digest")[0].checked = False
    screen.press(f"Save for {MASKED_MAILBOX}")
    assert ledger.kinds() == [(EventKind.OPTED_OUT, "digest")]


def test_a_switch_of_language_and_an_undo_keep_both(
    client: FlaskClient, page: str, ledger: Ledger
) -> None:
    screen = Screen.open(client, page)
    screen.boxes("digest")[0].checked = False
    screen = screen.press(f"Save for {MASKED_MAILBOX}").press("Italiano")
    assert MASKED_PHONE in screen.text
    assert "Salvat" in screen.text
    screen = screen.press("Ripristina")
    assert MASKED_PHONE in screen.text
    assert [event["kind"] for event in ledger.events()][-1] == EventKind.RETRACTED


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
    screen = Screen.open(client, f"/p/{first}?{urlencode({'also': again})}")
    assert len(screen.boxes("digest")) == 1
    assert again not in screen.text
