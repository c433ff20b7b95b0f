"""`flask destinations observe`, `show`, `replay`: reading a tool, as an operator sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations.connect import connect
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import READ_BACK_DELAY, PermanentCondition
from preference_center.destinations.scan import schedule_new_listings, verify
from preference_center.destinations.store import destinations, webhooks
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.integrations.tools.stand_in import Fault

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("SENDGRID_KEY", KEY)
    return app


@pytest.fixture
def server() -> Iterator[SendGridStandIn]:
    with SendGridStandIn() as server:
        yield server


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=("destinations", *words))


def add(app: Flask, server: SendGridStandIn, *words: str) -> Result:
    given = ["--kind", "sendgrid", "--set", f"base_url={server.url}"]
    given += ["--set", "api_key=env:SENDGRID_KEY", "--topic", "acme.offers=11"]
    return flask(app, "add", "mailer", *given, *words)


def opt_out(app: Flask, address: str) -> None:
    with app.app_context():
        now = services().now()
        who = parse_address(address, Channel.EMAIL)
        record([Change(uuid4(), EventKind.OPTED_OUT, who, "acme.offers", now, now, "t", "t")])


def work(app: Flask, *, push: bool = True) -> None:
    """A tick's worth of reading and pushing."""
    with app.app_context():
        until = services().now() + timedelta(seconds=5)
        schedule_new_listings(services().now())
        number = run_in_transaction(
            lambda c: destinations.get_by_name(c, services().keys, "mailer")
        ).id
        for part in ListingKind:
            verify(number, part, connect, until=until, stop=lambda: False)
        if not push:
            return
        sync(number, connect, until=until, stop=lambda: False)


def events(app: Flask) -> int:
    with app.app_context():
        return len(run_in_transaction(lambda c: c.execute("SELECT FROM event").fetchall()))


def test_observing_tells_what_would_come_and_go_and_writes_nothing(
    app: Flask, server: SendGridStandIn
) -> None:
    opt_out(app, ANNA)
    server.held[11] |= {ANNA, BO}
    server.held[99].add(CY)
    server.everywhere.add(CY)
    assert add(app, server).exit_code == 0
    before = {group: set(held) for group, held in server.held.items()}
    found = flask(app, "observe", "mailer")
    assert found.exit_code == 0, found.output
    assert "would be pushed\t1 addresses" in found.output
    assert "would be ingested\t1 opted_out acme.offers" in found.output
    assert "would be ingested\t1 opted_out all_marketing" in found.output
    assert "resume mailer" in found.output
    assert (events(app), server.held) == (1, before)


def test_the_first_sync_reads_in_before_it_fills_up(app: Flask, server: SendGridStandIn) -> None:
    opt_out(app, ANNA)
    server.held[11].add(BO)
    add(app, server)
    assert flask(app, "resume", "mailer").exit_code == 0
    assert "backfill\twaits" in flask(app, "show", "mailer").output
    work(app)
    assert events(app) == 2
    assert server.held[11] == {ANNA, BO}
    shown = flask(app, "show", "mailer").output
    assert "events recorded\t1" in shown
    assert "its own opt-outs\tread" in shown
    assert "backfill" not in shown


def test_the_backfill_tells_how_far_it_is_and_can_be_paused(
    app: Flask, server: SendGridStandIn
) -> None:
    opt_out(app, ANNA)
    opt_out(app, BO)
    add(app, server)
    flask(app, "resume", "mailer")
    work(app, push=False)
    assert "backfill and lists\t2 to push" in flask(app, "show", "mailer").output
    assert "2 addresses are pending" in flask(app, "pause", "mailer").output
    work(app)
    assert server.held[11] == set()
    assert flask(app, "resume", "mailer").exit_code == 0
    work(app)
    assert server.held[11] == {ANNA, BO}
    shown = flask(app, "show", "mailer").output
    assert "backfill" not in shown


def test_an_opt_out_that_went_missing_is_shown_until_it_is_fixed_and_counted(
    app: Flask, server: SendGridStandIn, clock: Clock
) -> None:  # I13
    add(app, server)
    flask(app, "resume", "mailer")
    opt_out(app, ANNA)
    work(app)
    work(app)
    assert "drift" not in flask(app, "list").output
    server.held[11].clear()
    clock.advance(READ_BACK_DELAY)
    work(app, push=False)
    assert "drift: 1, 1 not yet fixed" in flask(app, "list").output
    assert "1 opt-outs are missing there" in flask(app, "show", "mailer").output
    work(app)
    assert server.held[11] == {ANNA}
    assert "drift: 1, 0 not yet fixed" in flask(app, "list").output
    assert "drift, pushed again\t1" in flask(app, "show", "mailer").output


def test_a_tool_that_rejects_reading_gets_a_message(app: Flask, server: SendGridStandIn) -> None:
    add(app, server)
    server.fail(Fault(403))
    found = flask(app, "observe", "mailer")
    assert found.exit_code == 1
    assert "mailer can't be read" in found.output
    assert "rights refused" in found.output


@pytest.mark.parametrize("command", ["observe", "show", "replay"])
def test_an_unknown_name_lists_the_known_ones(
    app: Flask, server: SendGridStandIn, command: str
) -> None:
    add(app, server)
    found = flask(app, command, "mialer")
    assert found.exit_code == 1
    assert "There are: mailer" in found.output


def test_posts_are_replayed(
    app: Flask, server: SendGridStandIn, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(app, server)
    with app.app_context():
        context = services()
        number = run_in_transaction(
            lambda c: destinations.get_by_name(c, context.keys, "mailer")
        ).id
        new_id = context.new_id()
        run_in_transaction(
            lambda c: webhooks.insert_webhook(c, context.keys, new_id, number, b"[]", context.now())
        )
        run_in_transaction(
            lambda c: webhooks.record_processed(c, [new_id], webhooks.INGESTED_OUTCOME)
        )
        monkeypatch.setattr(webhooks, "MAX_UNPROCESSED", 1)
    clock.advance(timedelta(days=2))
    yesterday = (clock() - timedelta(days=1)).date().isoformat()
    assert "0 webhooks" in flask(app, "replay", "mailer", "--since", yesterday).output
    assert "1 webhooks" in flask(app, "replay", "mailer").output
    assert "webhooks to process\t1 or more" in flask(app, "show", "mailer").output
    with app.app_context():
        assert run_in_transaction(lambda c: webhooks.count_due_webhooks(c, clock())) == {number: 1}


def test_a_link_that_would_say_no_to_what_is_not_sent_is_refused(
    app: Flask, server: SendGridStandIn
) -> None:
    found = add(app, server, "--set", "link_field=choices", "--set", "link_topic=acme.news")
    assert found.exit_code == 1
    assert "write one of acme.offers, all_marketing" in found.output


@pytest.mark.parametrize(
    "setting, remedy", [("rate=quickly", "10 per second"), ("create_contacts=yes", "unknown")]
)
def test_settings_that_make_no_sense_are_refused(
    app: Flask, server: SendGridStandIn, setting: str, remedy: str
) -> None:
    found = add(app, server, "--set", setting)
    assert found.exit_code == 1
    assert remedy in found.output


def test_what_the_key_may_not_read_is_noted(app: Flask, server: SendGridStandIn) -> None:
    server.rights.remove("marketing.read")
    assert "note: the right marketing.read is missing" in add(app, server).output


def test_old_opt_outs_of_the_tool_count_from_when_they_were_made(
    app: Flask, server: SendGridStandIn
) -> None:  # I5
    server.held[11].add(BO)
    add(app, server)
    flask(app, "resume", "mailer")
    work(app)
    with app.app_context():
        row = run_in_transaction(
            lambda c: c.execute("SELECT occurred_at, received_at FROM event").fetchone()
        )
        assert row == (datetime.fromtimestamp(server.created, UTC), services().now())


def test_what_is_accepted_can_be_seen_and_undone(app: Flask, server: SendGridStandIn) -> None:
    add(app, server)
    accepted = ("accept", "mailer", "tool_knows_nobody")
    assert flask(app, *accepted).output == "mailer: tool_knows_nobody is accepted.\n"
    assert "accepted\ttool_knows_nobody, 2026-11-24" in flask(app, "show", "mailer").output
    assert "no longer accepted" in flask(app, *accepted, "--undo").output
    assert "accepted" not in flask(app, "show", "mailer").output
    with app.app_context():
        entries = run_in_transaction(
            lambda c: c.execute(
                "SELECT action, detail FROM audit WHERE action LIKE 'destination.%accepted'"
                " ORDER BY action"
            ).fetchall()
        )
    detail = {"name": "mailer", "condition": "tool_knows_nobody"}
    assert entries == [("destination.accepted", detail), ("destination.not_accepted", detail)]


def test_other_settings_may_be_another_account_whose_strangers_are_not_accepted(
    app: Flask, server: SendGridStandIn
) -> None:
    add(app, server)
    for condition in PermanentCondition:
        assert flask(app, "accept", "mailer", condition.value).exit_code == 0
    with app.app_context():
        run_in_transaction(lambda c: destinations.set_settings(c, services().keys, "mailer", {}))
        ((number,),) = run_in_transaction(
            lambda c: c.execute("SELECT id FROM destination").fetchall()
        )
        found = run_in_transaction(lambda c: destinations.load_accepted(c, number))
    assert found.keys() == {PermanentCondition.ADDRESSES_REFUSED}
