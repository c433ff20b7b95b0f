"""Twilio's webhook: its own published signatures, and what its fields say."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.integration import to_mail
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    SmsIntent,
    TextMessage,
    WebhookRequest,
)
from preference_center.integrations.twilio.webhook import TwilioSmsWebhook

WEBHOOK = TwilioSmsWebhook()

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TOKENS = {"auth_token": "12345"}
# The example of twilio.com/docs/usage/security, and of the tests of Twilio's own libraries:
# github.com/twilio/twilio-python, tests/unit/test_request_validator.py
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
JSON = b'{"property": "value", "boolean": true}'
JSON_URL = f"{URL}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="


def post(body: bytes, signature: str | None, url: str = URL, **headers: str) -> WebhookRequest:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if signature is not None:
        given["x-twilio-signature"] = signature
    return WebhookRequest("POST", url, "", given, body)


def form(**more: str) -> bytes:
    return urlencode(FIELDS | more).encode()


def verify(post: WebhookRequest, settings: Mapping[str, str] = TOKENS) -> None:
    TwilioSmsWebhook().verify(post, settings, NOW)


@pytest.mark.parametrize(
    "genuine",
    [
        post(form(), SIGNATURE),
        post(urlencode([*reversed(FIELDS.items())]).encode(), SIGNATURE),
        post(
            b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
        post(JSON, JSON_SIGNATURE, JSON_URL),
    ],
    ids=["form", "in another order", "a name twice", "JSON"],
)
def test_the_vendors_own_examples_are_genuine(genuine: WebhookRequest) -> None:
    verify(genuine)


@pytest.mark.parametrize(
    "forged",
    [
        post(form(Digits="1235"), SIGNATURE),
        post(form(OptOutType=""), SIGNATURE),
        post(form(), SIGNATURE, URL.replace("bar=2", "bar=3")),
        post(form(), SIGNATURE.lower()),
        post(form(), ""),
        post(form(), None),
        post(b"\xff", SIGNATURE),
        post(JSON + b" ", JSON_SIGNATURE, JSON_URL),
        post(JSON, SIGNATURE, JSON_URL),
        post(form(), SIGNATURE, x_twilio_webhooks_signature_settings="key=K,algorithm=HMAC_MD5"),
        post(form(), SIGNATURE, x_twilio_webhooks_signature_settings=""),
    ],
)
def test_anything_else_is_not(forged: WebhookRequest) -> None:
    with pytest.raises(SignatureError) as found:
        verify(forged, TOKENS | {"shared_key": "12345"})
    assert not isinstance(found.value, NotConfigured)


def test_a_key_of_the_companys_own_may_sign_instead() -> None:
    # https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys
    signed = URL + "".join(name + value for name, value in sorted(FIELDS.items()))
    digest = hmac.digest(b"own", signed.encode(), hashlib.sha256)
    signature = base64.b64encode(digest).decode()
    named = {"x_twilio_webhooks_signature_settings": "key=K1,algorithm=HMAC_SHA256"}
    verify(post(form(), signature, **named), {"shared_key": "own"})
    with pytest.raises(SignatureError):  # the header must not choose a weaker key
        verify(post(form(), signature, **named), {"auth_token": "own"})
    with pytest.raises(SignatureError):
        verify(post(form(), SIGNATURE), {"shared_key": "12345"})


def test_without_a_key_nothing_is_believed() -> None:
    with pytest.raises(NotConfigured, match="auth_token"):
        verify(post(form(), SIGNATURE), {})


def test_a_message_is_read_from_a_form_or_from_json() -> None:
    sent = {"From": "+393331234567", "To": "+15550100", "Body": "STOP", "MessageSid": "SM1"}
    text = TextMessage("+393331234567", frozenset({"+15550100"}), "STOP", "SM1", None)
    assert WEBHOOK.parse_text_message(urlencode(sent).encode()) == text
    assert WEBHOOK.parse_text_message(
        b'{"From":"+393331234567","To":"+15550100","Body":"STOP","MessageSid":"SM1"}'
    )
    assert "333" not in repr(text)  # I12
    assert "STOP" not in repr(text)


@pytest.mark.parametrize(
    "more, sender, handled",
    [
        ({"OptOutType": "STOP"}, "+393331234567", SmsIntent.STOP),
        ({"OptOutType": "start"}, "+393331234567", SmsIntent.START),
        ({"OptOutType": "LATER"}, "+393331234567", None),
        ({"From": "whatsapp:+393331234567"}, "+393331234567", None),
        ({"From": "rcs:+393331234567"}, "+393331234567", None),
        ({"From": "41411"}, "41411", None),
    ],
)
def test_what_twilio_adds(more: dict[str, str], sender: str, handled: SmsIntent | None) -> None:
    text = WEBHOOK.parse_text_message(
        urlencode({"From": "+393331234567", "Body": "x"} | more).encode()
    )
    assert text
    assert (text.sender, text.handled_as) == (sender, handled)


def test_what_became_of_our_own_messages_is_nobodys_word() -> None:
    assert (
        WEBHOOK.parse_text_message(b"MessageSid=SM1&MessageStatus=delivered&To=%2B393331234567")
        is None
    )


@pytest.mark.parametrize("body", [b"", b"CallSid=CA1", b"{", b"\xff\xfe"])
def test_what_is_no_message_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="promises"):
        WEBHOOK.parse_text_message(body)


@pytest.mark.parametrize("words", ["¿Quién es?", "", "a\r\nb\x00", "\ud800", "From me\n.\n"])
def test_any_text_can_be_written_as_a_mail(words: str) -> None:
    text = TextMessage(f"{words}1", frozenset({words}), words, "SM1", None)
    mail = message_from_bytes(to_mail(text), policy=policy.default)
    assert mail["Subject"] == "SMS"
    reply = mail.get_content().replace("\r", "").strip("\n")
    assert reply == words.encode(errors="replace").decode().replace("\r", "").strip("\n")


def test_the_answer_is_twiml() -> None:
    assert not list(ET.fromstring(WEBHOOK.format_reply("")))
    (message,) = ET.fromstring(WEBHOOK.format_reply("Fish & <Chips>"))
    assert (message.tag, message.text) == ("Message", "Fish & <Chips>")
