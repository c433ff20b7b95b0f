"""Mail that is due is found and sent by the scheduler and its job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask

from preference_center.infra import outbox
from preference_center.infra.config_sections import MailServer
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import SendResult, enqueue_emails
from tests.clock import START, Clock
from tests.infra.emails import outgoing_email
from tests.infra.smtp.stub import (
    SmtpStub,
)
from workers import scheduler


def test_the_scheduler_finds_due_mail_without_redis(
    redis_url: str, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.infra.job_queue import JobQueue, rq_queue
    from preference_center.infra.redis import connect_redis

    enqueue_emails([outgoing_email() for _ in range(50)])
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        queue = JobQueue(redis_url)
        rested = replace(services(), make_queue=lambda: queue)
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, rested)
        assert scheduler.tick() == 3
        jobs = rq_queue(connection, "mail").jobs
        assert {job.func_name for job in jobs} == {"workers.jobs.send_mail"}
        assert scheduler.tick() == 3  # another replica
        assert len(rq_queue(connection, "mail").jobs) == 3


def test_the_scheduler_forgets_old_mail(clock: Clock) -> None:
    enqueue_emails([outgoing_email()])
    clock.advance(outbox.RETENTION + timedelta(days=1))
    scheduler.purge_expired(clock())  # expired, then forgotten
    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM outgoing_mail").fetchone()
    ) == (0,)


def test_the_job_sends(
    server: MailServer, stub: SmtpStub, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.jobs import send_mail

    url = f"smtp://127.0.0.1:{server.port}?starttls=0"
    settings = services().settings.model_copy(update={"smtp_url": url})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
    enqueue_emails([outgoing_email()])
    send_mail()
    assert len(stub.received) == 1


def test_an_email_nobody_knows_changes_nothing() -> None:
    run_in_transaction(lambda c: outbox.settle_email(c, uuid4(), uuid4(), SendResult.SENT))
    assert run_in_transaction(lambda c: outbox.count_due_emails(c, START)) == 0
