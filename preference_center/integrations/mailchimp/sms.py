"""Mailchimp's SMS consent, by its endpoints for audiences, which Mailchimp calls beta.

https://mailchimp.com/developer/marketing/docs/audiences-introduction/
https://mailchimp.com/developer/release-notes/new-audiences-endpoints-beta/
Only they have contacts without an email address. A contact is found by the SHA-256 of its
number, and changed by its id, so that none is ever made. `denied` unsubscribes it. Groups
("interests") hold people, whatever they are written to by, so the topic is mapped to `sms`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind
from preference_center.integrations.base.batching import (
    Step,
    carry_out,
    ensure_some_taken,
    read_each,
)
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.base.mapping import ensure_fits
from preference_center.integrations.base.sms_switch import OnlySwitch
from preference_center.integrations.mailchimp.client import INVALID, open_audience
from preference_center.integrations.mailchimp.sms_contacts import (
    ARCHIVED,
    DENIED,
    SUBSCRIBED,
    UNSUBSCRIBED,
    TextContact,
    TextContacts,
    hashed,
)

OVERLAP = timedelta(minutes=10)
"""Runs overlap: an index may lag behind, and clocks differ."""


class MailchimpTexts(OnlySwitch):
    """The phone numbers of one audience."""

    kind: ClassVar[str] = "mailchimp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=50,
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        off_is_a_no=False,
    )
    credentials: ClassVar[str] = "the API key and the id of the audience"

    def _faults(self) -> Iterator[str]:
        """Also whether numbers are hashed there as they are here."""
        with open_audience(self._setup, self._http) as audience:
            found = TextContacts(audience).page("", "")
        if self._setup.create_contacts:
            yield (
                f"{CREATE_CONTACTS}: Mailchimp adds no contact that is opted out of SMS: take the "
                "setting away"
            )
        if any(c.hash and c.hash != hashed(c.phone) for c in found.contacts if c.phone):
            yield "Mailchimp hashes numbers otherwise than it says: none would be found"

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Each contact is read, and only changed where it differs."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_audience(self._setup, self._http) as audience:
            audience.ensure_there()
            asked = [item for item in batch if item.off or item.lift]
            steps = [Step((i.ref,), partial(_bring, TextContacts(audience), i)) for i in asked]
            outcomes = carry_out(batch, steps)
        ensure_some_taken({item.ref: outcomes[item.ref] for item in asked}, INVALID)
        return outcomes

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who never subscribed is sent nothing either."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_audience(self._setup, self._http) as audience:
            audience.ensure_there()
            contacts = TextContacts(audience)
            found = read_each(batch, lambda item: contacts.of(item.address))
        return {
            item.ref: self._off(contact) if contact else None
            for item, contact in found.items()
            if not isinstance(contact, int)
        }

    def _off(self, contact: TextContact) -> frozenset[str] | None:
        if contact.status == ARCHIVED:
            return None
        return self._all(off=contact.value != SUBSCRIBED)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        contacts, following, done = self._updated(cursor)
        rows = (
            Seen(c.phone, Channel.SMS, off=self._off(c))
            for c in contacts
            if c.phone and c.status != ARCHIVED
        )
        return Page(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who is unsubscribed, no later than the last change of the contact."""
        contacts, following, done = self._updated(cursor)
        rows = (
            News(NewsKind.OPTED_OUT, c.phone, ALL_SMS, c.last_updated_at, channel=Channel.SMS)
            for c in contacts
            if c.phone and c.value == UNSUBSCRIBED
        )
        return Page(tuple(rows), following, done)

    def _updated(self, cursor: str | None) -> tuple[list[TextContact], str, bool]:
        since, began, token = cursor.split("|", 2) if cursor else ("", "", "")
        began = began or f"{self._http.now() - OVERLAP:%Y-%m-%dT%H:%M:%S+00:00}"
        with open_audience(self._setup, self._http) as audience:
            page = TextContacts(audience).page(since, token)
        if page.next_cursor and page.contacts:
            return page.contacts, f"{since}|{began}|{page.next_cursor}", False
        return page.contacts, f"{began}||", True


def _bring(contacts: TextContacts, item: Item) -> Mapping[int, Outcome]:
    contact = contacts.of(item.address)
    if contact is None or (isinstance(contact, TextContact) and contact.status == ARCHIVED):
        return {item.ref: Outcome(Result.ABSENT, "404")}
    if not isinstance(contact, TextContact):
        return {item.ref: Outcome(Result.REFUSED, INVALID)}
    if contact.value == (UNSUBSCRIBED if item.off else SUBSCRIBED):
        return {item.ref: Outcome(Result.REFLECTED, contact.value)}
    consent = DENIED if item.off else contacts.granted
    after = contacts.consent(contact, item.address, consent)
    if after is None:
        return {item.ref: Outcome(Result.REFUSED, INVALID)}
    # An audience that asks twice answers "pending" to a lift: the person has to answer a text.
    done = after.value != (SUBSCRIBED if item.off else UNSUBSCRIBED)
    return {item.ref: Outcome(Result.REFLECTED if done else Result.LATER, after.value)}
