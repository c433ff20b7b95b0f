"""Links that a sender makes offline, on one core, or asks the API for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from bench import ground
from bench.load import Request
from preference_center.core.addresses import Channel
from preference_center.core.links import Links
from preference_center.core.links.offline import LinkMinter
from preference_center.core.links.tokens import LinkTopic, SenderKey
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope

ADDRESS = "ada.lovelace.{}@example.com"
TOPIC = "acme.newsletter"
MESSAGE = "7f0f7f36-4b51-4b0e-8f6c-2f3f5d0b5a10"


@dataclass(frozen=True, slots=True)
class Minting:
    """Messages a second, each with both URLs and both headers."""

    limit: float
    """Of the cryptography alone: one AES-SIV, one SHA-256, two HMACs, base64 and base32."""
    without_mailto: float
    with_mailto: float


def measure(seconds: float) -> Minting:
    """All three, one after the other, in time of the processor: others may use it too."""
    addresses = [ADDRESS.format(number) for number in range(1_000)]
    return Minting(
        _rate(_bare(), addresses, seconds),
        _rate(_mint(None), addresses, seconds),
        _rate(_mint("stop.example.com"), addresses, seconds),
    )


def asking(here: ground.Ground, count: int) -> list[Request]:
    """One request for links of that many messages."""
    with here.app.app_context():
        now = datetime.now(UTC)
        key = run_in_transaction(lambda c: keys.create_key(c, "minting", [KeyScope.LINKS], [], now))
    rows = [
        {"address": ADDRESS.format(number), "scope": ground.TOPIC, "message_id": MESSAGE}
        for number in range(count)
    ]
    return [Request("/v1/links", json.dumps(rows), content_type="application/json", key=key)]


def _mint(mail_domain: str | None) -> Callable[[str], object]:
    ring = [("k1", os.urandom(32))]
    links = Links(ring, "https://preferences.example.com", mail_domain)
    key = SenderKey(1, "bench", "k1", (TOPIC,), datetime.now(UTC))
    topics = [LinkTopic(TOPIC, Channel.EMAIL, links.base_url())]
    minter = LinkMinter(links.export_sender_key(key, topics))
    return lambda address: minter.mint(address, TOPIC, MESSAGE)


def _bare() -> Callable[[str], object]:
    siv, key = AESSIV(os.urandom(64)), os.urandom(32)
    rest = os.urandom(23)  # the head of a token and a UUID

    def work(address: str) -> object:
        encoded = address.encode()
        token = base64.urlsafe_b64encode(siv.encrypt(rest + encoded, None))
        digest = hashlib.sha256(encoded).digest()
        tag = hmac.digest(key, digest, "sha256")[:8]
        mask = hmac.digest(key, tag, "sha256")
        return token, base64.b32encode(tag + mask)

    return work


def _rate(work: Callable[[str], object], addresses: list[str], seconds: float) -> float:
    done, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        for address in addresses:
            work(address)
        done += len(addresses)
    return done / elapsed
