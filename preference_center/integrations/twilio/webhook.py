"""Twilio's webhook for incoming messages: a form, signed over our URL and all of its fields.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys (public beta)
The signature has no time in it: an old request is told by its message's id, which is taken in
once. Twilio is answered with TwiML, which is how the one confirmation goes out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from preference_center.domain.sms_keywords import Meaning
from preference_center.domain.vendor_events import Post, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import form_fields, header, same, secret_of
from preference_center.integrations.base.webhook_mail import composed

ACCOUNT_KEY = "auth_token"
SHARED_KEY = "shared_key"
HELP_TEXT = "help_text"

_SIGNATURE = "x-twilio-signature"
_SIGNED_WITH = "x-twilio-webhooks-signature-settings"
_BODY_HASH = "bodySHA256"
_HASHES = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_ALGORITHM = re.compile(r"(?:^|,)\s*algorithm=(\w+)")
_CHANNEL = re.compile(r"(?:rcs|whatsapp):")
_HANDLED = {"STOP": Meaning.STOP, "HELP": Meaning.HELP, "START": Meaning.START}
_FAULT = "the body is not what the vendor promises"


@dataclass(frozen=True, slots=True)
class Text:
    """A message that somebody sent us."""

    sender: str = field(repr=False)
    to: frozenset[str]
    """What it was sent to, as Twilio names it: our number, and its messaging service."""
    words: str = field(repr=False)
    id: str
    """Twilio's own id of the message."""
    handled: Meaning | None
    """As what Twilio has answered it already (Advanced Opt-Out), also by words of the
    company's own that stand in Twilio only."""


class TwilioTexts:
    """The verifying half of a NewsSource. What it says is read at the door: see `read_text`."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{ACCOUNT_KEY}?": "the account's auth token, which signs its webhooks",
        f"{SHARED_KEY}?": "instead of it: the secret of the SharedKey that a webhook rule of "
        "yours signs with",
        f"{HELP_TEXT}?": "what HELP is answered with; by default your brands' names and where "
        "people choose",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        if not settings.get(SHARED_KEY):
            secret_of(settings, ACCOUNT_KEY)
        named = post.headers.get(_SIGNED_WITH)
        key = settings.get(ACCOUNT_KEY if named is None else SHARED_KEY)
        hash_ = _HASHES.get(_algorithm(named))
        if not key or not hash_:
            raise Unverified("it is signed by a key, or in a way, that is not known here")
        signed = _signed(post).encode()
        digest = hmac.digest(key.encode(), signed, hash_)
        if not same(header(post, _SIGNATURE), base64.b64encode(digest).decode()):
            raise Unverified("the signature does not match")


def _algorithm(named: str | None) -> str:
    """How a request is signed; with HMAC-SHA1 unless it says otherwise."""
    if named is None:
        return "HMAC_SHA1"
    found = _ALGORITHM.search(named)
    return found[1] if found else ""


def _signed(post: Post) -> str:
    """What the signature covers: the URL, and the fields in order of their names.

    A body that is no form is covered by its hash in the URL. Raises Unverified if it differs.
    """
    query = dict(parse_qsl(urlsplit(post.url).query))
    if _BODY_HASH in query:
        if not same(query[_BODY_HASH].lower(), hashlib.sha256(post.body).hexdigest()):
            raise Unverified("the body is not the one that was signed")
        return post.url
    try:
        fields = set(form_fields(post.body))  # each value once, as Twilio's own libraries have it
    except InvalidInput as error:
        raise Unverified(str(error)) from None
    return post.url + "".join(name + value for name, value in sorted(fields))


def read_text(body: bytes) -> Text | None:
    """The message; None for what tells of one that we sent.

    Raises InvalidInput when it is not what the vendor promises, without quoting it.
    """
    given = _fields(body)
    if "Body" not in given:
        if given.keys() & {"MessageStatus", "SmsStatus"}:
            return None
        raise InvalidInput(_FAULT)
    return Text(
        sender=_CHANNEL.sub("", given.get("From", "")),
        to=frozenset(filter(None, (given.get("To"), given.get("MessagingServiceSid")))),
        words=given["Body"],
        id=given.get("MessageSid", ""),
        handled=_HANDLED.get(given.get("OptOutType", "").upper()),
    )


def as_mail(text: Text) -> bytes:
    """The text in the form of a mail, for a person to read with the others."""
    numbers = [("X-From", text.sender), *(("X-To", each) for each in sorted(text.to))]
    return composed([("Subject", "SMS"), *numbers], text.words)


def twiml(message: str = "") -> str:
    """The answer to a webhook that has Twilio send `message`; "" for nothing.

    https://www.twilio.com/docs/messaging/twiml/message
    """
    said = f"<Message>{escape(message)}</Message>" if message else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{said}</Response>\n'


def _fields(body: bytes) -> dict[str, str]:
    if not body.lstrip().startswith(b"{"):
        return dict(form_fields(body))
    try:
        return {name: str(value) for name, value in json.loads(body).items() if value is not None}
    except ValueError:
        raise InvalidInput(_FAULT) from None
