"""Iterable: a topic is a message channel, a message type or a static list.

https://support.iterable.com/hc/articles/208463956 (preference centers)
https://support.iterable.com/hc/articles/29156459027348 (which calls create users)
A change of subscriptions creates unknown users, and replaces whole arrays: each user is looked up
first, and what is not ours is written back unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import ClassVar

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import runtime
from preference_center.integrations.iterable.client import (
    CHANNEL,
    LIST,
    TYPE,
    IterableClient,
    UpdateFailures,
    to_contact,
    to_request,
)
from preference_center.integrations.iterable.webhook import IterableWebhookSource, parse_export

MAX_USERS_PER_PULL = 200
"""Users whose events one page of a pull holds: each is looked up inside a lease."""
PULL_HISTORY = timedelta(days=5 * 365)
"""How far back the first pull begins: older opt-outs are found by reading back."""
PULL_WINDOW, EXPORT_LAG = timedelta(days=90), timedelta(hours=1)
_HELP_URL = "https://support.iterable.com/hc"


class IterableConnector(
    runtime.ReadableConnector[IterableClient],
    runtime.ContactFieldConnector[IterableClient],
    runtime.RequestedErasureConnector[IterableClient],
):
    """One project of Iterable's, whose users are known by their email addresses."""

    kind = "iterable"
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=100,
        # Of the lookups, which are nearly all of it: api.iterable.com/api/docs#users_getUser
        rate_limit=runtime.RateLimit(100, 1),
        can_read=True,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="Profile and events are deleted, up to ten minutes later; Iterable keeps a hash "
        "of the address, and never takes it again until somebody unforgets it there. At most 1,000 "
        "a day.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a server-side API key of the project",
        "base_url?": "https://api.eu.iterable.com for projects in the European data center",
    }
    rules = runtime.ConnectorRules(
        target_noun="channel, type or list",
        credentials_hint="the API key, and base_url for a project in Europe",
        api_url="https://api.iterable.com",
        key_header="Api-Key",
        group_size=25,
        lookups=runtime.LookupMode.ALL,
        target_check=runtime.TargetCheck.ALWAYS,
    )
    client_class = IterableClient
    field_group_size = 25

    def list_targets(self, client: IterableClient) -> Iterator[runtime.Target]:
        """See ApiConnector. Lists only where some are mapped: a project has thousands."""
        for channel in client.channels.values():
            yield runtime.Target(f"{CHANNEL}:{channel.id}", channel.name, channel.unusable_reason)
        for type_ in client.message_types.values():
            of = client.channels.get(type_.channel_id)
            reason = of.unusable_reason if of else "belongs to no channel: map another"
            yield runtime.Target(f"{TYPE}:{type_.id}", type_.name, reason)
        mapped = {*self.config.topics.values()}
        if any(target.startswith(LIST) for target in mapped):
            for list_ in client.list_lists():
                if (id_ := f"{LIST}:{list_.id}") in mapped:
                    yield runtime.Target(id_, list_.name, list_.unusable_reason)

    def fetch_contacts(
        self, client: IterableClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> runtime.RemoteContacts:
        """See MappedConnector. A request for each address."""
        return {a: to_contact(client, client.get_user(a), target_ids) for a in addresses}

    def write_changes(self, client: IterableClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector."""
        requests = [to_request(client, change) for change in changes]
        return _to_outcomes(changes, client.update_subscriptions(requests))

    def list_text_fields(self, client: IterableClient) -> Collection[str]:
        """See ContactFieldConnector. Text fields of the project's own."""
        return client.list_text_fields()

    def write_field_group(
        self, client: IterableClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector. A write would create unknown users: each is looked up."""
        held = [item for item in items if client.get_user(item.address) is not None]
        outcomes = {item.ref: runtime.absent() for item in items if item not in held}
        if held:
            values = {item.address: item.value for item in held}
            outcomes |= _to_outcomes(held, client.update_field(field, values))
        return outcomes

    def request_erasures(
        self, client: IterableClient, items: runtime.EraseItems
    ) -> runtime.Outcomes:
        """See RequestedErasureConnector."""
        for item in items:
            client.forget_user(item.address)
        return {}

    def holds_contact(self, client: IterableClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector. A user who is forgotten is not found."""
        return client.get_user(item.address) is not None

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Opt-outs that are still in effect; complaints too, but no bounces.

        Each user of an event is looked up, since it may have been revoked. Of more than
        MAX_USERS_PER_PULL in one second the others' events count without a lookup, and so does
        an address that can't be looked up.
        """
        now = self.http.now()
        window = runtime.TimeWindow.parse(cursor, now, first=now - PULL_HISTORY, width=PULL_WINDOW)
        with self.open_client() as client:
            body = client.export_unsubscribes(window.since, window.until)
            try:
                events = [event for event in parse_export(body) if event.address]
            except InvalidInput as error:
                raise runtime.DeliveryError(f"{self.config.name}: {error}") from None
            events, window = _limit_to_page(events, window)
            rows = tuple(self._filter_current(client, events))
        following, done = window.next_cursor(now, EXPORT_LAG)
        return runtime.ContactPage(rows, following, done)

    def _filter_current(
        self, client: IterableClient, events: Sequence[runtime.VendorEvent]
    ) -> Iterator[runtime.VendorEvent]:
        mapped = set(self.config.topics.values())
        contacts: dict[str, runtime.RemoteContact | None] = {}
        for event in events:
            if event.target is None:
                yield event
            elif event.target in mapped:
                if event.address not in contacts and len(contacts) < MAX_USERS_PER_PULL:
                    contacts[event.address] = self._fetch_contact(client, event.address, mapped)
                contact = contacts.get(event.address)
                if contact is None or event.target in contact.off_targets:
                    yield event

    def _fetch_contact(
        self, client: IterableClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """None also of an address that Iterable lists and then rejects."""
        try:
            return self.fetch_contacts(client, [address], target_ids)[address]
        except runtime.RequestRejected:
            return None


def _to_outcomes(
    sent: Sequence[runtime.TargetChange | runtime.FieldItem], failed: UpdateFailures
) -> dict[int, runtime.PushOutcome]:
    """The outcome of each; raises RequestRejected where it is open which ones failed."""
    if failed.unidentified_count:
        raise runtime.RequestRejected(
            "some failed, without their addresses", HTTPStatus.BAD_REQUEST
        )
    outcomes = {}
    for each in sent:
        if each.address.casefold() in failed.invalid:
            outcomes[each.ref] = runtime.refused("invalid")
        elif each.address.casefold() not in failed.temporary:
            outcomes[each.ref] = runtime.reflected()
    return outcomes


def _limit_to_page(
    events: Sequence[runtime.VendorEvent], window: runtime.TimeWindow
) -> tuple[list[runtime.VendorEvent], runtime.TimeWindow]:
    """As many as a page may hold, and the window that they fill: whole seconds of it."""

    def time_of(event: runtime.VendorEvent) -> datetime:
        return event.occurred_at or window.since

    listed = sorted(events, key=time_of)
    people: set[str] = set()
    for before, event in pairwise(listed):
        people.add(before.address)
        end = event.occurred_at
        if len(people) >= MAX_USERS_PER_PULL and end and end != before.occurred_at:
            return [e for e in listed if time_of(e) < end], runtime.TimeWindow(window.since, end)
    return listed, window


SPEC = runtime.ConnectorSpec.of(
    IterableConnector,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description 1.8 of 2026-07-09",
    secrets={"api_key"},
    sources=(
        "https://api.iterable.com/api/docs",
        "https://github.com/Iterable/api-client",
        f"{_HELP_URL}/articles/208463956",
        f"{_HELP_URL}/articles/29156459027348",
        f"{_HELP_URL}/articles/360029174171-Responding-to-GDPR-Requests",
        f"{_HELP_URL}/en-us/articles/208013936-System-Webhooks",
        f"{_HELP_URL}/en-us/articles/208508736-Subscribe-and-Unsubscribe-Events",
    ),
    build_webhook_only=runtime.build_webhook_only(
        "iterable", IterableWebhookSource, r"(?:channel|type|list):\d+"
    ),
    notes=(
        "Map each topic to `channel:27447`, `type:31082` or `list:1589748`.",
        "Opt-outs there from what is not mapped are ignored.",
        "The project identifies users by email; one that does so by userId alone can't be used.",
        (
            "A change replaces whole arrays: a choice made in Iterable in the second or two "
            "between our lookup and our write is lost."
        ),
    ),
    open_points=(
        (
            "Not documented: what is answered for an unknown or a forgotten user (assumed: an "
            "object without `user`), and for a channel that is gone (taken for accepted, so "
            "channels are listed before each push)."
        ),
        (
            "Complaints and bounces come by the webhook only; users can't be listed in pages. "
            "Opt-outs older than five years are found by reading back alone. 200 people's at a "
            "time are listed, at four exports a minute."
        ),
    ),
)
