"""The local filter of the Python client, in time of the processor: others may use it too."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python" / "src"))  # not installed

from preference_center_client import Client, Decision
from preference_center_client.local_filter import DigestKeys, LocalFilter
from preference_center_client.local_filter.digests import sha256
from preference_center_client.models import Channel, DigestsPage

SUPPRESSED = 1_000_000
ASKED = 100_000
MESSAGE_TYPE = "offers.weekly"
KEYS = "d1:" + base64.urlsafe_b64encode(b"1" * 32).decode()


@dataclass(frozen=True, slots=True)
class Filtering:
    """Addresses a second."""

    bytes_each: float
    mistaken: float
    """The share of addresses that nothing denies and that are asked about all the same."""
    limit: float
    """Of the cryptography alone: three SHA-256, of which two are the HMAC."""
    prepared: float
    asked: float
    """From a list that was prepared."""
    decided: float
    """Preparing, asking and a `Decision` for each."""
    load_seconds: float


class _Service(Client):
    """One that has read a million digests, and decides at no cost."""

    def __init__(self) -> None:
        super().__init__("http://localhost", "-", transport=httpx.MockTransport(_refuse))
        heads = np.random.default_rng(7).integers(0, 2**64, SUPPRESSED, dtype=np.uint64)
        self._data = heads.astype(">u8").tobytes()

    def read_digests(self, after: str | None = None) -> DigestsPage:
        """All of them, then none."""
        start = {
            "watermark": "1",
            "digest_keys": dict(DigestKeys(KEYS).fingerprints),
            "norm_version": 1,
            "md5": False,
            "message_types": [MESSAGE_TYPE],
        }
        return DigestsPage(start, b"" if after else self._data)

    def decide_many(
        self,
        message_type: str,  # noqa: ARG002
        recipients: Sequence[str],
        *,
        channel: Channel = "email",  # noqa: ARG002
        service: bool = False,  # noqa: ARG002
    ) -> list[Decision]:
        """Of the few that are asked about."""
        return [Decision(allow=False, rule="asked")] * len(recipients)


def measure(seconds: float) -> Filtering:
    """All of it, one after the other."""
    people = [f"ada.lovelace.{number}@example.com" for number in range(ASKED)]
    found = LocalFilter(_Service(), KEYS)
    begun = time.process_time()
    found.refresh()
    load_seconds = time.process_time() - begun
    prepared = found.prepare(people)
    allowed = found.surely_allowed(MESSAGE_TYPE, prepared)
    each = seconds / 4
    return Filtering(
        found.nbytes / SUPPRESSED,
        1 - float(allowed.mean()),
        _rate(lambda: _digest_all(people), each),
        _rate(lambda: found.prepare(people), each),
        _rate(lambda: found.surely_allowed(MESSAGE_TYPE, prepared), each),
        _rate(lambda: found.decide_many(MESSAGE_TYPE, people), each),
        load_seconds,
    )


def _digest_all(people: Sequence[str]) -> None:
    inner, outer = b"i" * 64, b"o" * 64
    for each in people:
        sha256(outer + sha256(inner + sha256(each.encode()).digest()).digest()).digest()


def _rate(work: Callable[[], object], seconds: float) -> float:
    begun = now = time.process_time()
    rounds = 0
    while now - begun < seconds:
        work()
        rounds += 1
        now = time.process_time()
    return rounds * ASKED / (now - begun)


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is asked", request=request)
