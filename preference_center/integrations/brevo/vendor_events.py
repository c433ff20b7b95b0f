"""What people did in Brevo, as its contacts and its list of blocked addresses show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from preference_center.integrations.base import runtime
from preference_center.integrations.base.runtime import VendorEvent, VendorEventKind
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
