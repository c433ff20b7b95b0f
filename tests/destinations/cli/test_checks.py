"""What `flask destinations` finds out of a tool and its settings: `check`, `set` and `kinds`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from preference_center.destinations.change_settings import change_settings
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.registry import list_kinds
from tests.catalogue.catalogues import SMALL
from tests.destinations.commands import (
    add_hook,
    add_sendgrid,
    flask,
    ready_to_connect,
    stored,
)
from tests.in_force import CATALOGUE, put_in_force
from tests.integrations.tools.listmonk import TOKEN, USER, ListmonkStandIn
from tests.integrations.tools.receiver import Receiver
from tests.integrations.tools.sendgrid import SendGridStandIn

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    return ready_to_connect(app, monkeypatch)


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


def test_settings_changed_while_the_tool_is_asked_about_others_are_kept(
    app: Flask, sendgrid: SendGridStandIn
) -> None:
    def change_rate(_: Request, response: Response) -> Response:
        sendgrid.change = None
        with app.app_context():
            change_settings("mailer", {"rate": "5 per second"}, "test")
        return response

    add_sendgrid(app, sendgrid, "--topic", "acme.offers=12")
    sendgrid.change = change_rate
    refused = flask(app, "destinations", "set", "mailer", "on_behalf_of=shop")
    assert "were changed meanwhile" in refused.stderr
    assert flask(app, "destinations", "set", "mailer", "on_behalf_of=shop").exit_code == 0
    with app.app_context():
        kept = run_in_transaction(lambda c: destinations.get_by_name(c, services().keys, "mailer"))
    assert kept.settings["rate"] == "5 per second"
    assert kept.settings["on_behalf_of"] == "shop"


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
    add_hook(app, receiver)
    put_in_force(app, SMALL)
    result = flask(app, "destinations", "check", "shop")
    assert result.exit_code == 1
    assert "acme.offers is not in the catalogue any more" in result.stderr
