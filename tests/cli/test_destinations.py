"""`flask destinations` and `flask syncs`, against a real receiver and a real folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.context import services
from preference_center.destinations.connect import connect
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.events import Change, EventKind
from preference_center.integrations.registry import get_spec, list_kinds
from preference_center.integrations.webhook import connector as webhook
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.sync import destinations
from preference_center.sync.push import sync
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.integrations.tools.listmonk import TOKEN, USER, ListmonkStandIn
from tests.integrations.tools.receiver import SECRET, Receiver
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return app


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[SendGridStandIn]:
    monkeypatch.setenv("SENDGRID_KEY", KEY)
    with SendGridStandIn() as server:
        yield server


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def add_hook(app: Flask, receiver: Receiver) -> Result:
    words = [
        "--kind",
        "webhook",
        "--set",
        f"url={receiver.url}/",
        "--set",
        "secret=env:HOOK_SECRET",
    ]
    return flask(app, "destinations", "add", "shop", *words, "--topic", "acme.offers=offers")


def add_sendgrid(app: Flask, server: SendGridStandIn, *words: str) -> Result:
    base = ["--kind", "sendgrid", "--set", f"base_url={server.url}"]
    return flask(
        app, "destinations", "add", "mailer", *base, "--set", "api_key=env:SENDGRID_KEY", *words
    )


def say(app: Flask, kind: EventKind, address: str, *, days: int | None = None) -> None:
    from preference_center.ledger import record

    with app.app_context():
        now = services().now()
        until = now + timedelta(days=days) if days else None
        person = parse_address(address, Channel.EMAIL)
        record([Change(uuid4(), kind, person, "acme.offers", now, now, "t", "t", until=until)])


def work(app: Flask) -> None:
    with app.app_context():
        until = services().now() + timedelta(seconds=5)
        for (number,) in run_in_transaction(
            lambda c: c.execute("SELECT id FROM destination").fetchall()
        ):
            sync(number, connect, until=until, stop=lambda: False)


def stored(app: Flask) -> int:
    with app.app_context():
        return len(run_in_transaction(lambda c: c.execute("SELECT FROM destination").fetchall()))


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
    assert "shop\tobserve\t2 pending" in flask(app, "syncs", "pending").output

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


def test_check_asks_the_tool_and_names_what_no_topic_maps_to(
    app: Flask, sendgrid: SendGridStandIn
) -> None:
    added = add_sendgrid(app, sendgrid, "--topic", "acme.offers=12")
    assert added.exit_code == 0, added.output
    assert "no topic maps to: Events (99)" in added.output
    assert "no problems found" in flask(app, "destinations", "check", "mailer").output

    del sendgrid.groups[12]
    result = flask(app, "destinations", "check", "mailer")

    assert result.exit_code == 1
    assert "map it to a unsubscribe group that exists" in result.stderr


def test_check_and_list_say_that_people_read_no_title(app: Flask, receiver: Receiver) -> None:
    assert add_hook(app, receiver).exit_code == 0
    remedy = "add [destinations.shop] to the catalogue"
    assert remedy in flask(app, "destinations", "check", "shop").output
    assert remedy in flask(app, "destinations", "list").stderr
    title = '[destinations.shop]\ntitle = "Shop"\ncompany = "Shop Ltd"\ncountry = "GB"\n'
    put_in_force(app, f"{CATALOGUE}\n{title}")
    assert remedy not in flask(app, "destinations", "check", "shop").output
    assert remedy not in flask(app, "destinations", "list").stderr


def test_a_key_that_may_not_write_is_refused_before_the_first_push(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTMONK_TOKEN", TOKEN)
    words = ["--kind", "listmonk", "--set", f"user={USER}", "--set", "token=env:LISTMONK_TOKEN"]
    words += ["--topic", "acme.offers=12"]
    with ListmonkStandIn() as server:
        words += ["--set", f"base_url={server.url}"]
        server.granted.discard("lists:manage_all")
        refused = flask(app, "destinations", "add", "monk", *words)
        assert refused.exit_code != 0
        assert "list:manage on list 12" in refused.output
        assert stored(app) == 0

        server.granted.add("lists:manage_all")
        assert flask(app, "destinations", "add", "monk", *words).exit_code == 0
        shown = flask(app, "destinations", "check", "monk").output
        assert "permission to turn list 12 off and on: lists:manage_all" in shown
        assert "PUT" not in {method for method, _ in server.seen}


def test_resume_is_refused_while_check_finds_a_problem(
    app: Flask, sendgrid: SendGridStandIn
) -> None:
    add_sendgrid(app, sendgrid, "--topic", "acme.offers=12")
    sendgrid.rights = []
    result = flask(app, "destinations", "resume", "mailer")
    assert result.exit_code == 1
    assert "asm.groups.suppressions.create is missing" in result.stderr
    assert "\tobserve\t" in flask(app, "destinations", "list").output


def test_a_new_key_is_taken_only_if_the_tool_accepts_it(
    app: Flask, sendgrid: SendGridStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_sendgrid(app, sendgrid, "--topic", "acme.offers=12")
    monkeypatch.setenv("OTHER_KEY", "SG.revoked")
    refused = flask(app, "destinations", "set", "mailer", "api_key=env:OTHER_KEY")
    assert refused.exit_code == 1
    assert "can't be used yet" in refused.stderr
    assert "no problems found" in flask(app, "destinations", "check", "mailer").output

    sendgrid.key = "SG.revoked"
    assert flask(app, "destinations", "check", "mailer").exit_code == 1
    taken = flask(app, "destinations", "set", "mailer", "api_key=env:OTHER_KEY")
    assert taken.exit_code == 0, taken.output
    assert "no problems found" in flask(app, "destinations", "check", "mailer").output


def test_a_key_is_changed_also_while_a_topic_is_not_in_the_catalogue(
    app: Flask, sendgrid: SendGridStandIn
) -> None:
    add_sendgrid(app, sendgrid, "--topic", "acme.offers=12")
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute("UPDATE destination SET sends = sends || '{acme.old}'")
        )
    changed = flask(app, "destinations", "set", "mailer", "on_behalf_of=shop")
    assert changed.exit_code == 0, changed.output


def test_tells_the_kinds_of_tools_and_what_each_needs(app: Flask) -> None:
    kinds = flask(app, "destinations", "kinds").output
    assert all(f"{kind}\t" in kinds for kind in list_kinds())
    needs = flask(app, "destinations", "kinds", "sendgrid").output
    assert "--set api_key=...: " in needs
    assert "--set on_behalf_of=... (optional): " in needs
    assert "'sendgrid'" in flask(app, "destinations", "kinds", "sandgrid").stderr


def test_a_setting_that_may_be_missing_can_be_taken_away_and_no_other(
    app: Flask, sendgrid: SendGridStandIn
) -> None:
    add_sendgrid(app, sendgrid, "--topic", "acme.offers=12", "--set", "on_behalf_of=shop")
    assert flask(app, "destinations", "set", "mailer", "on_behalf_of=").exit_code == 0
    with app.app_context():
        kept = run_in_transaction(lambda c: destinations.get_by_name(c, services().keys, "mailer"))
    assert set(kept.settings) == {"api_key", "base_url"}
    refused = flask(app, "destinations", "set", "mailer", "api_key=")
    assert refused.exit_code == 1
    assert "api_key" in refused.stderr
    assert "no problems found" in flask(app, "destinations", "check", "mailer").output


def test_a_topic_that_left_the_catalogue_is_a_problem(app: Flask, receiver: Receiver) -> None:
    from tests.domain.catalogues import SMALL

    add_hook(app, receiver)
    put_in_force(app, SMALL)
    result = flask(app, "destinations", "check", "shop")
    assert result.exit_code == 1
    assert "acme.offers is not in the catalogue any more" in result.stderr


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
    late = flask(app, "syncs", "overdue")
    assert late.exit_code == 1
    assert "shop\tOVERDUE (72 h passed)\t1 pending\t1.0 h late" in late.output
    assert "paused: paused by hand" in late.output


def test_overdue_tells_the_three_stages_and_fails_from_the_first(
    app: Flask, receiver: Receiver, clock: Clock
) -> None:  # I3
    add_hook(app, receiver)
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    clock.advance(timedelta(hours=35, minutes=59))
    fine = flask(app, "syncs", "overdue")
    assert (fine.exit_code, fine.stdout) == (0, "")
    for hours, expected in ((36, "at risk"), (48, "past target"), (72, "OVERDUE")):
        clock.now = START + timedelta(hours=hours)
        result = flask(app, "syncs", "overdue")
        assert result.exit_code == 1
        assert expected in result.stdout


def test_what_was_done_is_in_the_audit(app: Flask, receiver: Receiver) -> None:
    add_hook(app, receiver)
    for verb in ("resume", "pause"):
        flask(app, "destinations", verb, "shop")
    with app.app_context():
        found = run_in_transaction(
            lambda c: c.execute("SELECT action, actor FROM audit ORDER BY id").fetchall()
        )
    assert found == [
        ("destination.added", "cli"),
        ("destination.resumed", "cli"),
        ("destination.paused", "cli"),
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


def test_lists_say_how_to_make_the_first(app: Flask) -> None:
    for words in (["destinations", "list"], ["syncs", "pending"]):
        assert "flask destinations add" in flask(app, *words).stderr


def test_the_flask_command_finds_everything_by_itself(app: Flask) -> None:
    from preference_center.config import Settings

    settings: Settings = app.extensions["preference_center"].settings
    given = {name.upper(): str(value) for name, value in settings.model_dump().items() if value}
    environ = {name: text for name, text in os.environ.items() if name != "FLASK_APP"} | given
    command = [str(Path(sys.executable).with_name("flask")), "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    for name in ("catalogue", "db", "destinations", "keys", "opt-out", "syncs"):
        assert f"\n  {name} " in done.stdout
