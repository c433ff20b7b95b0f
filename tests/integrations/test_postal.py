from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from preference_center.core.bounce_phrases import BounceCause
from preference_center.core.bounces import Bounce, classify_bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.postal import PostalWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, post

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BODY = b'{"event": "MessageSent", "payload": {}}'
GONE = "550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown"


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def encoded(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


NUMBERS = KEY.public_key().public_numbers()
JWK = {"kty": "RSA", "n": encoded(NUMBERS.n), "e": encoded(NUMBERS.e), "use": "sig"}
BARE = "".join(pem(KEY.public_key()).splitlines()[1:-1])
WRITTEN = {
    "PEM": pem(KEY.public_key()),
    "base64": BARE,
    "DKIM record": f"v=DKIM1; t=s; h=sha256; p={BARE};",
    "key set": json.dumps({"keys": [JWK]}),
    "key": json.dumps(JWK),
}


def signature(digest: SHA1 | SHA256, body: bytes = BODY) -> str:
    return base64.b64encode(KEY.sign(body, padding.PKCS1v15(), digest)).decode()


NEWER = {"x-postal-signature-256": signature(SHA256()), "x-postal-signature": signature(SHA1())}
OLDER = {"x-postal-signature": signature(SHA1())}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("headers", [NEWER, OLDER], ids=["SHA-256", "SHA-1"])
def test_what_the_servers_key_signed_is_genuine(written: str, headers: dict[str, str]) -> None:
    PostalWebhookSource().verify(post(BODY, headers), {"webhook_key": WRITTEN[written]}, NOW)


def test_nothing_else_is() -> None:
    genuine, settings = post(BODY, NEWER), {"webhook_key": BARE}
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    wrong_newer = NEWER | {"x-postal-signature-256": signature(SHA256(), b"another")}
    for forged, given in [
        (replace(genuine, body=BODY + b" "), settings),
        (replace(genuine, headers={}), settings),
        (replace(genuine, headers=wrong_newer), settings),  # the older one fits, and is not asked
        (replace(genuine, headers={"x-postal-signature-256": "*"}), settings),
        (genuine, {"webhook_key": pem(other)}),
    ]:
        with pytest.raises(SignatureError):
            PostalWebhookSource().verify(forged, given, NOW)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "a secret",
        "{",
        "{}",
        '{"keys": [1]}',
        pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
    ],
    ids=["nothing", "a secret", "half a set", "empty set", "no key", "another kind"],
)
def test_without_its_key_nothing_is_believed(written: str) -> None:
    with pytest.raises(NotConfigured, match="webhook_key"):
        PostalWebhookSource().verify(post(BODY, NEWER), {"webhook_key": written}, NOW)


def event(name: str, **payload: Any) -> dict[str, Any]:
    return {"event": name, "timestamp": AT, "uuid": "u-1", "payload": payload}


def parse(row: dict[str, Any]) -> list[VendorEvent]:
    return list(PostalWebhookSource().parse(json.dumps(row).encode()))


def failed(output: str, direction: str = "outgoing") -> dict[str, Any]:
    message = {"id": 7, "direction": direction, "to": ANNA}
    return event("MessageDeliveryFailed", message=message, status="HardFail", output=output)


def test_a_failed_delivery_has_the_servers_words() -> None:
    (vendor_event,) = parse(failed(GONE))
    assert vendor_event == VendorEvent(
        VendorEventKind.BOUNCED, ANNA, None, NOW, "u-1", bounce=Bounce("5.1.1", "550", GONE)
    )


@pytest.mark.parametrize(
    "row",
    [
        failed(""),  # a limit, or the spam filter, of Postal's own
        failed("404 Not Found", "incoming"),
        event("MessageDelayed", message={"to": ANNA}, status="SoftFail", output="451 4.7.1 later"),
        event("MessageHeld", message={"to": ANNA}, status="Held"),
        event("MessageSent", message={"to": ANNA}),
        event("SendLimitExceeded"),
    ],
    ids=["own decision", "incoming", "delayed", "held", "sent", "limit"],
)
def test_what_means_nothing_about_the_person_does_nothing(row: dict[str, Any]) -> None:
    assert parse(row) == []


@pytest.mark.parametrize("name", ["MessageBounced", "MessageDelayed"])
def test_a_bounce_without_a_text_is_not_final(name: str) -> None:
    row = event(name, original_message={"to": ANNA}, bounce={"to": "b1@rp.example.com"})
    (vendor_event,) = parse(row)
    assert (vendor_event.kind, vendor_event.address) == (VendorEventKind.BOUNCED, ANNA)
    assert vendor_event.bounce
    assert classify_bounce(vendor_event.bounce).cause is BounceCause.UNKNOWN


def test_what_is_new_there_is_kept_for_a_person() -> None:
    assert [vendor_event.target for vendor_event in parse(event("MessageComplained"))] == [
        "MessageComplained"
    ]
    with pytest.raises(InvalidInput):
        parse({"payload": {}})


RAW = f"From: {ANNA}\r\nSubject: Re: News\r\n\r\nstop\r\n".encode()


@pytest.mark.parametrize(
    "form, content",
    [
        ({"message": base64.encodebytes(RAW).decode(), "base64": True}, RAW),
        ({"message": RAW.decode(), "base64": False}, RAW),
    ],
    ids=["in base64", "as it is"],
)
def test_a_mail_received_is_read_as_a_reply(form: dict[str, Any], content: bytes) -> None:
    row = {"id": 1, "rcpt_to": "stop@replies.example.com", "mail_from": ANNA, **form}
    body = json.dumps(row).encode()
    assert PostalWebhookSource().parse(body) == []
    (mail,) = PostalWebhookSource().parse_mails(body)
    assert (mail.sender, mail.recipients) == (ANNA, ["stop@replies.example.com"])
    assert mail.content == content


def test_so_is_one_that_is_reported_in_parts() -> None:
    row = {
        "rcpt_to": "stop@replies.example.com",
        "from": f"Anna <{ANNA}>",
        "subject": "Re: News",
        "auto_submitted": None,
        "plain_body": "stop",
    }
    (mail,) = PostalWebhookSource().parse_mails(json.dumps(row).encode())
    assert b"From: Anna <anna@example.com>" in mail.content
    assert b"stop" in mail.content
    assert b"Auto-Submitted" not in mail.content
    (bounced,) = PostalWebhookSource().parse_mails(json.dumps({**row, "bounce": True}).encode())
    assert b"Auto-Submitted: auto-replied" in bounced.content  # a machine's


def test_a_mail_that_cannot_be_decoded_is_refused() -> None:
    row = {"rcpt_to": "stop@replies.example.com", "message": "a", "base64": True}
    with pytest.raises(InvalidInput):
        PostalWebhookSource().parse_mails(json.dumps(row).encode())
