"""Mailgun's webhooks: the signature covers a time and a token, not the event next to them.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads
With one signed request any other event could therefore be sent. So a token counts once, and for a
few hours; and since no vendor event ever lifts, a forged body could only suppress.

Older webhooks, and routes that forward or store received mail, post a form with the signature
among its fields: it is kept as `{"form": {...}}`.
https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/
https://github.com/anymail/django-anymail knows the fields of the older webhooks.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook, webhook_mail
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "signing_key"
MAX_AGE = timedelta(hours=9)
"""Mailgun goes on trying for eight hours, and doesn't say whether it signs each attempt."""
_KINDS = {"unsubscribed": VendorEventKind.OPTED_OUT, "complained": VendorEventKind.COMPLAINED}
_IGNORED = re.compile("accepted|rejected|delivered|opened|clicked|stored|failed|list_.*")
_FIRST_INTERNAL_CODE = 600
"""From here on codes are Mailgun's own: it did not try."""
_SUPPRESSION_KINDS = {
    "605": VendorEventKind.BOUNCED,
    "606": VendorEventKind.OPTED_OUT,
    "607": VendorEventKind.COMPLAINED,
    "suppress-bounce": VendorEventKind.BOUNCED,
    "suppress-unsubscribe": VendorEventKind.OPTED_OUT,
    "suppress-complaint": VendorEventKind.COMPLAINED,
}
"""Codes, and reasons, of mails not sent -> what Mailgun has noted of the person before."""


class MailgunWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the HTTP webhook signing key of the account (or of the primary "
        "account)",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})
    requires_200: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> str:
        """See WebhookSource."""
        key = webhook.require_setting(settings, SECRET_SETTING)
        given = _signature(request)
        stamp, token = given.text("timestamp"), given.text("token")
        if not token:
            raise SignatureError("the request is not signed")
        # Events of a subaccount are signed with its own key, and with its parent's.
        expected = hmac.digest(key.encode(), f"{stamp}{token}".encode(), "sha256").hex()
        parents = webhook.constant_time_equal(given.text("parent-signature"), expected)
        if not (webhook.constant_time_equal(given.text("signature"), expected) or parents):
            raise SignatureError("the signature does not match")
        webhook.verify_timestamp(webhook.parse_epoch(stamp), now, MAX_AGE)
        return token

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated."""
        form = webhook_mail.parse_form(request)
        return request.body if form is None else json.dumps({"form": form}).encode()

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource. One event a request."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_row)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail."""
        forms = [row.nested("form") for row in webhook.parse_json_objects(body)]
        return [
            _to_received_mail(form) for form in forms if "recipient" in form and "event" not in form
        ]


def _signature(request: WebhookRequest) -> webhook.JsonObject:
    try:
        form = webhook_mail.parse_form(request)
        if form is not None:
            return webhook.JsonObject(form)
        (row,) = webhook.parse_json_objects(request.body)
    except (InvalidInput, ValueError):
        raise SignatureError("the request is not signed") from None
    return row.nested("signature")


def _read_row(row: webhook.JsonObject) -> VendorEvent | None:
    form = row.nested("form")
    if not form:
        return _read_event(row.nested("event-data"))
    return (
        _read_event(_convert_form_event(form))
        if "event" in form or "recipient" not in form
        else None
    )


def _convert_form_event(form: webhook.JsonObject) -> webhook.JsonObject:
    """An event of an older webhook in the form of a newer one."""
    name = form.text("event")
    failed = name in {"bounced", "dropped"}
    gives_up = name == "bounced" or form.text("reason") == "hardfail"
    report = {
        "code": form.text("code"),
        "message": form.text("error") or form.text("description"),
    }
    newer = {
        "event": "failed" if failed else name,
        "severity": "permanent" if gives_up else "temporary",
        "id": form.text("token"),
        "delivery-status": report,
    }
    return webhook.JsonObject({**form, **newer})


def _to_received_mail(form: webhook.JsonObject) -> ReceivedMail:
    """A mail that a route forwards: whole, or in its parts."""
    whole = form.text("body-mime")
    if not whole:
        whole = webhook_mail.compose_mail(
            [
                (str(pair[0]), str(pair[1]))
                for pair in _parse_json_list(form.text("message-headers"))
                if isinstance(pair, list) and len(pair) > 1
            ]
            or [("From", form.text("from")), ("Subject", form.text("subject"))],
            form.text("body-plain"),
            form.text("body-html"),
        ).decode(errors="replace")
    return ReceivedMail(
        whole.encode(), webhook_mail.extract_addresses(form.text("recipient")), form.text("sender")
    )


def _parse_json_list(text: str) -> list[Any]:
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _read_event(event: webhook.JsonObject) -> VendorEvent | None:
    name = event.text("event")
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    noted = _suppression_kind(event) if name == "failed" else None
    kind = _KINDS.get(name) or noted
    bounce = _bounce(event, noted) if name == "failed" else None
    if kind is None and bounce is None:
        return None if _IGNORED.fullmatch(name) else webhook.unknown_event(name)
    return VendorEvent(
        kind or VendorEventKind.BOUNCED,
        event.text("recipient"),
        # Whether it is about one tag or all is not reported, so it counts for all.
        occurred_at=event.epoch("timestamp"),
        id=event.text("id"),
        # An earlier suppression may be the result of an API call of ours.
        by_person=name in _KINDS,
        bounce=bounce,
    )


def _suppression_kind(event: webhook.JsonObject) -> VendorEventKind | None:
    code = event.text("delivery-status", "code")
    return _SUPPRESSION_KINDS.get(code) or _SUPPRESSION_KINDS.get(event.text("reason"))


def _bounce(event: webhook.JsonObject, suppression_kind: VendorEventKind | None) -> Bounce | None:
    """None while Mailgun goes on trying, and where it did not try, unless for a bounce before."""
    report = event.nested("delivery-status")
    code = report.text("code")
    text = report.text("message") or report.text("description")
    if suppression_kind is not None:
        return (
            Bounce(diagnostic=text, permanent=True, bad_address=True)
            if suppression_kind is VendorEventKind.BOUNCED
            else None
        )
    if event.text("severity") != "permanent":
        return None
    if code.isdigit() and int(code) >= _FIRST_INTERNAL_CODE:
        return None
    return Bounce(
        status=report.text("enhanced-code") or webhook.find_status_code(text),
        reply_code=code,
        diagnostic=text,
        permanent=True,
    )
