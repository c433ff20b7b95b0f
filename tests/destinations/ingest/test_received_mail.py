"""A reply that a vendor received and posted counts as one that came by SMTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.decisions.rules import find_denial
from preference_center.destinations.rules.questions import unknown_type_question
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post
from tests.destinations.steps import ANNA, TOPIC, person
from tests.destinations.two_way_tool import TwoWayTool, add_destination

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


def reply(text: str, to: str = "stop@acme.example") -> dict[str, Any]:
    return {
        "RecordType": "Inbound",
        "From": ANNA,
        "OriginalRecipient": to,
        "Subject": "Re: News",
        "TextBody": text,
        "Headers": [{"Name": "Message-ID", "Value": "<1@example.com>"}],
    }


@pytest.fixture
def destination(app: Flask, monkeypatch: pytest.MonkeyPatch) -> int:
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"reply_addresses": "stop@acme.example"})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    return add_destination("mailer", TOPIC, kind="postmark")


def is_off(clock: Clock) -> bool:
    return find_denial(TOPIC, load_facts([person(ANNA)])[0], clock()) is not None


def test_a_reply_that_a_vendor_posts_opts_out(destination: int, clock: Clock) -> None:  # I13
    post(destination, reply("Please unsubscribe me"))
    ingest_stored(destination, TwoWayTool())
    assert is_off(clock)


def test_another_reply_changes_nothing(destination: int, clock: Clock) -> None:
    post(destination, reply("Thank you, I like it"))
    ingest_stored(destination, TwoWayTool())
    assert not is_off(clock)


def test_a_mail_to_no_mailbox_of_ours_waits_for_a_person(
    destination: int, clock: Clock
) -> None:  # never a 2xx for nothing
    post(destination, reply("Please unsubscribe me", to="news@acme.example"))
    ingest_stored(destination, TwoWayTool())
    rows = run_in_transaction(
        lambda c: c.execute("SELECT question FROM undecided_event").fetchall()
    )
    assert rows == [(unknown_type_question("a mail to an address that REPLY_ADDRESSES lacks"),)]


def test_a_mail_that_cannot_be_read_does_not_hold_up_the_next(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"reply_addresses": "stop@acme.example"})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    relay = add_destination("relay", TOPIC, kind="postal")
    broken = {"rcpt_to": "stop@acme.example", "message": "a", "base64": True}
    whole = f"From: {ANNA}\r\nSubject: Re: News\r\n\r\nPlease unsubscribe me\r\n"
    post(relay, broken)
    post(relay, broken | {"message": whole, "base64": False})
    ingest_stored(relay, TwoWayTool())
    assert is_off(clock)
