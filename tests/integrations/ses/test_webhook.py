from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    SubscriptionConfirmation,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
)
from preference_center.integrations.ses.webhook import SesWebhookSource
from tests.integrations.base.posts import ANNA, NOW, post
from tests.integrations.base.sns import CERTIFICATE_URL, TOPIC, certificate, message, subscription

SETTINGS = {"topic_arns": f"arn:aws:sns:us-east-1:123456789012:other {TOPIC}"}
STAMP = "2026-11-25T12:00:00.000Z"
OUT, IN = VendorEventKind.OPTED_OUT, VendorEventKind.RESUBSCRIBED


def signed(body: bytes, pem: bytes | None = None) -> WebhookRequest:
    return replace(post(body), certificate=certificate() if pem is None else pem)


def parse(event: dict[str, Any]) -> list[VendorEvent]:
    return list(SesWebhookSource().parse(message(event)))


@pytest.mark.parametrize(
    "body",
    [
        message("hello"),
        message("hello", version="1"),
        message('{"a": "line\\nbreak"}', Subject="Grüße"),
        message("bye", "UnsubscribeConfirmation", Token="t", SubscribeURL="https://x"),
        subscription(),
    ],
)
def test_what_sns_signed_is_genuine(body: bytes) -> None:
    assert SesWebhookSource().certificate_url(post(body), SETTINGS) == CERTIFICATE_URL
    SesWebhookSource().verify(signed(body), SETTINGS, NOW)


@pytest.mark.parametrize(
    "given",
    [
        signed(message("hello").replace(b"hello", b"hallo")),
        signed(message("hello").replace(b'"SignatureVersion": "2"', b'"SignatureVersion": "1"')),
        signed(message("hello", version="3")),
        signed(message("hello", kind="Other")),
        signed(message("hello", Timestamp="2026-11-25T09:59:59.000Z")),
        signed(message("hello", Timestamp="never")),
        signed(message("hello"), certificate("evil.example")),
        signed(message("hello"), certificate("sns.amazonaws.com.evil.example")),
        signed(message("hello"), certificate(days=-1)),
        signed(message("hello"), b"no certificate"),
        signed(message("hello"), b""),
        signed(b'{"TopicArn": "' + TOPIC.encode() + b'"}'),
        signed(b"[]"),
    ],
)
def test_anything_else_is_nobodys(given: WebhookRequest) -> None:
    with pytest.raises(SignatureError):
        SesWebhookSource().verify(given, SETTINGS, NOW)


@pytest.mark.parametrize("signature", ["", "!", "é", "AAAA"])
def test_an_invalid_signature_is_rejected(signature: str) -> None:
    given = signed(message("hello"))
    changed = json.loads(given.body) | {"Signature": signature}
    with pytest.raises(SignatureError):
        SesWebhookSource().verify(replace(given, body=json.dumps(changed).encode()), SETTINGS, NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"TopicArn": TOPIC + "x"},
        {"SigningCertURL": CERTIFICATE_URL.replace("https", "http")},
        {"SigningCertURL": CERTIFICATE_URL.replace("eu-central-1", "us-east-1")},
        {"SigningCertURL": CERTIFICATE_URL.replace(".com/", ".com.evil.example/")},
        {"SigningCertURL": CERTIFICATE_URL.replace("https://", "https://evil.example@")},
        {"SigningCertURL": CERTIFICATE_URL + "?x"},
        {"SigningCertURL": "https://s3.amazonaws.com/sns.eu-central-1.amazonaws.com/x.pem"},
        {"SigningCertURL": "https://169.254.169.254/x.pem"},
    ],
)
def test_a_certificate_is_only_fetched_from_sns_for_an_allowed_topic(more: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        SesWebhookSource().certificate_url(post(message("hello", **more)), SETTINGS)


@pytest.mark.parametrize("settings", [{}, {"topic_arns": "ses-events"}])
def test_without_topics_every_request_is_rejected(settings: dict[str, str]) -> None:
    with pytest.raises(NotConfigured):
        SesWebhookSource().verify(signed(message("hello")), settings, NOW)


def test_a_subscription_is_confirmed_at_sns_whatever_url_it_names() -> None:
    confirmation = SesWebhookSource().confirmation(subscription())
    query = {"Action": "ConfirmSubscription", "TopicArn": TOPIC, "Token": "2336412f37"}
    assert confirmation == SubscriptionConfirmation("sns.eu-central-1.amazonaws.com", query)
    assert SesWebhookSource().parse(subscription()) == []
    assert SesWebhookSource().confirmation(message("hello")) is None


def test_the_end_of_the_subscription_is_no_event_of_a_person() -> None:
    events = SesWebhookSource().parse(message("bye", "UnsubscribeConfirmation", Token="t"))
    assert [(event.kind, event.target) for event in events] == [
        (VendorEventKind.UNKNOWN_TYPE, "UnsubscribeConfirmation")
    ]


@pytest.mark.parametrize("name", ["eventType", "notificationType"])
@pytest.mark.parametrize(
    "kind, permanent", [("Permanent", True), ("Transient", False), ("Undetermined", None)]
)
def test_a_bounce_is_reported_for_each_recipient(
    name: str, kind: str, *, permanent: bool | None
) -> None:
    diagnostic = "smtp; 550 5.1.1 user unknown"
    people = [{"emailAddress": ANNA, "status": "5.1.1", "diagnosticCode": diagnostic}]
    people.append({"emailAddress": "bo@example.com"})
    bounce = {"bounceType": kind, "timestamp": STAMP, "feedbackId": "f1"}
    anna, bo = parse({name: "Bounce", "bounce": bounce | {"bouncedRecipients": people}})
    expected = Bounce("5.1.1", "550", diagnostic, permanent)
    assert anna == VendorEvent(VendorEventKind.BOUNCED, ANNA, None, NOW, "f1", bounce=expected)
    assert (bo.address, bo.bounce) == ("bo@example.com", Bounce(permanent=permanent))


@pytest.mark.parametrize(
    "more, counts",
    [
        ({}, True),
        ({"complaintFeedbackType": None}, True),
        ({"complaintFeedbackType": "abuse"}, True),
        ({"complaintFeedbackType": "not-spam"}, False),  # F6
        ({"complaintFeedbackType": "auth-failure"}, False),
        ({"complaintFeedbackType": "virus"}, False),
        ({"complaintSubType": "OnAccountSuppressionList"}, False),
    ],
)
def test_a_complaint(more: dict[str, Any], *, counts: bool) -> None:
    complaint = {"complainedRecipients": [{"emailAddress": ANNA}], "timestamp": STAMP}
    found = parse({"eventType": "Complaint", "complaint": complaint | {"feedbackId": "f1"} | more})
    complained = VendorEvent(VendorEventKind.COMPLAINED, ANNA, None, NOW, "f1", by_person=True)
    assert found == ([complained] if counts else [])


def test_a_complaint_that_names_several_is_about_none_of_them() -> None:
    """SES names all who may have complained, and one person did."""
    both = [{"emailAddress": ANNA}, {"emailAddress": "ben@example.com"}]
    (event,) = parse({"eventType": "Complaint", "complaint": {"complainedRecipients": both}})
    assert (event.kind, event.address) == (VendorEventKind.UNKNOWN_TYPE, "")


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ({}, {"news": "OptOut"}, [(OUT, "news")]),
        ({"news": "OptOut"}, {"news": "OptOut", "offers": "OptOut"}, [(OUT, "offers")]),
        ({"news": "OptOut"}, {"news": "OptIn"}, [(IN, "news")]),  # lifts nothing: I5
        ({}, {"": "OptOut"}, [(OUT, None)]),
    ],
)
def test_a_choice_on_amazons_page_is_reported_by_what_changed(
    before: dict[str, str],
    after: dict[str, str],
    expected: list[tuple[VendorEventKind, str | None]],
) -> None:
    def preferences(of: dict[str, str]) -> dict[str, Any]:
        rows = [{"topicName": k, "subscriptionStatus": v} for k, v in of.items() if k]
        return {"unsubscribeAll": "" in of, "topicSubscriptionStatus": rows}

    preference_change = {"timestamp": STAMP, "oldTopicPreferences": preferences(before)}
    preference_change["newTopicPreferences"] = preferences(after)
    event = {
        "eventType": "Subscription",
        "mail": {"destination": [ANNA]},
        "subscription": preference_change,
    }
    assert [(each.kind, each.target) for each in parse(event)] == expected
    assert {(each.address, each.occurred_at) for each in parse(event)} == {(ANNA, NOW)}


@pytest.mark.parametrize("name", ["Delivery", "Open", "AmazonSnsSubscriptionSucceeded"])
def test_what_is_of_no_use_is_left_out(name: str) -> None:
    assert parse({"notificationType": name}) == []
    assert SesWebhookSource().parse(message("Successfully validated SNS topic")) == []


def test_new_event_types_are_reported_as_unknown() -> None:
    assert [event.target for event in parse({"eventType": "Consent"})] == ["Consent"]


def test_what_is_not_promised_is_not_read() -> None:
    with pytest.raises(InvalidInput):
        SesWebhookSource().parse(message("{broken"))
