"""Brevo's webhooks, of campaigns and of transactional mail. Brevo signs nothing.

https://developers.brevo.com/docs/marketing-webhooks
https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
https://help.brevo.com/hc/en-us/articles/15127404548498
Who unsubscribes is blocklisted, whatever lists the mail went to: an opt-out of all marketing.
https://developers.brevo.com/reference/gettransacemailcontent documents that the recipient did it;
no email is blocklisted by us. The `id` is the webhook's, the same for all acts. The form of
batches is not published: an array of the same events, in an object of one field or not. Events
of SMS have their type in `msg_status` and the number in `to`. Which of them reports an opt-out
is not published either: those that are called as with email are read, and without whose act it
was; what is not known is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, ClassVar

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base.payload import (
    get_list,
    get_object,
    get_text,
    parse_epoch,
    parse_json_objects,
    require_recipient,
    unknown_event,
)
from preference_center.integrations.base.shared_secret import (
    BEARER_TOKEN_SETTINGS,
    SHARED_SECRET_SETTINGS,
    TOKEN_SETTING,
    SharedSecretWebhook,
)
from preference_center.integrations.base.vendor_events import (
    ALL_SMS,
    ReceivedMail,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook_mail import (
    compose_mail,
    format_mailbox,
    iter_header_fields,
)

# The two kinds of webhook, and older pages, name the same event differently.
_EVENT_KINDS = {
    "unsubscribe": VendorEventKind.OPTED_OUT,
    "unsubscribed": VendorEventKind.OPTED_OUT,
    "spam": VendorEventKind.COMPLAINED,
    "complaint": VendorEventKind.COMPLAINED,
    "contact_updated": VendorEventKind.CONTACT_CHANGED,
}
_PERMANENT = {
    "hard_bounce": True,
    "hard_bounced": True,
    "invalid_email": True,
    "soft_bounce": False,
    "soft_bounced": False,
}
_IGNORED = {
    "request", "sent", "delivered", "deferred", "blocked", "error", "reply", "click",
    "opened", "unique_opened", "proxy_open", "unique_proxy_open", "contact_deleted",
    "coupon_sent",
}  # fmt: skip
_SMS_EVENT_KINDS = {
    "unsubscribe": VendorEventKind.OPTED_OUT,
    "unsubscribed": VendorEventKind.OPTED_OUT,
    "subscribe": VendorEventKind.RESUBSCRIBED,
    "subscribed": VendorEventKind.RESUBSCRIBED,
}
_IGNORED_SMS = {
    "sent", "accepted", "delivered", "replied", "reply", "softBounce", "soft_bounce",
    "hardBounce", "hard_bounce", "skip", "skipped", "blacklisted", "rejected",
}  # fmt: skip
_MILLISECONDS = 1000
_MAX_EPOCH_SECONDS = 100_000_000_000
"""`ts_epoch` is in milliseconds by the table; the example has seconds."""


class BrevoWebhookSource(SharedSecretWebhook):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {**SHARED_SECRET_SETTINGS, **BEARER_TOKEN_SETTINGS}
    secret_settings: ClassVar[frozenset[str]] = SharedSecretWebhook.secret_settings | {
        TOKEN_SETTING
    }

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = (row for each in parse_json_objects(body) for row in _rows(each))
        return require_recipient(chain.from_iterable(map(_read_event, rows)))

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://developers.brevo.com/docs/inbound-parse-webhooks."""
        rows = (row for each in parse_json_objects(body) for row in _rows(each))
        return [_mail(row) for row in rows if _is_mail(row)]


def _is_mail(row: dict[str, Any]) -> bool:
    return "RawTextBody" in row or "RawHtmlBody" in row


def _mail(row: dict[str, Any]) -> ReceivedMail:
    headers = [*iter_header_fields(get_object(row, "Headers"))]
    to = [get_text(each, "Address") for name in ("To", "Cc") for each in _objects(row, name)]
    if not headers:
        sender = get_object(row, "From")
        headers = [("From", format_mailbox(get_text(sender, "Name"), get_text(sender, "Address")))]
        headers.append(("Subject", get_text(row, "Subject")))
    content = compose_mail(headers, get_text(row, "RawTextBody"), get_text(row, "RawHtmlBody"))
    recipients = [str(each) for each in get_list(row, "Recipients")] or to
    return ReceivedMail(content, recipients)


def _objects(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in get_list(row, name) if isinstance(each, dict)]


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a batch that comes in an object; else the one event that it is."""
    for name, rows in found.items():
        if not found.keys() & {"event", "msg_status"} and isinstance(rows, list):
            return [row for row in get_list(found, name) if isinstance(row, dict)]
    return [found]


def _read_event(row: dict[str, Any]) -> Iterator[VendorEvent]:
    if _is_mail(row):
        return
    if "event" not in row and "msg_status" in row:
        yield from _read_sms_event(row)
        return
    event, address = get_text(row, "event"), get_text(row, "email")
    if event in _IGNORED:
        return
    at = _occurred_at(row)
    if event in _PERMANENT:
        bounce = Bounce(diagnostic=get_text(row, "reason"), permanent=_PERMANENT[event])
        yield VendorEvent(VendorEventKind.BOUNCED, address, occurred_at=at, bounce=bounce)
    elif event == "list_addition":
        for number in get_list(row, "list_id"):
            yield VendorEvent(VendorEventKind.RESUBSCRIBED, address, str(number), at)
    elif event in _EVENT_KINDS:
        by_person = _EVENT_KINDS[event] is not VendorEventKind.CONTACT_CHANGED
        yield VendorEvent(_EVENT_KINDS[event], address, occurred_at=at, by_person=by_person)
    else:
        yield unknown_event(event)


def _read_sms_event(row: dict[str, Any]) -> Iterator[VendorEvent]:
    status = get_text(row, "msg_status")
    number = re.sub(r"\D", "", get_text(row, "to"))
    if status in _SMS_EVENT_KINDS:
        yield VendorEvent(
            _SMS_EVENT_KINDS[status],
            f"+{number}" if number else "",
            ALL_SMS,
            _occurred_at(row),
            channel=Channel.SMS,
        )
    elif status not in _IGNORED_SMS:
        yield unknown_event(f"SMS {status}")


def _occurred_at(row: dict[str, Any]) -> datetime | None:
    """`ts_event` and `ts_epoch` are UTC; `ts` and the dates are in the account's zone."""
    stamp = row.get("ts_epoch") or row.get("ts_event")
    is_long = isinstance(stamp, int) and stamp > _MAX_EPOCH_SECONDS
    return parse_epoch(stamp, per_second=_MILLISECONDS if is_long else 1)
