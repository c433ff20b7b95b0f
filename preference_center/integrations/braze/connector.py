"""Braze: a topic is an email subscription group of one workspace, or all its email.

https://www.braze.com/docs/user_guide/message_building_by_channel/email/managing_user_subscriptions/
The global email state stops every campaign that respects it, so it may stand for a topic
only where the workspace sends nothing else (I10). Braze says "success" for addresses that
nobody there has, so it is asked first, 50 a request; who isn't there is not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page
from preference_center.domain.vendor_events import ALL_EMAIL, News, NewsKind
from preference_center.integrations.base.batching import carry_out
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http, Rejected, Unreadable
from preference_center.integrations.base.mapping import (
    ensure_fits,
    mapping_problems,
    whole_problems,
)
from preference_center.integrations.base.multi_channel import ByChannel, Parts
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.braze.client import (
    EMAIL,
    LAG,
    PER_CALL,
    Place,
    Workspace,
    open_workspace,
)
from preference_center.integrations.braze.push_steps import held_by, steps_of
from preference_center.integrations.braze.sms import BrazeTexts

GLOBAL = ALL_EMAIL
"""What a topic is mapped to that is the global email state and no group."""
LISTS = (("/email/unsubscribes", NewsKind.OPTED_OUT), ("/email/hard_bounces", NewsKind.BOUNCED))
_PROBE = "preference-center-check@example.com"
_DOCS = "https://www.braze.com/docs/api"


class Braze:
    """One Braze workspace."""

    kind: ClassVar[str] = "braze"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=PER_CALL,
        # The least of what these endpoints are allowed: 250,000 an hour. What exports users
        # is not asked: 250 a minute for accounts made since 22 August 2024 (api_limits).
        rate=Rate(4_000, 60),
        can_read=True,
        pulls=Listing.CHANGES,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the REST endpoint, as in https://rest.fra-01.braze.eu",
        "api_key": "an API key with the permissions subscription.groups.get, "
        "subscription.status.get, subscription.status.set, email.unsubscribe and "
        f"email.hard_bounces; and email.status where a topic is mapped to {GLOBAL}",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._groups = {t: thing for t, thing in setup.topics.items() if thing != GLOBAL}

    def check(self) -> Report:
        """See Connector. Groups can't be listed, so none is named as unmapped."""
        problems = [
            *mapping_problems(self._setup, "subscription group", numbered=False),
            *self._setting_problems(),
        ]
        today = self._http.now().date()
        try:
            with open_workspace(self._setup, self._http) as workspace:
                workspace.users(EMAIL, [_PROBE])
                for route, _ in LISTS:
                    workspace.rows(route, Place(today - LAG), today + LAG)
                problems += self._group_problems(workspace)
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the URL, the API key and its permissions"))
        return Report(tuple(problems))

    def _group_problems(self, workspace: Workspace) -> Iterator[str]:
        for topic, group in sorted(self._groups.items()):
            try:
                workspace.ensure_group(group, EMAIL, _PROBE)
            except Rejected:
                yield (
                    f"topic {topic} is mapped to {group!r}, which Braze takes for no "
                    f"subscription group: map it to a group's id, or write {GLOBAL}"
                )

    def _setting_problems(self) -> Iterator[str]:
        yield from whole_problems(self._setup, GLOBAL, "subscription group")
        if self._setup.create_contacts and self._groups:
            yield (
                f"{CREATE_CONTACTS}: Braze keeps no group's state for an address that nobody "
                f"there has: take the setting away, or map the one topic to {GLOBAL}"
            )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Who is there is told, opt-outs first, 50 a request."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with open_workspace(self._setup, self._http) as workspace:
            change, ask = partial(self._change, workspace), not self._setup.create_contacts
            return carry_out(batch, list(steps_of(workspace, EMAIL, batch, change, ask=ask)))

    def _ensure_fits(self, batch: Sequence[Item]) -> None:
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _change(
        self, workspace: Workspace, topic: str, state: str, addresses: Sequence[str]
    ) -> None:
        if group := self._groups.get(topic):
            workspace.set_group(group, state, EMAIL, addresses)
        else:
            workspace.set_global(state, addresses)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. All groups at once; whether somebody left all email, one by one.

        Only those are asked about one by one who are still in a group that a topic maps to.
        """
        if not batch:
            return {}
        self._ensure_fits(batch)
        today = self._http.now().date()
        with open_workspace(self._setup, self._http) as workspace:
            held, _ = held_by(workspace, EMAIL, batch)
            return {
                item.ref: off
                for item in batch
                if item.ref in held
                for off in self._off(workspace, item.address, held[item.ref], today)
            }

    def _off(
        self, workspace: Workspace, address: str, held: frozenset[str] | None, today: date
    ) -> Iterator[frozenset[str] | None]:
        """The one answer about an address; none if it could not be read."""
        everything = frozenset(self._setup.topics)
        if held is None:
            yield None
            return
        off = frozenset(topic for topic, group in self._groups.items() if group in held)
        with suppress(Unreadable):
            left = off != everything and workspace.is_off_everywhere(address, today)
            yield everything if left else off

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who unsubscribed from all email, and hard bounces.

        Who left a single group can't be listed: that is seen when an address is read.
        """
        place, today = Place.read(cursor), self._http.now().date()
        route, kind = LISTS[place.list]
        with open_workspace(self._setup, self._http) as workspace:
            rows = workspace.rows(route, place, today + LAG)
        whole = GLOBAL if GLOBAL in self._setup.topics.values() else None
        thing = whole if kind is NewsKind.OPTED_OUT else None
        following, done = place.after(len(rows), len(LISTS), today)
        news = (News(kind, row.email, thing, at=row.at) for row in rows if row.email)
        return Page(tuple(news), str(following), done)


class BrazeWorkspace(ByChannel):
    """One Braze workspace, for email and SMS."""

    kind: ClassVar[str] = Braze.kind
    capabilities: ClassVar[Capabilities] = replace(
        Braze.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Braze.settings
    parts: ClassVar[Parts] = {Channel.EMAIL: Braze, Channel.SMS: BrazeTexts}


ENTRY = Entry(
    kind=Braze.kind,
    title="Braze",
    proof=Proof.DOCUMENTATION,
    against="Braze's pages and the community's description of its API, read on 2026-11-27",
    capabilities=BrazeWorkspace.capabilities,
    own_settings=Braze.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/",
        f"{_DOCS}/endpoints/subscription_groups/get_list_user_subscription_groups/",
        f"{_DOCS}/endpoints/subscription_groups/get_list_user_subscription_group_status/",
        f"{_DOCS}/endpoints/email/get_query_unsubscribed_email_addresses/",
        f"{_DOCS}/api_limits/",
    ),
    build=BrazeWorkspace,
    notes=(
        f"Map each topic to the id of an email subscription group, or the only one to `{GLOBAL}`.",
        "Who leaves a single group in Braze is only seen when the address is read back.",
        "Map a topic that goes by SMS to the id of an SMS subscription group.",
        "Braze can't list users by change: who is added there is found when looked for again.",
        f"`{CREATE_CONTACTS}` adds no user, but tells the state of an address for when one has it.",
    ),
)
