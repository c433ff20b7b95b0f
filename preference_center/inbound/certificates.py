"""Certificates that vendors sign with, fetched from them and kept for a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import cast

import httpx
import structlog
from flask import current_app

from preference_center.errors import Unavailable

log = structlog.get_logger()

KEPT = timedelta(days=1)
RESTS = timedelta(seconds=10)
"""How long after a failure none is fetched: whoever knows a topic's name may ask for one."""
MOST = 16
OCTETS = 100_000
SECONDS = 3.0
NAME = "preference_center.certificates"

Fetch = Callable[[str], bytes]


def fetch(url: str) -> bytes:
    """What stands at an https URL; no redirects. Raises httpx.HTTPError."""
    found = bytearray()
    with (
        httpx.Client(timeout=SECONDS, trust_env=False) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            found += chunk
            if len(found) > OCTETS:
                raise httpx.DecodingError("it is too long")
    return bytes(found)


class Certificates:
    """One for each process. Safe for use by several threads: one of them fetches."""

    def __init__(self, fetch: Fetch = fetch) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._kept: dict[str, tuple[datetime, bytes]] = {}
        self._rests_until: datetime | None = None

    def get(self, url: str, now: datetime) -> bytes:
        """The certificate at `url`. Raises Unavailable if it can't be had just now."""
        at, found = self._kept.get(url, (now - KEPT, b""))
        if now - at < KEPT:
            return found
        if not self._lock.acquire(blocking=False):
            raise Unavailable("a certificate is being fetched")
        try:
            return self._get(url, now)
        finally:
            self._lock.release()

    def _get(self, url: str, now: datetime) -> bytes:
        if self._rests_until is not None and now < self._rests_until:
            raise Unavailable("a certificate could not be fetched")
        self._rests_until = now + RESTS
        try:
            found = self._fetch(url)
        except httpx.HTTPError as error:
            log.warning("certificate_away", error=type(error).__name__)
            raise Unavailable("a certificate could not be fetched") from error
        self._rests_until = None
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[url] = (now, found)
        return found


def certificates() -> Certificates:
    """Those of the current app."""
    found = current_app.extensions.get(NAME)
    if found is None:
        found = current_app.extensions[NAME] = Certificates()
    return cast("Certificates", found)
