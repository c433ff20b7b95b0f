"""Webhooks: bodies of every vendor, and the proofs that come with them."""

from __future__ import annotations

from contextlib import suppress

from fuzz.targets.picking import pick
from fuzz.targets.tokens import NOW
from preference_center.domain.vendor_events import (
    CarriesMail,
    Certified,
    Confirming,
    Post,
    Unverified,
)
from preference_center.errors import InvalidInput
from preference_center.integrations.twilio.webhook import as_mail, read_text
from preference_center.integrations.webhooks import SOURCES, WEBHOOKS

_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of nothing


def webhook(data: bytes) -> None:
    """A body says something, or is not what its vendor promises. The first line is whose."""
    source, body = pick(SOURCES, data)
    with suppress(InvalidInput):
        for news in source.parse(body):
            assert news.at is None or news.at.tzinfo
            news.address.encode()
    if isinstance(source, CarriesMail):
        with suppress(InvalidInput):
            for mail in source.mails(body):
                assert isinstance(mail.content, bytes)
    if isinstance(source, Confirming):
        with suppress(InvalidInput):
            source.confirmation(body)


def text_message(data: bytes) -> None:
    """So does a text; it can be shown to a person whatever is in it."""
    with suppress(InvalidInput):
        text = read_text(data)
        if text is not None:
            as_mail(text)


def proof(data: bytes) -> None:
    """A path's secret and headers, a line each, then a body: read or refused with one error."""
    source, rest = pick(WEBHOOKS, data)
    head, _, body = rest.partition(b"\n\n")
    secret, *lines = head.decode("latin-1").split("\n")
    headers = dict(line.partition(": ")[::2] for line in lines)
    post = Post(
        method="POST",
        url="https://preferences.example.com/in/tool",
        secret=secret,
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        remote="192.0.2.1",
    )
    settings = {name.removesuffix("?"): _SECRET for name in source.settings}
    with suppress(Unverified):
        if isinstance(source, Certified):
            source.certificate(post, settings)
        source.verify(post, settings, NOW)
