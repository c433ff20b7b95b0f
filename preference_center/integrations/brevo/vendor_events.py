"""What people said in Brevo, as its contacts and its list of blocked addresses have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from preference_center.domain.sync.contract import ContactPage
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.brevo.client import (
    BLOCKED_PAGE_SIZE,
    BlockedAddress,
    BrevoClient,
    BrevoContact,
    BrevoContactEvent,
    BrevoCursor,
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


def pull_page(
    client: BrevoClient, cursor: str | None, list_ids: Sequence[str], now: datetime
) -> ContactPage[VendorEvent]:
    """The contacts changed since the last pass, then the addresses that were blocked since."""
    place = BrevoCursor.parse(cursor)
    if place.in_blocked_list:
        return _pull_blocked_page(client, place)
    contacts = client.list_modified_contacts(place, PULL_PAGE_SIZE)
    rows = tuple(
        n for c in contacts if c.email for n in _contact_to_vendor_events(client, c, list_ids, now)
    )
    following, done = place.advance(len(contacts), PULL_PAGE_SIZE, now)
    if done:
        following = BrevoCursor(place.since, 0, following.since, in_blocked_list=True)
    return ContactPage(rows, str(following), done=False)


def _contact_to_vendor_events(
    client: BrevoClient, listed_contact: BrevoContact, list_ids: Sequence[str], now: datetime
) -> Iterator[VendorEvent]:
    if listed_contact.email_blacklisted:
        contact = client.get_contact(listed_contact.email)
        known = contact if isinstance(contact, BrevoContact) else listed_contact
        yield from _blocklisting_to_vendor_events(
            known.model_copy(update={"email": listed_contact.email}), now
        )
    for list_ in list_ids:
        left = int(list_) in listed_contact.list_unsubscribed
        if left and int(list_) not in listed_contact.list_ids:
            yield VendorEvent(
                VendorEventKind.OPTED_OUT, listed_contact.email, list_, listed_contact.modified_at
            )


def _blocklisting_to_vendor_events(contact: BrevoContact, now: datetime) -> Iterator[VendorEvent]:
    """Why a contact is blocklisted, and since when.

    What has left no trace in its statistics is older than they are: any later edit of the
    contact must not make it newer than what the person said since (I5).
    """
    held = contact.statistics
    unsubscribed = held.unsubscriptions
    events: Mapping[VendorEventKind, Sequence[BrevoContactEvent]] = {
        VendorEventKind.COMPLAINED: held.complaints,
        VendorEventKind.BOUNCED: held.hard_bounces,
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


def _pull_blocked_page(client: BrevoClient, cursor: BrevoCursor) -> ContactPage[VendorEvent]:
    """Newest first: the pass ends at the first that was blocked before the last pass.

    The dates that Brevo takes are days of the account's zone, so none is sent.
    """
    blocks = client.list_blocked_addresses(cursor.offset)
    since = datetime.fromisoformat(cursor.since) if cursor.since else None
    new = [b for b in blocks if not (since and b.blocked_at and b.blocked_at < since)]
    rows = tuple(news for block in new if block.email for news in _block_to_vendor_events(block))
    if len(blocks) < BLOCKED_PAGE_SIZE or len(new) < len(blocks):
        return ContactPage(rows, str(BrevoCursor(cursor.started_at)), done=True)
    following = cursor.offset + BLOCKED_PAGE_SIZE - BLOCKED_PAGE_SIZE // 10
    return ContactPage(
        rows,
        str(BrevoCursor(cursor.since, following, cursor.started_at, in_blocked_list=True)),
        done=False,
    )


def _block_to_vendor_events(blocked_address: BlockedAddress) -> Iterator[VendorEvent]:
    """Blocked for transactional mail; who unsubscribed from that wants no marketing either."""
    code = blocked_address.reason.code
    if kind := _EVENT_KIND_BY_BLOCK_CODE.get(code):
        yield VendorEvent(
            kind,
            blocked_address.email,
            occurred_at=blocked_address.blocked_at,
            by_person=code in _BLOCK_CODES_BY_PERSON,
        )
