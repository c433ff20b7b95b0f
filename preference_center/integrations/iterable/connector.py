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
from functools import partial
from http import HTTPStatus
from itertools import pairwise
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result
from preference_center.domain.vendor_events import News
from preference_center.errors import InvalidInput
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.cursors import Window
from preference_center.integrations.base.http import Rejected
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.targets import (
    Change,
    Contact,
    Guard,
    Hold,
    Looks,
    Rules,
    Target,
)
from preference_center.integrations.base.webhook_only import Listener
from preference_center.integrations.iterable.client import CHANNEL, LIST, TYPE, Project, User
from preference_center.integrations.iterable.webhook import exported

PULLED = 200
"""People whose events one page of a pull holds: each is looked up inside a lease."""
YEARS = timedelta(days=5 * 365)
"""How far back the first pull begins: who left before that is found by reading back."""
WINDOW, LAG = timedelta(days=90), timedelta(hours=1)
_API = "https://api.iterable.com"
_HELP = "https://support.iterable.com/hc"


@dataclass(frozen=True)
class Found(Contact):
    """A user with the arrays that a change replaces."""

    user: User = field(default_factory=User)


class IterableConnector(ReadableConnector[Project]):
    """One project of Iterable's, whose users are known by their email addresses."""

    kind: ClassVar[str] = "iterable"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=100,
        # Of the lookups, which are nearly all of it: api.iterable.com/api/docs#users_getUser
        rate=Rate(100, 1),
        can_read=True,
        pulls=Listing.CHANGES,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a server-side API key of the project",
        "base_url?": "https://api.eu.iterable.com for projects in the European data center",
    }
    rules: ClassVar[Rules] = Rules(
        target="channel, type or list",
        credentials="the API key, and base_url for a project in Europe",
        group=25,
        looks=Looks.ALL,
        guard=Guard.ALWAYS,
    )

    @contextmanager
    def open(self) -> Iterator[Project]:
        """See MappedConnector."""
        settings = self.setup.settings
        url, headers = settings.get("base_url", _API), {"Api-Key": settings["api_key"]}
        with self.http.session(self.setup.name, url, headers=headers) as session:
            yield Project(session)

    def targets(self, client: Project) -> Iterator[Target]:
        """See MappedConnector. Lists only where some are mapped: a project has thousands."""
        for channel in client.channels.values():
            yield Target(f"{CHANNEL}:{channel.id}", channel.name or "", channel.fault)
        for type_ in client.types.values():
            of = client.channels.get(type_.channel_id or 0)
            fault = of.fault if of else "belongs to no channel: map another"
            yield Target(f"{TYPE}:{type_.id}", type_.name or "", fault)
        if any(target.startswith(LIST) for target in self.setup.topics.values()):
            mapped = set(self.setup.topics.values())
            for list_ in client.lists():
                if f"{LIST}:{list_.id}" in mapped:
                    yield Target(f"{LIST}:{list_.id}", list_.name or "", list_.fault)

    def look(
        self, client: Project, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector. A request for each address."""
        return {a: _found(client, client.user(a), targets) for a in addresses}

    def write(self, client: Project, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector."""
        failed = client.subscribe([_request(client, change) for change in changes])
        if failed.unnamed:
            raise Rejected("some failed, and it is not said who", HTTPStatus.BAD_REQUEST)
        outcomes = {}
        for change in changes:
            if change.address.casefold() in failed.invalid:
                outcomes[change.ref] = Outcome(Result.REFUSED, "invalid")
            elif change.address.casefold() not in failed.for_now:
                outcomes[change.ref] = Outcome(Result.REFLECTED, "200")
        return outcomes

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. What was left and is left still; complaints are listed, bounces not.

        Events show what was: each user is looked up, since who came back since did not opt out.
        Of more than PULLED in one second, the others are believed without, and so is an address
        that can't be looked up.
        """
        now = self.http.now()
        window = Window.read(cursor, now, first=now - YEARS, width=WINDOW)
        with self.open() as client:
            body = client.unsubscribes(window.since, window.until)
            try:
                events = [news for news in exported(body) if news.address]
            except InvalidInput as error:
                raise DeliveryError(f"{self.setup.name}: {error}") from None
            events, window = _first(events, window)
            rows = tuple(self._still_left(client, events))
        following, done = window.after(now, LAG)
        return Page(rows, following, done)

    def _still_left(self, client: Project, events: Sequence[News]) -> Iterator[News]:
        mapped, contacts = set(self.setup.topics.values()), dict[str, Contact | None]()
        for news in events:
            if news.thing is None:
                yield news
            elif news.thing in mapped:
                if news.address not in contacts and len(contacts) < PULLED:
                    contacts[news.address] = self._held(client, news.address, mapped)
                contact = contacts.get(news.address)
                if contact is None or news.thing in contact.held:
                    yield news

    def _held(self, client: Project, address: str, mapped: Collection[str]) -> Contact | None:
        """None also of an address that Iterable lists and then rejects."""
        try:
            return self.look(client, [address], mapped)[address]
        except Rejected:
            return None


def _first(events: Sequence[News], window: Window) -> tuple[list[News], Window]:
    """As many as a page may hold, and the window that they fill: whole seconds of it."""
    listed = sorted(events, key=lambda news: news.at or window.since)
    people: set[str] = set()
    for before, news in pairwise(listed):
        people.add(before.address)
        if len(people) >= PULLED and news.at and news.at != before.at:
            return [each for each in listed if (each.at or window.since) < news.at], Window(
                window.since, news.at
            )
    return listed, window


def _found(client: Project, user: User | None, targets: Collection[str]) -> Found | None:
    if user is None:
        return None
    held = {}
    for target in targets:
        kind, _, number = target.partition(":")
        if number.isdigit() and (hold := _hold(client, user, kind, int(number))):
            held[target] = hold
    return Found(held, user)


def _hold(client: Project, user: User, kind: str, id_: int) -> Hold | None:
    """Why one target is off for `user`."""
    if kind == CHANNEL:
        return Hold("unsubscribed") if id_ in user.unsubscribed_channel_ids else None
    if kind == LIST:
        # Who is not on a list may never have been.
        return None if id_ in user.email_list_ids else Hold("not on it", is_opt_out=False)
    type_ = client.types.get(id_)
    if id_ in user.unsubscribed_message_type_ids:
        return Hold("unsubscribed")
    if type_ and type_.is_opt_in and id_ not in user.subscribed_message_type_ids:
        return Hold("not subscribed", is_opt_out=False)
    if type_ and type_.channel_id in user.unsubscribed_channel_ids:
        return Hold("its channel is unsubscribed", is_exact=False)
    return None


def _request(client: Project, change: Change) -> Mapping[str, object]:
    """The whole of each array that changes; arrays that are not named stay as they are."""
    assert isinstance(change.contact, Found)
    user, opt_in = change.contact.user, client.opt_in_types
    channels_off, channels_on = _numbers(change, CHANNEL)
    types_off, types_on = _numbers(change, TYPE)
    lists_off, lists_on = _numbers(change, LIST)
    request: dict[str, object] = {"email": change.address}

    def replace(array: str, ids: Iterable[int], added: set[int], removed: set[int]) -> None:
        if added or removed:
            request[array] = sorted((set(ids) | added) - removed)

    replace("unsubscribedChannelIds", user.unsubscribed_channel_ids, channels_off, channels_on)
    unsubscribed = user.unsubscribed_message_type_ids
    replace("unsubscribedMessageTypeIds", unsubscribed, types_off - opt_in, types_on - opt_in)
    subscribed = user.subscribed_message_type_ids
    replace("subscribedMessageTypeIds", subscribed, types_on & opt_in, types_off & opt_in)
    replace("emailListIds", user.email_list_ids, lists_on, lists_off)
    if types_on & opt_in:
        # Else rejected while the user is unsubscribed from the channel, which stops it anyhow.
        request["validateChannelAlignment"] = False
    return request


def _numbers(change: Change, kind: str) -> tuple[set[int], set[int]]:
    """Ids of one kind of target that are to be off, and on."""

    def of(targets: frozenset[str]) -> set[int]:
        return {int(t.partition(":")[2]) for t in targets if t.startswith(f"{kind}:")}

    return of(change.off), of(change.on)


ENTRY = Entry(
    kind=IterableConnector.kind,
    title="Iterable",
    proof=Proof.DESCRIPTION,
    against="the description 1.8 of 2026-07-09",
    capabilities=IterableConnector.capabilities,
    own_settings=IterableConnector.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        "https://api.iterable.com/api/docs",
        "https://github.com/Iterable/api-client",
        f"{_HELP}/articles/208463956",
        f"{_HELP}/articles/29156459027348",
        f"{_HELP}/en-us/articles/208013936-System-Webhooks",
        f"{_HELP}/en-us/articles/208508736-Subscribe-and-Unsubscribe-Events",
    ),
    build=IterableConnector,
    listen=partial(Listener, "iterable", r"(?:channel|type|list):\d+"),
    notes=(
        "Map each topic to `channel:27447`, `type:31082` or `list:1589748`.",
        "What is left there and not mapped counts for nothing.",
        "The project identifies users by email; one that does so by userId alone can't be used.",
        "A choice made in Iterable in the second or two between our lookup and our write is lost.",
    ),
)
