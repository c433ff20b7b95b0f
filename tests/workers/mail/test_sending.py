"""Letters go out through a real mail server, once, in time, and leave no trace."""

from __future__ import annotations

import smtplib
import threading
import time
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
import structlog
from flask import Flask

from dev.server import free_port
from preference_center.mail_server import MailServer
from preference_center.mailer import send, smtp_client
from preference_center.mailer.send import EMAIL_LEASE_DURATION
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.mail.outbox import SendResult, enqueue_emails
from tests.clock import START, Clock
from tests.storage.letters import LIVES, letter
from tests.workers.mail.sending import at, state, work
from tests.workers.mail_server import (
    Answers,
    mail_server,
)
from workers import scheduler


def test_a_temporary_refusal_is_tried_again_later(
    server: MailServer, answers: Answers, clock: Clock
) -> None:
    answers.rcpt = ["450 4.2.0 Greylisted", "450 4.2.0 Greylisted"]
    posted, other = letter(), letter("paul@example.com")
    enqueue_emails([posted])
    assert work(server) == 0
    assert state(posted) == (SendResult.RETRY_LATER, True)
    assert work(server) == 0  # not before its time
    clock.advance(timedelta(seconds=10))
    assert work(server) == 0
    enqueue_emails([other])
    assert work(server) == 1  # one that waits holds up nobody
    clock.advance(timedelta(seconds=20))
    assert work(server) == 1
    assert [taken.recipients for taken in answers.taken] == [
        ["paul@example.com"],
        ["jane.doe@example.com"],
    ]
    assert state(posted) == (SendResult.SENT, False)


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_permanent_refusal_ends_it(
    server: MailServer, answers: Answers, clock: Clock, where: str
) -> None:
    setattr(answers, where, ["550 5.1.1 <jane.doe@example.com> is unknown here"])
    posted, other = letter(), letter("paul@example.com")
    enqueue_emails([posted, other])
    assert work(server) == 1
    assert state(posted) == (SendResult.REFUSED, False)
    assert state(other) == (SendResult.SENT, False)
    clock.advance(LIVES / 2)
    assert work(server) == 0


def test_retries_end_when_the_link_does(server: MailServer, answers: Answers, clock: Clock) -> None:
    answers.data = ["451 4.3.0 Try later"] * 1000
    posted = letter()
    enqueue_emails([posted])
    tries, before = 0, 1000
    while clock() < START + LIVES:
        work(server)
        tries += before - len(answers.data)
        before = len(answers.data)
        scheduler.purge_expired(clock())
        clock.advance(timedelta(seconds=10))
    assert 12 < tries < 25
    answers.data = []
    assert work(server) == 0
    scheduler.purge_expired(clock())
    assert state(posted) == (SendResult.EXPIRED, False)
    assert not answers.taken


def test_a_server_that_is_away_costs_one_try_and_no_letter(answers: Answers, clock: Clock) -> None:
    port = free_port()
    letters = [letter(f"p{n}@example.com") for n in range(3)]
    enqueue_emails(letters)
    assert work(at(port)) == 0
    assert [state(each)[0] for each in letters].count(None) == 2
    clock.advance(timedelta(seconds=10))
    with mail_server(answers, port):
        assert work(at(port)) == 3


def test_a_server_that_closes_down_is_left_alone(server: MailServer, answers: Answers) -> None:
    answers.rcpt = ["421 4.3.2 Closing down", "421 4.3.2 Closing down"]
    enqueue_emails([letter(), letter()])
    assert work(server) == 0
    assert answers.rcpt == ["421 4.3.2 Closing down"]  # RFC 5321 4.2.3: no second letter


def test_many_letters_share_a_connection(server: MailServer, answers: Answers) -> None:
    enqueue_emails([letter(f"p{n}@example.com") for n in range(5)])
    assert work(server) == 5
    assert answers.connections == 1


def test_a_letter_that_cannot_be_opened_holds_up_no_other(
    server: MailServer, answers: Answers
) -> None:
    broken, whole = letter(), letter("paul@example.com")
    enqueue_emails([broken, whole])
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE outgoing_mail SET ciphertext = 'altered' WHERE id = %s", [broken.id]
        )
    )
    assert work(server) == 1
    assert state(broken)[0] == SendResult.RETRY_LATER


def test_a_worker_that_dies_loses_no_letter(
    server: MailServer, answers: Answers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    enqueue_emails([letter()])
    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "send_message", die)
        with pytest.raises(KeyboardInterrupt):
            work(server)
    assert work(server) == 0  # its lease lasts
    clock.advance(EMAIL_LEASE_DURATION)
    assert work(server) == 1
    assert len(answers.taken) == 1


def test_two_workers_send_a_letter_once(app: Flask, server: MailServer, answers: Answers) -> None:
    """The second one comes while the first is telling the server."""
    by_the_other: list[int] = []

    def work_too() -> None:  # in the server's thread
        with app.app_context():
            by_the_other.append(work(server))

    answers.before_data = work_too
    enqueue_emails([letter()])
    assert work(server) == 1
    assert by_the_other == [0]
    assert len(answers.taken) == 1


def test_a_worker_that_froze_until_its_time_was_over_says_nothing_any_more(
    server: MailServer, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may be over too, and the letter in other hands."""
    monkeypatch.setattr(smtp_client, "SESSION_TIMEOUT", 0.0)
    posted = letter()
    enqueue_emails([posted])
    assert work(server) == 0
    assert (answers.connections, answers.taken) == (0, [])
    assert state(posted) == (SendResult.RETRY_LATER, True)


def test_a_server_that_is_slow_ends_no_later_than_the_lease(
    server: MailServer, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    answers.before_data = partial(done.wait, 10)
    monkeypatch.setattr(smtp_client, "SESSION_TIMEOUT", 0.3)
    posted = letter()
    enqueue_emails([posted])
    begin = time.monotonic()
    try:
        assert work(server) == 0
    finally:
        done.set()
    assert time.monotonic() - begin < 5
    assert state(posted) == (SendResult.RETRY_LATER, True)


def test_no_address_and_no_link_gets_into_logs(
    answers: Answers, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # I12
    written = StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(written), [structlog.processors.JSONRenderer()]
    )
    monkeypatch.setattr(send, "log", log)
    answers.rcpt = ["550 5.1.1 <jane.doe@example.com> unknown", "450 <jane.doe@example.com> later"]
    enqueue_emails([letter() for _ in range(4)])
    assert work(server) == 2
    enqueue_emails([letter()])
    work(at(free_port()))
    said = written.getvalue()
    assert said.count("email_sent") == 2
    assert said.count("email_not_sent") == 3
    assert "jane" not in said
    assert "secret-token" not in said
