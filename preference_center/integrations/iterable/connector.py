"""Iterable: a topic is a message channel, a message type or a static list.

https://support.iterable.com/hc/articles/208463956 (preference centers)
https://support.iterable.com/hc/articles/29156459027348 (which calls create users)
A change of subscriptions creates whom Iterable does not know, and replaces whole arrays: each
user is looked up first, and what is not ours is written back as it was found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import ContactPage, PushOutcome, PushResult
from preference_center.domain.vendor_events import VendorEvent
from preference_center.errors import InvalidInput
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.cursors import TimeWindow
from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.base.webhook_only import build_webhook_only
from preference_center.integrations.iterable.client import (
    CHANNEL,
    LIST,
    TYPE,
    IterableClient,
    IterableUser,
)
from preference_center.integrations.iterable.webhook import IterableWebhookSource, parse_export

MAX_USERS_PER_PULL = 200
"""People whose events one page of a pull holds: each is looked up inside a lease."""
PULL_HISTORY = timedelta(days=5 * 365)
"""How far back the first pull begins: who left before that is found by reading back."""
PULL_WINDOW, EXPORT_LAG = timedelta(days=90), timedelta(hours=1)
_API_URL = "https://api.iterable.com"
_HELP_URL = "https://support.iterable.com/hc"


@dataclass(frozen=True)
class IterableContact(RemoteContact):
    """A user with the arrays that a change replaces."""

    user: IterableUser = field(default_factory=IterableUser)


class IterableConnector(ReadableConnector[IterableClient]):
    """One project of Iterable's, whose users are known by their email addresses."""

    kind: ClassVar[str] = "iterable"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=100,
        # Of the lookups, which are nearly all of it: api.iterable.com/api/docs#users_getUser
        rate_limit=RateLimit(100, 1),
        can_read=True,
        pulls=ListingMode.CHANGES,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a server-side API key of the project",
        "base_url?": "https://api.eu.iterable.com for projects in the European data center",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="channel, type or list",
        credentials_hint="the API key, and base_url for a project in Europe",
        group_size=25,
        lookups=LookupMode.ALL,
        target_check=TargetCheck.ALWAYS,
    )

    @contextmanager
    def open_client(self) -> Iterator[IterableClient]:
        """See MappedConnector."""
        settings = self.config.settings
        url, headers = settings.get("base_url", _API_URL), {"Api-Key": settings["api_key"]}
        with self.http.session(self.config.name, url, headers=headers) as session:
            yield IterableClient(session)

    def list_targets(self, client: IterableClient) -> Iterator[Target]:
        """See MappedConnector. Lists only where some are mapped: a project has thousands."""
        for channel in client.channels.values():
            yield Target(f"{CHANNEL}:{channel.id}", channel.name or "", channel.unusable_reason)
        for type_ in client.message_types.values():
            of = client.channels.get(type_.channel_id or 0)
            fault = of.unusable_reason if of else "belongs to no channel: map another"
            yield Target(f"{TYPE}:{type_.id}", type_.name or "", fault)
        if any(target.startswith(LIST) for target in self.config.topics.values()):
            mapped = set(self.config.topics.values())
            for list_ in client.list_lists():
                if f"{LIST}:{list_.id}" in mapped:
                    yield Target(f"{LIST}:{list_.id}", list_.name or "", list_.unusable_reason)

    def fetch_contacts(
        self, client: IterableClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """See MappedConnector. A request for each address."""
        return {a: _to_contact(client, client.get_user(a), target_ids) for a in addresses}

    def write_changes(
        self, client: IterableClient, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector."""
        failed = client.update_subscriptions([_to_request(client, change) for change in changes])
        if failed.unidentified_count:
            raise RequestRejected("some failed, and it is not said who", HTTPStatus.BAD_REQUEST)
        outcomes = {}
        for change in changes:
            if change.address.casefold() in failed.invalid:
                outcomes[change.ref] = PushOutcome(PushResult.REFUSED, "invalid")
            elif change.address.casefold() not in failed.temporary:
                outcomes[change.ref] = PushOutcome(PushResult.REFLECTED, "200")
        return outcomes

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. What was left and is left still; complaints are listed, bounces not.

        Events show what was: each user is looked up, since who came back since did not opt out.
        Of more than PULLED in one second, the others are believed without, and so is an address
        that can't be looked up.
        """
        now = self.http.now()
        window = TimeWindow.parse(cursor, now, first=now - PULL_HISTORY, width=PULL_WINDOW)
        with self.open_client() as client:
            body = client.export_unsubscribes(window.since, window.until)
            try:
                events = [news for news in parse_export(body) if news.address]
            except InvalidInput as error:
                raise DeliveryError(f"{self.config.name}: {error}") from None
            events, window = _limit_to_page(events, window)
            rows = tuple(self._filter_current(client, events))
        following, done = window.next_cursor(now, EXPORT_LAG)
        return ContactPage(rows, following, done)

    def _filter_current(
        self, client: IterableClient, vendor_events: Sequence[VendorEvent]
    ) -> Iterator[VendorEvent]:
        mapped, contacts = set(self.config.topics.values()), dict[str, RemoteContact | None]()
        for news in vendor_events:
            if news.target is None:
                yield news
            elif news.target in mapped:
                if news.address not in contacts and len(contacts) < MAX_USERS_PER_PULL:
                    contacts[news.address] = self._fetch_contact(client, news.address, mapped)
                contact = contacts.get(news.address)
                if contact is None or news.target in contact.off_targets:
                    yield news

    def _fetch_contact(
        self, client: IterableClient, address: str, target_ids: Collection[str]
    ) -> RemoteContact | None:
        """None also of an address that Iterable lists and then rejects."""
        try:
            return self.fetch_contacts(client, [address], target_ids)[address]
        except RequestRejected:
            return None


def _limit_to_page(
    events: Sequence[VendorEvent], window: TimeWindow
) -> tuple[list[VendorEvent], TimeWindow]:
    """As many as a page may hold, and the window that they fill: whole seconds of it."""
    listed = sorted(events, key=lambda news: news.occurred_at or window.since)
    people: set[str] = set()
    for before, news in pairwise(listed):
        people.add(before.address)
        if (
            len(people) >= MAX_USERS_PER_PULL
            and news.occurred_at
            and news.occurred_at != before.occurred_at
        ):
            return [
                each for each in listed if (each.occurred_at or window.since) < news.occurred_at
            ], TimeWindow(window.since, news.occurred_at)
    return listed, window


def _to_contact(
    client: IterableClient, user: IterableUser | None, target_ids: Collection[str]
) -> IterableContact | None:
    if user is None:
        return None
    held = {}
    for target in target_ids:
        kind, _, number = target.partition(":")
        if number.isdigit() and (hold := _off_state(client, user, kind, int(number))):
            held[target] = hold
    return IterableContact(held, user)


def _off_state(client: IterableClient, user: IterableUser, kind: str, id_: int) -> OffState | None:
    """Why one target is off for `user`."""
    if kind == CHANNEL:
        return OffState("unsubscribed") if id_ in user.unsubscribed_channel_ids else None
    if kind == LIST:
        # Who is not on a list may never have been.
        return None if id_ in user.email_list_ids else OffState("not on it", is_opt_out=False)
    type_ = client.message_types.get(id_)
    if id_ in user.unsubscribed_message_type_ids:
        return OffState("unsubscribed")
    if type_ and type_.is_opt_in and id_ not in user.subscribed_message_type_ids:
        return OffState("not subscribed", is_opt_out=False)
    if type_ and type_.channel_id in user.unsubscribed_channel_ids:
        return OffState("its channel is unsubscribed", is_exact=False)
    return None


def _to_request(client: IterableClient, change: TargetChange) -> Mapping[str, object]:
    """The whole of each array that changes; arrays that are not named stay as they are."""
    assert isinstance(change.contact, IterableContact)
    user, opt_in = change.contact.user, client.opt_in_types
    channels_off, channels_on = _target_numbers(change, CHANNEL)
    types_off, types_on = _target_numbers(change, TYPE)
    lists_off, lists_on = _target_numbers(change, LIST)
    request: dict[str, object] = {"email": change.address}

    def replace_array(array: str, ids: Iterable[int], added: set[int], removed: set[int]) -> None:
        if added or removed:
            request[array] = sorted((set(ids) | added) - removed)

    replace_array(
        "unsubscribedChannelIds", user.unsubscribed_channel_ids, channels_off, channels_on
    )
    unsubscribed = user.unsubscribed_message_type_ids
    replace_array("unsubscribedMessageTypeIds", unsubscribed, types_off - opt_in, types_on - opt_in)
    subscribed = user.subscribed_message_type_ids
    replace_array("subscribedMessageTypeIds", subscribed, types_on & opt_in, types_off & opt_in)
    replace_array("emailListIds", user.email_list_ids, lists_on, lists_off)
    if types_on & opt_in:
        # Else rejected while the user is unsubscribed from the channel, which stops it anyhow.
        request["validateChannelAlignment"] = False
    return request


def _target_numbers(change: TargetChange, kind: str) -> tuple[set[int], set[int]]:
    """Ids of one kind of target that are to be off, and on."""

    def numbers_of(target_ids: frozenset[str]) -> set[int]:
        return {int(t.partition(":")[2]) for t in target_ids if t.startswith(f"{kind}:")}

    return numbers_of(change.off), numbers_of(change.on)


SPEC = ConnectorSpec(
    kind=IterableConnector.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description 1.8 of 2026-07-09",
    capabilities=IterableConnector.capabilities,
    own_settings=IterableConnector.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        "https://api.iterable.com/api/docs",
        "https://github.com/Iterable/api-client",
        f"{_HELP_URL}/articles/208463956",
        f"{_HELP_URL}/articles/29156459027348",
        f"{_HELP_URL}/en-us/articles/208013936-System-Webhooks",
        f"{_HELP_URL}/en-us/articles/208508736-Subscribe-and-Unsubscribe-Events",
    ),
    build=IterableConnector,
    build_webhook_only=build_webhook_only(
        "iterable", IterableWebhookSource, r"(?:channel|type|list):\d+"
    ),
    notes=(
        "Map each topic to `channel:27447`, `type:31082` or `list:1589748`.",
        "What is left there and not mapped counts for nothing.",
        "The project identifies users by email; one that does so by userId alone can't be used.",
        "A choice made in Iterable in the second or two between our lookup and our write is lost.",
    ),
)
