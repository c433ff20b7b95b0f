"""A service in memory, with digests and decisions: the model of a local filter."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from clients.python.tests.fake_service import KEY, URL, problem
from preference_center_client import NO_RETRIES, Client
from preference_center_client.local_filter import DigestKeys
from preference_center_client.local_filter.addresses import forms
from preference_center_client.local_filter.digests import DigestScheme

DIGEST_KEYS = "d1:" + b64encode(b"1" * 32).decode().rstrip("=")
OTHER_KEYS = "d1:" + b64encode(b"2" * 32).decode().rstrip("=")
CHAIN = DIGEST_KEYS + ",d2:" + b64encode(b"3" * 32).decode().rstrip("=")


@dataclass(slots=True)
class FakeLedger:
    """Who opted out and when, by the clock of the test."""

    clock: Callable[[], float]
    keys: DigestKeys = field(default_factory=lambda: DigestKeys(DIGEST_KEYS))
    scheme: DigestScheme = field(default_factory=lambda: DigestScheme(1, md5=False))
    opted_out: dict[str, float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    epoch: int = 1
    down: bool = False
    types: tuple[str, ...] = ("offers.weekly",)
    norm_version: int = 1
    asked: list[str] = field(default_factory=list)
    readings: list[str | None] = field(default_factory=list)
    takes: Callable[[], None] = lambda: None
    """Called while a reading is made."""

    def client(self) -> Client:
        return Client(URL, KEY, retries=NO_RETRIES, transport=httpx.MockTransport(self))

    def opt_out(self, address: str) -> None:
        self.log.append(address)
        self.opted_out.setdefault(address, self.clock())

    def covers(self, address: str) -> float | None:
        """Since when an opt-out of any form of its mailbox denies it."""
        ours = set(forms(address) or ())
        found = [at for each, at in self.opted_out.items() if ours & set(forms(each) or ())]
        return min(found, default=None)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down", request=request)
        if request.url.path == "/v1/decisions":
            return self._decide(json.loads(request.content)["recipients"])
        return self._read(request.url.params.get("after"))

    def _decide(self, recipients: list[str]) -> httpx.Response:
        self.asked += recipients
        rows = [{"allow": self.covers(each) is None, "rule": "asked"} for each in recipients]
        return httpx.Response(200, json={"as_of": "1.2.3", "decisions": rows})

    def _read(self, after: str | None) -> httpx.Response:
        self.readings.append(after)
        self.takes()
        epoch, place = after.split(".") if after else (str(self.epoch), "0")
        if epoch != str(self.epoch):
            return problem(410, "stale-watermark")
        prepared = self.keys.prepare(self.log[int(place) :], self.scheme)
        data = prepared.heads.astype(">u8").tobytes()
        first = {
            "watermark": f"{self.epoch}.{len(self.log)}",
            "digest_keys": dict(self.keys.fingerprints[: self.scheme.length]),
            "norm_version": self.norm_version,
            "md5": self.scheme.md5,
            "message_types": list(self.types),
        }
        lines = [first, {"digests": b64encode(data).decode()}]
        lines.append({"end": True, "count": len(data) // 8})
        return httpx.Response(200, text="\n".join(map(json.dumps, lines)))
