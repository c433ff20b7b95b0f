"""Brevo's SMS: a contact is blocklisted for SMS or not, whatever lists it is on (I10).

https://developers.brevo.com/reference/update-contact
When and by whom is not reported: no later than the contact was changed last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from preference_center.integrations.base import runtime
from preference_center.integrations.brevo.account import CAPABILITIES, RULES, BrevoAccount
from preference_center.integrations.brevo.client import WITHOUT_PHONE, BrevoClient, BrevoContact

MAX_NUMBERS_PER_PUSH = 100
"""Numbers of one push: each takes a request, at 10 a second, and the lease is 90 seconds."""


class BrevoSms(
    BrevoAccount, runtime.MappedSmsConnector[BrevoClient], runtime.ErasingConnector[BrevoClient]
):
    """The phone numbers of one Brevo account. One that Brevo doesn't know is answered by 404."""

    capabilities = replace(
        CAPABILITIES,
        channels=frozenset({runtime.Channel.SMS}),
        can_write_fields=False,
        can_hold_link=False,
    )
    rules = replace(
        RULES,
        numeric_ids=False,
        by_target=False,
        group_size=1,
        max_changes=MAX_NUMBERS_PER_PUSH,
        max_reads=MAX_NUMBERS_PER_PUSH,
        target_check=runtime.TargetCheck.NEVER,
    )

    def find_problems(self, client: BrevoClient) -> Iterator[str]:
        """See ApiConnector."""
        client.list_modified_contacts(None, "", 1)
        return iter(())

    def write_change(
        self, client: BrevoClient, change: runtime.TargetChange
    ) -> runtime.PushOutcome:
        """See MappedConnector."""
        changes = {"smsBlacklisted": bool(change.off)}
        return client.update_contact(change.address, changes, by_phone=True)

    def fetch_contact(
        self,
        client: BrevoClient,
        address: str,
        target_ids: Collection[str],  # noqa: ARG002 - there is one
    ) -> runtime.RemoteContact | None:
        """See MappedConnector."""
        contact = client.get_contact(address, by_phone=True)
        if not isinstance(contact, BrevoContact):
            return None
        return runtime.sms_contact("blocklisted" if contact.sms_blacklisted else None)

    def erase_contact(self, client: BrevoClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector. One with an email address too may be somebody else."""
        contact = client.get_contact(item.address, by_phone=True)
        if not isinstance(contact, BrevoContact):
            return runtime.absent(contact)
        if contact.email:
            return client.update_contact(item.address, WITHOUT_PHONE, by_phone=True)
        return client.delete_contact(item.address, by_phone=True)

    def holds_contact(self, client: BrevoClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return isinstance(client.get_contact(item.address, by_phone=True), BrevoContact)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self.list_modified(cursor).expand(self._to_snapshots)

    def _to_snapshots(self, contact: BrevoContact) -> Iterator[runtime.ContactSnapshot]:
        if contact.phone:
            off = self.all_topics(is_off=contact.sms_blacklisted)
            yield runtime.ContactSnapshot(contact.phone, runtime.Channel.SMS, off=off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull."""
        return self.list_modified(cursor).expand(_to_sms_events)


def _to_sms_events(contact: BrevoContact) -> Iterator[runtime.VendorEvent]:
    if contact.phone and contact.sms_blacklisted:
        yield runtime.VendorEvent(
            runtime.VendorEventKind.OPTED_OUT,
            contact.phone,
            runtime.ALL_SMS,
            contact.modified_at,
            channel=runtime.Channel.SMS,
        )
