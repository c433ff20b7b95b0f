"""What was acknowledged and not understood counts as late until a person decides (I1, I3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.deadlines import AT_RISK, TARGET, WINDOW
from preference_center.destinations.store import webhooks
from preference_center.inbound import review
from preference_center.inbound.review import NotOpen
from preference_center.inbound.store import ReviewItem, insert_item
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.ledger.store.suppressions import PendingMailOptOut, insert_pending
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post, unsubscribe
from tests.destinations.steps import TOPIC, events
from tests.destinations.two_way_tool import TwoWayTool, add_destination
from workers.scheduler import purge_expired

pytestmark = pytest.mark.usefixtures("in_context")

MONTHS = timedelta(days=90)
Command = Callable[..., Result]


@pytest.fixture
def command(app: Flask) -> Command:
    """`command("inbound", "pending")`: what `flask` does."""

    def do(*words: str) -> Result:
        return app.test_cli_runner().invoke(app.cli, words)

    return do


def unreadable(number: int) -> None:
    context = services()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(
            c, context.keys, context.new_id(), number, b"<html>", context.now()
        )
    )
    ingest_stored(number, TwoWayTool())


def unknown_type(number: int) -> None:
    post(number, {"event": "moved_house", "email": "anna@example.com"})
    ingest_stored(number, TwoWayTool())


def unmapped(number: int) -> None:
    post(number, unsubscribe(asm_group_id=4711))
    ingest_stored(number, TwoWayTool())


def no_address(number: int) -> None:
    post(number, unsubscribe("not an address"))
    ingest_stored(number, TwoWayTool())


def not_processed(number: int) -> None:
    post(number, unsubscribe())


def mail_of_a_stranger(_: int) -> None:
    context = services()
    now = context.now()
    row = PendingMailOptOut(context.new_id(), b"p" * 16, b"m", "acme.offers", "l1", None, now, now)
    run_in_transaction(lambda c: insert_pending(c, [row]))


def mail_that_is_not_clear(_: int) -> None:
    context = services()
    mail = ReviewItem(context.new_id(), "replies", "unclear", 7, context.now())
    run_in_transaction(lambda c: insert_item(c, context.keys, mail, b"mark", b"Subject"))


SOURCES = [
    pytest.param(unreadable, "mailer", "vendor_event", id="an unreadable body"),
    pytest.param(unknown_type, "mailer", "vendor_event", id="a type nobody knows"),
    pytest.param(unmapped, "mailer", "vendor_event", id="a target without a topic"),
    pytest.param(no_address, "mailer", "vendor_event", id="an address nobody can parse"),
    pytest.param(not_processed, "mailer", "webhook", id="not processed yet"),
    pytest.param(mail_of_a_stranger, None, "mail_opt_out", id="an address nobody knows"),
    pytest.param(mail_that_is_not_clear, None, "review_item", id="a mail that is not clear"),
]


def health(client: FlaskClient) -> tuple[str, list[dict[str, Any]]]:
    answer = client.get("/healthz").get_json()
    return answer["window"], answer["late"]


@pytest.mark.parametrize("happens, destination, what", SOURCES)
def test_it_is_late_from_when_it_was_received(
    happens: Callable[[int], None],
    destination: str | None,
    what: str,
    clock: Clock,
    client: FlaskClient,
) -> None:  # I3
    number = add_destination("mailer", TOPIC)
    received_at = clock()
    happens(number)
    assert events() == []
    minute = timedelta(minutes=1)  # more than a process keeps what it has counted
    for waited, stage in [
        (AT_RISK - minute, "on_time"),
        (AT_RISK, "at_risk"),
        (TARGET, "past_target"),
        (WINDOW, "overdue"),
        (MONTHS, "overdue"),
    ]:
        clock.now = received_at + waited
        purge_expired(clock())
        window, late = health(client)
        assert window == stage
        if stage == "on_time":
            assert late == []
            continue
        assert late == [
            {
                "waits_for": what,
                "destination": destination,
                "stage": stage,
                "pending": 1,
                "at_least": False,
                "earliest_due_at": (received_at + WINDOW).isoformat(),
            }
        ]


def questions() -> list[str]:
    return [
        each.question for each in run_in_transaction(lambda c: webhooks.list_open_questions(c, 100))
    ]


def test_each_waits_with_its_question() -> None:
    number = add_destination("mailer", TOPIC)
    for happens in (unreadable, unknown_type, unmapped, no_address):
        happens(number)
    assert sorted(questions()) == ["address", "target 4711", "type moved_house", "unreadable"]
    assert "anna" not in str(questions())  # I12


def test_a_contact_whose_address_nobody_can_parse_waits_too() -> None:  # I13
    @dataclass
    class Finding(TwoWayTool):
        def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
            return dict.fromkeys(contact_ids, "not an address")

    number, context = add_destination("mailer", TOPIC, kind="klaviyo"), services()
    profile = {"relationships": {"profile": {"data": {"type": "profile", "id": "01A"}}}}
    event = {
        "topic": "event:klaviyo.unsubscribed_from_email_marketing",
        "payload": {"data": {"type": "event", "id": "73WCCK7JKtE", "attributes": {}} | profile},
    }
    body = json.dumps({"data": [event], "meta": {"version": "2026-07-15"}}).encode()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(
            c, context.keys, context.new_id(), number, body, context.now()
        )
    )
    ingest_stored(number, Finding())
    assert questions() == ["address"]


def test_discarding_ends_it_with_a_reason_in_the_audit(
    clock: Clock, client: FlaskClient
) -> None:  # I3
    number = add_destination("mailer", TOPIC)
    unreadable(number)
    clock.advance(WINDOW)
    (waits,) = run_in_transaction(lambda c: webhooks.list_open_questions(c, 2))
    review.discard_vendor_events([waits.webhook_id], "a health check of ours", "test")
    assert health(client) == ("on_time", [])
    with pytest.raises(NotOpen):
        review.discard_vendor_events([waits.webhook_id], "again", "test")
    detail = run_in_transaction(lambda c: c.execute("SELECT action, detail FROM audit").fetchall())
    assert detail == [
        (
            "vendor_event.discarded",
            {"event": str(waits.webhook_id), "reason": "a health check of ours"},
        )
    ]
    clock.advance(webhooks.BODY_RETENTION)
    purge_expired(clock())
    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM webhook_inbox").fetchone()
    ) == (0,)


def test_what_is_mapped_is_recorded_by_trying_again_even_months_later(
    clock: Clock,
) -> None:  # I1, I13
    number = add_destination("mailer", TOPIC)
    post(number, unsubscribe(asm_group_id=4711))
    ingest_stored(number, TwoWayTool())
    received_at = clock()
    clock.advance(MONTHS)
    purge_expired(clock())
    run_in_transaction(
        lambda c: c.execute("""UPDATE destination SET mapping = '{"acme.offers": "4711"}'""")
    )
    review.retry_vendor_events("test")
    ingest_stored(number, TwoWayTool())
    assert questions() == []
    assert [(kind, scope) for kind, scope, *_ in events()] == [("opted_out", TOPIC)]
    at = run_in_transaction(lambda c: c.execute("SELECT received_at FROM event").fetchone())
    assert at == (received_at,)


def test_trying_again_leaves_open_what_is_still_not_understood() -> None:
    number = add_destination("mailer", TOPIC)
    unmapped(number)
    review.retry_vendor_events("test")
    assert questions() == ["target 4711"]
    ingest_stored(number, TwoWayTool())
    assert questions() == ["target 4711"]


def test_a_target_can_be_ignored_for_good_at_one_destination() -> None:
    number = add_destination("mailer", TOPIC)
    unmapped(number)
    assert review.ignore_question("mailer", "target 4711", "not ours", "test") == 1
    assert questions() == []
    post(number, unsubscribe("bo@example.com", "e2", asm_group_id=4711))
    ingest_stored(number, TwoWayTool())
    assert questions() == []
    unmapped(add_destination("other", TOPIC))
    assert questions() == ["target 4711"]


def test_an_unresolved_opt_out_that_was_dismissed_is_late_no_more(
    clock: Clock, client: FlaskClient, command: Command
) -> None:  # I3
    mail_of_a_stranger(0)
    clock.advance(WINDOW)
    number = command("inbound", "pending").output.split("\t")[0]
    done = command("inbound", "dismiss-pending", number, "--reason", "nobody has that address")
    assert done.exit_code == 0
    assert health(client)[0] == "on_time"
    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM pending_mail_opt_out").fetchone()
    ) == (1,)


def test_a_body_that_a_tool_keeps_from_being_processed_is_never_deleted(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    number, tool = add_destination("mailer", TOPIC), TwoWayTool()
    post(number, unsubscribe())

    def refuse(*_: object, **__: object) -> None:
        raise DeliveryError("not now")

    monkeypatch.setattr("preference_center.destinations.process._ingest_in_transaction", refuse)
    for _ in range(4):
        ingest_stored(number, tool)
        clock.advance(MONTHS)
        purge_expired(clock())
    monkeypatch.undo()
    ingest_stored(number, tool)
    assert len(events()) == 1


def test_counting_ends_where_it_is_bad_enough(clock: Clock) -> None:
    number, now = add_destination("mailer", TOPIC), clock()
    ids = [services().new_id() for _ in range(1_002)]
    run_in_transaction(
        lambda c: webhooks.replace_open_questions(
            c, number, {each: (now, {"unreadable"}) for each in ids}
        )
    )
    found = run_in_transaction(lambda c: webhooks.list_overdue_backlog(c, now + WINDOW))
    assert [(late.count, late.at_least) for late in found] == [(1_000, True)]
