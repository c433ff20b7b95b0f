"""Mailchimp's SMS consent, by the endpoints for audiences, which Mailchimp calls beta.

https://mailchimp.com/developer/marketing/docs/audiences-introduction/
https://mailchimp.com/developer/release-notes/new-audiences-endpoints-beta/
https://github.com/mailchimp/mailchimp-client-lib-codegen (spec/marketing.json, 3.0.91)
Only they have contacts without an email address. A contact is found by the SHA-256 of its
number and changed by its id, so that none is ever created. `denied` unsubscribes it. Groups
("interests") hold people for every channel, so the topic is mapped to `sms`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar, cast

from pydantic import Field

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.mailchimp.client import (
    ARCHIVED,
    PAGE_SIZE,
    SUBSCRIBED,
    UNSUBSCRIBED,
    MailchimpAudience,
    MailchimpClient,
)

OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""
DENIED, CONSENTED, CONFIRMED = "denied", "consented", "confirmed"
_CONTACTS = "/3.0/audiences/{audience}/contacts"
_CONTACT = f"{_CONTACTS}/{{contact}}"
_AUDIENCE = "/3.0/lists/{audience}"


class _StatusValue(runtime.LenientModel):
    value: str = ""


class _SmsChannel(runtime.LenientModel):
    sms_phone: str = ""
    hashed_sms_phone: str = ""
    effective_subscription_status: _StatusValue = _StatusValue()


class SmsContact(runtime.LenientModel):
    """One contact and its SMS consent."""

    id: str = ""
    status: str = ""
    sms_channel: _SmsChannel = _SmsChannel()
    last_updated_at: runtime.IsoDatetime = None

    @property
    def phone(self) -> str:
        """The number in E.164; "" if there is none."""
        return self.sms_channel.sms_phone

    @property
    def phone_hash(self) -> str:
        """Mailchimp's hash of the number."""
        return self.sms_channel.hashed_sms_phone

    @property
    def subscription_status(self) -> str:
        """The status by all consents: subscribed, unsubscribed, nonsubscribed or pending."""
        return self.sms_channel.effective_subscription_status.value

    @property
    def is_subscribed(self) -> bool:
        """Whether it is sent marketing messages."""
        return self.subscription_status == SUBSCRIBED


class _SmsContactPage(runtime.LenientModel):
    """A page of contacts, and where the next one begins; "" if this is the last."""

    contacts: list[SmsContact] = Field(default_factory=list)
    next_cursor: str = ""


@dataclass(frozen=True)
class _RemoteSmsContact(runtime.RemoteContact):
    contact: SmsContact = field(default_factory=SmsContact)


class SmsContactsClient:
    """The contacts of one audience, for one push or page."""

    def __init__(self, client: MailchimpClient) -> None:
        self._client = client
        self.ensure_audience_exists = client.ensure_exists

    @cached_property
    def opt_in_consent(self) -> str:
        """The name of a consent, which depends on the audience's double opt-in."""
        response = self._client.send("GET", _AUDIENCE, query={"fields": "double_optin"})
        is_double = response.parse_member(bool, "double_optin", or_empty=True)
        return CONFIRMED if is_double else CONSENTED

    def find(self, number: str) -> SmsContact | None:
        """The contact with this number; None if there is none."""
        response = self._client.find(_CONTACT, query={}, contact=f"sms:{hash_phone(number)}")
        return response.parse(SmsContact) if response else None

    def update_consent(self, contact: SmsContact, number: str, consent: str) -> SmsContact:
        """The contact after the change of its SMS consent."""
        channel = {"sms_phone": number, "marketing_consent": {"status": consent}}
        return self._client.send(
            "PATCH",
            _CONTACT,
            query={"merge_field_validation_mode": "ignore_required_checks"},
            body={"sms_channel": channel},
            contact=contact.id or f"sms:{hash_phone(number)}",
        ).parse(SmsContact)

    def forget(self, contact: SmsContact) -> int:
        """Delete a contact for good, with all its channels; the HTTP status."""
        route = f"{_CONTACT}/actions/forget"
        return self._client.send("POST", route, query={}, contact=contact.id).status

    def list_contacts(self, since: datetime | None, token: str) -> tuple[list[SmsContact], str]:
        """A page of contacts by time of change, and the token of the next."""
        query = {"count": str(PAGE_SIZE), "sort_field": "updated_at", "sort_dir": "ASC"}
        if since:
            query["updated_since"] = f"{since:%Y-%m-%dT%H:%M:%S+00:00}"
        if token:
            query["cursor"] = token
        page = self._client.send("GET", _CONTACTS, query=query).parse(_SmsContactPage)
        return page.contacts, page.next_cursor if page.contacts else ""


class MailchimpSms(
    MailchimpAudience[SmsContactsClient],
    runtime.ListedSmsConnector[SmsContactsClient],
    runtime.ErasingConnector[SmsContactsClient],
):
    """The phone numbers of one audience."""

    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        channels=frozenset({runtime.Channel.SMS}),
        can_lift=True,
        batch_size=50,
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        off_means_opt_out=False,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        confirms_erasure=True,
    )
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="switch",
        credentials_hint="the API key and the id of the audience",
        lookups=runtime.LookupMode.ALL,
        compares_contacts=True,
    )

    def make_client(self, session: runtime.Session) -> SmsContactsClient:
        """See ApiConnector."""
        return SmsContactsClient(MailchimpClient(self.config, session))

    def prepare(self, client: SmsContactsClient, addresses: Sequence[str]) -> None:  # noqa: ARG002 - the runtime's
        """See ApiConnector."""
        client.ensure_audience_exists()

    def find_problems(self, client: SmsContactsClient) -> Iterator[str]:
        """See ApiConnector. Also checks that Mailchimp hashes numbers as we do."""
        contacts, _ = client.list_contacts(None, "")
        if self.config.create_contacts:
            yield (
                f"{CREATE_CONTACTS}: Mailchimp adds no contact that is opted out of SMS: remove "
                "the setting"
            )
        if any(c.phone_hash not in {"", hash_phone(c.phone)} for c in contacts if c.phone):
            yield "Mailchimp hashes numbers differently than documented: none would be found"

    def fetch_contact(
        self,
        client: SmsContactsClient,
        address: str,
        target_ids: Collection[str],  # noqa: ARG002 - there is one
    ) -> runtime.RemoteContact | None:
        """See MappedConnector. Numbers that never subscribed are off, too."""
        contact = client.find(address)
        if contact is None or contact.status == ARCHIVED:
            return None
        off = runtime.sms_contact(None if contact.is_subscribed else contact.subscription_status)
        return _RemoteSmsContact(off.off_targets, contact)

    def write_change(
        self, client: SmsContactsClient, change: runtime.TargetChange
    ) -> runtime.PushOutcome:
        """See MappedConnector. With double opt-in the person has to answer a text message."""
        contact = cast("_RemoteSmsContact", change.contact).contact
        if contact.subscription_status == (UNSUBSCRIBED if change.off else SUBSCRIBED):
            return runtime.reflected(contact.subscription_status)
        consent = DENIED if change.off else client.opt_in_consent
        status = client.update_consent(contact, change.address, consent).subscription_status
        # A lift is "pending" until then.
        is_applied = status != (SUBSCRIBED if change.off else UNSUBSCRIBED)
        return runtime.acknowledged(is_applied, status)

    def erase_contact(
        self, client: SmsContactsClient, item: runtime.EraseItem
    ) -> runtime.PushOutcome:
        """See ErasingConnector. The contact is deleted by its id, which names one for certain."""
        contact = client.find(item.address)
        if contact is None:
            return runtime.absent()
        if contact.phone != item.address or not contact.id:
            return runtime.retry_later("another contact was answered")
        return runtime.reflected(client.forget(contact))

    def holds_contact(self, client: SmsContactsClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return client.find(item.address) is not None

    def list_numbers(self, cursor: str | None) -> runtime.ContactPage[runtime.ListedNumber]:
        """See ListedSmsConnector. Dated by a contact's last change."""
        page = self.changes_page(
            cursor, SmsContactsClient.list_contacts, overlap=OVERLAP, restart_on_rejection=True
        )
        return page.expand(_to_listed_numbers)


def hash_phone(number: str) -> str:
    """SHA-256 of a number in E.164: Mailchimp's id of the contact, not a protection."""
    return hashlib.sha256(number.encode()).hexdigest()


def _to_listed_numbers(contact: SmsContact) -> Iterator[runtime.ListedNumber]:
    yield runtime.ListedNumber(
        contact.phone,
        not contact.is_subscribed,
        contact.subscription_status == UNSUBSCRIBED,
        contact.last_updated_at,
        is_archived=contact.status == ARCHIVED,
    )
