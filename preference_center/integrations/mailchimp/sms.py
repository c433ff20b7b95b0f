"""Mailchimp's SMS consent, by the endpoints for audiences, which Mailchimp calls beta.

https://mailchimp.com/developer/marketing/docs/audiences-introduction/
https://mailchimp.com/developer/release-notes/new-audiences-endpoints-beta/
Only they have contacts without an email address. A contact is found by the SHA-256 of its
number and changed by its id, so that none is ever created. `denied` unsubscribes it. Groups
("interests") hold people for every channel, so the topic is mapped to `sms`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
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
    ensure_some_accepted,
    read_each,
    run_steps,
)
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.base.mapping import validate_batch
from preference_center.integrations.base.sms_switch import SmsSwitchConnector
from preference_center.integrations.mailchimp.client import INVALID_ACK, open_client
from preference_center.integrations.mailchimp.sms_contacts import (
    ARCHIVED,
    DENIED,
    SUBSCRIBED,
    UNSUBSCRIBED,
    SmsContact,
    SmsContactsClient,
    hash_phone,
)

OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""


class MailchimpSms(SmsSwitchConnector):
    """The phone numbers of one audience."""

    kind: ClassVar[str] = "mailchimp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=50,
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        off_means_opt_out=False,
    )
    credentials_hint: ClassVar[str] = "the API key and the id of the audience"

    def _find_problems(self) -> Iterator[str]:
        """Also checks that Mailchimp hashes numbers as we do."""
        with open_client(self._config, self._http) as audience:
            found = SmsContactsClient(audience).list_contacts("", "")
        if self._config.create_contacts:
            yield (
                f"{CREATE_CONTACTS}: Mailchimp adds no contact that is opted out of SMS: remove "
                "the setting"
            )
        if any(
            c.phone_hash and c.phone_hash != hash_phone(c.phone) for c in found.contacts if c.phone
        ):
            yield "Mailchimp hashes numbers differently than documented: none would be found"

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Each contact is read, and only changed where it differs."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as audience:
            audience.ensure_exists()
            asked = [item for item in batch if item.off or item.lift]
            steps = [
                PushStep((i.ref,), partial(_push_item, SmsContactsClient(audience), i))
                for i in asked
            ]
            outcomes = run_steps(batch, steps)
        ensure_some_accepted({item.ref: outcomes[item.ref] for item in asked}, INVALID_ACK)
        return outcomes

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead. Numbers that never subscribed are off, too."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as audience:
            audience.ensure_exists()
            contacts = SmsContactsClient(audience)
            found = read_each(batch, lambda item: contacts.find(item.address))
        return {
            item.ref: self._off_topics(contact) if contact else None
            for item, contact in found.items()
            if not isinstance(contact, int)
        }

    def _off_topics(self, contact: SmsContact) -> frozenset[str] | None:
        if contact.status == ARCHIVED:
            return None
        return self._all_topics(off=contact.subscription_status != SUBSCRIBED)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        contacts, following, done = self._list_updated(cursor)
        rows = (
            ContactSnapshot(c.phone, Channel.SMS, off=self._off_topics(c))
            for c in contacts
            if c.phone and c.status != ARCHIVED
        )
        return ContactPage(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Unsubscribed contacts, dated by their last change."""
        contacts, following, done = self._list_updated(cursor)
        rows = (
            VendorEvent(
                VendorEventKind.OPTED_OUT, c.phone, ALL_SMS, c.last_updated_at, channel=Channel.SMS
            )
            for c in contacts
            if c.phone and c.subscription_status == UNSUBSCRIBED
        )
        return ContactPage(tuple(rows), following, done)

    def _list_updated(self, cursor: str | None) -> tuple[list[SmsContact], str, bool]:
        since, started_at, token = cursor.split("|", 2) if cursor else ("", "", "")
        started_at = started_at or f"{self._http.now() - OVERLAP:%Y-%m-%dT%H:%M:%S+00:00}"
        with open_client(self._config, self._http) as audience:
            page = SmsContactsClient(audience).list_contacts(since, token)
        if page.next_cursor and page.contacts:
            return page.contacts, f"{since}|{started_at}|{page.next_cursor}", False
        return page.contacts, f"{started_at}||", True


def _push_item(contacts: SmsContactsClient, item: PushItem) -> Mapping[int, PushOutcome]:
    contact = contacts.find(item.address)
    if contact is None or (isinstance(contact, SmsContact) and contact.status == ARCHIVED):
        return {item.ref: PushOutcome(PushResult.ABSENT, "404")}
    if not isinstance(contact, SmsContact):
        return {item.ref: PushOutcome(PushResult.REFUSED, INVALID_ACK)}
    if contact.subscription_status == (UNSUBSCRIBED if item.off else SUBSCRIBED):
        return {item.ref: PushOutcome(PushResult.REFLECTED, contact.subscription_status)}
    consent = DENIED if item.off else contacts.opt_in_consent
    after = contacts.update_consent(contact, item.address, consent)
    if after is None:
        return {item.ref: PushOutcome(PushResult.REFUSED, INVALID_ACK)}
    # With double opt-in a lift is "pending": the person has to answer a text message.
    done = after.subscription_status != (SUBSCRIBED if item.off else UNSUBSCRIBED)
    return {
        item.ref: PushOutcome(
            PushResult.REFLECTED if done else PushResult.RETRY_LATER, after.subscription_status
        )
    }
