"""`/in/<destination>`: verified, stored, acknowledged; in that order."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from preference_center.core.addresses import Channel
from preference_center.core.events import EventKind
from preference_center.destinations import receive
from preference_center.destinations.connect import connect
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.rules.delivery import active_suppressions
from preference_center.destinations.store import destinations
from preference_center.destinations.store import webhooks as webhook_inbox
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import JANE, change

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

STANDARD_SECRET = "whsec_" + base64.b64encode(b"standard" * 4).decode()
SECRET = "long-and-random-secret"
FORM = {"type": "unsubscribe", "data[email]": "anna@example.com", "data[reason]": "manual"}


@pytest.fixture
def number(app: Flask) -> int:
    with app.app_context():
        return _add("letters", "mailchimp", {"webhook_secret": SECRET})


def _add(name: str, kind: str, settings: dict[str, str], *topics: str) -> int:
    context = services()

    def work(connection: Connection) -> int:
        return destinations.insert_destination(
            connection,
            context.keys,
            name=name,
            kind=kind,
            settings=settings,
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset(topics),
            sends_service=False,
            now=context.now(),
        )

    return run_in_transaction(work)


def kept(app: Flask) -> int:
    with app.app_context():
        return len(run_in_transaction(lambda c: c.execute("SELECT FROM webhook_inbox").fetchall()))


def test_what_is_genuine_is_stored_before_it_is_acknowledged(
    app: Flask, client: FlaskClient, number: int
) -> None:  # I1
    answer = client.post(f"/in/letters/{SECRET}", data=FORM)
    assert (answer.status_code, answer.data) == (204, b"")
    with app.app_context():
        context = services()
        now = context.now()
        (body,) = run_in_transaction(
            lambda c: webhook_inbox.claim_webhooks(
                c, context.keys, number, now=now, until=now, limit=5
            )
        )
    assert b"anna@example.com" in body.body


def test_a_mail_that_cannot_be_taken_apart_is_queued_for_review(
    app: Flask, client: FlaskClient
) -> None:  # I1
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with app.app_context():
        _add("mails", "sendgrid", {"webhook_key": base64.b64encode(public).decode()})
    part = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nstop\r\n'
    body = part * 400 + b"--b--\r\n"
    signature = base64.b64encode(key.sign(b"1" + body, ec.ECDSA(SHA256()))).decode()
    answer = client.post(
        "/in/mails",
        data=body,
        content_type="multipart/form-data; boundary=b",
        headers={
            "X-Twilio-Email-Event-Webhook-Signature": signature,
            "X-Twilio-Email-Event-Webhook-Timestamp": "1",
        },
    )
    assert (answer.status_code, kept(app)) == (204, 1)


def test_the_same_body_again_is_acknowledged_and_kept_once(
    app: Flask, client: FlaskClient, number: int
) -> None:
    for _ in range(3):
        assert client.post(f"/in/letters/{SECRET}", data=FORM).status_code == 204
    assert kept(app) == 1


@pytest.mark.parametrize("path", ["/in/letters", "/in/letters/", "/in/letters/wrong"])
def test_what_is_not_proved_is_not_read(
    app: Flask, client: FlaskClient, number: int, path: str
) -> None:
    answer = client.post(path, data=FORM)
    assert answer.status_code in {401, 404}
    assert answer.status_code == 404 or answer.text == "Unauthorized\n"
    assert kept(app) == 0


@pytest.mark.parametrize("size, status", [(1_000, 204), (9 * 1024 * 1024, 413)])
def test_a_body_in_chunks_is_taken_whole_or_not_at_all(
    app: Flask, client: FlaskClient, number: int, size: int, status: int
) -> None:
    # Werkzeug would cut it at the limit: what is acknowledged is to be all of it (I1).
    given = {"wsgi.input": BytesIO(b"x" * size), "wsgi.input_terminated": True}
    answer = client.post(f"/in/letters/{SECRET}", environ_overrides=given)
    assert answer.status_code == status
    assert kept(app) == (status == 204)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_vendor_that_tries_the_url_changes_nothing(
    app: Flask, client: FlaskClient, number: int, method: str
) -> None:  # I7
    assert client.open(f"/in/letters/{SECRET}", method=method).status_code == 200
    assert kept(app) == 0


@pytest.mark.parametrize("caller, status", [("203.0.113.7", 204), ("203.0.114.7", 401)])
def test_where_a_vendor_that_signs_nothing_calls_from_counts_and_is_not_kept(
    app: Flask, client: FlaskClient, caller: str, status: int
) -> None:  # I12
    with app.app_context():
        _add("sparks", "sparkpost", {"webhook_secret": SECRET, "networks": "203.0.113.0/24"})
    given = {"REMOTE_ADDR": caller}
    with capture_logs() as logs:
        answer = client.post(f"/in/sparks/{SECRET}", json=[{"msys": {}}], environ_base=given)
    assert answer.status_code == status
    assert kept(app) == (status == 204)
    assert caller not in f"{logs} {answer.text}"
    assert ("webhook_unverified" in str(logs)) == (status == 401)


def test_a_vendor_that_repeats_all_but_200_is_answered_200(app: Flask, client: FlaskClient) -> None:
    body = b'{"events": [{"event": "unsubscribe", "email": "anna@example.com"}]}'
    headers = {"Mailtrap-Signature": hmac.digest(SECRET.encode(), body, "sha256").hex()}
    with app.app_context():
        _add("traps", "mailtrap", {"webhook_secret": SECRET})
    answer = client.post("/in/traps", data=body, headers=headers)
    assert (answer.status_code, answer.data, kept(app)) == (200, b"", 1)


@pytest.mark.parametrize("name", ["nobody", "hook", "%00", "hook%00", "%ff"])
def test_where_no_tool_reports_it_states_it(app: Flask, client: FlaskClient, name: str) -> None:
    with app.app_context():
        _add("hook", "webhook", {})
    assert client.post(f"/in/{name}", data=FORM).status_code == 404


def test_without_the_setting_nothing_is_believed(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        _add("bare", "mailchimp", {})
    assert client.post("/in/bare/", data=FORM).status_code in {401, 404}
    assert client.post("/in/bare/x", data=FORM).status_code == 401
    assert kept(app) == 0


def test_one_body_of_two_acts_is_kept_twice_where_a_header_gives_the_time(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    body = b'{"member": {"current": {"email": "anna@example.com"}, "previous": {}}}'
    with app.app_context():
        _add("blog", "ghost", {"webhook_secret": SECRET})
    for seconds, count in [(0, 1), (0, 1), (2, 2)]:
        clock.advance(timedelta(seconds=seconds))
        stamp = str(int(clock().timestamp() * 1000))
        signature = hmac.digest(SECRET.encode(), body + stamp.encode(), "sha256").hex()
        headers = {"x-ghost-signature": f"sha256={signature}, t={stamp}"}
        assert client.post("/in/blog", data=body, headers=headers).status_code == 204
        assert kept(app) == count


def test_changed_settings_count_within_seconds(
    app: Flask, client: FlaskClient, number: int, clock: Clock
) -> None:
    assert client.post(f"/in/letters/{SECRET}", data=FORM).status_code == 204
    with app.app_context():
        context = services()
        changed = {"webhook_secret": "another-secret-of-ours"}
        run_in_transaction(lambda c: destinations.set_settings(c, context.keys, "letters", changed))
    clock.advance(receive.DESTINATION_CACHE_TTL)
    assert client.post(f"/in/letters/{SECRET}", data=FORM | {"n": "2"}).status_code == 401
    assert client.post("/in/letters/another-secret-of-ours", data=FORM).status_code == 204


def test_a_webhook_of_a_destination_that_was_just_removed_is_not_acknowledged(
    app: Flask, client: FlaskClient, number: int
) -> None:  # I1: what is acknowledged is processed
    assert client.post(f"/in/letters/{SECRET}", data=FORM).status_code == 204
    with app.app_context():
        run_in_transaction(lambda c: destinations.delete_destination(c, number))
    assert client.post(f"/in/letters/{SECRET}", data=FORM | {"n": "2"}).status_code == 404
    assert kept(app) == 1


def test_a_token_that_was_used_before_is_refused_whatever_comes_with_it(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    with app.app_context():
        _add("guns", "mailgun", {"signing_key": "key-of-ours"})

    def say(token: str, event: str) -> int:
        stamp = str(int(clock().timestamp()))
        digest = hmac.new(b"key-of-ours", f"{stamp}{token}".encode(), "sha256").hexdigest()
        signature = {"timestamp": stamp, "token": token, "signature": digest}
        body = {"signature": signature, "event-data": {"event": event}}
        return client.post("/in/guns", json=body).status_code

    assert [say("one", "opened"), say("one", "opened"), say("one", "unsubscribed")] == [
        200,
        401,
        401,
    ]
    assert say("two", "opened") == 200
    assert kept(app) == 2
    clock.advance(webhook_inbox.BODY_RETENTION + timedelta(seconds=1))
    with app.app_context():
        run_in_transaction(lambda c: webhook_inbox.purge_webhooks(c, clock()))
        assert (
            run_in_transaction(lambda c: c.execute("SELECT FROM used_webhook_token").fetchall())
            == []
        )


def signed(number: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    signature = Webhook(STANDARD_SECRET).sign(number, now, body.decode())
    at = str(int(now.timestamp()))
    return {"webhook-id": number, "webhook-timestamp": at, "webhook-signature": signature}


def test_the_same_opt_out_in_another_message_counts_again(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # I5, I13: a person who opts in meanwhile, and out again
    event = {"type": "opted_out", "data": {"address": JANE.exact, "topic": NEWS, "by_person": True}}
    body = json.dumps(event).encode()
    with app.app_context():
        crm = _add("crm", "standard_webhooks", {"webhook_secret": STANDARD_SECRET}, NEWS)

    def post(number: str) -> None:
        clock.advance(timedelta(minutes=1))
        answer = client.post("/in/crm", data=body, headers=signed(number, body, clock()))
        assert answer.status_code == 204
        with app.app_context():
            until = clock() + timedelta(minutes=1)
            ingest_webhooks(crm, connect, until=until, stop=lambda: False)

    def is_denied() -> bool:
        with app.app_context():
            return bool(active_suppressions(load_facts([JANE])[0], clock()))

    post("msg_1")
    post("msg_1")  # a repeat
    assert kept(app) == 1
    assert is_denied()
    clock.advance(timedelta(minutes=1))
    with app.app_context():
        record([change(1, EventKind.OPTED_IN, at=clock())])
    assert not is_denied()
    post("msg_2")
    assert is_denied()
