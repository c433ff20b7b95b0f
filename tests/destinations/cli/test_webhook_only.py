"""`flask destinations` for tools that only report."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations.connect import connect
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.scan import schedule_new_listings
from preference_center.destinations.store import destinations, listings
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.in_force import put_in_force
from tests.integrations.tools.resend import KEY, ResendStandIn

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

SECRET = "long-and-random-secret"
ANNA = "anna@example.com"


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return app


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def add(app: Flask, *words: str) -> Result:
    base = ["--kind", "sparkpost", "--set", "webhook_secret=env:HOOK_SECRET"]
    return flask(app, "destinations", "add", "sparks", *base, *words)


def say(app: Flask) -> None:
    with app.app_context():
        now, who = services().now(), parse_address(ANNA, Channel.EMAIL)
        record([Change(uuid4(), EventKind.OPTED_OUT, who, "all_marketing", now, now, "t", "t")])


def count(app: Flask, table: str) -> int:
    with app.app_context():
        return len(
            run_in_transaction(lambda c: c.execute(f"SELECT FROM {table}".encode()).fetchall())
        )


@pytest.fixture
def added(app: Flask) -> Result:
    say(app)
    return add(app, "--set", "networks=any")


def test_its_webhook_url_is_shown_without_the_secret(app: Flask, added: Result) -> None:
    assert added.exit_code == 0, added.output
    assert "/in/sparks/WEBHOOK_SECRET" in added.output
    assert SECRET not in added.output
    assert "webhooks are processed from now on" in added.output


def test_no_opt_out_is_pushed_to_it(app: Flask, added: Result) -> None:
    say(app)
    assert count(app, "sync_state") == 0
    shown = flask(app, "destinations", "list").output
    assert shown.startswith("sparks\tsparkpost\tactive\t0 pending")
    assert flask(app, "destinations", "check", "sparks").output == (
        "note: its webhook is read; nothing is pushed to it\n"
        "note: it has no title, so people read “A system that sends our messages”: add"
        " [destinations.sparks] to the catalogue (docs/catalogue.md)\n"
        "sparks: no problems found.\n"
    )
    observed = flask(app, "destinations", "observe", "sparks").output
    assert observed.startswith("Webhook only")


def test_it_may_name_topics_of_any_channel_and_needs_none(app: Flask) -> None:
    found = add(app, "--set", "networks=any", "--topic", "acme.offers=summer")
    assert found.exit_code == 0, found.output
    with app.app_context():
        sparks = run_in_transaction(
            lambda c: destinations.get_by_name(c, services().keys, "sparks")
        )
    assert (sparks.channels, sparks.mapping) == (frozenset(), {"acme.offers": "summer"})


def resend(app: Flask, *words: str) -> Result:
    base = ["--kind", "resend", "--set", "webhook_secret=env:RESEND_SECRET"]
    return flask(app, "destinations", "add", "re", *base, "--topic", "acme.news=11", *words)


def test_a_tool_that_only_listened_is_pushed_to_once_it_has_a_key(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEND_SECRET", "whsec_" + "c2VjcmV0" * 4)
    monkeypatch.setenv("RESEND_KEY", KEY)
    monkeypatch.setenv(ALLOW_PRIVATE, "1")
    assert "webhooks are processed from now on" in resend(app).output
    say(app)
    assert count(app, "sync_state") == 0
    with ResendStandIn() as server:
        words = ["re", "api_key=env:RESEND_KEY", f"base_url={server.url}"]
        found = flask(app, "destinations", "set", *words)
        assert found.exit_code == 0, found.output
        assert flask(app, "destinations", "list").output.startswith("re\tresend\tobserve\t")
        assert flask(app, "destinations", "resume", "re").exit_code == 0
    assert count(app, "sync_state") == 1, "earlier opt-outs are pushed, too"


def test_a_tool_that_is_pushed_to_keeps_its_key(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEND_SECRET", "whsec_" + "c2VjcmV0" * 4)
    monkeypatch.setenv("RESEND_KEY", KEY)
    monkeypatch.setenv(ALLOW_PRIVATE, "1")
    with ResendStandIn() as server:
        resend(app, "--set", "api_key=env:RESEND_KEY", "--set", f"base_url={server.url}")
        found = flask(app, "destinations", "set", "re", "api_key=")
    assert found.exit_code == 1
    assert "pause it" in found.stderr


def test_nothing_is_listed_of_a_tool_that_only_listens(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEND_SECRET", "whsec_" + "c2VjcmV0" * 4)
    resend(app)
    with app.app_context():
        now = services().now()
        schedule_new_listings(now)
        assert (
            run_in_transaction(lambda c: listings.list_due_listings(c, now + timedelta(days=2)))
            == []
        )


def test_without_what_proves_its_reports_it_is_not_set_up(app: Flask) -> None:
    found = add(app)
    assert found.exit_code == 1
    assert "set networks" in found.stderr
    assert count(app, "destination") == 0


def test_what_it_reports_is_recorded_and_what_nobody_knows_is_shown(
    app: Flask, added: Result
) -> None:  # I13
    events = [{"type": "list_unsubscribe", "rcpt_to": ANNA, "timestamp": 1, "event_id": "1"}]
    events.append({"type": "consent_given", "rcpt_to": ANNA})
    body = json.dumps([{"msys": {"unsubscribe_event": event}} for event in events])
    assert app.test_client().post(f"/in/sparks/{SECRET}", data=body).status_code == 204
    with app.app_context():
        context = services()
        number = run_in_transaction(
            lambda c: destinations.get_by_name(c, context.keys, "sparks")
        ).id
        until = context.now() + timedelta(seconds=5)
        assert ingest_webhooks(number, connect, until=until, stop=lambda: False) == 1
    assert count(app, "event") == 2
    shown = flask(app, "destinations", "show", "sparks").output
    assert "events recorded\t1" in shown
    assert "events of an unknown type\tconsent_given: 1, last " in shown
    assert ANNA not in shown
    assert "can't be read" not in shown
    assert "1 webhooks of sparks" in flask(app, "inbound", "replay", "sparks").output


def test_how_many_posts_can_not_be_read_is_shown(app: Flask, added: Result) -> None:
    assert app.test_client().post(f"/in/sparks/{SECRET}", data="nonsense").status_code == 204
    with app.app_context():
        context = services()
        number = run_in_transaction(
            lambda c: destinations.get_by_name(c, context.keys, "sparks")
        ).id
        until = context.now() + timedelta(seconds=5)
        ingest_webhooks(number, connect, until=until, stop=lambda: False)
    shown = flask(app, "destinations", "show", "sparks").output
    assert "unreadable webhooks\t1: /console/review" in shown


@pytest.mark.parametrize(
    "kind, target, is_one",
    [
        ("iterable", "channel:27447", True),
        ("iterable", "27447", False),
        ("customerio", "topic_7", True),
        ("customerio", "7", False),
    ],
)
def test_a_topic_is_mapped_to_what_the_vendor_will_call_it(
    app: Flask, kind: str, target: str, *, is_one: bool
) -> None:
    settings = ["--set", "webhook_secret=env:HOOK_SECRET"]
    settings += ["--set", "networks=any"] if kind == "iterable" else []
    words = ["add", "tool", "--kind", kind, *settings, "--topic", f"acme.offers={target}"]
    found = flask(app, "destinations", *words)
    assert found.exit_code == (0 if is_one else 1), found.output
    assert ("which is no id there" in found.output) != is_one
