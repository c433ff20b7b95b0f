"""What people said in Brevo, as its contacts and its list of blocked addresses have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from preference_center.domain.sync.contract import Page
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.brevo.client import (
    BLOCKED_PAGE,
    Account,
    Block,
    Contact,
    Event,
    Place,
)

PULLED = 40
"""Contacts a page of `pull`: each that is blocklisted is asked for by itself."""
REMEMBERED = timedelta(days=90)
"""How far back a contact's statistics go.

https://developers.brevo.com/reference/get-contact-info"""
_BLOCKED = {
    "unsubscribedViaMA": NewsKind.OPTED_OUT,
    "unsubscribedViaEmail": NewsKind.OPTED_OUT,
    "unsubscribedViaApi": NewsKind.OPTED_OUT,
    "adminBlocked": NewsKind.OPTED_OUT,
    "contactFlaggedAsSpam": NewsKind.COMPLAINED,
    "hardBounce": NewsKind.BOUNCED,
}
_BY_PERSON = frozenset({"unsubscribedViaMA", "unsubscribedViaEmail", "contactFlaggedAsSpam"})


def pull_page(
    account: Account, cursor: str | None, lists: Sequence[str], now: datetime
) -> Page[News]:
    """The contacts changed since the last pass, then the addresses that were blocked since."""
    place = Place.read(cursor)
    if place.blocked:
        return _blocked_page(account, place)
    contacts = account.modified(place, PULLED)
    rows = tuple(n for c in contacts if c.email for n in _of_contact(account, c, lists, now))
    following, done = place.after(len(contacts), PULLED, now)
    if done:
        following = Place(place.since, 0, following.since, blocked=True)
    return Page(rows, str(following), done=False)


def _of_contact(
    account: Account, listed: Contact, lists: Sequence[str], now: datetime
) -> Iterator[News]:
    if listed.email_blacklisted:
        contact = account.contact(listed.email)
        known = contact if isinstance(contact, Contact) else listed
        yield from _why(known.model_copy(update={"email": listed.email}), now)
    for list_ in lists:
        left = int(list_) in listed.list_unsubscribed
        if left and int(list_) not in listed.list_ids:
            yield News(NewsKind.OPTED_OUT, listed.email, list_, listed.modified_at)


def _why(contact: Contact, now: datetime) -> Iterator[News]:
    """Why a contact is blocklisted, and since when.

    What has left no trace in its statistics is older than they are: any later edit of the
    contact must not make it newer than what the person said since (I5).
    """
    held = contact.statistics
    unsubscribed = held.unsubscriptions
    events: Mapping[NewsKind, Sequence[Event]] = {
        NewsKind.COMPLAINED: held.complaints,
        NewsKind.BOUNCED: held.hard_bounces,
        NewsKind.OPTED_OUT: unsubscribed.user_unsubscription + unsubscribed.admin_unsubscription,
    }
    for kind, happened in events.items():
        if happened:
            times = [event.event_time for event in happened if event.event_time]
            yield News(kind, contact.email, at=max(times, default=None))
    if not any(events.values()):
        # Of that day, so that it is the same act however often the contact is edited in one.
        latest = (now - REMEMBERED).replace(hour=0, minute=0, second=0, microsecond=0)
        at = min(contact.modified_at, latest) if contact.modified_at else latest
        yield News(NewsKind.OPTED_OUT, contact.email, at=at)


def _blocked_page(account: Account, place: Place) -> Page[News]:
    """Newest first: the pass ends at the first that was blocked before the last pass.

    The dates that Brevo takes are days of the account's zone, so none is sent.
    """
    blocks = account.blocked(place.offset)
    since = datetime.fromisoformat(place.since) if place.since else None
    new = [b for b in blocks if not (since and b.blocked_at and b.blocked_at < since)]
    rows = tuple(news for block in new if block.email for news in _of_block(block))
    if len(blocks) < BLOCKED_PAGE or len(new) < len(blocks):
        return Page(rows, str(Place(place.began)), done=True)
    following = place.offset + BLOCKED_PAGE - BLOCKED_PAGE // 10
    return Page(rows, str(Place(place.since, following, place.began, blocked=True)), done=False)


def _of_block(block: Block) -> Iterator[News]:
    """Blocked for transactional mail; who unsubscribed from that wants no marketing either."""
    code = block.reason.code
    if kind := _BLOCKED.get(code):
        yield News(kind, block.email, at=block.blocked_at, by_person=code in _BY_PERSON)
