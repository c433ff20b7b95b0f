"""Klaviyo: a topic is a list; a no to all marketing may also be a suppression.

https://developers.klaviyo.com/en/reference/remove_profiles_from_list
https://developers.klaviyo.com/en/reference/bulk_suppress_profiles
People are taken off a list, which stops just that list, at once. They are not "unsubscribed"
from it: that happens later, and then stops all marketing to whoever is not on the list any
more, and makes profiles of addresses that Klaviyo doesn't know (I10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Seen
from preference_center.domain.vendor_events import News
from preference_center.integrations.base.batching import Step, carry_out
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.multi_channel import ByChannel, Parts
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.klaviyo.client import Account, open_account
from preference_center.integrations.klaviyo.listing import news_of, walk
from preference_center.integrations.klaviyo.models import Profile
from preference_center.integrations.klaviyo.profiles import (
    SUPPRESS,
    UNSUPPRESS,
    absent,
    by_hand,
    find,
    jobs,
    turn_off,
    turn_on,
    write_link,
)
from preference_center.integrations.klaviyo.sms import KlaviyoTexts

_DOCS = "https://developers.klaviyo.com/en/reference"


class Klaviyo:
    """One Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset(Scopes),
        can_lift=True,
        batch_size=100,
        # Changes of lists: 10 a second, 150 a minute; all else 75 and 750. A change is at
        # most every third request.
        rate=Rate(450, 60, burst=10),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
        off_is_a_no=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a private API key with the scopes lists:read, lists:write, profiles:read, "
        "profiles:write and subscriptions:write",
        "suppress_all?": "yes: a no to all marketing is also a suppression, which stops flows "
        "and segments; only where no service mail goes through this account",
        "base_url?": "another address of the API, for tests",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    @property
    def _suppresses(self) -> bool:
        return self._setup.settings.get("suppress_all") == "yes"

    def check(self) -> Report:
        """See Connector. Also says which lists no topic maps to."""
        topics = self._setup.topics
        problems = [*mapping_problems(self._setup, "list", numbered=False), *self._faults()]
        try:
            with open_account(self._setup, self._http) as account:
                lists = account.lists()
                account.profiles(["preference-center-check@example.com"])
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the API key and its scopes"))
        problems += [
            f"topic {topic} is mapped to list {list_}, which the account has not: "
            "map it to a list that exists"
            for topic, list_ in sorted(topics.items())
            if list_ not in lists
        ]
        unmapped = [f"{lists[i]} ({i})" for i in lists if i not in topics.values()]
        return Report(tuple(problems), tuple(unmapped))

    def _faults(self) -> Iterator[str]:
        if self._setup.settings.get("suppress_all", "no") not in {"yes", "no"}:
            yield "suppress_all: write yes or no"
        if self._suppresses and self._setup.sends_service:
            yield (
                "suppress_all would stop the service mail that no flow marked transactional "
                "sends: take the setting away, lists alone hold the no (I10)"
            )

    def _is_all(self, item: Item) -> bool:
        """Whether a suppression says no more than the person did (I10)."""
        return (
            self._suppresses
            and not self._setup.sends_service
            and item.all_off
            and item.off >= self._setup.topics.keys()
        )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Off the lists first, then suppressions, then on lists again."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            known, others = find(account.profiles, batch)
            steps = self._steps(account, [item for item in batch if item.ref in known], known)
            return carry_out(batch, steps) | others

    def _steps(
        self, account: Account, items: Sequence[Item], known: Mapping[int, Profile]
    ) -> list[Step]:
        whole = [i for i in items if self._is_all(i)]
        single = [i for i in items if not self._is_all(i)]
        freed = [i for i in single if i.lift and self._suppresses and by_hand(known[i.ref])]
        pending = [i for i in whole if not known[i.ref].gets_nothing]
        return [
            *self._by_list(single, lambda i: i.off, partial(turn_off, account)),
            *jobs(account, SUPPRESS, pending, done=lambda p: p.gets_nothing),
            *jobs(account, UNSUPPRESS, freed, done=lambda p: not by_hand(p)),
            *self._by_list(single, lambda i: i.lift, partial(turn_on, account, known)),
        ]

    def _by_list(
        self,
        items: Sequence[Item],
        wanted: Callable[[Item], Collection[str]],
        call: Callable[[str, Sequence[Item]], Mapping[int, Outcome]],
    ) -> Iterator[Step]:
        for topic, list_ in sorted(self._setup.topics.items()):
            if some := [item for item in items if topic in wanted(item)]:
                yield Step(tuple(i.ref for i in some), partial(call, list_, some))

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who isn't on a list doesn't get it."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            known, others = find(account.profiles, batch)
            there = [item for item in batch if item.ref in known]
            addresses = [item.address for item in there]
            members = {t: account.members(i, addresses) for t, i in self._setup.topics.items()}
        return absent(others) | {
            item.ref: frozenset(
                topic
                for topic, list_ in self._setup.topics.items()
                if known[item.ref].gets_nothing
                or item.address not in members[topic]
                or list_ in {s.list_id for s in known[item.ref].list_suppressions}
            )
            for item in there
        }

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable. Writes a custom property, which need not exist before."""
        field = self._setup.link_field
        if not batch or field is None:
            return {}
        items = [Item(i.ref, i.address, i.channel) for i in batch]
        with open_account(self._setup, self._http) as account:
            known, others = find(account.profiles, items)
            steps = [
                Step((i.ref,), partial(write_link, account, known[i.ref], i, field))
                for i in batch
                if i.ref in known
            ]
            return carry_out(items, steps) | others

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. Who joined one of the mapped lists."""
        lists = sorted(set(self._setup.topics.values()))
        with open_account(self._setup, self._http) as account:
            profiles, following, done = walk(
                cursor,
                len(lists),
                self._http.now(),
                lambda source, since, page: account.joined(lists[source], since, page),
            )
        link_in = self._setup.link_in
        rows = (
            Seen(p.email, link=link_in(p.attributes.properties)) for _, p in profiles if p.email
        )
        return Page(tuple(rows), following, done)

    def find(self, contacts: Sequence[str]) -> Mapping[str, str]:
        """See Findable."""
        with open_account(self._setup, self._http) as account:
            return account.addresses(contacts, lambda profile: profile.email, "email")

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Suppressions of all marketing, then of each mapped list."""
        lists = [None, *sorted(set(self._setup.topics.values()))]
        with open_account(self._setup, self._http) as account:
            profiles, following, done = walk(
                cursor,
                len(lists),
                self._http.now(),
                lambda source, since, page: account.suppressed(since, page, list_=lists[source]),
            )
        rows = (news for source, profile in profiles for news in news_of(profile, lists[source]))
        return Page(tuple(rows), following, done)


class KlaviyoAccount(ByChannel):
    """One Klaviyo account, for email and SMS."""

    kind: ClassVar[str] = Klaviyo.kind
    capabilities: ClassVar[Capabilities] = replace(
        Klaviyo.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Klaviyo.settings
    parts: ClassVar[Parts] = {Channel.EMAIL: Klaviyo, Channel.SMS: KlaviyoTexts}


ENTRY = Entry(
    kind=Klaviyo.kind,
    title="Klaviyo",
    proof=Proof.DESCRIPTION,
    against="the description of revision 2026-07-15",
    capabilities=KlaviyoAccount.capabilities,
    own_settings=Klaviyo.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/remove_profiles_from_list",
        f"{_DOCS}/get_profiles_for_list",
        f"{_DOCS}/get_profiles",
        f"{_DOCS}/bulk_suppress_profiles",
        f"{_DOCS}/bulk_unsubscribe_profiles",
    ),
    build=KlaviyoAccount,
    notes=(
        (
            "Lists stop campaigns to that list. What goes to segments and by flows is only "
            "stopped by a suppression: set suppress_all, or let them ask for the list."
        ),
        "A flow that starts when somebody is added to a list also starts after a lift.",
        "Map a topic that goes by SMS to `sms`: there is one consent for all marketing by SMS.",
        "Where the account asks for SMS consent twice, a lift sends the person a text to answer.",
        "Its webhook needs Advanced KDP, or a partner's app. Without, reading finds opt-outs.",
    ),
)
