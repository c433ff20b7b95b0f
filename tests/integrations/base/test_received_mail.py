"""Mails that vendors receive and post, and the older forms of Mailgun's webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import pytest

from preference_center.integrations.base.vendor_events import SignatureError, VendorEventKind
from preference_center.integrations.base.webhook_mail import compose_mail, parse_form
from preference_center.integrations.mailersend.webhook import MailerSendWebhookSource
from preference_center.integrations.mailgun.webhook import MailgunWebhookSource
from preference_center.integrations.postmark.webhook import PostmarkWebhookSource
from preference_center.integrations.resend.webhook import ResendWebhookSource
from preference_center.integrations.sendgrid.webhook import SendGridWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, post

SETTINGS = {"signing_key": "key-of-ours"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": 'multipart/form-data; boundary="b"'}


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def signed(**fields: str) -> dict[str, str]:
    digest = hmac.new(b"key-of-ours", f"{AT}token".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": str(AT), "token": "token", "signature": digest, **fields}


def multipart(fields: dict[str, str]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = '--b\r\nContent-Disposition: form-data; name="a"; filename="x"\r\n\r\nxx\r\n'
    return "".join([*parts, file, "--b--\r\n"]).encode()


@pytest.mark.parametrize("kind", ["form", "multipart"])
class TestMailgunsForms:
    def whole(self, kind: str, **fields: str) -> bytes:
        given = signed(**fields)
        body = urlencode(given).encode() if kind == "form" else multipart(given)
        asked = post(body, FORM if kind == "form" else MULTIPART)
        source = MailgunWebhookSource()
        assert source.verify(asked, SETTINGS, NOW) == "token"
        with pytest.raises(SignatureError):
            source.verify(asked, {"signing_key": "another"}, NOW)
        return source.stored_body(asked)

    @pytest.mark.parametrize("event", ["unsubscribed", "complained"])
    def test_an_older_event_is_recorded(self, kind: str, event: str) -> None:
        (vendor_event,) = MailgunWebhookSource().parse(
            self.whole(kind, event=event, recipient=ANNA)
        )
        assert (vendor_event.kind, vendor_event.address) == (
            VendorEventKind.OPTED_OUT if event == "unsubscribed" else VendorEventKind.COMPLAINED,
            ANNA,
        )
        assert (vendor_event.occurred_at, vendor_event.by_person) == (NOW, True)

    @pytest.mark.parametrize(
        "fields, bounces",
        [
            ({"event": "bounced", "code": "550", "error": "5.1.1 no such user"}, True),
            ({"event": "dropped", "reason": "hardfail", "code": "550"}, True),
            ({"event": "dropped", "reason": "old", "code": "498"}, False),
            ({"event": "dropped", "reason": "hardfail", "code": "605"}, True),
            ({"event": "dropped", "reason": "hardfail", "code": "612"}, False),
            ({"event": "delivered"}, False),
        ],
        ids=["bounced", "given up", "too old", "bounced before", "not tried", "delivered"],
    )
    def test_an_older_bounce_is_one_where_mailgun_gave_up(
        self, kind: str, fields: dict[str, str], *, bounces: bool
    ) -> None:
        events = MailgunWebhookSource().parse(self.whole(kind, recipient=ANNA, **fields))
        assert [each.kind for each in events] == [VendorEventKind.BOUNCED] * bounces

    def test_a_forwarded_mail_is_read_from_its_parts(self, kind: str) -> None:
        headers = [["From", "Anna <anna@example.com>"], ["Subject", "Re: News"], ["X-A", "b"]]
        body = self.whole(
            kind,
            recipient="stop@acme.example",
            sender=ANNA,
            **{"message-headers": json.dumps(headers), "body-plain": "Please unsubscribe me"},
        )
        assert list(MailgunWebhookSource().parse(body)) == []
        (mail,) = MailgunWebhookSource().parse_mails(body)
        assert (list(mail.recipients), mail.sender) == (["stop@acme.example"], ANNA)
        found = read(mail.content)
        assert (found["From"], found["Subject"]) == ("Anna <anna@example.com>", "Re: News")
        assert found.get_content().strip() == "Please unsubscribe me"

    def test_a_whole_mail_is_taken_as_it_is(self, kind: str) -> None:
        raw = "From: a@example.com\r\n\r\nstop"
        body = self.whole(kind, recipient="stop@acme.example", **{"body-mime": raw})
        assert MailgunWebhookSource().parse_mails(body)[0].content == raw.encode()


def test_what_is_no_form_has_no_fields() -> None:
    assert parse_form(post(b"{}", {"content-type": "application/json"})) is None
    assert parse_form(post(b"{}")) is None
    assert parse_form(post(b"x", MULTIPART)) == {}


def test_a_composed_mail_holds_no_field_that_was_not_given() -> None:
    mail = read(
        compose_mail(
            [
                ("From", "a@example.com\r\nBcc: b@example.com"),
                ("Content-Type", "x/y"),
                ("a b", "c"),
            ],
            "Schluß",
            "<p>Schluß</p>",
        )
    )
    assert mail["Bcc"] is None
    assert mail["a b"] is None
    text = mail.get_body(("plain",))
    assert text
    assert text.get_content().strip() == "Schluß"


INBOUND: dict[str, Any] = {
    "FromName": "Anna",
    "FromFull": {"Email": ANNA, "Name": "Anna"},
    "From": ANNA,
    "To": '"Acme" <stop@acme.example>',
    "OriginalRecipient": "stop@acme.example",
    "Subject": "Re: News",
    "TextBody": "Please unsubscribe me",
    "Headers": [{"Name": "In-Reply-To", "Value": "<1@acme.example>"}, None, {"Name": "X"}],
}


@pytest.mark.parametrize("record", [{}, {"RecordType": "Inbound"}], ids=["older", "newer"])
def test_postmark_s_inbound_mail_is_read(record: dict[str, str]) -> None:
    body = json.dumps(INBOUND | record).encode()
    assert list(PostmarkWebhookSource().parse(body)) == []
    (mail,) = PostmarkWebhookSource().parse_mails(body)
    assert list(mail.recipients) == ["stop@acme.example"]
    found = read(mail.content)
    assert (found["From"], found["In-Reply-To"]) == (ANNA, "<1@acme.example>")
    assert found.get_content().strip() == "Please unsubscribe me"


def test_postmark_s_inbound_mail_is_taken_whole_where_it_is_posted_so() -> None:
    body = json.dumps(INBOUND | {"RawEmail": "From: x@example.com\n\nHello"}).encode()
    assert PostmarkWebhookSource().parse_mails(body)[0].content == b"From: x@example.com\n\nHello"


def test_mailersend_s_inbound_mail_is_read() -> None:
    data = {
        "from": {"email": ANNA, "name": "Anna"},
        "recipients": {"rcptTo": [{"email": "stop@acme.example"}, None]},
        "subject": "Re: News",
        "headers": {"In-Reply-To": "<1@acme.example>", "subject": "no"},
        "text": "STOP",
    }
    body = json.dumps({"type": "inbound.message", "data": data}).encode()
    assert list(MailerSendWebhookSource().parse(body)) == []
    (mail,) = MailerSendWebhookSource().parse_mails(body)
    assert list(mail.recipients) == ["stop@acme.example"]
    found = read(mail.content)
    assert (found["From"], found["Subject"]) == ("Anna <anna@example.com>", "Re: News")
    assert found.get_content().strip() == "STOP"


def test_a_sender_whose_address_is_not_ascii_is_read_as_well() -> None:
    data = {"from": {"email": "josé@example.com", "name": "José"}, "text": "STOP"}
    body = json.dumps({"type": "inbound.message", "data": data}).encode()
    (mail,) = MailerSendWebhookSource().parse_mails(body)
    assert "<josé@example.com>" in mail.content.decode()


def test_resend_s_received_mail_has_no_text() -> None:
    data = {
        "from": "Anna <anna@example.com>",
        "to": ["stop@acme.example"],
        "subject": "unsubscribe",
        "message_id": "<2@example.com>",
    }
    body = json.dumps({"type": "email.received", "data": data}).encode()
    assert list(ResendWebhookSource().parse(body)) == []
    (mail,) = ResendWebhookSource().parse_mails(body)
    found = read(mail.content)
    assert (found["Subject"], found.get_content().strip()) == ("unsubscribe", "")
    assert list(mail.recipients) == ["stop@acme.example"]


@pytest.mark.parametrize(
    "event, data, kind",
    [
        (
            "email.suppressed",
            {"to": [ANNA], "suppressed": {"message": "x"}},
            VendorEventKind.BOUNCED,
        ),
        ("suppression.added", {"email": ANNA, "origin": "bounce"}, VendorEventKind.BOUNCED),
        ("suppression.added", {"email": ANNA, "origin": "complaint"}, VendorEventKind.COMPLAINED),
        ("suppression.added", {"email": ANNA, "origin": "manual"}, VendorEventKind.OPTED_OUT),
        ("suppression.removed", {"email": ANNA, "origin": "manual"}, VendorEventKind.RESUBSCRIBED),
    ],
    ids=["a mail", "bounce", "complaint", "manual", "removed"],
)
def test_what_resend_has_on_its_list_is_recorded(
    event: str, data: dict[str, Any], kind: VendorEventKind
) -> None:
    body = json.dumps({"type": event, "created_at": NOW.isoformat(), "data": data}).encode()
    (vendor_event,) = ResendWebhookSource().parse(body)
    assert (vendor_event.kind, vendor_event.address, vendor_event.occurred_at) == (kind, ANNA, NOW)
    assert (vendor_event.bounce is not None and vendor_event.bounce.permanent) is (
        kind is VendorEventKind.BOUNCED
    )


@pytest.mark.parametrize(
    "reason, kind",
    [
        ("unsubscribed", VendorEventKind.OPTED_OUT),
        ("spam complaint", VendorEventKind.COMPLAINED),
        ("hard bounced", VendorEventKind.BOUNCED),
    ],
    ids=["unsubscribed", "spam", "bounce"],
)
def test_what_mailersend_suppressed_is_recorded(reason: str, kind: VendorEventKind) -> None:
    data = {"recipient": ANNA, "meta": {"reason": reason}}
    body = json.dumps({"type": "activity.suppressed", "data": data}).encode()
    (vendor_event,) = MailerSendWebhookSource().parse(body)
    assert (vendor_event.kind, vendor_event.address) == (kind, ANNA)


def test_what_mailersend_suppressed_for_no_known_reason_is_for_a_person() -> None:
    body = json.dumps({"type": "activity.suppressed", "data": {"recipient": ANNA}}).encode()
    assert [event.kind for event in MailerSendWebhookSource().parse(body)] == [
        VendorEventKind.UNKNOWN_TYPE
    ]


@pytest.mark.parametrize(
    "reason, kind, target",
    [
        ("Unsubscribed Address", VendorEventKind.OPTED_OUT, "7"),
        ("Spam Reporting Address", VendorEventKind.COMPLAINED, "7"),
        ("Bounced Address", VendorEventKind.BOUNCED, None),
    ],
    ids=["unsubscribed", "spam", "bounced"],
)
def test_what_sendgrid_dropped_is_recorded(
    reason: str, kind: VendorEventKind, target: str | None
) -> None:
    row = {"event": "dropped", "reason": reason, "email": ANNA, "asm_group_id": 7, "timestamp": AT}
    (vendor_event,) = SendGridWebhookSource().parse(json.dumps([row]).encode())
    assert (
        vendor_event.kind,
        vendor_event.address,
        vendor_event.target,
        vendor_event.by_person,
    ) == (
        kind,
        ANNA,
        target,
        False,
    )


@pytest.mark.parametrize("reason", ["Invalid SMTPAPI header", "Spam Content", "", "Invalid"])
def test_what_sendgrid_dropped_for_the_mail_s_sake_is_nobody_s_doing(reason: str) -> None:
    row = {"event": "dropped", "reason": reason, "email": ANNA}
    assert list(SendGridWebhookSource().parse(json.dumps([row]).encode())) == []


class TestWhatNobodySentSo:
    """A field of a form, or an address, is what somebody wrote: it must not lose the mail."""

    @pytest.mark.parametrize("charset", ["x-unknown", "hex", "utf-8", "punycode"])
    def test_a_text_in_no_known_charset_is_read(self, charset: str) -> None:
        given = {"charsets": json.dumps({"text": charset}), "text": "please unsubscribe me"}
        form = parse_form(post(multipart(given), MULTIPART))
        assert form
        assert form["text"] == "please unsubscribe me"

    @pytest.mark.parametrize("charsets", ["{", "[]", "["], ids=["cut", "a list", "no JSON"])
    def test_charsets_that_cannot_be_read_count_for_nothing(self, charsets: str) -> None:
        form = parse_form(post(multipart({"charsets": charsets, "text": "stöp"}), MULTIPART))
        assert form
        assert form["text"] == "stöp"

    def test_bytes_that_are_not_utf_8_are_read_as_in_any_mail(self) -> None:
        body = multipart({"text": "stop ~"}).replace(b"~", b"\xe9")
        form = parse_form(post(body, MULTIPART))
        assert form
        assert form["text"] == "stop é"
        form = parse_form(post(b"text=stop+%E9", FORM))
        assert form
        assert form["text"] == "stop \ufffd"

    @pytest.mark.parametrize(
        "disposition",
        ["(" * 5000, "filename*1*=x; filename*0=y; filename*", "filename*=x''%ff"],
        ids=["comments", "numbered twice", "no charset"],
    )
    def test_a_file_may_have_any_name(self, disposition: str) -> None:
        body = multipart({"text": "stop"}).replace(b'filename="x"', disposition.encode())
        form = parse_form(post(body, MULTIPART))
        assert form
        assert form["text"] == "stop"

    @pytest.mark.parametrize(
        "hostile", ["(" * 3000, ":" * 3000, "a:" * 3000], ids=["comments", "colons", "groups"]
    )
    def test_a_field_of_any_depth_is_read(self, hostile: str) -> None:
        row = {**INBOUND, "OriginalRecipient": "", "To": hostile}
        (mail,) = PostmarkWebhookSource().parse_mails(json.dumps(row).encode())
        assert read(mail.content)["From"] == ANNA
