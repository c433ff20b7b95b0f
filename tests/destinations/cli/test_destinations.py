"""`flask destinations`, against a real receiver and a real folder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.store import destinations
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.registry import get_spec
from preference_center.integrations.webhook import connector as webhook
from tests.clock import START, Clock
from tests.destinations.commands import add_hook, flask, ready_to_connect, say, stored, work
from tests.integrations.tools.receiver import SECRET, Receiver

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).parents[3]


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    return ready_to_connect(app, monkeypatch)


@pytest.mark.parametrize("can_lift", [True, False])
def test_whether_a_tool_can_turn_on_again_is_kept_for_the_pages(
    app: Flask, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, *, can_lift: bool
) -> None:  # I10
    hook = get_spec("webhook")
    abilities = replace(hook.capabilities, can_lift=can_lift)
    monkeypatch.setattr(webhook, "SPEC", replace(hook, capabilities=abilities))
    assert add_hook(app, receiver).exit_code == 0
    with app.app_context():
        one_way = run_in_transaction(
            lambda c: destinations.list_names_without_lifts(c, ["acme.offers", "other"])
        )
        nothing = run_in_transaction(lambda c: destinations.list_names_without_lifts(c, ["other"]))
    assert one_way == ([] if can_lift else ["shop"])
    assert nothing == []


def test_a_new_destination_observes_until_it_is_resumed(
    app: Flask, receiver: Receiver, clock: Clock
) -> None:
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    say(app, EventKind.PAUSED, "paul@example.com", days=7)
    say(app, EventKind.OPTED_OUT, "mary@example.com")
    clock.advance(timedelta(minutes=1))
    say(app, EventKind.OPTED_IN, "mary@example.com")

    added = add_hook(app, receiver)
    work(app)

    assert added.exit_code == 0, added.output
    assert "2 suppressed addresses would be pushed" in added.output
    assert receiver.off == {}
    assert "shop\twebhook\tobserve\t2 pending" in flask(app, "destinations", "list").output

    resumed = flask(app, "destinations", "resume", "shop")
    work(app)

    assert resumed.exit_code == 0, resumed.output
    assert receiver.off["jane@example.com"] == {"offers"}
    assert receiver.off["paul@example.com"] == {"offers"}
    assert "mary@example.com" not in receiver.off
    assert "shop\twebhook\tactive\t0 pending\t" in flask(app, "destinations", "list").output


def test_the_secret_is_read_from_the_environment_and_never_shown(
    app: Flask, receiver: Receiver
) -> None:  # I12
    output = add_hook(app, receiver).output + flask(app, "destinations", "list").output
    assert SECRET not in output
    with app.app_context():
        rows = run_in_transaction(
            lambda c: c.execute("SELECT destination::text FROM destination").fetchall()
        )
    assert SECRET not in str(rows)


def test_a_secret_typed_is_taken_with_a_warning(app: Flask, receiver: Receiver) -> None:
    words = ["--kind", "webhook", "--set", f"url={receiver.url}/", "--set", f"secret={SECRET}"]
    result = flask(app, "destinations", "add", "shop", *words, "--sends", "acme.offers")
    assert result.exit_code == 0
    assert "secret=env:VARIABLE" in result.stderr
    assert SECRET not in result.output


def test_a_reply_of_several_text_messages_is_pointed_out(app: Flask) -> None:
    words = ["texts", "--kind", "twilio", "--set", "auth_token=0123456789abcdef"]
    added = flask(app, "destinations", "add", *words, "--set", f"help_text={'help ' * 33}")
    assert added.exit_code == 0, added.output
    note = "note: help_text takes 2 text messages: one has 160 characters; shorten it by 5"
    assert note in added.output
    flask(app, "destinations", "set", "texts", "help_text=Ask us.")
    assert "help_text" not in flask(app, "destinations", "check", "texts").output


def test_pause_stops_the_writing_and_not_the_clock(
    app: Flask, receiver: Receiver, clock: Clock
) -> None:  # I3
    add_hook(app, receiver)
    flask(app, "destinations", "resume", "shop")
    say(app, EventKind.OPTED_OUT, "jane@example.com")

    paused = flask(app, "destinations", "pause", "shop")
    work(app)

    assert "1 addresses are pending, the first is due 2026-11-27 09:00 UTC" in paused.output
    assert receiver.off == {}
    clock.advance(timedelta(hours=73))
    (late,) = app.test_client().get("/healthz").get_json()["late"]
    assert (late["destination"], late["stage"], late["pending"]) == ("shop", "overdue", 1)
    assert "paused by hand" in flask(app, "destinations", "list").output


def test_a_broken_one_is_shown_with_its_next_attempt(app: Flask, receiver: Receiver) -> None:
    add_hook(app, receiver)
    flask(app, "destinations", "resume", "shop")
    assert "next attempt" not in flask(app, "destinations", "show", "shop").output
    with app.app_context():
        run_in_transaction(lambda c: c.execute("UPDATE destination SET retry_at = %s", (START,)))
    shown = flask(app, "destinations", "show", "shop").output
    assert f"next attempt\t{START:%Y-%m-%d %H:%M} UTC" in shown
    assert "flask destinations resume shop" in shown


def test_what_was_done_is_in_the_audit(app: Flask, receiver: Receiver) -> None:
    add_hook(app, receiver)
    for verb in ("resume", "pause"):
        flask(app, "destinations", verb, "shop")
    with app.app_context():
        found = run_in_transaction(
            lambda c: c.execute("SELECT action, actor FROM audit ORDER BY id").fetchall()
        )
    assert found == [
        ("destination.added", "cli:grace"),
        ("destination.resumed", "cli:grace"),
        ("destination.paused", "cli:grace"),
    ]


@pytest.mark.parametrize(
    "words, exit_code, expected",
    [
        (["--kind", "fax"], 2, "'webhook', 'file_drop'"),
        (["--kind", "file_drop", "--set", "folder"], 2, "key=value"),
        (["--kind", "file_drop", "--set", "folder=env:NOWHERE"], 2, "export it first"),
        (["--kind", "file_drop", "--set", "folder=/a", "--set", "folder=/b"], 2, "keep one"),
        (["--kind", "file_drop", "--set", "folder=/tmp"], 1, "name what it sends"),
        (["--kind", "file_drop", "--sends", "acme.offers"], 1, "setting folder is missing"),
        (
            ["--kind", "file_drop", "--set", "fold=/tmp", "--sends", "acme.offers"],
            1,
            "unknown setting fold",
        ),
        (
            ["--kind", "file_drop", "--set", "folder=/not-there", "--sends", "acme.offers"],
            1,
            "no such folder: make it",
        ),
        (
            ["--kind", "file_drop", "--set", "folder=/tmp", "--sends", "acme.offer"],
            1,
            'did you mean "acme.offers"',
        ),
        (["--kind", "file_drop", "--set", "folder=/tmp", "--sends", "acme.old"], 1, "retired"),
        (["--kind", "sendgrid", "--set", "api_key=x", "--sends", "acme.offers"], 1, "=their-id"),
        (["--kind", "sendgrid", "--set", "api_key=x", "--topic", "acme.sms=1"], 1, "sent by sms"),
        (  # I10
            [
                *("--kind", "sendgrid", "--set", "api_key=x"),
                *("--topic", "acme.offers=12", "--topic", "acme.news=12"),
            ],
            1,
            "make one there for each",
        ),
    ],
)
def test_a_wrong_set_up_names_the_remedy_and_stores_nothing(
    app: Flask, words: list[str], exit_code: int, expected: str
) -> None:
    result = flask(app, "destinations", "add", "tool", *words)
    assert result.exit_code == exit_code
    assert expected in result.stderr
    assert stored(app) == 0


def test_a_name_is_taken_once(app: Flask, receiver: Receiver) -> None:
    add_hook(app, receiver)
    again = add_hook(app, receiver)
    assert again.exit_code == 1
    assert "choose another" in again.stderr
    assert stored(app) == 1


@pytest.mark.parametrize("verb", ["check", "pause", "resume"])
def test_an_unknown_name_names_those_there_are(app: Flask, receiver: Receiver, verb: str) -> None:
    add_hook(app, receiver)
    result = flask(app, "destinations", verb, "shoop")
    assert result.exit_code == 1
    assert "There are: shop" in result.stderr


def test_the_list_says_how_to_make_the_first(app: Flask) -> None:
    assert "flask destinations add" in flask(app, "destinations", "list").stderr


def test_the_flask_command_finds_everything_by_itself(app: Flask) -> None:
    from preference_center.infra.config import Settings

    settings: Settings = app.extensions["preference_center"].settings
    given = {name.upper(): str(value) for name, value in settings.model_dump().items() if value}
    environ = {name: text for name, text in os.environ.items() if name != "FLASK_APP"} | given
    command = [str(Path(sys.executable).with_name("flask")), "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    for name in ("catalogue", "db", "destinations", "keys", "opt-out"):
        assert f"\n  {name} " in done.stdout
