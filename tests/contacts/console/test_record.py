"""Recording what a person said: shown before it is done, recorded once, and retracted at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from preference_center.core.events import Event, EventKind
from preference_center.core.staff import Role
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.events import list_events_of
from tests.clock import START
from tests.contacts.console.people import ADA, HOSTILE, open_person, say
from tests.destinations.connected import connect
from tests.in_force import CATALOGUE, put_in_force
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

    from tests.clock import Clock

OFFERS = "acme.offers"


@pytest.fixture
def support(app: Flask) -> Staff:
    put_in_force(app)
    return staff(app, Role.SUPPORT)


def events_of(app: Flask) -> list[Event]:
    with app.app_context():

        def load(connection: Any) -> list[Event]:
            digest = services().keys.exact_digest(ADA)
            found = find_address_id(connection, digest, ADA.channel)
            return list_events_of(connection, [found])[0] if found else []

        return run_in_transaction(load)


def send(who: Staff, path: str, **fields: str) -> TestResponse:
    filled = {
        "id": str(uuid4()),
        "kind": "opt_out",
        "scope": "all_marketing",
        "via": "phone",
        "received_at": "2026-11-24T09:30",  # 08:30 UTC
        "wording": "",
        "wording_language": "it",
    }
    return who.post(f"{path}/record", **filled | fields)


def test_another_word_in_the_same_form_is_another_entry(app: Flask, support: Staff) -> None:  # I1
    path, form = open_person(support), {"id": str(uuid4()), "scope": OFFERS, "confirm": "yes"}
    send(support, path, **form, kind="opt_in", wording="Yes, please")
    answer = send(support, path, **form)  # back, since they said the opposite
    assert answer.headers["Location"].endswith("done=recorded")
    send(support, path, **form)
    assert [event.kind for event in events_of(app)] == [EventKind.OPTED_IN, EventKind.OPTED_OUT]


def test_an_opt_out_by_letter_is_shown_then_recorded_as_received_by_whom(
    app: Flask, support: Staff
) -> None:
    connect(app, "hubspot", {OFFERS})
    connect(app, "mailer", {OFFERS}, status="paused")
    path = open_person(support)
    assert 'value="2026-11-24T10:00"' in support.get(f"{path}/record").get_data(as_text=True)
    shown = words(send(support, path, via="postal_mail", note="SUP-12"))
    assert (
        "hubspot within seconds, while the tool is up; at the latest by 27 Nov 2026, 09:30" in shown
    )
    assert "mailer waits, since the destination is paused; at the latest by 27 Nov" in shown
    assert "Offers (Acme) yes no opted out of all marketing" in shown
    assert not events_of(app)  # nothing yet
    answer = send(support, path, via="postal_mail", note="SUP-12", confirm="yes")
    assert answer.status_code == 303
    (event,) = events_of(app)
    assert (event.kind, event.scope, event.own_act) == (EventKind.OPTED_OUT, "all_marketing", True)
    assert event.received_at == START - timedelta(minutes=30)
    assert (event.source, event.actor) == ("console", "console:grace")
    assert event.evidence == {"via": "postal_mail", "note": "SUP-12"}
    page = words(support.get(answer.headers["Location"]))
    assert "It is recorded." in page
    assert "Opted out: all marketing by letter, entered by grace" in page
    assert "hubspot: pending; due by 27 Nov 2026, 09:30" in page


def test_the_same_form_sent_twice_is_recorded_once(app: Flask, support: Staff) -> None:
    path, form = open_person(support), str(uuid4())
    for _ in range(2):
        answer = send(support, path, id=form, scope=OFFERS, wording="Basta", confirm="yes")
        assert answer.status_code == 303
    (event,) = events_of(app)  # I7
    assert event.evidence == {"via": "phone", "wording": "Basta", "language": "it"}


def test_a_brand_is_each_of_its_topics(app: Flask, support: Staff) -> None:
    send(support, open_person(support), scope="brand:acme", confirm="yes")
    scopes = {event.scope for event in events_of(app)}
    assert scopes == {"acme.news", OFFERS}


def test_an_own_opt_in_lifts_only_what_is_older(app: Flask, support: Staff) -> None:
    say(app, scope=OFFERS, occurred_at=START, received_at=START)
    path = open_person(support)
    stale = words(send(support, path, kind="opt_in", scope=OFFERS, wording="Yes, please"))
    assert "Offers (Acme) no no opted out of this topic" in stale  # I5: said before the opt-out
    fields = {"kind": "opt_in", "scope": OFFERS, "wording": "Sì", "received_at": "2026-11-24T10:00"}
    send(support, path, confirm="yes", **fields)
    event = events_of(app)[-1]
    assert (event.kind, event.counts_at) == (EventKind.OPTED_IN, START)
    assert event.evidence["wording"] == "Sì"
    assert event.evidence["via"] == "phone"
    assert "Offers Acme no opted out of this topic" in words(support.get(path))  # a tie (I5)


def test_a_pause_lasts_to_the_end_of_its_last_day(app: Flask, support: Staff) -> None:
    path = open_person(support)
    fields = {"kind": "pause", "scope": OFFERS, "wording": "Un mese"}
    assert send(support, path, **fields).status_code == 422
    send(support, path, until="2026-12-24", confirm="yes", **fields)
    (event,) = events_of(app)
    assert event.kind is EventKind.PAUSED
    assert event.until
    assert event.until.isoformat() == "2026-12-24T23:00:00+00:00"


OFTEN = """frequencies.weekly = { en = "Every week", it = "Ogni settimana" }
frequencies.monthly = { en = "Every month", it = "Ogni mese" }
default_frequency = "weekly"
"""


def test_how_often_the_person_wants_it_is_shown_recorded_and_retracted(app: Flask) -> None:
    topic = '[topics."acme.offers"]\n'
    put_in_force(app, CATALOGUE.replace(topic, topic + OFTEN))
    support = staff(app, Role.SUPPORT)
    path = open_person(support)
    fields = {"kind": "frequency", "scope": OFFERS, "frequency": "monthly", "wording": "Less"}
    for wrong in ({"wording": ""}, {"frequency": "hourly"}, {"scope": "acme.news"}):
        assert send(support, path, confirm="yes", **fields | wrong).status_code == 422
    shown = words(send(support, path, **fields))
    assert "How often Every month" in shown
    answer = send(support, path, confirm="yes", **fields)
    (event,) = events_of(app)
    assert event.frequency
    assert (event.kind, event.frequency.key) == (EventKind.FREQUENCY_CHOSEN, "monthly")
    assert event.evidence == {"via": "phone", "wording": "Less", "language": "it"}
    assert event.counts_at == START - timedelta(minutes=30)
    page = support.get(answer.headers["Location"])
    assert "Chose how often: Offers (Acme), Every month" in words(page)
    again = send(support, path, confirm="yes", **fields)
    assert again.headers["Location"].endswith("done=unchanged")  # I7
    assert support.post(f"{path}/retract/{event.id}").status_code == 303
    assert events_of(app)[-1].retracts == (event.id,)


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"received_at": "2026-11-25T09:30"}, "This time lies in the future"),
        ({"received_at": "yesterday"}, "Enter when it was received"),
        ({"kind": "opt_in", "scope": OFFERS}, "Write what the person said or agreed to"),
        ({"note": "call ada@example.com"}, "Write no address"),
        ({"kind": "opt_in", "scope": OFFERS, "wording": "ada@example.com: yes"}, "no address"),
        ({"scope": "acme.sms"}, "choose another topic"),
        ({"scope": "everything"}, "choose another topic"),
        ({"via": "telepathy"}, "Choose what the person said, and how"),
        ({"kind": "pause", "until": "2029-01-01", "wording": "x"}, "within a year"),
        ({"kind": "pause", "until": "2026-12-01", "wording": "x", "scope": "sharing"}, "sharing"),
    ],
)
def test_a_form_with_an_error_is_shown_again_as_it_was_entered(
    app: Flask, support: Staff, fields: dict[str, str], said: str
) -> None:
    answer = send(
        support, open_person(support), confirm="yes", **fields | {"note": fields.get("note", "n-1")}
    )
    assert answer.status_code == 422
    assert said in words(answer)
    assert fields.get("note", "n-1") in answer.get_data(as_text=True)
    assert not events_of(app)


def test_an_entry_is_retracted_by_who_made_it_within_half_an_hour(
    app: Flask, clock: Clock, support: Staff
) -> None:
    path = open_person(support)
    send(support, path, confirm="yes")
    (event,) = events_of(app)
    link = f"{path}/retract/{event.id}"
    assert link in support.get(path).get_data(as_text=True)
    assert "no longer counts" in words(support.get(link))
    other = staff(app, Role.SUPPORT, name="alan")
    theirs = open_person(other)
    assert other.post(f"{theirs}/retract/{event.id}").status_code == 404
    clock.advance(timedelta(minutes=29))
    for _ in range(2):  # a double click
        assert support.post(link).status_code == 303
    retracted = events_of(app)[-1]
    assert len(events_of(app)) == 2
    assert (retracted.kind, retracted.retracts) == (EventKind.RETRACTED, (event.id,))
    assert "Offers Acme yes" in words(support.get(path))


def test_neither_an_old_entry_nor_one_of_another_source_can_be_retracted(
    app: Flask, clock: Clock, support: Staff
) -> None:
    by_command = say(app, actor="console:grace")
    path = open_person(support)
    assert support.post(f"{path}/retract/{by_command}").status_code == 404  # I5
    send(support, path, confirm="yes")
    event = events_of(app)[-1]
    clock.advance(timedelta(minutes=25))
    support.get(path)
    clock.advance(timedelta(minutes=6))
    assert support.get(f"{path}/retract/{event.id}").status_code == 404


def test_compliance_may_look_but_not_record(app: Flask) -> None:
    put_in_force(app)
    who = staff(app, Role.COMPLIANCE)
    path = open_person(who)
    assert "Record what the person says" not in words(who.get(path))
    assert send(who, path, confirm="yes").status_code == 403


def test_what_was_typed_is_shown_as_text(support: Staff) -> None:
    path = open_person(support)
    fields = {"kind": "opt_in", "scope": OFFERS, "wording": HOSTILE, "note": HOSTILE}
    shown = send(support, path, **fields)
    send(support, path, confirm="yes", **fields)
    for answer in (shown, send(support, path, edit="yes", **fields), support.get(path)):
        assert answer.status_code == 200
        assert HOSTILE not in answer.get_data(as_text=True)
        assert "&lt;script&gt;" in answer.get_data(as_text=True)
