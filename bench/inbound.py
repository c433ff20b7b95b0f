"""`POST /in/<destination>`, signed as SendGrid does, and what a worker makes of it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bench.ground import Ground, add_destination, hush
from bench.load import CONNECTIONS, Rate, Request, load
from preference_center.destinations.connect import connect
from preference_center.destinations.process import ingest_webhooks
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.sendgrid.webhook import PUBLIC_KEY_SETTING

NAME = "mailer"
GROUP = "11"
BATCH = 100
"""Events in a batch of SendGrid's: what it gathers in half a minute or so."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A SendGrid account whose webhook is signed; `number` is its destination."""

    number: int
    key: ec.EllipticCurvePrivateKey

    def requests(self, count: int, events: int) -> list[Request]:
        """Posts of so many opt-outs each, all of addresses of their own."""
        return [self._signed(_body(events)) for _ in range(count)]

    def _signed(self, body: str) -> Request:
        stamp = str(int(time.time()))
        signature = self.key.sign(f"{stamp}{body}".encode(), ec.ECDSA(SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        }
        return Request(f"/in/{NAME}", body, content_type="application/json", headers=headers)


def connected() -> Sender:
    """A new destination with its key. To be called inside of the app's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    settings = {"api_key": "none", PUBLIC_KEY_SETTING: base64.b64encode(der).decode()}
    return Sender(add_destination(NAME, "sendgrid", settings, GROUP), key)


def posted(ground: Ground, sender: Sender, base: str, seconds: float, events: int) -> Rate:
    """Posts a second of so many events each that a server acknowledges.

    Raises RuntimeError if one of them is not in the database.
    """
    most = 3_000 if events == 1 else 600
    given = sender.requests(int(most * max(1, seconds)), events)  # wrk takes a second at least
    before = _count(ground, sender)
    found = load(base, given, seconds, CONNECTIONS)
    acknowledged, kept = round(found.per_second * seconds), _count(ground, sender) - before
    if kept < min(acknowledged, len(given)):
        raise RuntimeError(f"{acknowledged} posts were acknowledged and {kept} kept")
    # A request that was repeated, since there were no more, adds no event.
    return replace(found, per_second=min(found.per_second, kept / seconds))


def _count(ground: Ground, sender: Sender) -> int:
    query = "SELECT count(*) FROM webhook_inbox WHERE destination_id = %s"
    with ground.app.app_context():
        (row,) = run_in_transaction(lambda c: c.execute(query, (sender.number,)).fetchall())
    return int(row[0])


def taken(ground: Ground, sender: Sender) -> float:
    """Events a second that one worker records of all that was posted and not taken in yet."""
    with ground.app.app_context():
        hush()
        ground.vacuum()
        before, begin = _events(), time.perf_counter()
        until = datetime.now(UTC) + timedelta(minutes=5)
        ingest_webhooks(sender.number, connect, until=until, stop=lambda: False)
        return (_events() - before) / (time.perf_counter() - begin)


def _events() -> int:
    (row,) = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM event").fetchall())
    return int(row[0])


def _body(events: int) -> str:
    now = int(time.time())
    rows = [
        {
            "email": f"person-{secrets.token_hex(6)}@example.com",
            "event": "group_unsubscribe",
            "asm_group_id": int(GROUP),
            "timestamp": now,
            "sg_event_id": secrets.token_urlsafe(16),
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
            "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
            "useragent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
            "ip": "203.0.113.7",
            "category": ["newsletter"],
        }
        for _ in range(events)
    ]
    return json.dumps(rows)
