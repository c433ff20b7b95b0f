"""Mails that a vendor received for us: none is an event by itself, and each is read whole."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    SupportsInboundMail,
    VendorEventKind,
)
from preference_center.integrations.mandrill import MandrillWebhookSource
from preference_center.integrations.registry import get_webhook_source
from preference_center.integrations.sendgrid.webhook import SendGridWebhookSource
from preference_center.integrations.ses.webhook import SesWebhookSource
from preference_center.integrations.sparkpost import SparkPostWebhookSource
from tests.integrations.base.posts import ANNA, NOW, URL, post
from tests.integrations.base.sns import message

STOP = "stop@replies.example.com"
RAW = f"From: Anna <{ANNA}>\r\nTo: {STOP}\r\nSubject: Re: News\r\n\r\nPlease stop\r\n"
IN_BASE64 = base64.b64encode(RAW.encode()).decode()


def ses(content: str, encoding: str) -> bytes:
    action = {"type": "SNS", "encoding": encoding}
    mail = {"source": ANNA, "destination": ["news@example.com", STOP]}
    receipt = {"recipients": [STOP], "action": action}
    item = {"notificationType": "Received", "mail": mail, "receipt": receipt, "content": content}
    return message(item)


def sparkpost(content: str, *, is_base64: bool) -> bytes:
    item = {"email_rfc822": content, "email_rfc822_is_base64": is_base64}
    relayed = {"rcpt_to": STOP, "msg_from": ANNA, "content": item, "webhook_id": "1"}
    return json.dumps([{"msys": {"relay_message": relayed}}]).encode()


def mandrill(**more: Any) -> bytes:
    item = {"event": "inbound", "msg": {"email": STOP, "sender": ANNA, **more}}
    return urlencode({"mandrill_events": json.dumps([item])}).encode()


def brevo(**more: Any) -> bytes:
    item = {
        "From": {"Name": "Anna", "Address": ANNA},
        "To": [{"Name": None, "Address": STOP}],
        "Subject": "Re: News",
        "RawTextBody": "Please stop\r\n",
        "RawHtmlBody": None,
    }
    return json.dumps({"items": [item | more]}).encode()


def sendgrid(**fields: str) -> bytes:
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    body = "".join([*lines, "--b--\r\n"]).encode("latin-1")
    return SendGridWebhookSource().stored_body(
        post(body, {"content-type": 'multipart/form-data; boundary="b"'})
    )


ENVELOPE = json.dumps({"to": [STOP], "from": ANNA})
HEADERS = {
    "From": f"Anna <{ANNA}>",
    "To": STOP,
    "Subject": "Re: News",
    "Received": ["from a", "from b"],
    "Content-Type": "multipart/alternative",
}


@dataclass(frozen=True)
class Given:
    kind: str
    body: bytes


GIVEN = {
    "ses": Given("ses", ses(RAW, "UTF8")),
    "ses in base64": Given("ses", ses(IN_BASE64, "BASE64")),
    "sparkpost": Given("sparkpost", sparkpost(RAW, is_base64=False)),
    "sparkpost in base64": Given("sparkpost", sparkpost(IN_BASE64, is_base64=True)),
    "mandrill": Given("mandrill", mandrill(raw_msg=RAW)),
    "brevo": Given("brevo", brevo(Headers=HEADERS)),
    "brevo without headers": Given("brevo", brevo()),
    "brevo with recipients": Given("brevo", brevo(To=[], Recipients=[STOP])),
    "sendgrid whole": Given("sendgrid", sendgrid(email=RAW, envelope=ENVELOPE)),
    "sendgrid in parts": Given(
        "sendgrid",
        sendgrid(
            headers=f"Received: from a\nFrom: Anna <{ANNA}>\nSubject: Re: News\n",
            text="Please stop",
            envelope=ENVELOPE,
        ),
    ),
    "sendgrid, the least": Given(
        "sendgrid",
        sendgrid(
            **{"from": f"Anna <{ANNA}>", "to": STOP, "subject": "Re: News"}, text="Please stop"
        ),
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_mail_is_read_as_it_came(name: str) -> None:
    given = GIVEN[name]
    source = get_webhook_source(given.kind)
    assert isinstance(source, SupportsInboundMail)
    assert list(source.parse(given.body)) == []
    (mail,) = source.parse_mails(given.body)
    assert list(mail.recipients) == [STOP]
    assert mail.sender in {ANNA, ""}
    found: EmailMessage = message_from_bytes(mail.content, policy=policy.default)
    assert (found["From"], found["Subject"]) == (f"Anna <{ANNA}>", "Re: News")
    assert len(found.get_all("From", [])) == 1
    assert found.get_content().strip() == "Please stop"


def test_what_was_stored_elsewhere_waits_for_a_person() -> None:
    """A receipt rule that stores a mail in S3 reports only that there is one."""
    body = ses("", "UTF8")
    assert [event.target for event in SesWebhookSource().parse(body)] == ["Received"]
    assert list(SesWebhookSource().parse_mails(body)) == []


def test_an_event_holds_no_mail() -> None:
    for kind, body in [
        ("ses", message({"notificationType": "Delivery"})),
        ("ses", message("hello")),
        ("sparkpost", b'[{"msys": {"message_event": {"type": "delivery"}}}]'),
        ("mandrill", urlencode({"mandrill_events": '[{"event": "send"}]'}).encode()),
        ("brevo", b'{"event": "delivered", "email": "a@example.com"}'),
        ("sendgrid", b'[{"event": "delivered", "email": "a@example.com"}]'),
    ]:
        source = get_webhook_source(kind)
        assert isinstance(source, SupportsInboundMail)
        assert not source.parse_mails(body)
        assert not source.parse(body)


@pytest.mark.parametrize(
    "source, body",
    [
        (SesWebhookSource(), ses("a", "BASE64")),
        (SparkPostWebhookSource(), sparkpost("a", is_base64=True)),
    ],
    ids=["ses", "sparkpost"],
)
def test_what_cannot_be_decoded_is_refused(source: SupportsInboundMail, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        source.parse_mails(body)


def test_sendgrid_documents_how_each_field_is_encoded() -> None:
    request = sendgrid(text="hör auf", charsets='{"text": "iso-8859-1"}', to=STOP)
    (mail,) = SendGridWebhookSource().parse_mails(request)
    found = message_from_bytes(mail.content, policy=policy.default)
    assert found.get_content().strip() == "hör auf"


def test_mails_may_be_signed_with_another_key_than_events() -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    public = [
        base64.b64encode(
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()
        for key in keys
    ]
    settings = {"webhook_key": " ".join(public[:2])}
    for key, is_ours in zip(keys, [True, True, False], strict=True):
        signature = base64.b64encode(key.sign(b"1[]", ec.ECDSA(SHA256()))).decode()
        headers = {
            "x-twilio-email-event-webhook-signature": signature,
            "x-twilio-email-event-webhook-timestamp": "1",
        }
        if is_ours:
            SendGridWebhookSource().verify(post(b"[]", headers), settings, NOW)
        else:
            with pytest.raises(SignatureError):
                SendGridWebhookSource().verify(post(b"[]", headers), settings, NOW)


def test_so_it_is_at_mandrill() -> None:
    body = mandrill(raw_msg=RAW)
    item = json.dumps(
        [{"event": "inbound", "msg": {"email": STOP, "sender": ANNA, "raw_msg": RAW}}]
    )
    signed = f"{URL}mandrill_events{item}".encode()
    digest = base64.b64encode(hmac.digest(b"second", signed, "sha1")).decode()
    given = post(body, {"x-mandrill-signature": digest})
    MandrillWebhookSource().verify(given, {"signing_key": "first second"}, NOW)
    with pytest.raises(SignatureError):
        MandrillWebhookSource().verify(given, {"signing_key": "first third"}, NOW)


def test_a_notification_is_read_whatever_topic_it_names() -> None:
    """Which topics count is a matter of the proof, and that was given when it came."""
    complaint = {"complainedRecipients": [{"emailAddress": ANNA}]}
    request = json.dumps({"notificationType": "Complaint", "complaint": complaint})
    body = json.dumps({"Type": "Notification", "Message": request}).encode()
    assert [event.kind for event in SesWebhookSource().parse(body)] == [VendorEventKind.COMPLAINED]
