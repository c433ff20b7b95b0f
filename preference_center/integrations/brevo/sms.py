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
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import ALL_SMS, VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import (
    PushStep,
    deferred,
    ensure_some_accepted,
    read_each,
    run_steps,
)
from preference_center.integrations.base.mapping import validate_batch
from preference_center.integrations.base.sms_switch import SmsSwitchConnector
from preference_center.integrations.brevo.client import (
    PAGE_SIZE,
    BrevoClient,
    BrevoContact,
    BrevoCursor,
    open_client,
)

MAX_NUMBERS_PER_PUSH = 100
"""Numbers of one push: each takes a request, at 10 a second, and the lease is 90 seconds."""
_RESULT_BY_STATUS = {
    HTTPStatus.NOT_FOUND: PushResult.ABSENT,
    HTTPStatus.BAD_REQUEST: PushResult.REFUSED,
}


class BrevoSms(SmsSwitchConnector):
    """The phone numbers of one Brevo account."""

    kind: ClassVar[str] = "brevo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=150,
        rate_limit=RateLimit(10, 1),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        off_means_opt_out=False,
    )
    credentials_hint: ClassVar[str] = "the API key and where it may be used"

    def _find_problems(self) -> Iterable[str]:
        with open_client(self._config, self._http) as account:
            account.list_modified_contacts(BrevoCursor(), 1)
        return ()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. A number that Brevo doesn't know is answered by 404: none is made."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        asked = sorted((i for i in batch if i.off or i.lift), key=lambda item: not item.off)
        with open_client(self._config, self._http) as account:
            steps = [
                PushStep((i.ref,), partial(_set_sms_blocklisted, account, i))
                for i in asked[:MAX_NUMBERS_PER_PUSH]
            ]
            steps += [
                PushStep((i.ref,), partial(deferred, i)) for i in asked[MAX_NUMBERS_PER_PUSH:]
            ]
            outcomes = run_steps(batch, steps)
        ensure_some_accepted({i.ref: outcomes[i.ref] for i in asked[:MAX_NUMBERS_PER_PUSH]}, "400")
        return outcomes

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            found = read_each(
                batch[:MAX_NUMBERS_PER_PUSH],
                lambda i: account.get_contact(i.address, by_phone=True),
            )
        return {
            item.ref: self._off_topics(contact) if isinstance(contact, BrevoContact) else None
            for item, contact in found.items()
        }

    def _off_topics(self, contact: BrevoContact) -> frozenset[str]:
        return self._all_topics(off=contact.sms_blacklisted)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable."""
        contacts, following, done = self._list_modified(cursor)
        rows = (
            ContactSnapshot(c.phone, Channel.SMS, off=self._off_topics(c))
            for c in contacts
            if c.phone
        )
        return ContactPage(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable."""
        contacts, following, done = self._list_modified(cursor)
        rows = (
            VendorEvent(
                VendorEventKind.OPTED_OUT, c.phone, ALL_SMS, c.modified_at, channel=Channel.SMS
            )
            for c in contacts
            if c.phone and c.sms_blacklisted
        )
        return ContactPage(tuple(rows), following, done)

    def _list_modified(self, cursor: str | None) -> tuple[list[BrevoContact], str, bool]:
        place = BrevoCursor.parse(cursor)
        with open_client(self._config, self._http) as account:
            contacts = account.list_modified_contacts(place, PAGE_SIZE)
        following, done = place.advance(len(contacts), PAGE_SIZE, self._http.now())
        return contacts, str(following), done


def _set_sms_blocklisted(client: BrevoClient, item: PushItem) -> Mapping[int, PushOutcome]:
    status = client.set_sms_blocklisted(item.address, blocked=bool(item.off))
    return {
        item.ref: PushOutcome(
            _RESULT_BY_STATUS.get(HTTPStatus(status), PushResult.REFLECTED), str(status)
        )
    }
