"""A sender's message id may be an address: it is no part of what can't be erased (I6, I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.infra.context import EXTENSION_NAME
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_unsubscribe import undo_of

if TYPE_CHECKING:
    from flask import Flask

ADDRESS = "jane.doe@example.com"
NAMING = {
    "the-address": ADDRESS,
    "a-message-id": "<7.jane.doe@example.com>",
    "a-number": "3331234567",
}


def token_with(app: Flask, clock: Clock, message_id: str) -> str:
    link = Link(parse_address(ADDRESS, Channel.EMAIL), "digest", message_id, clock())
    token: str = app.extensions[EXTENSION_NAME].links.create_token(link)
    return token


@pytest.mark.parametrize("message_id", NAMING.values(), ids=NAMING)
def test_one_that_names_somebody_opts_out_and_is_kept_as_a_digest(
    app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger, message_id: str
) -> None:
    token = token_with(app, clock, message_id)
    assert client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}).status_code == 200
    (event,) = ledger.events()
    assert event["evidence"]["message_id"] == app.extensions[EXTENSION_NAME].keys.evidence_hmac(
        message_id
    )  # support can find it


def test_neither_is_it_in_a_retraction(
    app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger
) -> None:
    token = token_with(app, clock, ADDRESS)
    undo = undo_of(client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True).text)
    client.post(f"/u/{token}", data={"undo": undo}, follow_redirects=True)
    events = ledger.events()
    assert [event["kind"] for event in events] == ["opted_out", "retracted"]
    assert "jane" not in str([event["evidence"] for event in events])


def test_any_other_stays_readable(
    app: Flask, client: FlaskClient, clock: Clock, ledger: Ledger
) -> None:
    client.post(
        f"/u/{token_with(app, clock, 'spring-7')}", data={"confirm": "this"}, follow_redirects=True
    )
    assert [event["evidence"]["message_id"] for event in ledger.events()] == ["spring-7"]
