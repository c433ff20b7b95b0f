"""An announcement by the company's webhook: signed batches, retried with the same id and people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.contacts.notices import select
from preference_center.contacts.notices import store as notices_store
from preference_center.contacts.notices.select import queue_batches, select_all, send_due_batches
from preference_center.core.errors import InvalidInput
from preference_center.infra.company_webhooks import GIVE_UP_AFTER, LEASE
from preference_center.monitoring.measure import measure_database
from tests.contacts.notices.people import (
    REACHED,
    VERSION,
    add_contact,
    add_people,
    announce_in,
    close,
    rows,
)
from workers import jobs
from workers.scheduler import tick

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock
    from tests.rights.test_company_webhooks import Program

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _announced(app: Flask, program: Program) -> None:
    announce_in(app)
    add_people()
    select_all(VERSION, lambda _: None)


def send(clock: Clock) -> int:
    return send_due_batches(until=clock.now + timedelta(seconds=5), stop=lambda: False)


def informed() -> list[tuple[Any, ...]]:
    return rows("SELECT via, count(*) FROM policy_notice WHERE noticed_at IS NOT NULL GROUP BY via")


def recipients(program: Program) -> list[str]:
    return [each["address"] for body in program.bodies() for each in body["data"]["recipients"]]


def test_batches_have_everyone_once_and_are_recorded_when_accepted(
    program: Program, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "BATCH", 2)
    assert queue_batches(VERSION) == 3
    assert queue_batches(VERSION) == 0
    assert informed() == []
    assert send(clock) == 3
    assert program.types() == ["policy.announcement"] * 3
    found = recipients(program)
    assert sorted(found) == sorted({*REACHED, "bob@example.com"})  # who bounced is marked as such
    assert informed() == [("webhook", 4)]
    data = program.bodies()[0]["data"]
    assert (data["version"], data["message_type"]) == (VERSION, "policy_update")
    assert {each["allow"] for each in data["recipients"]} == {True}
    assert all(headers["webhook-signature"] for headers, _ in program.received)


def test_a_refused_batch_is_sent_again_with_the_same_id_and_people(
    program: Program, clock: Clock
) -> None:
    queue_batches(VERSION)
    program.statuses = [500]
    assert send(clock) == 0
    assert informed() == []
    add_contact("c-late", "late@example.com")
    select_all(VERSION, lambda _: None)
    clock.advance(timedelta(hours=6))
    assert send(clock) == 1
    first, second = program.received
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    assert send(clock) == 0


def test_a_worker_that_dies_after_sending_sends_the_same_again(
    program: Program, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    queue_batches(VERSION)
    with monkeypatch.context() as patched:
        patched.setattr(notices_store, "mark_noticed", killed)
        with pytest.raises(Killed):
            send(clock)
    assert informed() == []
    clock.advance(LEASE + timedelta(seconds=1))
    assert send(clock) == 1
    assert len({headers["webhook-id"] for headers, _ in program.received}) == 1
    assert informed() == [("webhook", 4)]


def test_the_scheduler_finds_due_batches_and_the_job_sends_them(program: Program) -> None:
    assert tick() == 0
    queue_batches(VERSION)
    assert tick() == 1
    jobs.send_rights_webhooks()
    assert program.types() == ["policy.announcement"]
    assert tick() == 0


def test_due_batches_are_in_the_health_check_and_the_metrics(app: Flask, clock: Clock) -> None:
    def due() -> tuple[int, int]:
        health = app.test_client().get("/healthz").get_json()
        return health["rights"]["webhooks_due"], measure_database(clock()).rights_webhooks_due

    assert due() == (0, 0)
    queue_batches(VERSION)
    assert due() == (1, 1)


def test_who_closed_the_account_meanwhile_is_denied_and_not_recorded(
    program: Program, clock: Clock
) -> None:  # I4
    queue_batches(VERSION)
    close("zoe@example.com")
    send(clock)
    [denied] = [each for each in program.bodies()[0]["data"]["recipients"] if not each["allow"]]
    assert (denied["address"], denied["rule"]) == ("zoe@example.com", "closed")
    assert informed() == [("webhook", 3)]


def test_who_was_informed_another_way_is_in_no_batch(program: Program, clock: Clock) -> None:
    queue_batches(VERSION)
    rows("UPDATE policy_notice SET noticed_at = now(), via = 'stream' RETURNING 1")
    assert send(clock) == 1
    assert program.received == []
    assert send(clock) == 0


def test_after_a_week_it_is_given_up_and_nobody_counts_as_informed(
    program: Program, clock: Clock
) -> None:
    queue_batches(VERSION)
    clock.advance(GIVE_UP_AFTER + DAY)
    program.statuses = [500]
    send(clock)
    clock.advance(DAY)
    assert send(clock) == 0
    assert rows("SELECT outcome FROM policy_webhook") == [("failed",)]
    assert informed() == []


def test_without_a_configured_webhook_nothing_is_queued(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from preference_center.infra.context import EXTENSION_NAME, services

    settings = services().settings.model_copy(update={"rights_webhook_url": None})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
    with pytest.raises(InvalidInput, match="set RIGHTS_WEBHOOK_URL"):
        queue_batches(VERSION)
