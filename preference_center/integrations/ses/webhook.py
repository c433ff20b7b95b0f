"""Amazon SES through SNS: signed with a certificate, about topics of SNS that are allowed.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
The certificate has to come by TLS from an SNS host of the topic's own region, so that its
own chain, which SNS does not send along, adds nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509.oid import NameOID

from preference_center.domain.vendor_events import (
    Confirmation,
    News,
    Post,
    ReceivedMail,
    Unready,
    Unverified,
)
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_recent
from preference_center.integrations.ses.webhook_events import is_mail, read_event

SETTING = "topic_arns"
FRESH = timedelta(hours=2)
"""SNS tries for an hour at most."""
_ARN = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]+):\d{12}:[\w.-]+")
_CERTIFICATE = re.compile(
    r"https://sns\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/SimpleNotificationService-[0-9a-f]{32}\.pem"
)
_OWNER = re.compile(r"sns(?:\.[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
_NOTIFICATION, _SUBSCRIBE = "Notification", "SubscriptionConfirmation"
_SIGNED = {
    _NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _SUBSCRIBE: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED[_SUBSCRIBE]
_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - SNS's default


class SesNews:
    """See NewsSource, Certified and Confirming."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "ARNs of the SNS topics that SES reports to, with spaces between",
    }

    def certificate(self, post: Post, settings: Mapping[str, str]) -> str:
        """See Certified."""
        topics = _topics(secret_of(settings, SETTING))
        message = _message(post.body)
        topic = text(message, "TopicArn")
        if topic not in topics:
            raise Unverified("it is about another SNS topic")
        url = text(message, "SigningCertURL")
        found = _CERTIFICATE.fullmatch(url)
        if found is None or found[1] != topics[topic]:
            raise Unverified("the certificate is not at SNS")
        return url

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        self.certificate(post, settings)
        message = _message(post.body)
        names, algorithm = _signed(message)
        lines = (f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
        certificate = _certificate(post.certificate)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Unverified("the certificate is not valid now")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Unverified("the certificate is not of SNS")
        try:
            signature = base64.b64decode(text(message, "Signature"), validate=True)
            key.verify(signature, "".join(lines).encode(), PKCS1v15(), algorithm)
        except (ValueError, InvalidSignature):
            raise Unverified("the signature does not match") from None
        ensure_recent(iso_moment(message.get("Timestamp")), now, FRESH)

    def confirmation(self, body: bytes) -> Confirmation | None:
        """See Confirming. Made of the topic and the token; the URL that SNS tells is not used."""
        message = _message(body)
        if text(message, "Type") != _SUBSCRIBE:
            return None
        topic = text(message, "TopicArn")
        found = _ARN.fullmatch(topic)
        if found is None:
            raise InvalidInput("the body is not what the vendor promises")
        end = ".cn" if topic.startswith("arn:aws-cn:") else ""
        query = {"Action": "ConfirmSubscription", "TopicArn": topic}
        return Confirmation(
            f"sns.{found[1]}.amazonaws.com{end}", query | {"Token": text(message, "Token")}
        )

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource. That SNS ends a subscription is about us, and no person's wish."""
        message = _message(body)
        match text(message, "Type"):
            case "Notification":
                return addressed(_read(text(message, "Message")))
            case "SubscriptionConfirmation":
                return []
        return [unknown(text(message, "Type"))]

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://docs.aws.amazon.com/ses/latest/dg/receiving-email-action-sns.html."""
        said = text(_message(body), "Message")
        return [mail for event in _events(said) for mail in _received(event)]


def _received(event: dict[str, Any]) -> Iterator[ReceivedMail]:
    if not is_mail(event):
        return
    content, receipt, mail = text(event, "content"), part(event, "receipt"), part(event, "mail")
    raw = content.encode(errors="replace")
    if text(part(receipt, "action"), "encoding").casefold() == "base64":
        try:
            raw = base64.b64decode(raw)
        except ValueError:
            raise InvalidInput("the body is not what the vendor promises") from None
    recipients = several(receipt, "recipients") or several(mail, "destination")
    yield ReceivedMail(raw, [str(each) for each in recipients], text(mail, "source"))


def _read(said: str) -> Iterator[News]:
    for event in _events(said):
        yield from read_event(event)


def _events(said: str) -> list[dict[str, Any]]:
    """What SNS hands on; a text such as "Successfully validated SNS topic ..." is to us."""
    is_event = said.lstrip().startswith("{")
    return json_objects(said.encode(errors="replace")) if is_event else []


def _message(body: bytes) -> dict[str, Any]:
    found = json_objects(body)
    if len(found) != 1 or "Type" not in found[0]:
        raise Unverified("the body is not what the vendor promises")
    return found[0]


def _signed(message: dict[str, Any]) -> tuple[Sequence[str], HashAlgorithm]:
    names = _SIGNED.get(text(message, "Type"))
    algorithm = _HASHES.get(text(message, "SignatureVersion"))
    if names is None or algorithm is None:
        raise Unverified("the request is not signed")
    return names, algorithm


@lru_cache
def _topics(setting: str) -> Mapping[str, str]:
    """Allowed topics -> their regions. Raises Unready."""
    found = {arn: _ARN.fullmatch(arn) for arn in setting.split()}
    if not all(found.values()):
        raise Unready(f"{SETTING}: write each as in arn:aws:sns:eu-central-1:123456789012:name")
    return {arn: match[1] for arn, match in found.items() if match}


@lru_cache(maxsize=16)
def _certificate(pem: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unverified("there is no certificate") from None
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not any(_OWNER.fullmatch(str(name.value)) for name in names):
        raise Unverified("the certificate is not of SNS")
    return found
