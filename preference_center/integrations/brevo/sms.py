"""Brevo's SMS: a contact is blocklisted for it or not; the topic is mapped to `sms`.

https://developers.brevo.com/reference/update-contact
https://developers.brevo.com/reference/get-contact-info
A list holds people, whatever they are written to by, so none stands for a topic by SMS (I10).
When and by whom a contact was blocklisted is not said: no later than it was changed last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind
from preference_center.integrations.base.batching import (
    Step,
    carry_out,
    ensure_some_taken,
    not_yet,
    read_each,
)
from preference_center.integrations.base.mapping import ensure_fits
from preference_center.integrations.base.sms_switch import OnlySwitch
from preference_center.integrations.brevo.client import PAGE, Account, Contact, Place, open_account

AT_ONCE = 100
"""Numbers of one push: each takes a request, at 10 a second, and the lease is 90 seconds."""
_RESULTS = {HTTPStatus.NOT_FOUND: Result.ABSENT, HTTPStatus.BAD_REQUEST: Result.REFUSED}


class BrevoTexts(OnlySwitch):
    """The phone numbers of one Brevo account."""

    kind: ClassVar[str] = "brevo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=150,
        rate=Rate(10, 1),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        off_is_a_no=False,
    )
    credentials: ClassVar[str] = "the API key and where it may be used"

    def _faults(self) -> Iterable[str]:
        with open_account(self._setup, self._http) as account:
            account.modified(Place(), 1)
        return ()

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. A number that Brevo doesn't know is answered by 404: none is made."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        asked = sorted((i for i in batch if i.off or i.lift), key=lambda item: not item.off)
        with open_account(self._setup, self._http) as account:
            steps = [Step((i.ref,), partial(_set, account, i)) for i in asked[:AT_ONCE]]
            steps += [Step((i.ref,), partial(not_yet, i)) for i in asked[AT_ONCE:]]
            outcomes = carry_out(batch, steps)
        ensure_some_taken({i.ref: outcomes[i.ref] for i in asked[:AT_ONCE]}, "400")
        return outcomes

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            found = read_each(batch[:AT_ONCE], lambda i: account.contact(i.address, phone=True))
        return {
            item.ref: self._off(contact) if isinstance(contact, Contact) else None
            for item, contact in found.items()
        }

    def _off(self, contact: Contact) -> frozenset[str]:
        return self._all(off=contact.sms_blacklisted)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        contacts, following, done = self._modified(cursor)
        rows = (Seen(c.phone, Channel.SMS, off=self._off(c)) for c in contacts if c.phone)
        return Page(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable."""
        contacts, following, done = self._modified(cursor)
        rows = (
            News(NewsKind.OPTED_OUT, c.phone, ALL_SMS, c.modified_at, channel=Channel.SMS)
            for c in contacts
            if c.phone and c.sms_blacklisted
        )
        return Page(tuple(rows), following, done)

    def _modified(self, cursor: str | None) -> tuple[list[Contact], str, bool]:
        place = Place.read(cursor)
        with open_account(self._setup, self._http) as account:
            contacts = account.modified(place, PAGE)
        following, done = place.after(len(contacts), PAGE, self._http.now())
        return contacts, str(following), done


def _set(account: Account, item: Item) -> Mapping[int, Outcome]:
    status = account.blocklist_texts(item.address, blocked=bool(item.off))
    return {item.ref: Outcome(_RESULTS.get(HTTPStatus(status), Result.REFLECTED), str(status))}
