"""Twilio's webhook for incoming messages: a form, signed over our URL and all of its fields.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys (public beta)
The signature covers no time: a replayed request is recognized by its message's id, which is
processed once. The response is TwiML, which sends the one confirmation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.integration import HELP_TEXT_SETTING, NUMBER_SETTING
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    SmsIntent,
    SupportsTextMessages,
    TextMessage,
    WebhookRequest,
    WebhookVerifier,
)
from preference_center.integrations.base.webhook import (
    constant_time_equal,
    parse_form_fields,
    require_setting,
)

AUTH_TOKEN_SETTING = "auth_token"
SHARED_KEY_SETTING = "shared_key"

_SIGNATURE_HEADER = "x-twilio-signature"
_SIGNATURE_SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_BODY_HASH = "bodySHA256"
_HASHES = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_ALGORITHM = re.compile(r"(?:^|,)\s*algorithm=(\w+)")
_CHANNEL_PREFIX = re.compile(r"(?:rcs|whatsapp):")
_OPT_OUT_TYPES = {"STOP": SmsIntent.STOP, "HELP": SmsIntent.HELP, "START": SmsIntent.START}
_INVALID_BODY = "the body is not what the vendor promises"


class TwilioSmsWebhook(WebhookVerifier, SupportsTextMessages):
    """See WebhookVerifier and SupportsTextMessages. Advanced Opt-Out answers messages itself."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{AUTH_TOKEN_SETTING}?": "the account's auth token, which signs its webhooks",
        f"{SHARED_KEY_SETTING}?": "instead of it: the secret of the SharedKey that a webhook "
        "rule of yours signs with",
        f"{HELP_TEXT_SETTING}?": "the reply to HELP; by default your brands' names "
        "and where people choose",
        f"{NUMBER_SETTING}?": "the number or short code that people text START to, as pages tell "
        "them: +15550100",
    }
    reply_type: ClassVar[str] = "text/xml"
    secret_settings: ClassVar[frozenset[str]] = frozenset({AUTH_TOKEN_SETTING, SHARED_KEY_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookVerifier."""
        if not settings.get(SHARED_KEY_SETTING):
            require_setting(settings, AUTH_TOKEN_SETTING)
        named = request.headers.get(_SIGNATURE_SETTINGS_HEADER)
        key = settings.get(AUTH_TOKEN_SETTING if named is None else SHARED_KEY_SETTING)
        hash_ = _HASHES.get(_signature_algorithm(named))
        if not key or not hash_:
            raise SignatureError("it is signed by a key, or in a way, that is not known here")
        signed = _signed_text(request).encode()
        digest = hmac.digest(key.encode(), signed, hash_)
        if not constant_time_equal(
            request.require_header(_SIGNATURE_HEADER), base64.b64encode(digest).decode()
        ):
            raise SignatureError("the signature does not match")

    def parse_text_message(self, body: bytes) -> TextMessage | None:
        """See SupportsTextMessages."""
        given = _parse_fields(body)
        if "Body" not in given:
            if given.keys() & {"MessageStatus", "SmsStatus"}:
                return None
            raise InvalidInput(_INVALID_BODY)
        return TextMessage(
            sender=_CHANNEL_PREFIX.sub("", given.get("From", "")),
            recipients=frozenset(filter(None, (given.get("To"), given.get("MessagingServiceSid")))),
            body=given["Body"],
            message_id=given.get("MessageSid", ""),
            handled_as=_OPT_OUT_TYPES.get(given.get("OptOutType", "").upper()),
        )

    def format_reply(self, message: str) -> str:
        """See SupportsTextMessages; https://www.twilio.com/docs/messaging/twiml/message."""
        element = f"<Message>{escape(message)}</Message>" if message else ""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{element}</Response>\n'


def _signature_algorithm(signature_settings: str | None) -> str:
    """How a request is signed; with HMAC-SHA1 unless stated otherwise."""
    if signature_settings is None:
        return "HMAC_SHA1"
    found = _ALGORITHM.search(signature_settings)
    return found[1] if found else ""


def _signed_text(request: WebhookRequest) -> str:
    """What the signature covers: the URL, and the fields in order of their names.

    A body that is no form is covered by its hash in the URL. Raises SignatureError if it differs.
    """
    query = dict(parse_qsl(urlsplit(request.url).query))
    if _BODY_HASH in query:
        if not constant_time_equal(
            query[_BODY_HASH].lower(), hashlib.sha256(request.body).hexdigest()
        ):
            raise SignatureError("the body is not the one that was signed")
        return request.url
    try:
        fields = set(
            parse_form_fields(request.body)
        )  # each value once, as Twilio's own libraries have it
    except InvalidInput as error:
        raise SignatureError(str(error)) from None
    return request.url + "".join(name + value for name, value in sorted(fields))


def _parse_fields(body: bytes) -> dict[str, str]:
    if not body.lstrip().startswith(b"{"):
        return dict(parse_form_fields(body))
    try:
        return {name: str(value) for name, value in json.loads(body).items() if value is not None}
    except ValueError:
        raise InvalidInput(_INVALID_BODY) from None
