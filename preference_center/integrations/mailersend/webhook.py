"""MailerSend's webhooks, signed with HMAC-SHA256 over the body.

https://developers.mailersend.com/api/v1/webhooks.html
The signature covers no time of sending; an event has an id, and counts once. Before a webhook is
saved MailerSend tries the URL with a `webhook.test`, signed with a secret that it publishes: that
is accepted, since it contains no event. Both forms of an activity are read, with
the recipient in `data` and, the older, in `data.email`; the newer one is known from
https://github.com/anymail/django-anymail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook import (
    get_list,
    get_object,
    get_text,
    parse_iso_time,
    parse_json_objects,
    require_header,
    require_recipient,
    require_setting,
    unknown_event,
    verify_hmac,
)
from preference_center.integrations.base.webhook_mail import (
    compose_mail,
    format_mailbox,
    iter_header_fields,
)

SECRET_SETTING = "webhook_secret"
TEST_EVENT = "webhook.test"
INBOUND_EVENT = "inbound.message"
TEST_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"
_KINDS = {
    "activity.unsubscribed": VendorEventKind.OPTED_OUT,
    "activity.spam_complaint": VendorEventKind.COMPLAINED,
    "activity.spam_complaints": VendorEventKind.COMPLAINED,
    "activity.hard_bounced": VendorEventKind.BOUNCED,
    "activity.soft_bounced": VendorEventKind.BOUNCED,
}
_SUPPRESSION_KINDS = (
    ("unsubscri", VendorEventKind.OPTED_OUT),
    ("spam", VendorEventKind.COMPLAINED),
    ("bounce", VendorEventKind.BOUNCED),
)
"""Words in the reason why a mail was suppressed."""
_IGNORED = {
    TEST_EVENT, INBOUND_EVENT, "activity.sent", "activity.delivered", "activity.deferred",
    "activity.opened",
    "activity.opened_unique", "activity.clicked", "activity.clicked_unique",
    "activity.survey_opened", "activity.survey_submitted",
    "sender_identity.verified", "maintenance.start", "maintenance.end",
}  # fmt: skip


class MailerSendWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the signing secret of the webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        secret, given = (
            require_setting(settings, SECRET_SETTING),
            require_header(request, "signature"),
        )
        try:
            verify_hmac(secret, request.body, given)
        except SignatureError:
            verify_hmac(TEST_SECRET, request.body, given)
            if not _is_test(request.body):
                raise

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return require_recipient(filter(None, map(_read_event, parse_json_objects(body))))

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://developers.mailersend.com/api/v1/inbound.html."""
        rows = [row for row in parse_json_objects(body) if get_text(row, "type") == INBOUND_EVENT]
        return [_to_received_mail(get_object(row, "data")) for row in rows]


def _to_received_mail(data: dict[str, Any]) -> ReceivedMail:
    raw, sender = get_text(data, "raw"), get_object(data, "from")
    name, address = get_text(sender, "name"), get_text(sender, "email")
    headers = [("From", format_mailbox(name, address)), ("Subject", get_text(data, "subject"))]
    others = [
        (name, value)
        for name, value in iter_header_fields(get_object(data, "headers"))
        if name.casefold() not in {"from", "subject"}
    ]
    whole = compose_mail([*headers, *others], get_text(data, "text"), get_text(data, "html"))
    rcpt = get_list(get_object(data, "recipients"), "rcptTo")
    recipients = [get_text(each, "email") for each in rcpt if isinstance(each, dict)]
    return ReceivedMail(raw.encode() or whole, recipients)


def _is_test(body: bytes) -> bool:
    try:
        return [get_text(row, "type") for row in parse_json_objects(body)] == [TEST_EVENT]
    except InvalidInput:
        return False


def _read_event(row: dict[str, Any]) -> VendorEvent | None:
    data = get_object(row, "data")
    event = (
        get_text(row, "type") or f"activity.{get_text(data, 'type')}"
    )  # an activity has its name twice
    if event in _IGNORED:
        return None
    meta = get_object(data, "meta")
    reason = get_text(meta, "bounce_reason") or get_text(get_object(data, "morph"), "reason")
    kind = _KINDS.get(event)
    if event == "activity.suppressed":  # not sent, because of what was noted before
        reason = get_text(meta, "reason") or get_text(data, "reason") or reason
        kind = next((kind for word, kind in _SUPPRESSION_KINDS if word in reason.casefold()), None)
    if kind is None:
        return unknown_event(event)
    is_bounce = kind is VendorEventKind.BOUNCED
    permanent = "soft" not in event
    bounce = Bounce(
        reply_code=get_text(meta, "bounce_code"),
        diagnostic=reason,
        permanent=permanent,
        bad_address=event == "activity.suppressed",
    )
    return VendorEvent(
        kind=kind,
        address=get_text(data, "recipient")
        or get_text(get_object(data, "email", "recipient"), "email"),
        occurred_at=parse_iso_time(row.get("created_at")) or parse_iso_time(data.get("created_at")),
        id=get_text(data, "id"),
        by_person=not is_bounce,
        bounce=bounce if is_bounce else None,
    )
