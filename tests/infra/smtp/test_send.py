"""Emails go out through a real mail server, once, in time, and leave no trace."""

from __future__ import annotations

import smtplib
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import cast

import pytest
import structlog
from flask import Flask

from dev.server import free_port
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra import smtp_client
from preference_center.infra.config_sections import MailServer
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import OutgoingEmail, SendResult, enqueue_emails
from preference_center.web import emails as web_emails
from preference_center.web.emails import EMAIL_LEASE_DURATION, EMAIL_STOP_DURATION, stop_emails
from tests.clock import START, Clock
from tests.infra.emails import LIFETIME, outgoing_email
from tests.infra.smtp.sending import at, state, work
from tests.infra.smtp.stub import (
    SmtpStub,
    run_smtp_stub,
)
from workers import scheduler


def test_a_temporary_refusal_is_tried_again_later(
    server: MailServer, stub: SmtpStub, clock: Clock
) -> None:
    stub.rcpt = ["450 4.2.0 Greylisted", "450 4.2.0 Greylisted"]
    email, other = outgoing_email(), outgoing_email("paul@example.com")
    enqueue_emails([email])
    assert work(server) == 0
    assert state(email) == (SendResult.RETRY_LATER, True)
    assert work(server) == 0  # not before its time
    clock.advance(timedelta(seconds=10))
    assert work(server) == 0
    enqueue_emails([other])
    assert work(server) == 1  # one that waits holds up nobody
    clock.advance(timedelta(seconds=20))
    assert work(server) == 1
    assert [received.recipients for received in stub.received] == [
        ["paul@example.com"],
        ["jane.doe@example.com"],
    ]
    assert state(email) == (SendResult.SENT, False)


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_permanent_refusal_ends_it(
    server: MailServer, stub: SmtpStub, clock: Clock, where: str
) -> None:
    setattr(stub, where, ["550 5.1.1 <jane.doe@example.com> is unknown here"])
    email, other = outgoing_email(), outgoing_email("paul@example.com")
    enqueue_emails([email])
    clock.advance(timedelta(seconds=1))  # sent in the order in which they became due
    enqueue_emails([other])
    assert work(server) == 1
    assert state(email) == (SendResult.REFUSED, False)
    assert state(other) == (SendResult.SENT, False)
    clock.advance(LIFETIME / 2)
    assert work(server) == 0


def next_try(email: OutgoingEmail) -> datetime:
    row = run_in_transaction(
        lambda c: c.execute(
            "SELECT next_at FROM outgoing_mail WHERE id = %s", [email.id]
        ).fetchone()
    )
    assert row
    return cast("datetime", row[0])


def test_retries_end_when_the_link_does(server: MailServer, stub: SmtpStub, clock: Clock) -> None:
    stub.data = ["451 4.3.0 Try later"] * 1000
    email = outgoing_email()
    enqueue_emails([email])
    tries, before = 0, 1000
    while clock() < START + LIFETIME:
        work(server)
        tries += before - len(stub.data)
        before = len(stub.data)
        scheduler.purge_expired(clock())
        clock.now = next_try(email)
    assert 12 < tries < 25
    stub.data = []
    assert work(server) == 0
    scheduler.purge_expired(clock())
    assert state(email) == (SendResult.EXPIRED, False)
    assert not stub.received


def test_a_server_that_is_away_costs_one_try_and_no_email(stub: SmtpStub, clock: Clock) -> None:
    port = free_port()
    emails = [outgoing_email(f"p{n}@example.com") for n in range(3)]
    enqueue_emails(emails)
    assert work(at(port)) == 0
    assert [state(each)[0] for each in emails].count(None) == 2
    clock.advance(timedelta(seconds=10))
    with run_smtp_stub(stub, port):
        assert work(at(port)) == 3


def test_a_server_that_closes_down_is_left_alone(server: MailServer, stub: SmtpStub) -> None:
    stub.rcpt = ["421 4.3.2 Closing down", "421 4.3.2 Closing down"]
    enqueue_emails([outgoing_email(), outgoing_email()])
    assert work(server) == 0
    assert stub.rcpt == ["421 4.3.2 Closing down"]  # RFC 5321 4.2.3: no second email


def test_many_emails_share_a_connection(server: MailServer, stub: SmtpStub) -> None:
    enqueue_emails([outgoing_email(f"p{n}@example.com") for n in range(5)])
    assert work(server) == 5
    assert stub.connections == 1


def test_an_email_that_cannot_be_opened_delays_no_other(server: MailServer, stub: SmtpStub) -> None:
    broken, whole = outgoing_email(), outgoing_email("paul@example.com")
    enqueue_emails([broken, whole])
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE outgoing_mail SET ciphertext = 'altered' WHERE id = %s", [broken.id]
        )
    )
    assert work(server) == 1
    assert state(broken)[0] == SendResult.RETRY_LATER


def test_a_worker_that_dies_loses_no_email(
    server: MailServer, stub: SmtpStub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    enqueue_emails([outgoing_email()])
    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "send_message", die)
        with pytest.raises(KeyboardInterrupt):
            work(server)
    assert work(server) == 0  # its lease lasts
    clock.advance(EMAIL_LEASE_DURATION)
    assert work(server) == 1
    assert len(stub.received) == 1


def test_two_workers_send_an_email_once(app: Flask, server: MailServer, stub: SmtpStub) -> None:
    """The second one comes while the first is telling the server."""
    by_the_other: list[int] = []

    def work_too() -> None:  # in the server's thread
        with app.app_context():
            by_the_other.append(work(server))

    stub.before_data = work_too
    enqueue_emails([outgoing_email()])
    assert work(server) == 1
    assert by_the_other == [0]
    assert len(stub.received) == 1


def test_a_worker_that_froze_until_its_time_was_over_sends_nothing_more(
    server: MailServer, stub: SmtpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may be over too, and the email in other hands."""
    monkeypatch.setattr(smtp_client, "SESSION_TIMEOUT", 0.0)
    email = outgoing_email()
    enqueue_emails([email])
    assert work(server) == 0
    assert (stub.connections, stub.received) == (0, [])
    assert state(email) == (SendResult.RETRY_LATER, True)


def test_a_server_that_is_slow_ends_no_later_than_the_lease(
    server: MailServer, stub: SmtpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    stub.before_data = partial(done.wait, 60)
    monkeypatch.setattr(smtp_client, "SESSION_TIMEOUT", 0.3)
    email = outgoing_email()
    enqueue_emails([email])
    begin = time.monotonic()
    try:
        assert work(server) == 0
    finally:
        done.set()
    assert time.monotonic() - begin < 30
    assert state(email) == (SendResult.RETRY_LATER, True)


def test_no_address_and_no_link_gets_into_logs(
    stub: SmtpStub, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # I12
    written = StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(written), [structlog.processors.JSONRenderer()]
    )
    monkeypatch.setattr(web_emails, "log", log)
    stub.rcpt = ["550 5.1.1 <jane.doe@example.com> unknown", "450 <jane.doe@example.com> later"]
    enqueue_emails([outgoing_email() for _ in range(4)])
    assert work(server) == 2
    enqueue_emails([outgoing_email()])
    work(at(free_port()))
    output = written.getvalue()
    assert output.count("email_sent") == 2
    assert output.count("email_not_sent") == 3
    assert "jane" not in output
    assert "secret-token" not in output


def stop(address: str) -> None:
    stopped = parse_address(address, Channel.EMAIL)
    run_in_transaction(lambda c: stop_emails(c, services().keys, stopped, services().now()))


def test_a_mailbox_that_stopped_them_gets_none_that_anybody_can_cause(
    server: MailServer, stub: SmtpStub
) -> None:
    queued, other = outgoing_email(unproven=True), outgoing_email("paul@example.com", unproven=True)
    enqueue_emails([queued, other])
    stop("jane.doe@example.com")  # also what was asked for before
    assert work(server) == 1
    assert state(queued) == (SendResult.STOPPED, False)
    assert state(other) == (SendResult.SENT, False)


def test_what_the_person_has_proven_to_want_is_sent_in_spite_of_a_stop(
    server: MailServer, stub: SmtpStub
) -> None:
    stop("jane.doe@example.com")
    enqueue_emails([outgoing_email()])
    assert work(server) == 1


def test_stops_that_have_ended_are_deleted(clock: Clock) -> None:
    stop("jane.doe@example.com")
    clock.advance(EMAIL_STOP_DURATION)
    scheduler.purge_expired(clock())
    rows = run_in_transaction(lambda c: c.execute("SELECT * FROM email_stop").fetchall())
    assert rows == []
