from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EVERYTHING, UNDELIVERABLE, Change, EventKind
from preference_center.decisions.api import UNKNOWN_LOGGED_KEY
from preference_center.infra.context import services
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.web.api.sender import Sender, evidence

if TYPE_CHECKING:
    from flask import Flask

HOUR = timedelta(hours=1)


def happen(app: Flask, kind: EventKind, scope: str, address: str = "ada@example.com") -> str:
    with app.app_context():
        wired = services()
        now = wired.now()
        parsed = parse_address(address, Channel.EMAIL)
        change = Change(wired.new_id(), kind, parsed, scope, now, now, "test", "test")
        record([change])
    return str(change.id)


def test_an_unknown_address_gets_what_needs_no_consent(sender: Sender) -> None:
    assert sender.ask("offers.weekly", "new@example.com") == {
        "allow": True,
        "rule": "not_opted_out",
    }


def test_without_consent_an_opt_in_topic_is_denied(sender: Sender) -> None:
    # I11
    assert sender.ask("newsletter.monthly", "new@example.com") == {
        "allow": False,
        "rule": "no_consent",
    }


def test_a_consent_allows_and_is_named(sender: Sender) -> None:
    event = sender.consent("ada@example.com", "acme.news")["event"]

    assert sender.ask("newsletter.monthly", "ada@example.com") == {
        "allow": True,
        "rule": "consented",
        "scope": "acme.news",
        "event": event,
        "since": START.isoformat(),
    }


@pytest.mark.parametrize(
    "scope, rule",
    [
        ("acme.offers", "opted_out_of_topic"),
        ("all_marketing", "opted_out_of_all_marketing"),
    ],
)
def test_the_next_check_sees_an_opt_out_and_names_its_event(
    sender: Sender, scope: str, rule: str
) -> None:
    # I2
    event = sender.opt_out("ada@example.com", scope)["event"]

    assert sender.ask("offers.weekly", "ada@example.com") == {
        "allow": False,
        "rule": rule,
        "scope": scope,
        "event": event,
        "since": START.isoformat(),
    }


@pytest.mark.parametrize("scope", ["acme.offers", "all_marketing"])
@pytest.mark.parametrize("message_type", ["invoice", "password_reset"])
def test_no_marketing_opt_out_denies_service_mail(
    sender: Sender, scope: str, message_type: str
) -> None:
    # I4
    sender.opt_out("ada@example.com", scope)

    assert sender.ask(message_type, "ada@example.com") == {"allow": True, "rule": "service"}


def test_a_closed_account_gets_only_what_is_marked_for_it(in_force: Flask, sender: Sender) -> None:
    # I4
    event = happen(in_force, EventKind.DEACTIVATED, EVERYTHING)

    assert sender.ask("invoice", "ada@example.com") == {
        "allow": False,
        "rule": "closed",
        "scope": "everything",
        "event": event,
        "since": START.isoformat(),
    }
    assert sender.ask("offers.weekly", "ada@example.com")["rule"] == "closed"
    assert sender.ask("password_reset", "ada@example.com") == {
        "allow": True,
        "rule": "after_closing",
        "scope": "everything",
        "event": event,
        "since": START.isoformat(),
    }


def test_a_hard_bounce_stops_marketing_and_advises_on_service_mail(
    in_force: Flask, sender: Sender
) -> None:
    # I4
    happen(in_force, EventKind.BOUNCED, UNDELIVERABLE)

    assert sender.ask("offers.weekly", "ada@example.com")["rule"] == "bounced"
    assert sender.ask("invoice", "ada@example.com") == {
        "allow": True,
        "rule": "service",
        "advisory": "bounced",
    }


@pytest.mark.parametrize(
    "opted_out, checked",
    [
        ("ada.lovelace@gmail.com", "AdaLovelace+shop@googlemail.com"),
        ("ada+shop@example.com", "ada@example.com"),
        ("ada@example.com", "Ada+Shop@Example.com"),
    ],
)
def test_an_opt_out_covers_every_form_of_the_mailbox(
    sender: Sender, opted_out: str, checked: str
) -> None:
    # I9
    sender.opt_out(opted_out, "all_marketing")

    assert sender.ask("offers.weekly", checked)["rule"] == "opted_out_of_all_marketing"


def test_an_opt_in_covers_its_exact_form_only(sender: Sender) -> None:
    # I9
    sender.consent("ada.lovelace@gmail.com", "acme.news")

    assert sender.ask("newsletter.monthly", "ada.lovelace@gmail.com")["allow"]
    assert sender.ask("newsletter.monthly", "adalovelace@gmail.com")["rule"] == "no_consent"


def test_one_bad_address_denies_itself_only(sender: Sender) -> None:
    # I11
    sender.opt_out("ada@example.com", "acme.offers")
    recipients = ["ada@example.com", "no address", "", "\x00", "a@b\ud800", "grace@example.com"]

    answer = sender.post(
        "/v1/decisions",
        {"message_type": "offers.weekly", "recipients": [*recipients[:4], recipients[5]]},
    )

    assert answer.status_code == 200
    assert [(one["allow"], one["rule"]) for one in answer.get_json()["decisions"]] == [
        (False, "opted_out_of_topic"),
        (False, "unparseable_address"),
        (False, "unparseable_address"),
        (False, "unparseable_address"),
        (True, "not_opted_out"),
    ]


def test_an_unknown_message_type_is_logged_once_a_minute_with_the_key_alone(
    app: Flask, sender: Sender
) -> None:  # I11, I12
    app.extensions.pop(UNKNOWN_LOGGED_KEY, None)
    with structlog.testing.capture_logs() as logs:
        for recipient in ("anna@example.com", "ben@example.com"):
            sender.ask("no.such.type", recipient)
    found = [line for line in logs if line["event"] == "unknown_message_type"]
    assert len(found) == 1
    assert "no.such.type" not in str(found)


def test_an_unknown_message_type_denies_everyone(sender: Sender) -> None:
    # I11
    body = {"message_type": "newsletter.weekly", "recipients": ["a@example.com", "b@example.com"]}

    answer = sender.post("/v1/decisions", body)

    assert answer.status_code == 200
    deny = {"allow": False, "rule": "unknown_message_type"}
    assert answer.get_json()["decisions"] == [deny, deny]


def test_a_topic_of_another_channel_denies(sender: Sender) -> None:
    # I11
    assert sender.ask("offers.flash", "ada@example.com")["rule"] == "wrong_channel"
    assert sender.ask("offers.flash", "333 1234567", "sms")["rule"] == "not_opted_out"


def test_a_retired_topic_denies(sender: Sender) -> None:
    assert sender.ask("old.monthly", "ada@example.com")["rule"] == "retired_topic"


def test_ten_thousand_are_answered_in_their_order(sender: Sender) -> None:
    recipients = [f"person{number}@example.com" for number in range(10_000)]
    sender.opt_out(recipients[7_777], "acme.offers")

    body = {"message_type": "offers.weekly", "recipients": recipients}
    decisions = sender.post("/v1/decisions", body).get_json()["decisions"]

    assert len(decisions) == 10_000
    assert [index for index, one in enumerate(decisions) if not one["allow"]] == [7_777]


def test_nobody_asked_about_gives_no_decisions(sender: Sender) -> None:
    answer = sender.post("/v1/decisions", {"message_type": "offers.weekly", "recipients": []})

    assert answer.get_json()["decisions"] == []


def test_checking_writes_nothing(sender: Sender) -> None:
    # I7
    sender.ask("offers.weekly", "ada@example.com")

    assert sender.rows("SELECT 1 FROM address UNION ALL SELECT 1 FROM event") == []


def test_answers_are_not_kept_by_caches(sender: Sender) -> None:
    answer = sender.post(
        "/v1/decisions", {"message_type": "offers.weekly", "recipient": "a@example.com"}
    )

    assert answer.headers["Cache-Control"] == "no-store"


def test_an_own_newer_act_lifts_and_an_older_one_does_not(sender: Sender, clock: Clock) -> None:
    # I5
    sender.opt_out("ada@example.com", "all_marketing")
    before = evidence(occurred_at=(START - HOUR).isoformat())
    sender.consent("ada@example.com", "acme.offers", evidence=before, own_act=True)
    assert not sender.ask("offers.weekly", "ada@example.com")["allow"]

    clock.advance(HOUR)
    after = evidence(occurred_at=clock.now.isoformat())
    sender.consent("ada@example.com", "acme.offers", evidence=after, own_act=True)
    assert sender.ask("offers.weekly", "ada@example.com")["allow"]


def test_a_passed_on_consent_never_lifts_however_new(sender: Sender, clock: Clock) -> None:
    # I5
    sender.opt_out("ada@example.com", "acme.news")
    clock.advance(HOUR)
    newer = evidence(occurred_at=clock.now.isoformat())
    sender.consent("ada@example.com", "acme.news", evidence=newer)

    assert sender.ask("newsletter.monthly", "ada@example.com")["rule"] == "opted_out_of_topic"
