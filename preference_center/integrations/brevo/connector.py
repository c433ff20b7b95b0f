"""Brevo: a topic by email is a list; the topic by SMS is mapped to `sms`.

https://developers.brevo.com/reference/remove-contact-from-list
https://developers.brevo.com/reference/update-contact
https://help.brevo.com/hc/en-us/articles/209458705
Blocklisting a contact stops all campaigns (transactional mail has a blocklist of its own),
but who blocklisted them isn't reported: it is the person's own switch, which we only read (I13).
A list holds people, whatever channel they are written to by, so none stands for a topic by SMS:
a contact is blocklisted for SMS or not (I10). When and by whom is not reported: no later than the
contact was changed last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import ClassVar, TypeVar

from preference_center.integrations.base import runtime
from preference_center.integrations.brevo.client import (
    BrevoClient,
    BrevoContact,
    parse_rate_limit_headers,
)
from preference_center.integrations.brevo.vendor_events import (
    list_block_events,
    list_contact_events,
)

PAGE_SIZE = 500
OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""
MAX_NUMBERS_PER_PUSH = 100
"""Numbers of one push: each takes a request, at 10 a second, and the lease is 90 seconds."""
_IS_OFF = runtime.OffState("not on the list, or blocklisted")
Row = TypeVar("Row")
_DOCS_URL = "https://developers.brevo.com"


class _BrevoAccount(runtime.ApiConnector[BrevoClient]):
    """What both channels of an account share."""

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return {"api-key": self.config.settings["api_key"]}

    def make_client(self, session: runtime.Session) -> BrevoClient:
        """See ApiConnector."""
        return BrevoClient(session)

    def list_modified(
        self, cursor: str | None, to_rows: Callable[[BrevoContact], Iterable[Row]]
    ) -> runtime.ContactPage[Row]:
        """The next page of the contacts that were modified since the last pass, as rows."""

        def list_page(
            client: BrevoClient, since: datetime | None, offset: str
        ) -> tuple[list[Row], str]:
            contacts, following = client.list_modified_contacts(since, offset, PAGE_SIZE)
            return [row for contact in contacts for row in to_rows(contact)], following

        return self.changes_page(cursor, list_page, overlap=OVERLAP)


class Brevo(
    _BrevoAccount,
    runtime.ReadableConnector[BrevoClient],
    runtime.LinkFieldConnector[BrevoClient],
):
    """The email addresses of one Brevo account."""

    kind = "brevo"
    capabilities = runtime.Capabilities(
        channels=frozenset({runtime.Channel.EMAIL}),
        scopes=frozenset({runtime.SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=150,
        rate_limit=runtime.RateLimit(10, 1),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_hold_link=True,
        off_means_opt_out=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key (v3); if the account allows API calls from known addresses "
        "only, the workers' are among them",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="list",
        credentials_hint="the API key and where it may be used",
        api_url="https://api.brevo.com",
        rate_limit_headers=parse_rate_limit_headers,
        numeric_ids=True,
        group_size=150,
        by_target=True,
        target_check=runtime.TargetCheck.ON_REJECTION,
    )

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

    def list_link_fields(self, client: BrevoClient) -> Collection[str]:
        """See LinkFieldConnector. Text attributes of contacts."""
        return client.list_text_attributes()

    def write_link_group(
        self, client: BrevoClient, field: str, items: Sequence[runtime.LinkItem]
    ) -> runtime.Outcomes:
        """See LinkFieldConnector."""
        return {
            item.ref: client.update_contact(item.address, {"attributes": {field: item.link}})
            for item in items
        }

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self.list_modified(cursor, self._to_snapshots)

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


class BrevoSms(_BrevoAccount, runtime.MappedSmsConnector[BrevoClient]):
    """The phone numbers of one Brevo account. One that Brevo doesn't know is answered by 404."""

    kind = Brevo.kind
    capabilities = replace(
        Brevo.capabilities,
        channels=frozenset({runtime.Channel.SMS}),
        can_hold_link=False,
    )
    rules = replace(
        Brevo.rules,
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

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self.list_modified(cursor, self._to_snapshots)

    def _to_snapshots(self, contact: BrevoContact) -> Iterator[runtime.ContactSnapshot]:
        if contact.phone:
            off = self.all_topics(is_off=contact.sms_blacklisted)
            yield runtime.ContactSnapshot(contact.phone, runtime.Channel.SMS, off=off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull."""
        return self.list_modified(cursor, _to_sms_events)


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


def _to_sms_events(contact: BrevoContact) -> Iterator[runtime.VendorEvent]:
    if contact.phone and contact.sms_blacklisted:
        yield runtime.VendorEvent(
            runtime.VendorEventKind.OPTED_OUT,
            contact.phone,
            runtime.ALL_SMS,
            contact.modified_at,
            channel=runtime.Channel.SMS,
        )


class BrevoMultiChannel(runtime.MultiChannelConnector):
    """One Brevo account, for email and SMS."""

    kind = Brevo.kind
    capabilities = replace(
        Brevo.capabilities, channels=frozenset({runtime.Channel.EMAIL, runtime.Channel.SMS})
    )
    settings = Brevo.settings
    connector_factories: ClassVar[runtime.ConnectorFactories] = {
        runtime.Channel.EMAIL: Brevo,
        runtime.Channel.SMS: BrevoSms,
    }


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
        f"{_DOCS_URL}/reference/get-transac-blocked-contacts",
        f"{_DOCS_URL}/docs/api-limits",
    ),
    notes=(
        "What is sent to segments and by automations asks for no list: let it ask for one.",
        "No email is blocklisted by us; who is blocklisted in Brevo has said no to all marketing.",
        "Map a topic that goes by SMS to `sms`: a contact is blocklisted for SMS or not.",
        "A blocklisting without a trace in the last 90 days counts as 90 days old.",
    ),
)
