"""Braze: a topic is a subscription group of one workspace, or all its email.

https://www.braze.com/docs/user_guide/message_building_by_channel/email/managing_user_subscriptions/
The global email state stops every campaign that respects it, so a topic may be mapped to it
only where the workspace sends nothing else (I10). Braze answers "success" for addresses that no
user there has, so users are looked up first, 50 a request; unknown ones are not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.braze.client import (
    EARLIEST_DATE,
    EMAIL,
    MAX_ADDRESSES_PER_CALL,
    OVERLAP,
    RULES,
    BrazeClient,
    BrazeSms,
    BrazeUser,
    BrazeWorkspace,
)

EMAIL_EVENT_ROUTES = {
    "/email/unsubscribes": runtime.VendorEventKind.OPTED_OUT,
    "/email/hard_bounces": runtime.VendorEventKind.BOUNCED,
}
RESERVED_ATTRIBUTES = frozenset({
    "braze_id", "country", "current_location", "date_of_first_session", "date_of_last_session",
    "dob", "email", "email_subscribe", "external_id", "facebook", "first_name", "gender",
    "home_city", "image_url", "language", "last_name", "marked_email_as_spam_at", "phone",
    "push_subscribe", "push_token_import", "push_tokens", "subscription_groups", "time_zone",
    "twitter", "user_alias",
})  # fmt: skip
"""Attributes with a meaning of their own."""
_DOCS_URL = "https://www.braze.com/docs/api"


class Braze(BrazeWorkspace, runtime.ContactFieldConnector[BrazeClient]):
    """The email addresses of one Braze workspace."""

    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=MAX_ADDRESSES_PER_CALL,
        # The lowest limit of these endpoints: 250,000 an hour. The exports of users are not
        # used: 250 a minute for accounts made since 22 August 2024 (api_limits).
        rate_limit=runtime.RateLimit(4_000, 60),
        can_read=True,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_create=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="All users of the address are deleted, with their groups; Braze can't list who "
        "is added again, so keep them out of imports. A number of a user who also has an email "
        "address is by hand: remove it from the user's profile.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the REST endpoint, as in https://rest.fra-01.braze.eu",
        "api_key": "an API key with the permissions subscription.groups.get, "
        "subscription.status.get, subscription.status.set, email.unsubscribe and "
        f"email.hard_bounces; email.status where a topic is mapped to {runtime.ALL_EMAIL}; "
        "users.track for frequency_fields; and users.delete to erase people",
    }
    rules = replace(RULES, account_target=runtime.ALL_EMAIL)
    id_type = EMAIL
    field_group_size = MAX_ADDRESSES_PER_CALL
    probe_identifier = runtime.PROBE_ADDRESS
    not_a_group = (
        "Braze takes for no subscription group: map it to a group's id, or write "
        f"{runtime.ALL_EMAIL}"
    )

    def setting_problems(self) -> Iterator[str]:
        """See ApiConnector."""
        yield from super().setting_problems()
        if self.config.create_contacts and self.groups_by_topic:
            yield (
                f"{CREATE_CONTACTS}: Braze keeps no group's state for an address that nobody there "
                f"has: take the setting away, or map the one topic to {runtime.ALL_EMAIL}"
            )

    def find_problems(self, client: BrazeClient) -> Iterator[str]:
        """See ApiConnector. Tries the listings, too."""
        yield from super().find_problems(client)
        for field, setting in self.config.contact_fields.items():
            if field in RESERVED_ATTRIBUTES or field.startswith("_"):
                yield f"{setting}: {field} has another meaning in Braze: name another"
        today = self.http.now().date()
        for route in EMAIL_EVENT_ROUTES:
            client.list_email_events(route, since=today - OVERLAP, until=today + OVERLAP)

    def read_batch(self, client: BrazeClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector. Whether somebody left all email takes a request each.

        Only those are looked up alone who are still in a group that a topic maps to.
        """
        everything, today = frozenset(self.config.topics), self.http.now().date()
        found = dict(super().read_batch(client, batch))
        for item in batch:
            off = found.get(item.ref)
            if off is None or off == everything:
                continue
            del found[item.ref]  # for one whose response can't be read
            with suppress(runtime.UnexpectedResponse):
                left = client.is_unsubscribed_from_all(item.address, today)
                found[item.ref] = everything if left else off
        return found

    def write_field_group(
        self, client: BrazeClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector. Writes a custom attribute, which need not exist yet."""
        users = client.find_users(EMAIL, [item.address for item in items])
        held = [item for item in items if users.get(item.address)]
        outcomes = {item.ref: runtime.absent() for item in items if item.address in users}
        client.update_users(
            [
                {**identifier, "_update_existing_only": True, field: item.value}
                for item in held
                for identifier in _identifiers(item.address, users[item.address])
            ]
        )
        return outcomes | {item.ref: runtime.reflected("success") for item in held}

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Unsubscribes from all email, and hard bounces.

        Opt-outs of a single group can't be listed: they are found when an address is read.
        """
        sources = (partial(self._list_events, route=route) for route in EMAIL_EVENT_ROUTES)
        return self.changes_page(cursor, *sources, overlap=OVERLAP)

    def _list_events(
        self, client: BrazeClient, since: datetime | None, offset: str, *, route: str
    ) -> tuple[list[runtime.VendorEvent], str]:
        first = since.date() if since else EARLIEST_DATE
        until = self.http.now().date() + OVERLAP
        rows, following = client.list_email_events(route, since=first, until=until, offset=offset)
        kind = EMAIL_EVENT_ROUTES[route]
        is_mapped = runtime.ALL_EMAIL in self.config.topics.values()
        is_opt_out = kind is runtime.VendorEventKind.OPTED_OUT
        target = runtime.ALL_EMAIL if is_mapped and is_opt_out else None
        events = [
            runtime.VendorEvent(kind, row.email, target, occurred_at=row.occurred_at)
            for row in rows
            if row.email
        ]
        return events, following


def _identifiers(address: str, users: Sequence[BrazeUser]) -> list[dict[str, str]]:
    """Of every user of an address; Braze picks one of those that have no id of the company's."""
    ids = sorted({user.external_id for user in users} - {""})
    return [{"external_id": id_} for id_ in ids] or [{"email": address}]


class BrazeMultiChannel(runtime.MultiChannelConnector, email=Braze, sms=BrazeSms):
    """One Braze workspace, for email and SMS."""


SPEC = runtime.ConnectorSpec.of(
    BrazeMultiChannel,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Braze's pages and the community's description of its API, read on 2026-11-27",
    secrets={"api_key"},
    sources=(
        f"{_DOCS_URL}/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/",
        f"{_DOCS_URL}/endpoints/subscription_groups/get_list_user_subscription_groups/",
        f"{_DOCS_URL}/endpoints/subscription_groups/get_list_user_subscription_group_status/",
        f"{_DOCS_URL}/endpoints/email/get_query_unsubscribed_email_addresses/",
        f"{_DOCS_URL}/endpoints/user_data/post_user_delete/",
        f"{_DOCS_URL}/endpoints/user_data/post_user_track/",
        f"{_DOCS_URL}/objects_filters/user_attributes_object/",
        f"{_DOCS_URL}/api_limits/",
    ),
    notes=(
        f"Map each topic to the id of an email group, or the only one to `{runtime.ALL_EMAIL}`.",
        "An opt-out of a single group in Braze is found when the address is read back.",
        "Map a topic that is sent by SMS to the id of an SMS subscription group.",
        (
            "How often is written to every user of an address who has an `external_id`; where none "
            "has, to the one that Braze chooses. Each write counts as a data point."
        ),
        "Braze can't list users by change: new ones are found when they are looked up again.",
        f"`{CREATE_CONTACTS}` adds no user, but sets the state of an address for when one has it.",
    ),
    open_points=(
        (
            "Held to the community's conversion of Braze's Postman collection, which leaves "
            "answers open, and to a description of our own."
        ),
        (
            "Not documented: what setting a group answers for an address that nobody there has "
            "(so `/subscription/user/status` looks first, 50 a request, and is assumed to leave "
            "such out), what a wrong group's id is answered, the form of `email_addresses` and "
            "`phone_numbers` in `/users/delete` beyond `prioritization`, and how soon a queued "
            "deletion shows."
        ),
        (
            "Groups and their members can't be listed. Whether somebody left all email is one "
            "request an address, asked of those who are still in a mapped group."
        ),
    ),
)
