"""A text is the person's own act: recorded at once, confirmed once, never lifting anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.destinations.store import destinations
from preference_center.inbound import review
from preference_center.inbound.review import Meaning
from preference_center.inbound.store import list_open_items, load_open_item
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

ANNA = "+393331234567"
OURS = "+15550100"
TOKEN = "0123456789abcdef"
PUBLIC = "https://preferences.example.com"

Text = Callable[..., str]


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)


def add(app: Flask, name: str, mapping: dict[str, str], **settings: str) -> None:
    def work(connection: Connection) -> None:
        destinations.insert_destination(
            connection,
            services().keys,
            name=name,
            kind="twilio",
            settings={"auth_token": TOKEN, **settings},
            channels=frozenset(),
            mapping=mapping,
            sends=frozenset(mapping),
            sends_service=False,
            now=services().now(),
        )

    with app.app_context():
        run_in_transaction(work)


def post(client: FlaskClient, name: str, fields: dict[str, str], key: str = TOKEN) -> TestResponse:
    """What Twilio posts, signed as it signs."""
    url = f"{PUBLIC}/in/{name}"
    signed = url + "".join(name + value for name, value in sorted(fields.items()))
    digest = hmac.digest(key.encode(), signed.encode(), hashlib.sha1)
    headers = {"X-Twilio-Signature": base64.b64encode(digest).decode()}
    return client.post(f"/in/{name}", data=urlencode(fields), headers=headers,
                       content_type="application/x-www-form-urlencoded")  # fmt: skip


@pytest.fixture
def text(app: Flask, client: FlaskClient) -> Text:
    """`text(words, **fields)`: somebody texts us; what they are answered, "" for nothing."""
    put_in_force(app)
    add(app, "texts", {})
    add(app, "flash", {"acme.sms": OURS})
    count = iter(range(1000))

    def do(words: str, name: str = "texts", sender: str = ANNA, **more: str) -> str:
        fields = {"From": sender, "To": OURS, "Body": words, "MessageSid": f"SM{next(count)}"}
        answer = post(client, name, fields | more)
        assert (answer.status_code, answer.mimetype) == (200, "text/xml")
        messages = [message.text or "" for message in ET.fromstring(answer.text)]
        assert len(messages) <= 1
        return "".join(messages)

    return do


def kept(app: Flask) -> int:
    with app.app_context():
        return len(run_in_transaction(lambda c: c.execute("SELECT FROM review_queue").fetchall()))


def test_stop_stops_all_marketing_at_the_number_and_is_confirmed(
    app: Flask, text: Text, ledger: Ledger
) -> None:
    answer = text("Stop!")
    (event,) = ledger.events()
    assert (event["kind"], event["scope"], event["source"]) == (
        EventKind.OPTED_OUT,
        ALL_MARKETING,
        "sms",
    )
    assert event["own"]
    assert event["evidence"] == {"method": "sms", "tool": "texts", "id": "SM0"}  # I8
    assert answer == (
        "Acme: la disiscrizione è avvenuta. Non inviamo più pubblicità a questo numero."
    )
    assert kept(app) == 0  # nothing of the text itself stays


def test_it_is_confirmed_once_whatever_is_repeated(text: Text, clock: Clock) -> None:
    # 47 CFR 64.1200(a)(12): a one-time text message
    assert text("STOP")
    assert text("STOP") == ""
    clock.advance(timedelta(days=30))
    assert text("cancellami") == ""
    assert text("STOP", name="flash") == ""  # it stands in the wider one


def test_the_same_message_again_adds_nothing(
    client: FlaskClient, text: Text, ledger: Ledger, clock: Clock
) -> None:
    text("hello", sender="+390000000000")  # for the fixture's destinations
    fields = {"From": ANNA, "To": OURS, "Body": "STOP", "MessageSid": "SM9"}
    assert "Message" in post(client, "texts", fields).text
    clock.advance(timedelta(hours=3))
    opt_in(client.application, ANNA)
    again = post(client, "texts", fields)  # as anyone who recorded it might send it
    assert (again.status_code, "Message" in again.text) == (200, False)
    assert ledger.kinds() == [
        (EventKind.OPTED_OUT, ALL_MARKETING),
        (EventKind.OPTED_IN, ALL_MARKETING),
    ]


def opt_in(app: Flask, number: str) -> None:
    with app.app_context():
        now, address = services().now(), parse_address(number, Channel.SMS)
        new_id = services().new_id()
        record(
            [Change(new_id, EventKind.OPTED_IN, address, ALL_MARKETING, now, now, "page", "test")]
        )


def test_after_the_persons_own_opt_in_a_stop_is_new_again(
    app: Flask, text: Text, clock: Clock, ledger: Ledger
) -> None:
    text("STOP")
    clock.advance(timedelta(hours=1))
    opt_in(app, ANNA)
    clock.advance(timedelta(hours=1))
    assert text("STOP")
    assert [kind for kind, _ in ledger.kinds()] == ["opted_out", "opted_in", "opted_out"]


def test_of_two_at_once_one_is_confirmed(app: Flask, text: Text) -> None:
    text("hello", sender="+390000000000")
    barrier, answers = Barrier(4), []

    def send(number: int) -> None:
        fields = {"From": ANNA, "To": OURS, "Body": "STOP", "MessageSid": f"AT{number}"}
        barrier.wait()
        answers.append("Message" in post(app.test_client(), "texts", fields).text)

    threads = [Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]


@pytest.mark.parametrize(
    "words, to, scopes",
    [
        ("STOP", {"To": OURS}, ["acme.sms"]),
        ("STOP", {"To": "+15550199"}, [ALL_MARKETING]),
        ("STOPALL", {"To": OURS}, [ALL_MARKETING]),
        ("STOP", {"To": "+15550199", "MessagingServiceSid": OURS}, ["acme.sms"]),
    ],
)
def test_a_number_that_one_topic_is_sent_from_stops_that_topic(
    text: Text, ledger: Ledger, words: str, to: dict[str, str], scopes: list[str]
) -> None:
    answer = text(words, name="flash", **to)
    assert [scope for _, scope in ledger.kinds()] == scopes
    assert ("SMS" in answer) == (scopes == ["acme.sms"])


@pytest.mark.parametrize(
    "sender, begins",
    [
        ("+393331234567", "Acme: la disiscrizione"),
        ("+12025550123", "Acme: you are unsubscribed"),
        ("+491701234567", "Acme: Sie sind abgemeldet"),
        ("+33612345678", "Envoyé par Acme."),
        ("+34612345678", "Acme: se ha dado de baja"),
        ("+81312345678", "Acme: la disiscrizione"),  # the catalogue's own
    ],
)
def test_the_answer_speaks_as_the_number_does(text: Text, sender: str, begins: str) -> None:
    assert text("STOP", sender=sender).startswith(begins)


def test_what_twilio_has_answered_already_is_not_answered_again(text: Text, ledger: Ledger) -> None:
    # Advanced Opt-Out: also words of the company's own
    assert text("fermi tutto", OptOutType="STOP") == ""
    assert ledger.kinds() == [(EventKind.OPTED_OUT, ALL_MARKETING)]
    assert text("HELP", OptOutType="HELP") == ""
    assert text("STOP", OptOutType="START", sender="+12025550123") == ""
    assert len(ledger.kinds()) == 2  # a stop by no matter who sends it


def test_start_lifts_nothing_and_is_answered_with_a_link(
    app: Flask, client: FlaskClient, text: Text, ledger: Ledger
) -> None:  # I5
    assert text("yes") == ""  # nothing is off, and it may answer somebody else
    text("STOP")
    answer = text("START", OptOutType="START")
    link = answer[answer.index("https://") :]
    assert ledger.kinds() == [(EventKind.OPTED_OUT, ALL_MARKETING)]
    opened = client.get(urlsplit(link).path)
    page = client.post(opened.headers["Location"], data={"open": ""}, follow_redirects=True)
    assert page.status_code == 200
    assert "+39 *** **67" in page.text
    assert ledger.kinds() == [(EventKind.OPTED_OUT, ALL_MARKETING)]
    assert ANNA not in link  # I12


def test_start_is_answered_with_a_link_also_where_nothing_is_off(
    text: Text, ledger: Ledger
) -> None:  # what is on only after an opt-in can be turned on there
    assert "/s/" in text("Start!")
    assert ledger.kinds() == []


def test_help_is_answered_in_the_companys_words_if_it_has_some(app: Flask, text: Text) -> None:
    assert f"{PUBLIC}/form" in text("HELP")
    add(app, "desk", {}, help_text="Call 555-0100 & ask")
    assert text("info", name="desk") == "Call 555-0100 & ask"


def test_machines_are_not_talked_to_for_ever(text: Text) -> None:
    assert [bool(text("HELP")) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    "words, sender",
    [("please don't text my wife", ANNA), ("STOP by tomorrow?", ANNA), ("STOP", "41411")],
)
def test_what_is_not_certain_is_queued_for_review(
    app: Flask, text: Text, ledger: Ledger, words: str, sender: str
) -> None:
    assert text(words, sender=sender) == ""
    assert ledger.kinds() == []
    with app.app_context():
        keys = services().keys
        (waits,) = run_in_transaction(lambda c: list_open_items(c, 10))
        found = run_in_transaction(lambda c: load_open_item(c, keys, waits.id))
    assert (waits.mailbox, waits.reason) == ("sms", "unclear")
    assert found
    assert words in found[1].decode()
    assert f"X-From: {sender}" in found[1].decode()


def test_a_person_may_decide_that_it_was_a_stop(app: Flask, text: Text, ledger: Ledger) -> None:
    text("please don't text my wife")
    with app.app_context():
        (waits,) = run_in_transaction(lambda c: list_open_items(c, 10))
        anna, origin = parse_address(ANNA, Channel.SMS), RequestOrigin("t", "t", services().now())
        review.resolve_item(waits, [anna], Meaning.OPTED_OUT, ALL_MARKETING, origin)
    assert ledger.kinds() == [(EventKind.OPTED_OUT, ALL_MARKETING)]
    assert text("STOP") == ""  # it stands for the number


def test_the_same_unclear_message_again_waits_once(app: Flask, text: Text) -> None:
    for _ in range(2):
        text("who are you?", MessageSid="SM7")
    assert kept(app) == 1


def test_what_is_not_signed_changes_nothing(
    app: Flask, client: FlaskClient, text: Text, ledger: Ledger
) -> None:
    text("STOP", sender="+12025550123")
    fields = {"From": ANNA, "To": OURS, "Body": "STOP", "MessageSid": "SM9"}
    answer = post(client, "texts", fields, key="guessed")
    assert (answer.status_code, answer.data) == (401, b"Unauthorized\n")
    assert client.post("/in/texts", data=fields).status_code == 401
    assert len(ledger.kinds()) == 1


def test_what_became_of_our_own_messages_is_answered_and_states_nothing(
    client: FlaskClient, text: Text, ledger: Ledger
) -> None:
    text("STOP")
    for fields in ({"MessageStatus": "delivered", "To": ANNA}, {"CallSid": "CA1"}):
        answer = post(client, "texts", fields)
        assert (answer.status_code, "Message" in answer.text) == (200, False)
    assert len(ledger.kinds()) == 1
