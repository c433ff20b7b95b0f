"""Certificates that vendors sign with: fetched seldom, and never for who is not the vendor."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import Unavailable
from preference_center.destinations.certificates import (
    CERTIFICATE_LIFETIME,
    CERTIFICATES_KEY,
    FAILURE_BACKOFF,
    CertificateCache,
)
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from tests.clock import START, Clock
from tests.integrations.base.posts import NOW
from tests.integrations.base.sns import CERTIFICATE_URL, TOPIC, certificate, message

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


class Sns:
    """Where certificates stand; `away` while it is."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.away:
            raise httpx.ConnectTimeout("away")
        return certificate()


def test_a_certificate_is_kept_for_a_day() -> None:
    sns = Sns()
    kept = CertificateCache(sns)
    for later in (timedelta(), CERTIFICATE_LIFETIME - timedelta(seconds=1), CERTIFICATE_LIFETIME):
        assert kept.get(CERTIFICATE_URL, NOW + later) == certificate()
    assert len(sns.asked) == 2


def test_after_a_failure_nothing_is_fetched_for_a_while() -> None:
    sns = Sns()
    kept = CertificateCache(sns)
    sns.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            kept.get(CERTIFICATE_URL, NOW)
    assert len(sns.asked) == 1
    sns.away = False
    assert kept.get(CERTIFICATE_URL, NOW + FAILURE_BACKOFF)


def test_sns_is_believed_once_its_certificate_is_there(
    app: Flask, client: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sns = Sns()
    monkeypatch.setitem(app.extensions, CERTIFICATES_KEY, CertificateCache(sns))
    clock.advance(NOW - START)
    with app.app_context():
        context = services()
        run_in_transaction(
            lambda connection: destinations.insert_destination(
                connection,
                context.keys,
                name="amazon",
                kind="ses",
                settings={"topic_arns": TOPIC},
                channels=frozenset({Channel.EMAIL}),
                mapping={},
                sends=frozenset(),
                sends_service=False,
                now=context.now(),
            )
        )
    sns.away = True
    assert client.post("/in/amazon", data=message("hello")).status_code == 503
    sns.away = False
    clock.advance(FAILURE_BACKOFF)
    assert client.post("/in/amazon", data=message("hello")).status_code == 204
    forged = message("hello").replace(b"hello", b"hallo")
    assert client.post("/in/amazon", data=forged).status_code == 401
    elsewhere = message("hello", SigningCertURL="https://evil.example/x.pem")
    assert client.post("/in/amazon", data=elsewhere).status_code == 401
    assert sns.asked == [CERTIFICATE_URL] * 2
    with app.app_context():
        assert (
            len(run_in_transaction(lambda c: c.execute("SELECT FROM webhook_inbox").fetchall()))
            == 1
        )
