"""Who was erased comes back by turning something on, with proof that the address is theirs (I6)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.recipients.pages.test_preferences import Form
from tests.rights.erasing import erase, rows, store, tables_with

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

JANE = parse_address("jane.doe@example.com", Channel.EMAIL)
MINUTE = timedelta(minutes=1)


def forget(app: Flask, clock: Clock, extent: Extent = Extent.MARKETING) -> None:
    with app.app_context():
        store(JANE)
        erase(JANE, extent=extent)
    clock.advance(MINUTE)


def readable(app: Flask) -> bool:
    with app.app_context():
        return "address" in tables_with(JANE.exact)


def turn_on(client: FlaskClient, token: str) -> None:
    form = Form.of(client, token)
    form.ticks.add("offers")
    form.send(client)


def test_by_a_proven_visit(app: Flask, client: FlaskClient, proven: str, clock: Clock) -> None:
    forget(app, clock)
    assert not readable(app)
    turn_on(client, proven)
    assert readable(app)
    with app.app_context():
        assert rows("SELECT topic FROM consent") == [("offers",)]
        assert rows("SELECT count(*) FROM contact_address") == [(1,)]


def test_by_a_confirmed_mail_and_not_before(
    app: Flask, client: FlaskClient, token: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link of a message may have been forwarded."""
    give_mail_server(app, monkeypatch)
    forget(app, clock)
    turn_on(client, token)
    assert not readable(app)
    [email] = queued_emails(app)
    for _ in range(2):  # I7
        assert client.post(link_in(email), data={"confirm": "yes"}).status_code == 303
    assert readable(app)
    with app.app_context():
        assert rows("SELECT count(*) FROM event WHERE kind = 'opted_in'") == [(1,)]


def test_not_by_a_form_from_before_the_erasure(
    app: Flask, client: FlaskClient, proven: str, clock: Clock
) -> None:  # I5
    form = Form.of(client, proven)
    form.ticks.add("offers")
    clock.advance(MINUTE)
    forget(app, clock)
    form.send(client)
    assert not readable(app)


def test_not_where_the_whole_account_was_erased(
    app: Flask, client: FlaskClient, proven: str, clock: Clock
) -> None:
    """Nothing can be turned on there: it takes a request to reopen the account."""
    forget(app, clock, Extent.ACCOUNT)
    form = Form.of(client, proven)
    form.ticks.add("offers")
    form.send(client)
    assert not readable(app)
