"""What proves a request of each vendor that signs; all keys are made here."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.customerio.webhook import CustomerIoWebhookSource
from preference_center.integrations.ghost.webhook import GhostWebhookSource
from preference_center.integrations.intercom.webhook import IntercomWebhookSource
from preference_center.integrations.klaviyo.webhook import KlaviyoWebhookSource
from preference_center.integrations.mailersend.webhook import TEST_SECRET, MailerSendWebhookSource
from preference_center.integrations.resend.webhook import ResendWebhookSource
from preference_center.integrations.standard_webhooks import StandardWebhookSource
from tests.integrations.base.posts import NOW, post

SECRET = "a secret of the test's own"
KEY = "whsec_" + base64.b64encode(b"a key of the test's own, 32 long").decode()
OTHER_KEY = "whsec_" + base64.b64encode(b"another key of that kind, longer").decode()


def digest(signed: bytes, secret: str = SECRET, name: str = "sha256") -> str:
    return hmac.digest(secret.encode(), signed, name).hex()


def body_at(at: datetime) -> bytes:
    return json.dumps({"data": [], "meta": {"timestamp": at.isoformat()}}).encode()


def klaviyo(at: datetime) -> WebhookRequest:
    body, stamp = body_at(at), at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    signature = digest(body + stamp.encode())
    return post(body, {"klaviyo-signature": signature, "klaviyo-timestamp": stamp})


def customerio(at: datetime) -> WebhookRequest:
    body, stamp = body_at(NOW), str(int(at.timestamp()))
    signature = digest(f"v0:{stamp}:".encode() + body)
    return post(body, {"x-cio-signature": signature, "x-cio-timestamp": stamp})


def ghost(at: datetime) -> WebhookRequest:
    body, stamp = body_at(NOW), str(int(at.timestamp() * 1000))
    signature = digest(body + stamp.encode())
    return post(body, {"x-ghost-signature": f"sha256={signature}, t={stamp}"})


def mailersend(_: datetime) -> WebhookRequest:
    return post(body_at(NOW), {"signature": digest(body_at(NOW))})


def intercom(_: datetime) -> WebhookRequest:
    signature = digest(body_at(NOW), name="sha1")
    return post(body_at(NOW), {"x-hub-signature": f"sha1={signature}"})


def standard(at: datetime, prefix: str = "webhook", key: str = KEY) -> WebhookRequest:
    body, stamp = body_at(NOW), str(int(at.timestamp()))
    headers = {
        f"{prefix}-id": "msg_7",
        f"{prefix}-timestamp": stamp,
        f"{prefix}-signature": f"v1a,no {Signer(key).sign('msg_7', at, body.decode())}",
    }
    return post(body, headers)


def resend(at: datetime) -> WebhookRequest:
    return standard(at, "svix")


@dataclass(frozen=True)
class Signed:
    source: WebhookSource
    make: Callable[[datetime], WebhookRequest]
    setting: str = "webhook_secret"
    secret: str = SECRET
    within: timedelta | None = timedelta(minutes=5)
    """How old it may be; None if nothing that is signed tells."""

    def verify(self, given: WebhookRequest, secret: str | None = None) -> None:
        settings = {self.setting: self.secret if secret is None else secret}
        self.source.verify(given, settings, NOW)


VENDORS = {
    "klaviyo": Signed(KlaviyoWebhookSource(), klaviyo, within=timedelta(days=1)),
    "customerio": Signed(
        CustomerIoWebhookSource(), customerio, within=timedelta(days=7, minutes=5)
    ),
    "ghost": Signed(GhostWebhookSource(), ghost),
    "mailersend": Signed(MailerSendWebhookSource(), mailersend, within=None),
    "intercom": Signed(IntercomWebhookSource(), intercom, "client_secret", within=None),
    "resend": Signed(ResendWebhookSource(), resend, secret=KEY),
    "standard_webhooks": Signed(StandardWebhookSource(), standard, secret=KEY),
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Signed:
    return VENDORS[request.param]


def test_what_the_tool_signed_is_genuine(vendor: Signed) -> None:
    vendor.verify(vendor.make(NOW))
    if vendor.within:
        vendor.verify(vendor.make(NOW - vendor.within))


def test_an_altered_body_is_nobodys(vendor: Signed) -> None:
    genuine = vendor.make(NOW)
    for body in (b"", genuine.body + b" ", genuine.body[:-1] + b"]", b"\xff"):
        with pytest.raises(SignatureError):
            vendor.verify(replace(genuine, body=body))


def test_each_header_counts(vendor: Signed) -> None:
    genuine = vendor.make(NOW)
    for name, value in genuine.headers.items():
        others = {other: v for other, v in genuine.headers.items() if other != name}
        altered = "1" if value[-1] != "1" else "2"
        for given in ({}, {name: value[:-1] + altered}, {name: ""}, {name: "é"}):
            with pytest.raises(SignatureError):
                vendor.verify(replace(genuine, headers=others | given))


@pytest.mark.parametrize("name", [name for name, vendor in VENDORS.items() if vendor.within])
def test_what_is_late_or_of_the_future_is_nobodys(name: str) -> None:
    vendor = VENDORS[name]
    assert vendor.within
    for at in (NOW - vendor.within, NOW + vendor.within):
        second = timedelta(seconds=1 if at > NOW else -1)
        with pytest.raises(SignatureError):
            vendor.verify(vendor.make(at + second))


def test_only_the_right_secret_opens(vendor: Signed) -> None:
    other = OTHER_KEY if vendor.secret == KEY else "another"
    with pytest.raises(SignatureError) as caught:
        vendor.verify(vendor.make(NOW), other)
    assert not isinstance(caught.value, NotConfigured)
    with pytest.raises(NotConfigured):
        vendor.verify(vendor.make(NOW), "")


@pytest.mark.parametrize(
    "source, prefix, key, number, stamp, body, signature",
    [
        # RULES G2: the standard's own
        (
            StandardWebhookSource(),
            "webhook",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        # https://docs.svix.com/receiving/verifying-payloads/how-manual
        (
            ResendWebhookSource(),
            "svix",
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_the_published_examples_are_genuine(
    source: WebhookSource,
    prefix: str,
    key: str,
    number: str,
    stamp: int,
    body: bytes,
    signature: str,
) -> None:
    names = (f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature")
    given = post(body, dict(zip(names, (number, str(stamp), signature), strict=True)))
    source.verify(given, {"webhook_secret": key}, datetime.fromtimestamp(stamp, UTC))


def test_while_one_secret_replaces_another_both_open() -> None:
    settings = {"webhook_secret": f"{OTHER_KEY} {KEY}"}
    for key in (KEY, OTHER_KEY):
        StandardWebhookSource().verify(standard(NOW, key=key), settings, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_%", "whsec_é", "whsec_AAAA", "abc", " "])
def test_a_secret_that_is_none_is_reported(secret: str) -> None:
    with pytest.raises(NotConfigured):
        StandardWebhookSource().verify(standard(NOW), {"webhook_secret": secret}, NOW)


@pytest.mark.parametrize(
    "body, is_believed",
    [
        (b'{"type": "webhook.test", "message": "This is a ping test message"}', True),
        (b'{"type": "activity.unsubscribed", "data": {"recipient": "anna@example.com"}}', False),
        (b'[{"type": "webhook.test"}, {"type": "activity.unsubscribed"}]', False),
        (b"no JSON", False),
    ],
)
def test_a_secret_that_all_know_only_opens_to_a_test(body: bytes, *, is_believed: bool) -> None:
    given = post(body, {"signature": digest(body, TEST_SECRET)})
    if is_believed:
        VENDORS["mailersend"].verify(given)
        assert MailerSendWebhookSource().parse(body) == []
        return
    with pytest.raises(SignatureError):
        VENDORS["mailersend"].verify(given)


def test_without_a_time_a_signed_body_is_nobodys() -> None:
    for body in (b"no JSON", b"[]", b'{"data": []}', b'{"meta": {"timestamp": 7}}'):
        headers = {"klaviyo-signature": digest(body + b"now"), "klaviyo-timestamp": "now"}
        with pytest.raises(SignatureError):
            VENDORS["klaviyo"].verify(post(body, headers))
