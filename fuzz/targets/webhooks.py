"""Webhooks: bodies of every vendor, and the proofs that come with them."""

from __future__ import annotations

from contextlib import suppress

from fuzz.targets.picking import pick
from fuzz.targets.tokens import NOW
from preference_center.domain.vendor_events import (
    NeedsCertificate,
    NeedsConfirmation,
    SignatureError,
    SupportsInboundMail,
    WebhookRequest,
)
from preference_center.errors import InvalidInput
from preference_center.integrations.twilio.webhook import parse_text_message, to_mail
from preference_center.integrations.webhooks import WEBHOOK_SOURCES, WEBHOOKS

_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of nothing


def webhook(data: bytes) -> None:
    """A body says something, or is not what its vendor promises. The first line is whose."""
    source, body = pick(WEBHOOK_SOURCES, data)
    with suppress(InvalidInput):
        for news in source.parse(body):
            assert news.occurred_at is None or news.occurred_at.tzinfo
            news.address.encode()
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
        text = parse_text_message(data)
        if text is not None:
            to_mail(text)


def proof(data: bytes) -> None:
    """A path's secret and headers, a line each, then a body: read or refused with one error."""
    source, rest = pick(WEBHOOKS, data)
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
