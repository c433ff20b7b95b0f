"""Webhooks: bodies of every vendor, and the proofs that come with them."""

from __future__ import annotations

from contextlib import suppress

from fuzz.targets.picking import pick
from fuzz.targets.tokens import NOW
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.integration import to_mail
from preference_center.integrations.base.vendor_events import (
    NeedsCertificate,
    NeedsConfirmation,
    SignatureError,
    SupportsInboundMail,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.registry import load_webhooks
from preference_center.integrations.twilio.webhook import TwilioSmsWebhook

_WEBHOOKS = load_webhooks()
_SOURCES = {kind: found for kind, found in _WEBHOOKS.items() if isinstance(found, WebhookSource)}
_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of nothing


def webhook(data: bytes) -> None:
    """A body is parsed, or is not as its vendor documents. The first line names the vendor."""
    source, body = pick(_SOURCES, data)
    with suppress(InvalidInput):
        for event in source.parse(body):
            assert event.occurred_at is None or event.occurred_at.tzinfo
            event.address.encode()
    if isinstance(source, SupportsInboundMail):
        with suppress(InvalidInput):
            for mail in source.parse_mails(body):
                assert isinstance(mail.content, bytes)
    if isinstance(source, NeedsConfirmation):
        with suppress(InvalidInput):
            source.confirmation(body)


def text_message(data: bytes) -> None:
    """So does a text; it can be shown to a person whatever is in it."""
    with suppress(InvalidInput):
        text = TwilioSmsWebhook().parse_text_message(data)
        if text is not None:
            to_mail(text)


def proof(data: bytes) -> None:
    """A path's secret and headers, a line each, then a body: read or refused with one error."""
    source, rest = pick(_WEBHOOKS, data)
    head, _, body = rest.partition(b"\n\n")
    secret, *lines = head.decode("latin-1").split("\n")
    headers = dict(line.partition(": ")[::2] for line in lines)
    post = WebhookRequest(
        method="POST",
        url="https://preferences.example.com/in/tool",
        path_secret=secret,
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        remote_address="192.0.2.1",
    )
    settings = {name.removesuffix("?"): _SECRET for name in source.settings}
    with suppress(SignatureError):
        if isinstance(source, NeedsCertificate):
            source.certificate_url(post, settings)
        source.verify(post, settings, NOW)
