from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.rights.erasure import journal
from tests.clock import START, Clock
from tests.web.api.sender import Sender, consent, evidence, make_sender, opt_out

if TYPE_CHECKING:
    from flask import Flask

EVENTS = "SELECT kind, scope, source, actor, occurred_at, received_at FROM event"


def test_an_opt_out_keeps_who_passed_it_on_how_and_when(sender: Sender) -> None:
    received_at = START - timedelta(hours=30)
    occurred_at = START - timedelta(hours=40)

    sender.opt_out(
        "ada@example.com",
        "acme.offers",
        via="postal_mail",
        received_at=received_at.isoformat(),
        occurred_at=occurred_at.isoformat(),
    )

    assert sender.rows(EVENTS) == [
        (
            "opted_out",
            "acme.offers",
            "senders",
            "key:shop",
            occurred_at,
            received_at,
        )
    ]
    assert sender.evidence() == [{"via": "postal_mail"}]


def test_an_opt_out_of_sale_and_sharing_stops_no_message(sender: Sender) -> None:  # I4
    answer = sender.post("/v1/opt-outs", opt_out(scope="sharing")).get_json()
    assert answer["recorded"] is True
    assert sender.ask("offers.weekly", "ada@example.com")["allow"] is True
    found = sender.post("/v1/suppressions/query", {"address": "ada@example.com"}).get_json()
    assert [each["scope"] for each in found["active_suppressions"]] == ["sharing"]


def test_opt_outs_are_taken_while_the_erasure_journal_is_missing(
    sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    wired = sender.app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(tmp_path / "missing")})
    monkeypatch.setitem(sender.app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    sender.app.extensions.pop(journal.EXTENSION_KEY, None)
    assert sender.opt_out("ada@example.com", "acme.offers")["recorded"] is True
    answer = sender.post("/v1/decisions", {"message_type": "x", "recipient": "ada@example.com"})
    assert answer.get_json()["type"].endswith("/problems/erasures-not-replayed")
    del sender.app.extensions[journal.EXTENSION_KEY]


def test_a_link_can_not_be_made_for_it(sender: Sender) -> None:
    wanted = {"address": "ada@example.com", "scope": "sharing"}
    assert sender.post("/v1/links", wanted).status_code == 422


def test_repeating_an_opt_out_within_five_seconds_adds_nothing(sender: Sender) -> None:
    # I7
    assert sender.opt_out("ada@example.com", "acme.offers")["recorded"] is True
    assert sender.opt_out("ada@example.com", "acme.offers") == {"recorded": False}
    assert len(sender.rows(EVENTS)) == 1


def test_a_batch_is_answered_row_by_row(sender: Sender) -> None:
    sender.opt_out("ada@example.com", "acme.offers")

    answer = sender.post(
        "/v1/opt-outs",
        [
            opt_out(address="ada@example.com"),
            opt_out(address="grace@example.com", scope="all_marketing"),
            opt_out(address="333 1234567", channel="sms", scope="acme.sms"),
        ],
    )

    assert [row["recorded"] for row in answer.get_json()] == [False, True, True]
    assert sender.ask("offers.flash", "+393331234567", "sms")["rule"] == "opted_out_of_topic"


def test_an_empty_batch_is_answered_by_an_empty_one(sender: Sender) -> None:
    assert sender.post("/v1/opt-outs", []).get_json() == []


def test_an_opt_out_of_a_retired_topic_is_still_taken(sender: Sender) -> None:
    assert sender.opt_out("ada@example.com", "acme.old")["recorded"] is True


def test_one_bad_row_refuses_the_batch_and_every_fault_is_listed(sender: Sender) -> None:
    answer = sender.post(
        "/v1/opt-outs",
        [
            opt_out(address="good@example.com"),
            opt_out(address="nobody", received_at="2126-01-01T00:00:00Z"),
            opt_out(address="good@example.com", scope="acme.ofers"),
            opt_out(address="good@example.com", scope="acme.sms"),
            opt_out(address="good@example.com", occurred_at="0001-01-01T00:00:00+14:00"),
        ],
    )

    assert answer.status_code == 422
    problem = answer.get_json()
    assert problem["type"].endswith("/problems/invalid-body")
    assert problem["detail"].startswith("There are 5 errors; the first: /1/address: ")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [
        ("/1/address", "invalid-address"),
        ("/1/received_at", "rule-violation"),
        ("/2/scope", "unknown-topic"),
        ("/3/scope", "wrong-channel"),
        ("/4/occurred_at", "rule-violation"),
    ]
    assert sender.rows("SELECT 1 FROM event UNION ALL SELECT 1 FROM address") == []


def test_what_many_rows_get_wrong_is_explained_once(sender: Sender) -> None:
    rows = [opt_out(address="good@example.com", scope="wholesale")] * 10_000
    answer = sender.post("/v1/opt-outs", rows)

    assert answer.status_code == 422
    first, *others = answer.get_json()["errors"]
    assert first["detail"].startswith("the catalogue has no such topic; it has acme.")
    assert others == [
        {"pointer": f"/{index}/scope", "code": "unknown-topic", "detail": "as at /0/scope"}
        for index in range(1, 10_000)
    ]
    assert len(answer.data) < 1_000_000


@pytest.mark.parametrize(
    "field, value, code, expected",
    [
        ("scope", "acme.newz", "unknown-topic", "did you mean"),
        ("scope", "everything", "unknown-topic", ""),
        ("scope", "undeliverable", "unknown-topic", ""),
        ("address", "ada at example", "invalid-address", ""),
        ("via", "telegraph", "invalid-value", "'phone'"),
        ("channel", "fax", "invalid-value", "'email'"),
        ("received_at", "2026-11-24T09:00:00", "invalid-value", "timezone"),
        ("received_at", 1764000000, "wrong-type", ""),
        ("received_at", "yesterday", "invalid-value", ""),
        ("address", None, "wrong-type", "string"),
        ("address", ["ada@example.com"], "wrong-type", "string"),
        ("scope", "a\x00b", "invalid-value", "control"),
        ("adress", "ada@example.com", "unknown-field", "did you mean address?"),
        ("note", "call back", "unknown-field", "the fields are address"),
    ],
)
def test_a_fault_points_at_the_field_and_names_the_remedy(
    sender: Sender, field: str, value: Any, code: str, expected: str
) -> None:
    answer = sender.post("/v1/opt-outs", opt_out(**{field: value}))

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    (fault,) = answer.get_json()["errors"]
    assert (fault["pointer"], fault["code"]) == (f"/{field}", code)
    assert expected in fault["detail"]
    assert sender.rows(EVENTS) == []


def test_a_clock_slightly_ahead_is_put_right(sender: Sender) -> None:
    # I5: no opt-out counts in the future, or the person could not lift it for a while
    ahead = START + timedelta(minutes=14)
    sender.opt_out("ada@example.com", "acme.offers", received_at=ahead.isoformat())

    assert [row[-1] for row in sender.rows(EVENTS)] == [START]


def test_a_consent_keeps_its_evidence(sender: Sender) -> None:
    occurred_at = START - timedelta(days=3)
    given = evidence(language="it-IT", occurred_at=occurred_at.isoformat())
    sender.consent("ada@example.com", "acme.news", evidence=given)

    assert sender.rows(EVENTS) == [
        (
            "consented",
            "acme.news",
            "senders",
            "key:shop",
            occurred_at,
            START,
        )
    ]
    said = {"source": "checkout", "wording": "Yes, write to me", "language": "it-IT"}
    assert sender.evidence() == [said]


def test_an_own_act_is_recorded_as_such(sender: Sender) -> None:
    sender.consent("ada@example.com", "acme.news", own_act=True)

    assert [row[0] for row in sender.rows(EVENTS)] == ["opted_in"]


def test_an_own_act_needs_the_scope_lift(in_force: Flask) -> None:
    # I5
    writer = make_sender(in_force, "importer", ["write"])

    answer = writer.post("/v1/consents", [consent(), consent(own_act=True)])

    assert answer.status_code == 403
    assert "lift" in answer.get_json()["detail"]
    assert writer.rows(EVENTS) == []


@pytest.mark.parametrize(
    "channel, address, wording",
    [
        ("email", "Ada@Example.com", "ADA@example.com agreed"),
        ("email", "ada+shop@example.com", "for ada@example.com"),
        ("sms", "+39 333 1234567", "number 333-123.45.67"),
    ],
)
def test_evidence_must_not_name_the_person(
    sender: Sender, channel: str, address: str, wording: str
) -> None:
    # I8
    topic = "acme.sms" if channel == "sms" else "acme.news"
    body = consent(
        address=address, channel=channel, topic=topic, evidence=evidence(wording=wording)
    )

    answer = sender.post("/v1/consents", body)

    assert answer.status_code == 422
    [fault] = answer.get_json()["errors"]
    assert fault["pointer"] == "/evidence"
    assert "address" in fault["detail"]
    assert sender.rows(EVENTS) == []


def test_evidence_may_name_the_company(sender: Sender) -> None:
    wording = "Yes. Withdraw at privacy@acme.example or 800 123 456 789 (VAT 01234567890)"
    assert sender.consent("ada@example.com", "acme.news", evidence=evidence(wording=wording))


def test_nobody_can_ask_for_a_retired_topic(sender: Sender) -> None:
    answer = sender.post("/v1/consents", consent(topic="acme.old"))

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/topic"


def test_an_opt_out_starts_the_72_hours_when_it_was_received(sender: Sender, clock: Clock) -> None:
    # I3: a destination would be due from here; the event carries the time
    received_at = clock.now - timedelta(hours=70)
    sender.opt_out("ada@example.com", "acme.offers", received_at=received_at.isoformat())

    assert sender.rows("SELECT received_at, recorded_at FROM event") == [(received_at, START)]


def test_a_link_comes_with_urls_and_headers(sender: Sender) -> None:
    body = {"address": "ada@example.com", "scope": "acme.offers", "message_id": "m-1"}

    answer = sender.post("/v1/links", body)

    assert answer.status_code == 200
    link = answer.get_json()
    url = f"https://preferences.example.com/u/{link['token']}"
    assert link["unsubscribe_url"] == url
    assert link["preferences_url"] == f"https://preferences.example.com/p/{link['token']}"
    assert link["headers"] == {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_a_link_has_what_was_requested(sender: Sender) -> None:
    from preference_center.infra.context import services

    rows = [
        {"address": "Ada@Example.com", "scope": "acme.offers", "message_id": "m-1"},
        {"address": "333 1234567", "channel": "sms", "scope": "all_marketing"},
    ]
    tokens = [link["token"] for link in sender.post("/v1/links", rows).get_json()]

    with sender.app.app_context():
        first, second = (services().links.read_token(token, START) for token in tokens)
    assert (first.address.exact, first.scope) == ("ada@example.com", "acme.offers")
    assert (first.message_id, first.issued_at) == ("m-1", START)
    assert (second.address.exact, second.scope) == ("+393331234567", "all_marketing")


def test_making_links_stores_nothing(sender: Sender) -> None:
    sender.post("/v1/links", {"address": "ada@example.com", "scope": "all_marketing"})

    assert sender.rows("SELECT 1 FROM event UNION ALL SELECT 1 FROM address") == []


def test_a_message_id_that_links_cant_carry_is_refused(sender: Sender) -> None:
    body = {"address": "ada@example.com", "scope": "all_marketing", "message_id": "x" * 65}

    answer = sender.post("/v1/links", json.loads(json.dumps(body)))

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/message_id"


def test_a_short_link_is_made_only_where_it_is_asked_for(sender: Sender) -> None:
    rows = [
        {"address": "333 1234567", "channel": "sms", "scope": "acme.sms", "short": True},
        {"address": "ada@example.com", "scope": "acme.offers"},
    ]

    short, long = sender.post("/v1/links", rows).get_json()

    assert "short_url" not in long
    assert short["short_url"].startswith("https://preferences.example.com/s/")
    assert len(short["short_url"]) <= 46
    answer = sender.app.test_client().get(
        short["short_url"].removeprefix("https://preferences.example.com")
    )
    assert answer.headers["Location"].endswith(f"/u/{short['token']}")
    assert len(sender.rows("SELECT 1 FROM short_link")) == 1
