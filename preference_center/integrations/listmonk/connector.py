"""listmonk: a topic is a list, "off" is a subscription with the status "unsubscribed".

https://listmonk.app/docs/apis/subscribers/
https://listmonk.app/docs/concepts/
The blocklist stops everything, and blocklisting ends every subscription for good: it is read,
and never written (I10). Who isn't subscribed to a list has said no "no".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport, Permission
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.listmonk.client import (
    ListmonkClient,
    ListmonkSubscriber,
    open_client,
)
from preference_center.integrations.listmonk.permissions import list_permissions

PAGE_SIZE = 500
_DOCS = "https://listmonk.app/docs"
_OPTED_OUT_CONDITION = (
    "(subscribers.status = 'blocklisted' OR EXISTS (SELECT 1 FROM subscriber_lists s "
    "WHERE s.subscriber_id = subscribers.id AND s.status = 'unsubscribed'))"
    # Bounces end in the blocklist too, by listmonk's own settings.
    " AND NOT (subscribers.status = 'blocklisted' AND EXISTS "
    "(SELECT 1 FROM bounces b WHERE b.subscriber_id = subscribers.id))"
)


class Listmonk:
    """Some lists of one listmonk."""

    kind: ClassVar[str] = "listmonk"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        # No limit is documented; addresses are looked for in the query of a URL.
        batch_size=200,
        can_read=True,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
        checks_permissions=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where listmonk is, as in https://lists.example.com",
        "user": "an API user with the rights lists:get_all, lists:manage_all, "
        "subscribers:get_all, subscribers:sql_query and subscribers:manage; in place of "
        "lists:manage_all, a list role with list:manage on each mapped list will do",
        "token": "its access token",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._topic_by_list = {thing: topic for topic, thing in config.topics.items()}

    def check(self) -> CheckReport:
        """See Connector. Also says which lists no topic maps to."""
        problems = [*mapping_problems(self._config, "list")]
        mapped = sorted(target for target in self._config.topics.values() if target.isdigit())
        needed: tuple[Permission, ...] = ()
        try:
            with open_client(self._config, self._http) as account:
                needed = tuple(list_permissions(account.profile(), mapped))
                lists = {str(each.id): each.name for each in account.lists()}
                account.list_subscribers(0, 1)
        except DeliveryError as error:
            fault = f"{error}: check base_url, user, token and its rights"
            return CheckReport((*problems, fault)).with_permissions(needed)
        problems += [
            f"topic {topic} is mapped to list {target}, which listmonk has not (or doesn't show "
            "this user): map it to a list that exists"
            for topic, target in sorted(self._config.topics.items())
            if target.isdigit() and target not in lists
        ]
        unmapped = [
            f"{name} ({id_})" for id_, name in lists.items() if id_ not in self._topic_by_list
        ]
        return CheckReport(tuple(problems), tuple(unmapped)).with_permissions(needed)

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go first, a list at a time."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            doubles = account.find_double_opt_in_lists(self._get_list_ids(batch))
            found = _find_subscribers(account, batch)
            outcomes = run_steps(batch, self._build_steps(account, batch, found, doubles))
        absent = PushOutcome(PushResult.ABSENT, "no subscriber")
        named = {item.ref for item in batch if item.off or item.lift}
        return outcomes | dict.fromkeys(named - found.keys(), absent)

    def _get_list_ids(self, batch: Sequence[PushItem]) -> set[str]:
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        return {self._config.topics[topic] for topic in named}

    def _build_steps(
        self,
        client: ListmonkClient,
        batch: Sequence[PushItem],
        subscribers: Mapping[int, ListmonkSubscriber],
        double_opt_in_lists: Collection[str],
    ) -> list[PushStep]:
        steps = []
        there = [item for item in batch if item.ref in subscribers]
        for topic in sorted(set().union(*(item.off for item in batch))):
            list_id = self._config.topics[topic]
            # Also who seems not to be in the list: unsubscribing puts nobody there.
            refs = [
                i.ref
                for i in there
                if topic in i.off and not subscribers[i.ref].is_unsubscribed(list_id)
            ]
            steps.append(
                PushStep(tuple(refs), partial(_unsubscribe, client, list_id, refs, subscribers))
            )
        for topic in sorted(set().union(*(item.lift for item in batch))):
            list_id = self._config.topics[topic]
            refs = [
                i.ref
                for i in there
                if topic in i.lift and subscribers[i.ref].is_unsubscribed(list_id)
            ]
            if list_id in double_opt_in_lists:
                # Whether the opt-in was confirmed before can't be told any more: left off.
                steps.append(PushStep(tuple(refs), partial(_refuse_double_opt_in, refs)))
            else:
                steps.append(
                    PushStep(tuple(refs), partial(_lift, client, list_id, refs, subscribers))
                )
        return [step for step in steps if step.refs]

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable.

        A list that doesn't mail the subscriber is off if we want it off. Whether a person
        chose the blocklist is told by `pull`.
        """
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            account.find_double_opt_in_lists(set(self._config.topics.values()))
            found = _find_subscribers(account, batch)
        return {item.ref: self._off_topics(item, found.get(item.ref)) for item in batch}

    def _off_topics(
        self, item: PushItem, subscriber: ListmonkSubscriber | None
    ) -> frozenset[str] | None:
        if subscriber is None:
            return None
        if subscriber.is_blocklisted:
            return item.off
        unmailed = {t for t in item.off if not subscriber.receives(self._config.topics[t])}
        return self._unsubscribed_topics(subscriber) | unmailed

    def _unsubscribed_topics(self, subscriber: ListmonkSubscriber) -> frozenset[str]:
        topics = self._config.topics.items()
        return frozenset(topic for topic, list_id in topics if subscriber.is_unsubscribed(list_id))

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable."""
        rows, following = self._list_subscribers(cursor)
        seen = [
            ContactSnapshot(s.email, off=None if s.is_blocklisted else self._unsubscribed_topics(s))
            for s in rows
        ]
        return ContactPage(tuple(seen), following, following is None)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Who unsubscribed or is blocklisted, but not for bounces.

        Whether a person did it or a clerk is not said.
        """
        rows, following = self._list_subscribers(cursor, _OPTED_OUT_CONDITION)
        news = [news for row in rows for news in self._to_vendor_events(row)]
        return ContactPage(tuple(news), following, following is None)

    def _to_vendor_events(self, subscriber: ListmonkSubscriber) -> Iterable[VendorEvent]:
        if subscriber.is_blocklisted:
            yield VendorEvent(
                VendorEventKind.OPTED_OUT, subscriber.email, occurred_at=subscriber.blocklisted_at
            )
            return
        for topic in sorted(self._unsubscribed_topics(subscriber)):
            list_id = self._config.topics[topic]
            at = subscriber.unsubscribed_at(list_id)
            yield VendorEvent(VendorEventKind.OPTED_OUT, subscriber.email, list_id, at)

    def _list_subscribers(
        self, cursor: str | None, condition: str = ""
    ) -> tuple[list[ListmonkSubscriber], str | None]:
        with open_client(self._config, self._http) as account:
            rows, last = account.list_subscribers(int(cursor or 0), PAGE_SIZE, condition)
        return rows, None if last is None else str(last)


def _find_subscribers(
    client: ListmonkClient, batch: Sequence[PushItem]
) -> dict[int, ListmonkSubscriber]:
    """Ref -> subscriber, of those that are there."""
    by_address = client.find_subscribers([item.address for item in batch])
    found = {item.ref: by_address.get(item.address.lower()) for item in batch}
    return {ref: subscriber for ref, subscriber in found.items() if subscriber}


def _unsubscribe(
    client: ListmonkClient,
    list_id: str,
    refs: Sequence[int],
    subscribers: Mapping[int, ListmonkSubscriber],
) -> Mapping[int, PushOutcome]:
    outcomes = dict.fromkeys(refs, PushOutcome(PushResult.REFUSED, f"list {list_id}: 400"))
    for part, _ in send_bisecting(
        refs, lambda some: client.unsubscribe(list_id, [subscribers[ref].id for ref in some])
    ):
        outcomes |= dict.fromkeys(part, PushOutcome(PushResult.REFLECTED, f"list {list_id}: 200"))
    return outcomes


def _refuse_double_opt_in(refs: Sequence[int]) -> Mapping[int, PushOutcome]:
    return dict.fromkeys(refs, PushOutcome(PushResult.REFUSED, "the list has double opt-in"))


def _lift(
    client: ListmonkClient,
    list_id: str,
    refs: Sequence[int],
    subscribers: Mapping[int, ListmonkSubscriber],
) -> Mapping[int, PushOutcome]:
    free = [ref for ref in refs if not subscribers[ref].is_blocklisted]
    if free:
        client.subscribe(list_id, [subscribers[ref].id for ref in free])
    outcomes = dict.fromkeys(refs, PushOutcome(PushResult.REFUSED, "blocklisted"))
    return outcomes | dict.fromkeys(free, PushOutcome(PushResult.REFLECTED, f"list {list_id}: 200"))


SPEC = ConnectorSpec(
    kind=Listmonk.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="the documentation of 6.2.0, read on 2026-11-27",
    manually_tested="listmonk 6.2.0 itself, on 27 November 2026",
    capabilities=Listmonk.capabilities,
    own_settings=Listmonk.settings,
    secret_settings=frozenset({"token"}),
    sources=(
        f"{_DOCS}/apis/subscribers/",
        f"{_DOCS}/apis/lists/",
        f"{_DOCS}/roles-and-permissions/",
    ),
    build=Listmonk,
    notes=(
        "Map each topic to the number of a list.",
        (
            "Who is blocklisted is taken to have said no to all marketing, unless listmonk has "
            "bounces of theirs. The blocklist itself is never written: it can't be taken back."
        ),
        "Lists with double opt-in are turned off but not on again: there the person confirms.",
    ),
)
