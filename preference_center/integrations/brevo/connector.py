"""Brevo: a topic by email is a list; the topic by SMS is mapped to `sms`.

https://developers.brevo.com/reference/remove-contact-from-list
https://developers.brevo.com/reference/update-contact
https://help.brevo.com/hc/en-us/articles/209458705
Blocklisting a contact stops all campaigns (transactional mail has a blocklist of its own),
but who blocklisted them isn't reported: it is the person's own switch, which we only read (I13).
A list holds people, whatever channel they are written to by, so none stands for a topic by SMS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.brevo.client import (
    CAPABILITIES,
    OVERLAP,
    RULES,
    BrevoAccount,
    BrevoClient,
    BrevoContact,
    BrevoSms,
)
from preference_center.integrations.brevo.webhook import list_block_events, list_contact_events

_IS_OFF = runtime.OffState("not on the list, or blocklisted")
_DOCS_URL = "https://developers.brevo.com"


class Brevo(
    BrevoAccount,
    runtime.ReadableConnector[BrevoClient],
    runtime.ContactFieldConnector[BrevoClient],
    runtime.ErasingConnector[BrevoClient],
):
    """The email addresses of one Brevo account."""

    capabilities = CAPABILITIES
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key (v3); if the account allows API calls from known addresses "
        "only, the workers' are among them",
        "base_url?": "another address of the API, for tests",
    }
    rules = RULES

    def list_targets(self, client: BrevoClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        return runtime.list_all(client.list_lists)

    def write_changes(self, client: BrevoClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector.

        Brevo names whom it moved. Of the others it only reports that they are unknown or on the
        right side already, and if nobody was moved, it rejects the request; so these are looked
        up one by one, once.
        """
        list_, action = changes[0].target, "remove" if changes[0].off else "add"
        rejection, moved = None, set[str]()
        try:
            moved = client.update_list_members(list_, action, [c.address for c in changes])
        except runtime.RequestRejected as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            rejection = error
        outcomes = {
            change.ref: runtime.reflected("201")
            if change.address.casefold() in moved
            else _check_contact(client, change)
            for change in changes
        }
        waiting = [
            change
            for change in changes
            if outcomes[change.ref].result is runtime.PushResult.RETRY_LATER
        ]
        if rejection and waiting:
            if len(waiting) == len(changes):
                raise rejection
            outcomes |= self.write_changes(client, waiting)
        return outcomes

    def fetch_contact(
        self, client: BrevoClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """See MappedConnector."""
        contact = client.get_contact(address)
        return _to_remote(contact, target_ids) if isinstance(contact, BrevoContact) else None

    def list_text_fields(self, client: BrevoClient) -> Collection[str]:
        """See ContactFieldConnector. Text attributes of contacts."""
        return client.list_text_attributes()

    def write_field_group(
        self, client: BrevoClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector."""
        return {
            item.ref: client.update_contact(item.address, {"attributes": {field: item.value}})
            for item in items
        }

    def erase_contact(self, client: BrevoClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return client.delete_contact(item.address)

    def holds_contact(self, client: BrevoClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return isinstance(client.get_contact(item.address), BrevoContact)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self.list_modified(cursor).expand(self._to_snapshots)

    def _to_snapshots(self, contact: BrevoContact) -> Iterator[runtime.ContactSnapshot]:
        if contact.email:
            yield runtime.ContactSnapshot(
                contact.email,
                off=self.off_topics(_to_remote(contact, self.config.topics.values())),
                link=self.config.link_value(contact.attributes),
            )

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Who is blocklisted, unsubscribed from a mapped list, or blocked."""
        lists, now = [*self.config.topics.values()], self.http.now()
        contacts = partial(list_contact_events, lists, now)
        return self.changes_page(cursor, contacts, list_block_events, overlap=OVERLAP)


def _check_contact(client: BrevoClient, change: runtime.TargetChange) -> runtime.PushOutcome:
    """The outcome of an address that was not moved: RETRY_LATER if it had to be."""
    contact = client.get_contact(change.address)
    if not isinstance(contact, BrevoContact):
        return runtime.outcome_for_status(contact)
    if (int(change.target) in contact.list_ids) == bool(change.on):
        return runtime.reflected("nothing to change")
    return runtime.retry_later()


def _to_remote(contact: BrevoContact, lists: Iterable[str]) -> runtime.RemoteContact:
    """Who isn't on a list doesn't get it, who is blocklisted gets none."""
    return runtime.RemoteContact(
        {
            list_: _IS_OFF
            for list_ in lists
            if contact.email_blacklisted or int(list_) not in contact.list_ids
        }
    )


class BrevoMultiChannel(runtime.MultiChannelConnector, email=Brevo, sms=BrevoSms):
    """One Brevo account, for email and SMS."""


SPEC = runtime.ConnectorSpec.of(
    BrevoMultiChannel,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Brevo's API reference, read on 2026-11-27",
    secrets={"api_key"},
    sources=(
        f"{_DOCS_URL}/reference/remove-contact-from-list",
        f"{_DOCS_URL}/reference/get-contact-info",
        f"{_DOCS_URL}/reference/get-contacts",
        f"{_DOCS_URL}/reference/update-contact",
        f"{_DOCS_URL}/reference/delete-contact",
        f"{_DOCS_URL}/reference/get-transac-blocked-contacts",
        f"{_DOCS_URL}/docs/api-limits",
    ),
    notes=(
        "What is sent to segments and by automations asks for no list: let it ask for one.",
        "No email is blocklisted by us; who is blocklisted in Brevo has said no to all marketing.",
        "Map a topic that goes by SMS to `sms`: a contact is blocklisted for SMS or not.",
        "A blocklisting without a trace in the last 90 days counts as 90 days old.",
    ),
    open_points=(
        (
            "Only our scan keeps a list's opt-out when an import adds the contact again: a "
            "blocklisting, which would, stops all campaigns."
        ),
        (
            "Not documented: that a request which would move nobody is rejected (users report "
            "it), and that an empty `SMS` attribute takes the number from a contact."
        ),
    ),
)
