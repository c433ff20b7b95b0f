"""`flask keys events` and `undo`: what a leaked API key recorded, and the way back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.events import Retraction, format_receipt_code
from preference_center.ledger import record
from preference_center.senders import recorded
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.web.api.sender import Sender, evidence, make_sender

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

SINCE = START + timedelta(hours=1)


@pytest.fixture
def leaked(app: Flask, clock: Clock) -> Sender:
    """A key that recorded an opt-in before the leak, and since then an opt-in and an opt-out."""
    put_in_force(app)
    sender = make_sender(app, "shop")
    sender.opt_out("ada@example.com", "acme.offers")
    sender.consent("carl@example.com", "acme.offers", evidence=evidence(), own_act=True)
    clock.now = SINCE + timedelta(minutes=1)
    now = clock.now.isoformat()
    sender.consent(
        "ada@example.com", "acme.offers", evidence=evidence(occurred_at=now), own_act=True
    )
    sender.opt_out("bob@example.com", "acme.offers", received_at=now)
    clock.advance(timedelta(minutes=1))
    return sender


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["keys", *words])


def planned(app: Flask, *more: str) -> list[str]:
    result = flask(app, "events", "shop", "--since", SINCE.isoformat(), *more)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def undo(app: Flask) -> Result:
    command = planned(app)[-1].split()
    assert command[:2] == ["flask", "keys"]
    return flask(app, *command[2:])


def allowed(sender: Sender, address: str) -> bool:
    return bool(sender.ask("offers.weekly", address)["allow"])


def test_events_counts_and_lists_by_reference_without_addresses(leaked: Sender) -> None:  # I12
    lines = planned(leaked.app, "--list")
    assert [line.split() for line in lines[:2]] == [
        ["1", "opted_in", "acme.offers"],
        ["1", "opted_out", "acme.offers"],
    ]
    stored = leaked.rows("SELECT id FROM event ORDER BY seq")
    references = [format_receipt_code(event) for (event,) in stored[-2:]]
    assert [line.split("\t")[0] for line in lines[2:4]] == references
    assert "example.com" not in "\n".join(lines)
    earlier = flask(leaked.app, "events", "shop", "--since", START.isoformat())
    assert "2  opted_in" in earlier.stdout
    assert flask(leaked.app, "events", "nobody", "--since", START.isoformat()).exit_code == 1


def test_undo_retracts_what_was_turned_on_since_and_loses_no_opt_out(leaked: Sender) -> None:  # I5
    other = make_sender(leaked.app, "crm")
    assert allowed(leaked, "ada@example.com")
    assert "revoke the key first" in undo(leaked.app).stderr
    flask(leaked.app, "revoke", "shop")

    result = undo(leaked.app)
    assert result.stdout == "Retracted: 1.\n"
    assert not allowed(other, "ada@example.com")  # the opt-out from before counts again
    assert not allowed(other, "bob@example.com")
    assert allowed(other, "carl@example.com")  # from before the leak
    assert leaked.rows("SELECT actor, action, detail->>'events' FROM audit ORDER BY id")[-2:] == [
        ("cli:grace", "api_key.undoing", "1"),
        ("cli:grace", "api_key.undone", "1"),
    ]
    assert planned(leaked.app)[-1] == "There is nothing to retract."


def test_undo_refuses_when_the_key_has_recorded_more_since_the_plan(leaked: Sender) -> None:
    command = planned(leaked.app)[-1].split()[2:]
    leaked.consent("dora@example.com", "acme.news")
    flask(leaked.app, "revoke", "shop")
    result = flask(leaked.app, *command)
    assert result.exit_code == 1
    assert "not the plan any more" in result.stderr
    assert leaked.rows("SELECT count(*) FROM retraction") == [(0,)]


def test_undo_that_was_stopped_goes_on_by_the_same_plan(leaked: Sender) -> None:
    for number in range(3):
        leaked.consent(f"person-{number}@example.com", "acme.news")
    command = planned(leaked.app)[-1].split()[2:]
    flask(leaked.app, "revoke", "shop")
    ((first,),) = leaked.rows("SELECT id FROM event WHERE kind = 'consented' ORDER BY seq LIMIT 1")
    with leaked.app.app_context():
        record([Retraction(uuid4(), (first,), START, "cli", "cli:grace")])
    assert flask(leaked.app, *command).stdout == "Retracted: 3.\n"
    assert leaked.rows("SELECT count(*) FROM retraction") == [(4,)]


def test_events_are_found_however_many_were_recorded_in_between(
    leaked: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_BATCH", 1)
    assert len(planned(leaked.app, "--list")) == len(planned(leaked.app)) + 2
