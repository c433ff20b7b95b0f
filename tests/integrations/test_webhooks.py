"""Vendors' webhooks: what proves that they are theirs, and what they say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    WHOLE_LIST,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.hubspot.webhook import HubSpotWebhookSource
from preference_center.integrations.mailchimp.webhook import MailchimpWebhookSource
from preference_center.integrations.registry import get_webhook_source, load_webhooks
from preference_center.integrations.sendgrid.webhook import SendGridWebhookSource

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
URL = "https://preferences.example.com/in/mailer"
ANNA = "anna@example.com"


def post(
    body: bytes, headers: Mapping[str, str] | None = None, secret: str = "", method: str = "POST"
) -> WebhookRequest:
    return WebhookRequest(method, URL, secret, headers or {}, body)


class TestSendGrid:
    source = SendGridWebhookSource()

    @pytest.fixture
    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def settings(self, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {"webhook_key": base64.b64encode(der).decode()}

    def signed(self, key: ec.EllipticCurvePrivateKey, body: bytes) -> WebhookRequest:
        signature = key.sign(b"1700000000" + body, ec.ECDSA(SHA256()))
        return post(
            body,
            {
                "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
                "x-twilio-email-event-webhook-timestamp": "1700000000",
            },
        )

    def test_the_vendors_own_example_is_genuine(self) -> None:
        # https://github.com/sendgrid/sendgrid-nodejs, packages/eventwebhook
        settings = {
            "webhook_key": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaW"
            "jcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="
        }
        headers = {
            "x-twilio-email-event-webhook-signature": "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUl"
            "BkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=",
            "x-twilio-email-event-webhook-timestamp": "1588788367",
        }
        body = b'{"category":"example_payload","event":"test_event","message_id":"message_id"}'
        self.source.verify(post(body, headers), settings, NOW)
        with pytest.raises(SignatureError):
            self.source.verify(post(body + b" ", headers), settings, NOW)

    def test_only_what_the_key_signed_is_genuine(self, key: ec.EllipticCurvePrivateKey) -> None:
        genuine = self.signed(key, b"[]")
        self.source.verify(genuine, self.settings(key), NOW)
        other = ec.generate_private_key(ec.SECP256R1())
        for forged, settings in [
            (replace(genuine, body=b"[{}]"), self.settings(key)),
            (genuine, self.settings(other)),
            (genuine, {}),
            (genuine, {"webhook_key": "no key"}),
            (replace(genuine, headers={}), self.settings(key)),
            (replace(genuine, headers=dict.fromkeys(genuine.headers, "!")), self.settings(key)),
            (replace(genuine, headers=dict.fromkeys(genuine.headers, "é")), self.settings(key)),
        ]:
            with pytest.raises(SignatureError):
                self.source.verify(forged, settings, NOW)

    def test_what_its_events_mean(self) -> None:
        def row(event: str, **more: object) -> dict[str, object]:
            at = int(NOW.timestamp())
            return {"event": event, "email": ANNA, "timestamp": at, "sg_event_id": event} | more

        body = [
            row("group_unsubscribe", asm_group_id=11),
            row("unsubscribe", asm_group_id=11),
            row("spamreport", asm_group_id=11),
            row("bounce", type="bounce", bounce_classification="Invalid Address", reason="gone"),
            row("bounce", bounce_classification="Mailbox Unavailable", status="5.2.2"),
            row("bounce", type="blocked"),
            row("group_resubscribe", asm_group_id=11),
            row("open"),
        ]

        def vendor_event(kind: VendorEventKind, act: str, target: str | None = None) -> VendorEvent:
            return VendorEvent(
                kind, ANNA, target, NOW, act, by_person=kind is not VendorEventKind.BOUNCED
            )

        bounced = vendor_event(VendorEventKind.BOUNCED, "bounce")
        assert self.source.parse(json.dumps(body).encode()) == [
            vendor_event(VendorEventKind.OPTED_OUT, "group_unsubscribe", "11"),
            vendor_event(VendorEventKind.OPTED_OUT, "unsubscribe"),
            vendor_event(VendorEventKind.COMPLAINED, "spamreport", "11"),
            replace(bounced, bounce=Bounce(diagnostic="gone", permanent=True, bad_address=True)),
            replace(bounced, bounce=Bounce("5.2.2", permanent=False)),
            replace(bounced, bounce=Bounce(permanent=False)),
            vendor_event(VendorEventKind.RESUBSCRIBED, "group_resubscribe", "11"),
        ]


class TestMailchimp:
    source = MailchimpWebhookSource()

    def test_only_who_knows_the_secret_is_genuine(self) -> None:
        settings = {"webhook_secret": "long and random"}
        self.source.verify(post(b"", secret="long and random"), settings, NOW)
        for secret, known in [("", settings), ("another", settings), ("", {})]:
            with pytest.raises(SignatureError):
                self.source.verify(post(b"", secret=secret), known, NOW)

    def signed(self, body: bytes, at: datetime = NOW, secret: str = "") -> WebhookRequest:
        stamp = int(at.timestamp())
        digest = hmac.digest(b"signing", f"{stamp}.".encode() + body, "sha256").hex()
        return post(body, {"x-mailchimp-signature": f"t={stamp},v1={digest}"}, secret)

    @pytest.mark.parametrize(
        "secret", ["", "long and random"], ids=["alone", "with one in the path"]
    )
    def test_with_a_signing_secret_only_what_is_signed_is_genuine(self, secret: str) -> None:
        settings = {"signing_secret": "signing", "webhook_secret": secret}
        body = b"type=unsubscribe&data%5Bemail%5D=anna%40example.com"
        genuine = self.signed(body, secret=secret)
        self.source.verify(genuine, settings, NOW)
        self.source.verify(self.signed(body, NOW - timedelta(minutes=75), secret), settings, NOW)
        given = genuine.headers["x-mailchimp-signature"]
        for forged in [
            replace(genuine, headers={}),
            replace(genuine, body=body + b"x"),
            replace(genuine, path_secret="another"),
            replace(genuine, headers={"x-mailchimp-signature": "v1=" + given.partition("v1=")[2]}),
            replace(genuine, headers={"x-mailchimp-signature": f"t=,v1={'0' * 64}"}),
            self.signed(body, NOW - timedelta(minutes=81), secret),
            self.signed(body, NOW + timedelta(minutes=81), secret),
        ]:
            with pytest.raises(SignatureError):
                self.source.verify(forged, settings, NOW)

    def test_while_a_signing_secret_changes_there_may_be_two_signatures(self) -> None:
        genuine = self.signed(b"type=profile")
        given = genuine.headers["x-mailchimp-signature"].replace(",v1=", f",v1={'0' * 64}, v1=")
        both = replace(genuine, headers={"x-mailchimp-signature": given})
        self.source.verify(both, {"signing_secret": "signing"}, NOW)

    def test_an_event_of_another_audience_is_not_for_this_destination(self) -> None:
        settings = {"webhook_secret": "long and random", "audience": "a1"}
        for list_id, is_ours in [("a1", True), ("b2", False), ("", True)]:
            form = {"type": "unsubscribe", "data[email]": ANNA, "data[list_id]": list_id}
            given = post(urlencode(form).encode(), secret="long and random")
            with (
                nullcontext()
                if is_ours
                else pytest.raises(SignatureError, match="another audience")
            ):
                self.source.verify(given, settings, NOW)

    def test_an_opt_out_without_an_address_is_not_passed_over(self) -> None:
        (vendor_event,) = self.source.parse(b"type=unsubscribe&data%5Bphone%5D=%2B15550100")
        assert vendor_event.kind is VendorEventKind.UNKNOWN_TYPE

    @pytest.mark.parametrize(
        "form, kind",
        [
            ({"type": "unsubscribe", "data[reason]": "manual"}, VendorEventKind.OPTED_OUT),
            ({"type": "unsubscribe", "data[reason]": "abuse"}, VendorEventKind.COMPLAINED),
            ({"type": "unsubscribe", "data[action]": "delete"}, None),
            ({"type": "cleaned", "data[reason]": "hard"}, VendorEventKind.BOUNCED),
            ({"type": "cleaned", "data[reason]": "abuse"}, VendorEventKind.COMPLAINED),
            ({"type": "subscribe"}, VendorEventKind.RESUBSCRIBED),
            ({"type": "profile"}, VendorEventKind.CONTACT_CHANGED),
            ({"type": "campaign"}, None),
        ],
    )
    def test_what_its_events_mean(self, form: dict[str, str], kind: VendorEventKind | None) -> None:
        given = form | {"fired_at": "2026-11-25 12:00:00", "data[email]": ANNA}
        found = self.source.parse(urlencode(given).encode())
        assert found == ([VendorEvent(kind, ANNA, WHOLE_LIST, NOW)] if kind else [])

    def test_a_new_address_is_the_one_that_counts(self) -> None:
        form = {"type": "upemail", "data[old_email]": "old@example.com", "data[new_email]": ANNA}
        (vendor_event,) = self.source.parse(urlencode(form).encode())
        assert (vendor_event.kind, vendor_event.address) == (VendorEventKind.CONTACT_CHANGED, ANNA)


class TestHubSpot:
    source = HubSpotWebhookSource()
    settings = {"client_secret": "app secret"}  # noqa: RUF012 - never changed

    def signed(self, body: bytes, at: datetime = NOW) -> WebhookRequest:
        stamp = str(int(at.timestamp() * 1000))
        signed = b"POST" + URL.encode() + body + stamp.encode()
        digest = hmac.digest(b"app secret", signed, hashlib.sha256)
        return post(
            body,
            {
                "x-hubspot-signature-v3": base64.b64encode(digest).decode(),
                "x-hubspot-request-timestamp": stamp,
            },
        )

    def test_only_what_the_app_signed_just_now_is_genuine(self) -> None:
        genuine = self.signed(b"[]")
        self.source.verify(genuine, self.settings, NOW)
        for forged, settings in [
            (replace(genuine, body=b"[{}]"), self.settings),
            (replace(genuine, url=URL + "x"), self.settings),
            (replace(genuine, method="GET"), self.settings),
            (replace(genuine, headers={}), self.settings),
            (genuine, {"client_secret": "another"}),
            (genuine, {}),
            (self.signed(b"[]", NOW - timedelta(minutes=6)), self.settings),
        ]:
            with pytest.raises(SignatureError):
                self.source.verify(forged, settings, NOW)

    def test_what_its_events_mean(self) -> None:
        def row(what: str, **more: object) -> dict[str, object]:
            at = int(NOW.timestamp() * 1000)
            return {"eventId": 7, "subscriptionId": 5, "occurredAt": at, "objectId": 42} | {
                "subscriptionType": what,
                **more,
            }

        def changed(name: str, value: str) -> dict[str, object]:
            return row("contact.propertyChange", propertyName=name, propertyValue=value)

        body = [
            row("contact.creation"),
            row("object.creation", objectTypeId="0-1"),
            row("object.creation", objectTypeId="0-2"),
            changed("email", ANNA),
            changed("hs_email_optout", "true"),
            changed("hs_email_optout_11", "true"),
            changed("hs_email_optout_11", "false"),
            changed("hs_email_hard_bounce_reason_enum", "UNKNOWN_USER"),
            changed("hs_email_hard_bounce_reason_enum", "MAILBOX_FULL"),
            changed("firstname", "Anna"),
            row("contact.deletion"),
        ]
        found = self.source.parse(json.dumps(body).encode())
        assert [
            (vendor_event.kind, vendor_event.address, vendor_event.target) for vendor_event in found
        ] == [
            (VendorEventKind.CONTACT_CHANGED, "", None),
            (VendorEventKind.CONTACT_CHANGED, "", None),
            (VendorEventKind.CONTACT_CHANGED, ANNA, None),
            (VendorEventKind.OPTED_OUT, "", None),
            (VendorEventKind.OPTED_OUT, "", "11"),
            (VendorEventKind.RESUBSCRIBED, "", "11"),
            (VendorEventKind.BOUNCED, "", None),
        ]
        assert {
            (vendor_event.contact_id, vendor_event.occurred_at, vendor_event.by_person)
            for vendor_event in found
        } == {("42", NOW, False)}


@pytest.mark.parametrize(
    "kind", [kind for kind, each in load_webhooks().items() if isinstance(each, WebhookSource)]
)
def test_garbage_is_refused_and_not_quoted(kind: str) -> None:  # I12
    for body in (b"", b"[1]", b"<html>anna@example.com</html>", b"\xff"):
        with pytest.raises(InvalidInput) as caught:
            get_webhook_source(kind).parse(body)
        assert "anna" not in str(caught.value), body


def test_what_a_webhook_needs_is_optional() -> None:
    for webhook in load_webhooks().values():
        assert all(name.endswith("?") for name in webhook.settings)


def test_whose_settings_are_secret_is_known() -> None:
    public = {"webhook_key", "webhook_user", "networks", "topic_arns", "help_text", "number"}
    for webhook in load_webhooks().values():
        names = {name.removesuffix("?") for name in webhook.settings}
        assert names - public <= webhook.secret_settings
