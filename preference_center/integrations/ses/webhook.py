"""This module verifies and reads what Amazon SES sends through SNS: feedback and published events.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
A message is signed with a certificate, and its SNS topic must be in an allowed list. The
certificate is only fetched by TLS from an SNS host of the topic's own region, so that
verifying its chain, which SNS does not send, would add nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509.oid import NameOID

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    ReceivedMail,
    SignatureError,
    SubscriptionConfirmation,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

_PERMANENT = {"Permanent": True, "Transient": False}


_BAD_ADDRESS = {"NoEmail", "Suppressed"}
"""Subtypes of a permanent bounce: SES knows that there is no such mailbox. Not `General`."""


_ON_SUPPRESSION_LIST = "OnAccountSuppressionList"
"""SES did not send; the list itself shows why the address is on it."""


_IGNORED = {
    "Delivery",
    "Send",
    "Reject",
    "Open",
    "Click",
    "Rendering Failure",
    "DeliveryDelay",
    "AmazonSnsSubscriptionSucceeded",
}


_OPT_OUT, _OPT_IN = "OptOut", "OptIn"


def read_event(event: webhook.JsonObject) -> Iterator[VendorEvent]:
    """The events of one notification."""
    name = event.text("eventType") or event.text("notificationType")
    match name:
        case "Received" if is_mail(event):
            return
        case "Bounce":
            yield from _read_bounces(event.nested("bounce"))
        case "Complaint":
            yield from _read_complaints(event.nested("complaint"))
        case "Subscription":
            yield from _read_preference_changes(event)
        case _ if name not in _IGNORED:
            yield webhook.unknown_event(name)


def is_mail(event: webhook.JsonObject) -> bool:
    """Whether it contains a received mail: if a receipt rule stores the mail, it does not."""
    return event.text("notificationType") == "Received" and bool(event.text("content"))


def _read_bounces(bounce: webhook.JsonObject) -> Iterator[VendorEvent]:
    if bounce.text("bounceSubType") == _ON_SUPPRESSION_LIST:
        return
    for each in bounce.rows("bouncedRecipients"):
        diagnostic = each.text("diagnosticCode")
        yield VendorEvent(
            VendorEventKind.BOUNCED,
            each.text("emailAddress"),
            occurred_at=bounce.iso_time("timestamp"),
            id=bounce.text("feedbackId"),
            bounce=Bounce(
                status=each.text("status"),
                reply_code=webhook.find_reply_code(diagnostic),
                diagnostic=diagnostic,
                permanent=_PERMANENT.get(bounce.text("bounceType")),
                bad_address=bounce.text("bounceSubType") in _BAD_ADDRESS,
            ),
        )


def _read_complaints(complaint: webhook.JsonObject) -> Iterator[VendorEvent]:
    """Where the mailbox provider hides the complainant, SES names all possible ones.

    One person complained, so a complaint that names several is about nobody whom we know.
    """
    listed = complaint.text("complaintSubType") == _ON_SUPPRESSION_LIST
    if listed or not webhook.is_complaint(complaint.text("complaintFeedbackType")):
        return
    recipients = complaint.rows("complainedRecipients")
    if len(recipients) > 1:
        yield webhook.unknown_event("Complaint of several recipients")
        return
    for each in recipients:
        yield VendorEvent(
            VendorEventKind.COMPLAINED,
            each.text("emailAddress"),
            occurred_at=complaint.iso_time("timestamp"),
            id=complaint.text("feedbackId"),
            by_person=True,
        )


def _read_preference_changes(event: webhook.JsonObject) -> Iterator[VendorEvent]:
    """A person's choice on SES's own page, or by its List-Unsubscribe header."""
    subscription = event.nested("subscription")
    before = _parse_preferences(subscription.nested("oldTopicPreferences"))
    after = _parse_preferences(subscription.nested("newTopicPreferences"))
    addresses = event.array("mail", "destination")
    address = addresses[0] if len(addresses) == 1 and isinstance(addresses[0], str) else ""
    for topic, status in after.items():
        if status == before.get(topic) or status not in {_OPT_OUT, _OPT_IN}:
            continue
        yield VendorEvent(
            VendorEventKind.OPTED_OUT if status == _OPT_OUT else VendorEventKind.RESUBSCRIBED,
            address,
            topic or None,
            occurred_at=subscription.iso_time("timestamp"),
            by_person=status == _OPT_OUT,
        )


def _parse_preferences(preferences: webhook.JsonObject) -> dict[str, str]:
    """Topics of the contact list -> the choice; "" is all of them."""
    found = {
        each.text("topicName"): each.text("subscriptionStatus")
        for each in preferences.rows("topicSubscriptionStatus")
    }
    return found | {"": _OPT_OUT if preferences.get("unsubscribeAll") is True else ""}


TOPIC_ARNS_SETTING = "topic_arns"


MAX_AGE = timedelta(hours=2)
"""SNS retries for at most an hour."""


_ARN = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]+):\d{12}:[\w.-]+")


_CERTIFICATE_URL = re.compile(
    r"https://sns\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/SimpleNotificationService-[0-9a-f]{32}\.pem"
)


_CERTIFICATE_NAME = re.compile(r"sns(?:\.[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


_NOTIFICATION, _SUBSCRIPTION_CONFIRMATION = "Notification", "SubscriptionConfirmation"


_SIGNED_FIELDS = {
    _NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _SUBSCRIPTION_CONFIRMATION: (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}


_SIGNED_FIELDS["UnsubscribeConfirmation"] = _SIGNED_FIELDS[_SUBSCRIPTION_CONFIRMATION]


_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - SNS's default


class SesWebhookSource(WebhookSource):
    """See WebhookSource, NeedsCertificate and NeedsConfirmation."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{TOPIC_ARNS_SETTING}?": "ARNs of the SNS topics that SES reports to, separated by spaces",
    }

    def certificate_url(self, request: WebhookRequest, settings: Mapping[str, str]) -> str:
        """See NeedsCertificate."""
        topics = _parse_topics(webhook.require_setting(settings, TOPIC_ARNS_SETTING))
        message = _parse_message(request.body)
        topic = message.text("TopicArn")
        if topic not in topics:
            raise SignatureError("the SNS topic is not one of the destination's")
        url = message.text("SigningCertURL")
        found = _CERTIFICATE_URL.fullmatch(url)
        if found is None or found[1] != topics[topic]:
            raise SignatureError("the certificate's URL is not one of SNS")
        return url

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        self.certificate_url(request, settings)
        message = _parse_message(request.body)
        names, algorithm = _signature_scheme(message)
        lines = (f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
        certificate = _load_certificate(request.certificate)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise SignatureError("the certificate is not valid now")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise SignatureError("the certificate is not of SNS")
        try:
            signature = base64.b64decode(message.text("Signature"), validate=True)
            key.verify(signature, "".join(lines).encode(), PKCS1v15(), algorithm)
        except (ValueError, InvalidSignature):
            raise SignatureError("the signature does not match") from None
        webhook.verify_timestamp(message.iso_time("Timestamp"), now, MAX_AGE)

    def confirmation(self, body: bytes) -> SubscriptionConfirmation | None:
        """See NeedsConfirmation. Built from topic and token, not from the URL in the message."""
        message = _parse_message(body)
        if message.text("Type") != _SUBSCRIPTION_CONFIRMATION:
            return None
        topic = message.text("TopicArn")
        found = _ARN.fullmatch(topic)
        if found is None:
            raise InvalidInput("the body is not what the vendor promises")
        end = ".cn" if topic.startswith("arn:aws-cn:") else ""
        query = {"Action": "ConfirmSubscription", "TopicArn": topic}
        return SubscriptionConfirmation(
            f"sns.{found[1]}.amazonaws.com{end}", query | {"Token": message.text("Token")}
        )

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource. The end of an SNS subscription is not an event of a person."""
        message = _parse_message(body)
        match message.text("Type"):
            case "Notification":
                return webhook.require_recipient(_read_event(message.text("Message")))
            case "SubscriptionConfirmation":
                return []
        return [webhook.unknown_event(message.text("Type"))]

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail.

        https://docs.aws.amazon.com/ses/latest/dg/receiving-email-action-sns.html
        """
        message = _parse_message(body).text("Message")
        return [mail for event in _parse_events(message) for mail in _read_mails(event)]


def _read_mails(event: webhook.JsonObject) -> Iterator[ReceivedMail]:
    if not is_mail(event):
        return
    receipt, mail = event.nested("receipt"), event.nested("mail")
    raw = event.text("content").encode(errors="replace")
    if receipt.text("action", "encoding").casefold() == "base64":
        raw = webhook.decode_base64(raw)
    recipients = receipt.array("recipients") or mail.array("destination")
    yield ReceivedMail(raw, [str(each) for each in recipients], mail.text("source"))


def _read_event(message: str) -> Iterator[VendorEvent]:
    for event in _parse_events(message):
        yield from read_event(event)


def _parse_events(message: str) -> list[webhook.JsonObject]:
    """The events in a message; "Successfully validated SNS topic ..." and the like are none."""
    is_event = message.lstrip().startswith("{")
    return webhook.parse_json_objects(message.encode(errors="replace")) if is_event else []


def _parse_message(body: bytes) -> webhook.JsonObject:
    found = webhook.parse_json_objects(body)
    if len(found) != 1 or "Type" not in found[0]:
        raise SignatureError("the body is not what the vendor promises")
    return found[0]


def _signature_scheme(message: webhook.JsonObject) -> tuple[Sequence[str], HashAlgorithm]:
    names = _SIGNED_FIELDS.get(message.text("Type"))
    algorithm = _HASHES.get(message.text("SignatureVersion"))
    if names is None or algorithm is None:
        raise SignatureError("the request is not signed")
    return names, algorithm


@lru_cache
def _parse_topics(setting: str) -> Mapping[str, str]:
    """Allowed topics -> their regions. Raises NotConfigured for an invalid ARN."""
    found = {arn: _ARN.fullmatch(arn) for arn in setting.split()}
    if not all(found.values()):
        raise NotConfigured(
            f"{TOPIC_ARNS_SETTING}: write each as in arn:aws:sns:eu-central-1:123456789012:name"
        )
    return {arn: match[1] for arn, match in found.items() if match}


@lru_cache(maxsize=16)
def _load_certificate(pem: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise SignatureError("there is no certificate") from None
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not any(_CERTIFICATE_NAME.fullmatch(str(name.value)) for name in names):
        raise SignatureError("the certificate is not of SNS")
    return found
