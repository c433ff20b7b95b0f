"""How often: in decisions, in preferences and in the feed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.catalogue.store import clear_catalogue_cache
from preference_center.ledger import watermarks
from preference_center.web.api.keys import KeyScope
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.feed.test_api import all_changes, snapshot
from tests.web.api.sender import Sender, evidence, make_sender

if TYPE_CHECKING:
    from flask import Flask

MINUTE = timedelta(minutes=1)
OFFERS = "acme.offers"
ADA, ADA_TAGGED = "ada@gmail.com", "ada+x@gmail.com"
TEXT = CATALOGUE.replace(
    'description = { it = "Sconti", en = "Discounts" }',
    """description = { it = "Sconti", en = "Discounts" }
frequencies.weekly = { it = "Ogni settimana", en = "Weekly" }
frequencies.monthly = { it = "Ogni mese", en = "Monthly" }""",
    1,
)


@pytest.fixture
def sender(app: Flask) -> Sender:
    put_in_force(app, TEXT)
    with app.app_context():
        clear_catalogue_cache()
    scopes = [scope.value for scope in KeyScope]
    return make_sender(app, "shop", scopes, ["offers.weekly", "newsletter.monthly"])


def choose(
    sender: Sender, address: str, key: str, topic: str = OFFERS, at: datetime = START
) -> Any:
    body = {
        "address": address,
        "rendered_at": at.isoformat(),
        "evidence": evidence(occurred_at=at.isoformat()),
        "frequencies": {topic: key},
    }
    return sender.put("/v1/preferences", body)


def test_a_choice_is_in_the_next_decision(sender: Sender) -> None:  # I2
    assert sender.ask("offers.weekly", ADA)["frequency"] == "weekly"
    answer = choose(sender, ADA, "monthly")
    assert answer.status_code == 200, answer.text
    assert len(answer.json["events"]) == 1
    assert answer.json["topics"][OFFERS] == {"state": "on", "frequency": "monthly"}
    assert sender.ask("offers.weekly", ADA)["frequency"] == "monthly"
    assert sender.ask("offers.weekly", ADA_TAGGED)["frequency"] == "monthly"  # I9
    choose(sender, ADA_TAGGED, "weekly")
    assert sender.ask("offers.weekly", ADA_TAGGED)["frequency"] == "weekly"
    assert sender.ask("offers.weekly", ADA)["frequency"] == "monthly"


def test_batches_and_streams_say_how_often(sender: Sender) -> None:
    choose(sender, ADA, "monthly")
    given = {"message_type": "offers.weekly", "recipients": [ADA, "bo@example.com", "no address"]}
    decisions = sender.post("/v1/decisions", given).get_json()["decisions"]
    assert [each.get("frequency") for each in decisions] == ["monthly", "weekly", None]
    query = {"message_type": "offers.weekly"}
    for media_type, body in (
        ("application/x-ndjson", f'"{ADA}"\n"bo@example.com"\n'),
        ("text/csv", f"recipient\n{ADA}\nbo@example.com\n"),
    ):
        answer = sender.client.post(
            "/v1/decisions/stream",
            query_string=query,
            data=body,
            headers=sender.headers | {"Content-Type": media_type, "Accept": media_type},
        )
        assert answer.status_code == 200, answer.text
        lines = answer.text.splitlines()
        if media_type == "text/csv":
            assert lines[0].endswith(",frequency")
            assert [line.rsplit(",", 1)[1] for line in lines[1:3]] == ["monthly", "weekly"]
        else:
            found = [json.loads(line)["frequency"] for line in lines[:2]]
            assert found == ["monthly", "weekly"]


def test_a_choice_turns_nothing_on(sender: Sender) -> None:  # I5
    sender.opt_out(ADA, OFFERS)
    answer = choose(sender, ADA, "monthly")
    assert answer.json["topics"][OFFERS]["state"] == "off"
    assert sender.ask("offers.weekly", ADA)["allow"] is False


def test_what_is_in_force_already_adds_nothing(sender: Sender) -> None:  # I7
    choose(sender, ADA, "monthly")
    assert choose(sender, ADA, "monthly").json["events"] == []
    assert choose(sender, "bo@example.com", "weekly").json["events"] == []


@pytest.mark.parametrize(
    "topic, key", [(OFFERS, "hourly"), ("acme.news", "weekly"), ("acme.sms", "weekly")]
)
def test_what_is_not_offered_is_refused(sender: Sender, topic: str, key: str) -> None:
    answer = choose(sender, ADA, key, topic)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json["errors"]
    assert error["pointer"] == f"/frequencies/{topic}"
    assert choose(sender, ADA, "weekly", "all_marketing").status_code == 422


def test_a_stale_page_raises_nothing(sender: Sender, clock: Clock) -> None:  # I5
    clock.advance(MINUTE)
    choose(sender, ADA, "monthly", at=clock())
    answer = choose(sender, ADA, "weekly", at=START)
    assert answer.json["topics"][OFFERS]["frequency"] == "monthly"
    answer = choose(sender, ADA, "weekly", at=clock.advance(MINUTE))
    assert answer.json["topics"][OFFERS]["frequency"] == "weekly"


def test_the_feed_has_the_choice_and_what_is_in_force(
    app: Flask, sender: Sender, clock: Clock
) -> None:
    with app.app_context():
        watermarks.ensure_epoch()
    choose(sender, ADA, "monthly")
    choose(sender, ADA, "weekly", at=clock.advance(MINUTE))
    older, newer = all_changes(sender, 2)
    assert (older["kind"], older["frequency"], older["scope"]) == (
        "frequency_chosen",
        "monthly",
        OFFERS,
    )
    assert newer["frequency"] == "weekly"
    status = {"off": False, "frequency": "weekly", "frequency_at": clock().isoformat()}
    assert newer["status"] == status
    (_, line, _) = snapshot(sender)
    assert line["status"] == status
