"""Certificates that vendors sign with are fetched from them and kept for a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import cast

import httpx
import structlog
from flask import current_app

from preference_center.core.errors import Unavailable

log = structlog.get_logger()

CERTIFICATE_LIFETIME = timedelta(days=1)


FAILURE_BACKOFF = timedelta(seconds=10)
"""How long after a failure none is fetched: anybody who knows a topic's name can cause a fetch."""


MAX_CERTIFICATES = 16


MAX_CERTIFICATE_BYTES = 100_000


FETCH_TIMEOUT = 3.0


CERTIFICATES_KEY = "preference_center.certificates"


FetchCertificate = Callable[[str], bytes]


def fetch_certificate(url: str) -> bytes:
    """The content of an https URL, without redirects. Raises httpx.HTTPError."""
    found = bytearray()
    with (
        httpx.Client(timeout=FETCH_TIMEOUT, trust_env=False) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            found += chunk
            if len(found) > MAX_CERTIFICATE_BYTES:
                raise httpx.DecodingError("it is too long")
    return bytes(found)


class CertificateCache:
    """One per process. Thread-safe: only one thread fetches."""

    def __init__(self, fetch: FetchCertificate = fetch_certificate) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._kept: dict[str, tuple[datetime, bytes]] = {}
        self._backoff_until: datetime | None = None

    def get(self, url: str, now: datetime) -> bytes:
        """The certificate at `url`. Raises Unavailable if it can't be fetched now."""
        at, found = self._kept.get(url, (now - CERTIFICATE_LIFETIME, b""))
        if now - at < CERTIFICATE_LIFETIME:
            return found
        if not self._lock.acquire(blocking=False):
            raise Unavailable("a certificate is being fetched")
        try:
            return self._get(url, now)
        finally:
            self._lock.release()

    def _get(self, url: str, now: datetime) -> bytes:
        if self._backoff_until is not None and now < self._backoff_until:
            raise Unavailable("a certificate could not be fetched")
        self._backoff_until = now + FAILURE_BACKOFF
        try:
            found = self._fetch(url)
        except httpx.HTTPError as error:
            log.warning("certificate_fetch_failed", error=type(error).__name__)
            raise Unavailable("a certificate could not be fetched") from error
        self._backoff_until = None
        if len(self._kept) >= MAX_CERTIFICATES:
            self._kept.clear()
        self._kept[url] = (now, found)
        return found


def certificate_cache() -> CertificateCache:
    """The cache of the current app."""
    found = current_app.extensions.get(CERTIFICATES_KEY)
    if found is None:
        found = current_app.extensions[CERTIFICATES_KEY] = CertificateCache()
    return cast("CertificateCache", found)
