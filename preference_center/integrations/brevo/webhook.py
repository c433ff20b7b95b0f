"""This module reads what people did in Brevo, from webhooks, contacts and blocked addresses.

https://developers.brevo.com/docs/marketing-webhooks
https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
https://help.brevo.com/hc/en-us/articles/15127404548498
The webhooks are those of campaigns and of transactional mail. Brevo signs nothing.

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
from datetime import datetime, timedelta
from itertools import chain
from typing import ClassVar

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base import runtime, webhook, webhook_mail
from preference_center.integrations.base.runtime import VendorEvent, VendorEventKind
from preference_center.integrations.base.vendor_events import ALL_SMS, ReceivedMail
from preference_center.integrations.brevo.client import (
    BLOCKED_PAGE_SIZE,
    BlockedAddress,
    BrevoClient,
    BrevoContact,
    BrevoContactEvent,
)

PULL_PAGE_SIZE = 40
"""Contacts a page of `pull`: each that is blocklisted is asked for by itself."""


STATISTICS_PERIOD = timedelta(days=90)
"""How far back a contact's statistics go.

https://developers.brevo.com/reference/get-contact-info"""


_EVENT_KIND_BY_BLOCK_CODE = {
    "unsubscribedViaMA": VendorEventKind.OPTED_OUT,
    "unsubscribedViaEmail": VendorEventKind.OPTED_OUT,
    "unsubscribedViaApi": VendorEventKind.OPTED_OUT,
    "adminBlocked": VendorEventKind.OPTED_OUT,
    "contactFlaggedAsSpam": VendorEventKind.COMPLAINED,
    "hardBounce": VendorEventKind.BOUNCED,
}


_BLOCK_CODES_BY_PERSON = frozenset(
    {"unsubscribedViaMA", "unsubscribedViaEmail", "contactFlaggedAsSpam"}
)


def list_contact_events(
    list_ids: Sequence[str], now: datetime, client: BrevoClient, since: datetime | None, offset: str
) -> tuple[list[VendorEvent], str]:
    """A page of who was blocklisted or unsubscribed from a list: a ChangeSource."""
    contacts, following = client.list_modified_contacts(since, offset, PULL_PAGE_SIZE)
    known = [contact for contact in contacts if contact.email]
    rows = [e for contact in known for e in _to_vendor_events(client, contact, list_ids, now)]
    return rows, following


def list_block_events(
    client: BrevoClient, since: datetime | None, offset: str
) -> tuple[list[VendorEvent], str]:
    """A page of who was blocked for transactional mail: a ChangeSource.

    Newest first, so it ends at the first that was blocked before the last pass. The dates that
    Brevo takes are days of the account's zone, so none is sent.
    """
    blocks = client.list_blocked_addresses(offset)
    new = [b for b in blocks if not (since and b.blocked_at and b.blocked_at < since)]
    rows = [event for block in new for event in _block_to_vendor_events(block)]
    overlap = BLOCKED_PAGE_SIZE // 10
    return rows, runtime.next_offset(offset, len(new), BLOCKED_PAGE_SIZE, overlap=overlap)


def _to_vendor_events(
    client: BrevoClient, listed_contact: BrevoContact, list_ids: Sequence[str], now: datetime
) -> Iterator[VendorEvent]:
    email = listed_contact.email
    if listed_contact.email_blacklisted:
        contact = client.get_contact(email)
        known = contact if isinstance(contact, BrevoContact) else listed_contact
        yield from _blocklisting_to_vendor_events(known.model_copy(update={"email": email}), now)
    for list_ in list_ids:
        left = int(list_) in listed_contact.list_unsubscribed
        if left and int(list_) not in listed_contact.list_ids:
            yield VendorEvent(VendorEventKind.OPTED_OUT, email, list_, listed_contact.modified_at)


def _blocklisting_to_vendor_events(contact: BrevoContact, now: datetime) -> Iterator[VendorEvent]:
    """Why a contact is blocklisted, and since when.

    What has left no trace in its statistics is older than they are: any later edit of the
    contact must not make it newer than the person's own act since (I5).
    """
    statistics = contact.statistics
    unsubscribed = statistics.unsubscriptions
    events: Mapping[VendorEventKind, Sequence[BrevoContactEvent]] = {
        VendorEventKind.COMPLAINED: statistics.complaints,
        VendorEventKind.BOUNCED: statistics.hard_bounces,
        VendorEventKind.OPTED_OUT: unsubscribed.user_unsubscription
        + unsubscribed.admin_unsubscription,
    }
    for kind, happened in events.items():
        if happened:
            times = [event.event_time for event in happened if event.event_time]
            yield VendorEvent(kind, contact.email, occurred_at=max(times, default=None))
    if not any(events.values()):
        # Of that day, so that it is the same act however often the contact is edited in one.
        latest = (now - STATISTICS_PERIOD).replace(hour=0, minute=0, second=0, microsecond=0)
        at = min(contact.modified_at, latest) if contact.modified_at else latest
        yield VendorEvent(VendorEventKind.OPTED_OUT, contact.email, occurred_at=at)


def _block_to_vendor_events(block: BlockedAddress) -> Iterator[VendorEvent]:
    """Blocked for transactional mail; who unsubscribed from that wants no marketing either."""
    code = block.reason.code
    kind = _EVENT_KIND_BY_BLOCK_CODE.get(code)
    if kind and block.email:
        by_person = code in _BLOCK_CODES_BY_PERSON
        yield VendorEvent(kind, block.email, occurred_at=block.blocked_at, by_person=by_person)


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


class BrevoWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        **webhook.SHARED_SECRET_SETTINGS,
        **webhook.BEARER_TOKEN_SETTINGS,
    }
    secret_settings: ClassVar[frozenset[str]] = webhook.SharedSecretWebhook.secret_settings | {
        webhook.TOKEN_SETTING
    }

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = (row for each in webhook.parse_json_objects(body) for row in _rows(each))
        return webhook.require_recipient(chain.from_iterable(map(_read_event, rows)))

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://developers.brevo.com/docs/inbound-parse-webhooks."""
        rows = (row for each in webhook.parse_json_objects(body) for row in _rows(each))
        return [_mail(row) for row in rows if _is_mail(row)]


def _is_mail(row: webhook.JsonObject) -> bool:
    return "RawTextBody" in row or "RawHtmlBody" in row


def _mail(row: webhook.JsonObject) -> ReceivedMail:
    headers = [*webhook_mail.iter_header_fields(row.nested("Headers"))]
    to = [each.text("Address") for name in ("To", "Cc") for each in row.rows(name)]
    if not headers:
        sender = row.nested("From")
        headers = [
            ("From", webhook_mail.format_mailbox(sender.text("Name"), sender.text("Address")))
        ]
        headers.append(("Subject", row.text("Subject")))
    content = webhook_mail.compose_mail(headers, row.text("RawTextBody"), row.text("RawHtmlBody"))
    recipients = [str(each) for each in row.array("Recipients")] or to
    return ReceivedMail(content, recipients)


def _rows(found: webhook.JsonObject) -> list[webhook.JsonObject]:
    """The events of a batch that comes in an object; else the one event that it is."""
    for name, rows in found.items():
        if not found.keys() & {"event", "msg_status"} and isinstance(rows, list):
            return found.rows(name)
    return [found]


def _read_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    if _is_mail(row):
        return
    if "event" not in row and "msg_status" in row:
        yield from _read_sms_event(row)
        return
    event, address = row.text("event"), row.text("email")
    if event in _IGNORED:
        return
    at = _occurred_at(row)
    if event in _PERMANENT:
        bounce = Bounce(
            diagnostic=row.text("reason"),
            permanent=_PERMANENT[event],
            bad_address=event == "invalid_email",
        )
        yield VendorEvent(VendorEventKind.BOUNCED, address, occurred_at=at, bounce=bounce)
    elif event == "list_addition":
        for number in row.array("list_id"):
            yield VendorEvent(VendorEventKind.RESUBSCRIBED, address, str(number), at)
    elif event in _EVENT_KINDS:
        by_person = _EVENT_KINDS[event] is not VendorEventKind.CONTACT_CHANGED
        yield VendorEvent(_EVENT_KINDS[event], address, occurred_at=at, by_person=by_person)
    else:
        yield webhook.unknown_event(event)


def _read_sms_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    status = row.text("msg_status")
    number = re.sub(r"\D", "", row.text("to"))
    if status in _SMS_EVENT_KINDS:
        yield VendorEvent(
            _SMS_EVENT_KINDS[status],
            f"+{number}" if number else "",
            ALL_SMS,
            _occurred_at(row),
            channel=Channel.SMS,
        )
    elif status not in _IGNORED_SMS:
        yield webhook.unknown_event(f"SMS {status}")


def _occurred_at(row: webhook.JsonObject) -> datetime | None:
    """`ts_event` and `ts_epoch` are UTC; `ts` and the dates are in the account's zone."""
    stamp = row.get("ts_epoch") or row.get("ts_event")
    is_long = isinstance(stamp, int) and stamp > _MAX_EPOCH_SECONDS
    return webhook.parse_epoch(stamp, per_second=_MILLISECONDS if is_long else 1)
