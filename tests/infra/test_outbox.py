"""Emails are stored until they are sent, and no longer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from preference_center.core.addresses import Channel
from preference_center.core.errors import DecryptionError, MailServerNotConfigured
from preference_center.infra import outbox
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.sealed_columns import outgoing_mail_context
from preference_center.infra.outbox import ClaimedEmail, EmailKind, SendResult, enqueue_emails
from tests.clock import START, Clock
from tests.infra.emails import LIFETIME, LINK, outgoing_email

LEASE = timedelta(seconds=90)


@pytest.fixture(autouse=True)
def _context(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with app.app_context():
        set_mail(app, monkeypatch, "smtp://mail.example.com")
        yield


def set_mail(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    settings = services().settings.model_copy(
        update={"smtp_url": url, "mail_from": "choices@example.com"}
    )
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


def claim(clock: Clock) -> ClaimedEmail | None:
    return run_in_transaction(
        lambda c: outbox.claim_email(c, uuid4(), now=clock(), until=clock() + LEASE)
    )


def held(clock: Clock, lease: Any) -> ClaimedEmail:
    found = run_in_transaction(
        lambda c: outbox.claim_email(c, lease, now=clock(), until=clock() + LEASE)
    )
    assert found
    return found


def rows() -> list[dict[str, Any]]:
    """Everything that is stored."""
    found = run_in_transaction(
        lambda c: c.execute("SELECT to_jsonb(m) FROM outgoing_mail m").fetchall()
    )
    return [row[0] for row in found]


def test_a_stored_email_is_decrypted_unchanged(clock: Clock) -> None:
    email = outgoing_email(
        kind=EmailKind.CONFIRM_OPT_IN, values={"link": LINK, "what": "Notizie"}, brand="acme"
    )
    enqueue_emails([email])
    found = claim(clock)
    assert found
    assert found.decrypt(services().keys) == email


def test_an_email_of_before_it_was_stated_whether_anybody_could_cause_it_is_still_read(
    clock: Clock,
) -> None:
    email = outgoing_email()
    enqueue_emails([email])
    found, keys = claim(clock), services().keys
    assert found
    content = json.dumps({"to": email.recipient.exact, "values": dict(email.values)})
    sealed = keys.seal(content, context=outgoing_mail_context(email.id))
    assert replace(found, ciphertext=sealed).decrypt(keys) == email


def test_enqueueing_again_sends_nothing_twice(clock: Clock) -> None:
    email = outgoing_email()
    enqueue_emails([email, email])
    enqueue_emails([email])
    assert len(rows()) == 1
    assert claim(clock)
    assert claim(clock) is None


def test_an_email_that_was_sent_is_not_enqueued_again(clock: Clock) -> None:
    email = outgoing_email()
    enqueue_emails([email])
    lease = uuid4()
    held(clock, lease)
    run_in_transaction(lambda c: outbox.settle_email(c, email.id, lease, SendResult.SENT))
    enqueue_emails([email])
    assert run_in_transaction(lambda c: outbox.count_due_emails(c, clock())) == 0


def test_nothing_personal_is_stored_readable() -> None:  # I12
    enqueue_emails([outgoing_email("jane.doe@example.com")])
    stored = str(rows()).lower()
    ciphertext = bytes.fromhex(rows()[0]["ciphertext"].removeprefix("\\x"))
    for secret in ("jane", "doe", "example.com", "secret-token"):
        assert secret not in stored
        assert secret.encode() not in ciphertext


def test_a_ciphertext_opens_in_its_own_row_only(clock: Clock) -> None:
    enqueue_emails([outgoing_email()])
    found = claim(clock)
    assert found
    with pytest.raises(DecryptionError):
        replace(found, id=uuid4()).decrypt(services().keys)


def test_no_representation_shows_the_address_or_the_link(clock: Clock) -> None:  # I12
    enqueue_emails([outgoing_email()])
    found = claim(clock)
    assert found
    for text in (repr(outgoing_email()), repr(found)):
        assert "jane.doe" not in text
        assert "secret-token" not in text


def test_without_a_mail_server_enqueueing_fails_and_stores_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mail(app, monkeypatch, None)
    with pytest.raises(MailServerNotConfigured, match="SMTP_URL") as caught:
        enqueue_emails([outgoing_email()])
    assert caught.value.log_fields == {"cause": "mail_not_configured"}
    assert rows() == []


def test_no_email_is_lost_while_redis_is_down(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    from preference_center.infra.job_queue import JobQueue

    queue = JobQueue("redis://127.0.0.1:1/0")
    away = replace(services(), make_queue=lambda: queue)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, away)
    enqueue_emails([outgoing_email()])
    assert run_in_transaction(lambda c: outbox.count_due_emails(c, START)) == 1


def test_enqueueing_nudges_the_worker(
    app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.infra.job_queue import JobQueue, rq_queue
    from preference_center.infra.redis import connect_redis

    queue = JobQueue(redis_url)  # nudged by no test before
    rested = replace(services(), make_queue=lambda: queue)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, rested)
    enqueue_emails([outgoing_email()])
    with connect_redis(redis_url) as connection:
        (job,) = rq_queue(connection, "mail").jobs
        assert job.func_name == "workers.jobs.send_mail"
        assert not job.args  # I12


def test_the_email_of_a_dead_worker_is_due_again_when_its_lease_ends(clock: Clock) -> None:
    enqueue_emails([outgoing_email()])
    assert claim(clock)
    clock.advance(LEASE - timedelta(seconds=1))
    assert claim(clock) is None
    clock.advance(timedelta(seconds=1))
    assert claim(clock)


def test_a_worker_that_lost_its_lease_changes_nothing(clock: Clock) -> None:
    email, lost, lease = outgoing_email(), uuid4(), uuid4()
    enqueue_emails([email])
    held(clock, lost)
    clock.advance(LEASE)
    held(clock, lease)
    run_in_transaction(lambda c: outbox.settle_email(c, email.id, lost, SendResult.REFUSED))
    assert rows()[0]["lease"] == str(lease)
    assert rows()[0]["ciphertext"]


def test_a_worker_that_lost_its_lease_but_sent_the_email_settles_it(clock: Clock) -> None:
    email, lost = outgoing_email(), uuid4()
    enqueue_emails([email])
    held(clock, lost)
    clock.advance(LEASE)
    run_in_transaction(lambda c: outbox.settle_email(c, email.id, lost, SendResult.SENT))
    assert claim(clock) is None


@pytest.mark.parametrize("fate", [SendResult.SENT, SendResult.REFUSED])
def test_an_email_that_is_done_holds_nothing_personal(clock: Clock, fate: SendResult) -> None:
    email, lease = outgoing_email(), uuid4()
    enqueue_emails([email])
    held(clock, lease)
    run_in_transaction(lambda c: outbox.settle_email(c, email.id, lease, fate))
    (row,) = rows()
    assert (row["outcome"], row["ciphertext"], row["next_at"]) == (fate, None, None)


def test_an_email_to_be_retried_keeps_its_content(clock: Clock) -> None:
    email, lease = outgoing_email(), uuid4()
    enqueue_emails([email])
    held(clock, lease)
    again = clock() + timedelta(seconds=10)
    run_in_transaction(
        lambda c: outbox.settle_email(c, email.id, lease, SendResult.RETRY_LATER, next_at=again)
    )
    assert claim(clock) is None
    clock.advance(timedelta(seconds=10))
    found = claim(clock)
    assert found
    assert (found.attempts, found.decrypt(services().keys)) == (1, email)


def test_an_expired_email_is_not_claimed_and_its_content_is_deleted(clock: Clock) -> None:
    enqueue_emails([outgoing_email(), outgoing_email(expires_at=START + 2 * LIFETIME)])
    clock.advance(LIFETIME - timedelta(seconds=1))
    assert run_in_transaction(lambda c: outbox.expire_emails(c, clock())) == 0
    clock.advance(timedelta(seconds=1))
    assert run_in_transaction(lambda c: outbox.count_due_emails(c, clock())) == 1
    assert run_in_transaction(lambda c: outbox.expire_emails(c, clock())) == 1
    kept = {row["outcome"]: row["ciphertext"] for row in rows()}
    assert kept[SendResult.EXPIRED] is None
    assert kept[None] is not None


def test_an_email_that_expires_while_claimed_is_left_to_its_worker(clock: Clock) -> None:
    enqueue_emails([outgoing_email(expires_at=START + timedelta(seconds=30))])
    assert claim(clock)
    clock.advance(timedelta(seconds=31))
    assert run_in_transaction(lambda c: outbox.expire_emails(c, clock())) == 0
    clock.advance(LEASE)
    assert run_in_transaction(lambda c: outbox.expire_emails(c, clock())) == 1


def test_an_email_needs_the_values_of_its_kind_and_an_email_address() -> None:
    with pytest.raises(ValueError, match="link, what"):
        outgoing_email(kind=EmailKind.CONFIRM_OPT_IN)
    with pytest.raises(ValueError, match="email"):
        outgoing_email("+39 347 1234567", Channel.SMS)


def test_only_emails_done_long_ago_are_purged(clock: Clock) -> None:
    done, waiting = outgoing_email(), outgoing_email(expires_at=START + 100 * timedelta(days=1))
    enqueue_emails([done])
    lease = uuid4()
    held(clock, lease)
    run_in_transaction(lambda c: outbox.settle_email(c, done.id, lease, SendResult.SENT))
    enqueue_emails([waiting])
    clock.advance(outbox.RETENTION)
    assert run_in_transaction(lambda c: outbox.purge_emails(c, clock())) == 0
    clock.advance(timedelta(seconds=1))
    assert run_in_transaction(lambda c: outbox.purge_emails(c, clock())) == 1
    assert [row["id"] for row in rows()] == [str(waiting.id)]


def test_a_limited_number_is_purged_at_a_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_PURGE_LIMIT", 2)
    enqueue_emails([outgoing_email() for _ in range(3)])
    clock.advance(LIFETIME)
    run_in_transaction(lambda c: outbox.expire_emails(c, clock()))
    clock.advance(outbox.RETENTION)
    assert [run_in_transaction(lambda c: outbox.purge_emails(c, clock())) for _ in range(3)] == [
        2,
        1,
        0,
    ]


@pytest.mark.parametrize("count, share", [(9, 0.0), (10, 1.0)])
def test_a_few_refused_addresses_say_nothing_of_the_mail_server(
    clock: Clock, count: int, share: float
) -> None:
    emails = [outgoing_email() for _ in range(count)]
    enqueue_emails(emails)
    for _ in emails:
        lease = uuid4()
        found = held(clock, lease)
        run_in_transaction(partial(refuse, email_id=found.id, lease=lease))
    assert run_in_transaction(lambda c: outbox.load_refused_share(c, clock())) == share


def refuse(connection: Connection, email_id: UUID, lease: UUID) -> None:
    outbox.settle_email(connection, email_id, lease, SendResult.REFUSED)
