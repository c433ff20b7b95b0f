"""Braze: a topic is an email subscription group of one workspace, or all its email.

https://www.braze.com/docs/user_guide/message_building_by_channel/email/managing_user_subscriptions/
The global email state stops every campaign that respects it, so it may stand for a topic
only where the workspace sends nothing else (I10). Braze says "success" for addresses that
nobody there has, so each is looked for first; who isn't there is not told about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.news import ALL_EMAIL, News, NewsKind
from workers.connectors.base import (
    CREATE_CONTACTS,
    Capabilities,
    DeliveryError,
    Item,
    Listing,
    Outcome,
    Page,
    Rate,
    Report,
    Result,
    Scopes,
    Setup,
    UnsupportedByDestination,
)
from workers.connectors.braze_api import (
    LAG,
    OFF,
    ON,
    PER_CALL,
    Place,
    Workspace,
    open_workspace,
)
from workers.connectors.braze_texts import BrazeTexts
from workers.connectors.by_channel import ByChannel, Parts
from workers.connectors.entry import Entry, Proof
from workers.connectors.http import Http, Rejected
from workers.connectors.mapping import ensure_fits, mapping_problems, whole_problems
from workers.connectors.steps import Step, carry_out, send_halving

GLOBAL = ALL_EMAIL
"""What a topic is mapped to that is the global email state and no group."""
READS = 60
"""Requests of one read: more would not end inside a lease."""
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
        # The least of what the endpoints are allowed: /users/export/ids.
        rate=Rate(2_500, 60),
        can_read=True,
        pulls=Listing.CHANGES,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the REST endpoint, as in https://rest.fra-01.braze.eu",
        "api_key": "an API key with the permissions users.export.ids, subscription.status.get, "
        "subscription.status.set, email.unsubscribe and email.hard_bounces; and email.status "
        f"where a topic is mapped to {GLOBAL}",
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
                workspace.knows(_PROBE)
                for route, _ in LISTS:
                    workspace.rows(route, Place(today - LAG), today + LAG)
                problems += self._group_problems(workspace)
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the URL, the API key and its permissions"))
        return Report(tuple(problems))

    def _group_problems(self, workspace: Workspace) -> Iterator[str]:
        for topic, group in sorted(self._groups.items()):
            try:
                workspace.is_off(group, _PROBE)
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
            return carry_out(batch, list(self._steps(workspace, batch)))

    def _ensure_fits(self, batch: Sequence[Item]) -> None:
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _steps(self, workspace: Workspace, batch: Sequence[Item]) -> Iterator[Step]:
        there = []
        for item in batch:
            if item.off or item.lift:
                unfit = self._look(workspace, item)
                if unfit is None:
                    there.append(item)
                else:
                    yield Step((item.ref,), partial(dict[int, Outcome], {item.ref: unfit}))
        for state, wanted in ((OFF, _off), (ON, _lift)):
            for topic in sorted(set().union(*(wanted(item) for item in there))):
                items = [item for item in there if topic in wanted(item)]
                refs = tuple(item.ref for item in items)
                yield Step(refs, partial(self._set, workspace, topic, state, items))

    def _look(self, workspace: Workspace, item: Item) -> Outcome | None:
        """Why an address is not to be told about, if it isn't."""
        if self._setup.create_contacts:
            return None
        try:
            return None if workspace.knows(item.address) else Outcome(Result.ABSENT, "no user")
        except Rejected:
            return Outcome(Result.REFUSED, "400")

    def _set(
        self, workspace: Workspace, topic: str, state: str, items: Sequence[Item]
    ) -> Mapping[int, Outcome]:
        group = self._groups.get(topic)
        send: Callable[[str, Sequence[str]], None] = (
            partial(workspace.set_group, group) if group else workspace.set_global
        )
        outcomes = {item.ref: Outcome(Result.REFUSED, "400") for item in items}
        for part, _ in send_halving(
            items, lambda some: send(state, [item.address for item in some])
        ):
            outcomes |= {item.ref: Outcome(Result.REFLECTED, "success") for item in part}
        return outcomes

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Each address is some requests: only the first few are read."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        today = self._http.now().date()
        looked = batch[: max(1, READS // (2 + len(self._groups)))]
        with open_workspace(self._setup, self._http) as workspace:
            return {item.ref: self._read(workspace, item.address, today) for item in looked}

    def _read(self, workspace: Workspace, address: str, today: date) -> frozenset[str] | None:
        if not workspace.knows(address):
            return None
        if workspace.is_off_everywhere(address, today):
            return frozenset(self._setup.topics)
        return frozenset(t for t, group in self._groups.items() if workspace.is_off(group, address))

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
        return Page(tuple(News(kind, r.email, thing, at=r.at) for r in rows), str(following), done)


def _off(item: Item) -> frozenset[str]:
    return item.off


def _lift(item: Item) -> frozenset[str]:
    return item.lift


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
    capabilities=BrazeWorkspace.capabilities,
    own_settings=Braze.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/",
        f"{_DOCS}/endpoints/subscription_groups/get_list_user_subscription_group_status/",
        f"{_DOCS}/endpoints/email/get_query_unsubscribed_email_addresses/",
        f"{_DOCS}/api_limits/",
    ),
    build=BrazeWorkspace,
    notes=(
        f"Map each topic to the id of an email subscription group, or the only one to `{GLOBAL}`.",
        "Who leaves a single group in Braze is only seen when the address is read back.",
        "Map a topic that goes by SMS to the id of an SMS subscription group; the API key needs "  # noqa: ISC004
        "subscription.groups.get too.",
        "Braze can't list users by change: who is added there is found when looked for again.",
        f"`{CREATE_CONTACTS}` adds no user, but tells the state of an address for when one has it.",
    ),
)
