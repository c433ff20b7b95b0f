"""Intercom: a topic is a subscription type of one workspace, or all its email.

https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/subscription-types
`unsubscribed_from_emails` stops all mail to a contact, so it may stand for a topic only where
the workspace sends nothing else (I10). One address may have several contacts, users and
leads: all are changed, and a topic is off when it is off for all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial, reduce
from http import HTTPStatus
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.intercom.client import IntercomClient, IntercomContact

GLOBAL_TARGET = runtime.ALL_EMAIL
"""What a topic is mapped to that is all email and no subscription type."""
OVERLAP = timedelta(minutes=30)
"""A new contact may be missing from searches for a few minutes."""
EVENT_KIND_BY_FLAG = {
    "unsubscribed_from_emails": runtime.VendorEventKind.OPTED_OUT,
    "marked_email_as_spam": runtime.VendorEventKind.COMPLAINED,
    "has_hard_bounced": runtime.VendorEventKind.BOUNCED,
}
_DOCS_URL = "https://developers.intercom.com/docs/references"


class Intercom(
    runtime.ReadableConnector[IntercomClient],
    runtime.ContactFieldConnector[IntercomClient],
    runtime.ErasingConnector[IntercomClient],
):
    """One Intercom workspace."""

    kind = "intercom"
    capabilities = runtime.Capabilities(
        can_lift=True,
        # Each contact is looked up and changed by itself: more would not end inside a lease.
        batch_size=30,
        # 10,000 a minute, dealt out in windows of 10 seconds.
        rate_limit=runtime.RateLimit(1_666, 10),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="Every user and lead of the address is deleted; Intercom destroys them after "
        "7 days. Conversations stay in the inbox: delete those there that hold personal data. "
        "Contacts who were archived before are not found.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "access_token": "access token of an app of the workspace that may read, write and delete "
        "users and leads",
        "base_url?": "https://api.eu.intercom.io or https://api.au.intercom.io for workspaces "
        "that are hosted there",
    }
    rules = runtime.ConnectorRules(
        target_noun="subscription type",
        credentials_hint="the access token, its rights and region",
        api_url="https://api.intercom.io",
        bearer_setting="access_token",
        rate_limit_headers=runtime.X_RATELIMIT_HEADERS,
        account_target=GLOBAL_TARGET,
        target_check=runtime.TargetCheck.NEVER,  # All mapped types, by `push_batch`.
    )
    client_class = IntercomClient

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return {**super().headers(), "Intercom-Version": "2.15"}

    def prepare(self, client: IntercomClient, addresses: Sequence[str]) -> None:
        """See ApiConnector."""
        client.addresses = addresses

    def list_targets(self, client: IntercomClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, type_ in sorted(client.types.items()):
            reason = "" if type_.has_known_consent_type else "is neither opt-in nor opt-out"
            yield runtime.Target(id_, type_.default_translation.name, reason)

    def find_problems(self, client: IntercomClient) -> Iterator[str]:
        """See ApiConnector."""
        client.list_changed(None, "", flags=[*EVENT_KIND_BY_FLAG])
        for topic, id_ in sorted(self.config.topics.items()):
            if id_ in client.types and "email" not in client.types[id_].content_types:
                yield (
                    f"topic {topic} is mapped to {id_!r}, which is no subscription type for email: "
                    f"map it to one that is live, or write {GLOBAL_TARGET}"
                )
        yield from super().find_problems(client)

    def push_batch(self, client: IntercomClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Each contact is looked up, and changed where it differs."""
        self.ensure_targets(client, self.config.topics.values())
        return super().push_batch(client, batch)

    def read_batch(self, client: IntercomClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector."""
        self.ensure_targets(client, self.config.topics.values())
        return super().read_batch(client, batch)

    def write_change(
        self, client: IntercomClient, change: runtime.TargetChange
    ) -> runtime.PushOutcome:
        """See MappedConnector."""
        return _update_all(client, change.address, partial(_write_change, client, change))

    def fetch_contact(
        self, client: IntercomClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """See MappedConnector. What is off for all contacts of an address."""
        contacts = client.contacts_of(address)
        states = [_off_states(client, contact, target_ids) for contact in contacts]
        held = [each for each in states if each is not None]
        if not held:
            return None
        shared = set(target_ids).intersection(*held)
        return runtime.RemoteContact(
            {
                id_: runtime.OffState("off", is_opt_out=all(each[id_].is_opt_out for each in held))
                for id_ in shared
            }
        )

    def list_text_fields(self, client: IntercomClient) -> Collection[str]:
        """See ContactFieldConnector. Text attributes of contacts."""
        return client.list_text_attributes()

    def write_field_group(
        self, client: IntercomClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector."""

        def write(link: str, contact: IntercomContact) -> runtime.PushOutcome:
            if contact.custom_attributes.get(field) == link:
                return runtime.reflected()
            after = client.update_contact(contact, {"custom_attributes": {field: link}})
            if after is None:
                return runtime.absent()
            return runtime.acknowledged(after.custom_attributes.get(field) == link)

        return {
            item.ref: _update_all(client, item.address, partial(write, item.value))
            for item in items
        }

    def erase_contact(self, client: IntercomClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector. All contacts of an address."""
        return _update_all(client, item.address, client.delete_contact)

    def holds_contact(self, client: IntercomClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector. Searches may find who is deleted for some minutes."""
        return bool(client.contacts_of(item.address))

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. A listing doesn't show which types a contact is attached to."""
        return self._list_changed(cursor).expand(self._to_snapshots)

    def _list_changed(
        self, cursor: str | None, flags: Sequence[str] = ()
    ) -> runtime.ContactPage[IntercomContact]:
        listing = partial(IntercomClient.list_changed, flags=flags)
        return self.changes_page(cursor, listing, overlap=OVERLAP, restart_on_rejection=True)

    def _to_snapshots(self, contact: IntercomContact) -> Iterator[runtime.ContactSnapshot]:
        if contact.email:
            off = frozenset(self.config.topics) if contact.unsubscribed_from_emails else None
            link = self.config.link_value(contact.custom_attributes)
            yield runtime.ContactSnapshot(contact.email, off=off, link=link)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Who unsubscribed from all email, complained, or can't be reached.

        When is not reported, only that it was no later than the contact's last change. Who left
        a single type can't be listed: that shows when an address is read.
        """
        return self._list_changed(cursor, [*EVENT_KIND_BY_FLAG]).expand(self._to_vendor_events)

    def _to_vendor_events(self, contact: IntercomContact) -> Iterator[runtime.VendorEvent]:
        whole = GLOBAL_TARGET if GLOBAL_TARGET in self.config.topics.values() else None
        for flag, kind in EVENT_KIND_BY_FLAG.items():
            if contact.email and getattr(contact, flag):
                target = whole if kind is runtime.VendorEventKind.OPTED_OUT else None
                at = contact.updated_at
                yield runtime.VendorEvent(kind, contact.email, target, occurred_at=at)


def _update_all(
    client: IntercomClient, address: str, update: Callable[[IntercomContact], runtime.PushOutcome]
) -> runtime.PushOutcome:
    """Change every contact of an address; the worst outcome of one counts."""
    outcomes, rejection = [], None
    for contact in client.contacts_of(address):
        try:
            outcomes.append(update(contact))
        except runtime.RequestRejected as error:
            rejection = error
            outcomes.append(runtime.refused())
    outcome = reduce(runtime.worst, outcomes) if outcomes else runtime.absent()
    if rejection and outcome.result is runtime.PushResult.REFUSED:
        raise runtime.RequestRejected(str(rejection), HTTPStatus.BAD_REQUEST)
    return outcome


def _write_change(
    client: IntercomClient, change: runtime.TargetChange, contact: IntercomContact
) -> runtime.PushOutcome:
    if GLOBAL_TARGET in change.off | change.on:
        return _set_global_unsubscribe(client, contact, is_unsubscribed=bool(change.off))
    attached = client.list_attached_type_ids(contact)
    if attached is None:
        return runtime.absent()
    wanted = dict.fromkeys(sorted(change.off), True) | dict.fromkeys(sorted(change.on), False)
    for id_, is_off in wanted.items():
        should_attach = is_off == client.types[id_].is_opt_out
        if should_attach != (id_ in attached) and not client.set_attached(
            contact, client.types[id_], is_attached=should_attach
        ):
            return runtime.retry_later()
    return runtime.reflected()


def _set_global_unsubscribe(
    client: IntercomClient, contact: IntercomContact, *, is_unsubscribed: bool
) -> runtime.PushOutcome:
    if contact.unsubscribed_from_emails == is_unsubscribed:
        return runtime.reflected()
    after = client.update_contact(contact, {"unsubscribed_from_emails": is_unsubscribed})
    if after is None:
        return runtime.absent()
    return runtime.acknowledged(after.unsubscribed_from_emails == is_unsubscribed)


def _off_states(
    client: IntercomClient, contact: IntercomContact, target_ids: Collection[str]
) -> Mapping[str, runtime.OffState] | None:
    """What is off for a contact; None if it is gone. Who never joined didn't opt out (I13)."""
    if contact.unsubscribed_from_emails:
        return dict.fromkeys(target_ids, runtime.OffState("unsubscribed"))
    type_ids = [id_ for id_ in target_ids if id_ != GLOBAL_TARGET]
    attached = client.list_attached_type_ids(contact) if type_ids else set[str]()
    if attached is None:
        return None
    return {
        id_: runtime.OffState("off", is_opt_out=client.types[id_].is_opt_out)
        for id_ in type_ids
        if (id_ in attached) == client.types[id_].is_opt_out
    }


SPEC = runtime.ConnectorSpec.of(
    Intercom,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of API 2.15",
    secrets={"access_token"},
    sources=(
        f"{_DOCS_URL}/2.15/rest-api/api.intercom.io/subscription-types",
        f"{_DOCS_URL}/2.15/rest-api/api.intercom.io/contacts/searchcontacts",
        f"{_DOCS_URL}/2.15/rest-api/api.intercom.io/contacts/deletecontact",
        f"{_DOCS_URL}/rest-api/errors/rate-limiting",
    ),
    notes=(
        f"Map each topic to the id of a subscription type, or the only one to `{GLOBAL_TARGET}`.",
        "Who leaves a single type in Intercom is only seen when the address is read back.",
        (
            "Intercom doesn't say what a token may do: that it may not write shows at the first "
            "push, as a 401 or 403."
        ),
    ),
    open_points=(
        (
            "Not in the description: that searches may be sorted by the time of change (unsorted "
            "pages are read to the end). Searches compare days in the workspace's own time zone: "
            "each listing asks for two days more, and stops at the first contact that it knew."
        ),
        (
            "Assumed: a search still finds a contact for minutes after its deletion; it is "
            "looked for again."
        ),
    ),
)
