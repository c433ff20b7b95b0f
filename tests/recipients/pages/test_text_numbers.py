"""The page of a phone number tells how to turn messages on again: text START."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.destinations.store import destinations
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.clock import Clock
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

OURS = "+15550100"


def add_destination(app: Flask, mapping: dict[str, str], **settings: str) -> None:
    def insert(connection: Connection) -> None:
        destinations.insert_destination(
            connection,
            services().keys,
            name="texts",
            kind="twilio",
            settings={"auth_token": "0123456789abcdef", **settings},
            channels=frozenset({Channel.SMS}),
            mapping=mapping,
            sends=frozenset(mapping),
            sends_service=False,
            now=services().now(),
        )

    with app.app_context():
        run_in_transaction(insert)


@pytest.fixture
def page(app: Flask, clock: Clock) -> str:
    """The path of the preference page of a phone number."""
    number = parse_address("+393331234567", Channel.SMS)
    link = Link(number, ALL_MARKETING, "m-1", clock())
    return f"/p/{app.extensions[EXTENSION_NAME].links.create_token(link)}"


def test_it_names_the_number_to_text_start_to(app: Flask, client: FlaskClient, page: str) -> None:
    assert "START" not in client.get(page).text  # no number is known
    add_destination(app, {}, number=OURS)
    assert f"text START to {OURS}" in client.get(page).text


def test_a_number_of_other_topics_is_not_named(app: Flask, client: FlaskClient, page: str) -> None:
    add_destination(app, {"offers": OURS}, number=OURS)
    assert "START" not in client.get(page).text


def test_the_page_of_a_mailbox_tells_nothing_of_it(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    add_destination(app, {}, number=OURS)
    assert "START" not in client.get(f"/p/{make_token()}").text


def test_it_is_named_to_somebody_who_has_unsubscribed(
    app: Flask, client: FlaskClient, page: str
) -> None:
    add_destination(app, {}, number=OURS)
    path = page.replace("/p/", "/u/")
    assert "START" not in client.get(path).text
    html = client.post(path, data={"confirm": "all"}, follow_redirects=True).text
    assert f"Text START to {OURS}" in html


def test_the_page_of_an_old_link_names_it_too(
    app: Flask, client: FlaskClient, page: str, clock: Clock
) -> None:
    add_destination(app, {}, number=OURS)
    clock.advance(timedelta(days=90))
    html = client.get(page).text
    assert "more than 60 days old" in html
    assert f"Or text START to {OURS}" in html
