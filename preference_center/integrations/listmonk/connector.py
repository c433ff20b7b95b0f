"""listmonk: a topic is a list, "off" is a subscription with the status "unsubscribed".

https://listmonk.app/docs/apis/subscribers/
https://listmonk.app/docs/concepts/
The blocklist stops everything, and blocklisting ends every subscription for good: it is read,
and never written (I10). Not being subscribed to a list is no opt-out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import CheckReport
from preference_center.integrations.base.push_results import send_bisecting
from preference_center.integrations.listmonk.client import (
    ListmonkClient,
    ListmonkSubscriber,
    list_permissions,
)

PAGE_SIZE = 500
_DOCS = "https://listmonk.app/docs"
_OPTED_OUT_CONDITION = (
    "(subscribers.status = 'blocklisted' OR EXISTS (SELECT 1 FROM subscriber_lists s "
    "WHERE s.subscriber_id = subscribers.id AND s.status = 'unsubscribed'))"
    # Bounces end in the blocklist too, by listmonk's own settings.
    " AND NOT (subscribers.status = 'blocklisted' AND EXISTS "
    "(SELECT 1 FROM bounces b WHERE b.subscriber_id = subscribers.id))"
)


class Listmonk(
    runtime.ReadableApiConnector[ListmonkClient], runtime.ErasingConnector[ListmonkClient]
):
    """Some lists of one listmonk."""

    kind = "listmonk"
    erase_group_size = 200
    capabilities = runtime.Capabilities(
        can_lift=True,
        # No limit is documented; addresses are looked up by the query of a URL.
        batch_size=200,
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.FULL,
        checks_permissions=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The subscriber is deleted from listmonk, with all lists and bounces; "
        "statistics of campaigns stay, without the person.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where listmonk is, as in https://lists.example.com",
        "user": "an API user with the rights lists:get_all, lists:manage_all, "
        "subscribers:get_all, subscribers:sql_query and subscribers:manage; in place of "
        "lists:manage_all, a list role with list:manage on each mapped list will do",
        "token": "its access token",
        **runtime.NETWORKS_OF_TOOL,
    }

    rules = runtime.ConnectorRules(
        target_noun="list",
        credentials_hint="base_url, user, token and its rights",
        numeric_ids=True,
    )

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return runtime.basic_auth_headers(
            self.config.settings["user"], self.config.settings["token"]
        )

    def make_client(self, session: runtime.Session) -> ListmonkClient:
        """See ApiConnector."""
        return ListmonkClient(self.config.name, session)

    def list_targets(self, client: ListmonkClient) -> Iterator[runtime.Target]:
        """See ApiConnector. Lists that the user may not see are missing."""
        for each in client.lists():
            yield runtime.Target(str(each.id), each.name)

    def find_problems(self, client: ListmonkClient) -> Iterator[str]:
        """See ApiConnector. Tries a query of subscribers."""
        client.list_subscribers("", limit=1)
        yield from ()

    def find_permissions(self, client: ListmonkClient) -> Iterator[runtime.Permission]:
        """See ApiConnector."""
        mapped = sorted(target for target in self.config.topics.values() if target.isdigit())
        yield from list_permissions(client.profile(), mapped)

    def check(self) -> CheckReport:
        """See Connector. Names the rights that are missing also where a request fails by them."""
        report = super().check()
        if report.ok or report.permissions:
            return report
        with suppress(runtime.DeliveryError), self.open_client() as client:
            return report.with_permissions(self.find_permissions(client))
        return report

    def push_batch(self, client: ListmonkClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Opt-outs go first, a list at a time."""
        doubles = client.find_double_opt_in_lists(self._get_list_ids(batch))
        found = _find_subscribers(client, batch)
        outcomes = runtime.run_steps(batch, self._build_steps(client, batch, found, doubles))
        named = {item.ref for item in batch if item.off or item.lift}
        return outcomes | dict.fromkeys(named - found.keys(), runtime.absent("no subscriber"))

    def _get_list_ids(self, batch: runtime.Items) -> set[str]:
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        return {self.config.topics[topic] for topic in named}

    def _build_steps(
        self,
        client: ListmonkClient,
        batch: runtime.Items,
        subscribers: Mapping[int, ListmonkSubscriber],
        double_opt_in_lists: Collection[str],
    ) -> list[runtime.PushStep]:
        steps = []
        there = [(item, subscribers[item.ref]) for item in batch if item.ref in subscribers]
        for topic in sorted(set().union(*(item.off for item in batch))):
            list_id = self.config.topics[topic]
            # Also those not seen in the list: unsubscribing adds nobody to it.
            refs = [
                item.ref
                for item, subscriber in there
                if topic in item.off and not subscriber.is_unsubscribed(list_id)
            ]
            call = partial(_unsubscribe, client, list_id, refs, subscribers)
            steps.append(runtime.PushStep(tuple(refs), call))
        for topic in sorted(set().union(*(item.lift for item in batch))):
            list_id = self.config.topics[topic]
            refs = [
                item.ref
                for item, subscriber in there
                if topic in item.lift and subscriber.is_unsubscribed(list_id)
            ]
            call = partial(_lift, client, list_id, refs, subscribers)
            if list_id in double_opt_in_lists:
                # Whether the opt-in was confirmed before is unknown by now: left off.
                call = partial(dict.fromkeys, refs, runtime.refused("the list has double opt-in"))
            steps.append(runtime.PushStep(tuple(refs), call))
        return [step for step in steps if step.refs]

    def read_batch(self, client: ListmonkClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector.

        A list that doesn't mail the subscriber is off if it is wanted off. `pull` reports whether
        a person chose the blocklist.
        """
        client.find_double_opt_in_lists(set(self.config.topics.values()))
        found = _find_subscribers(client, batch)
        return {item.ref: self._off_topics(item, found.get(item.ref)) for item in batch}

    def _off_topics(
        self, item: runtime.PushItem, subscriber: ListmonkSubscriber | None
    ) -> frozenset[str] | None:
        if subscriber is None:
            return None
        if subscriber.is_blocklisted:
            return item.off
        unmailed = {t for t in item.off if not subscriber.receives(self.config.topics[t])}
        return self._unsubscribed_topics(subscriber) | unmailed

    def _unsubscribed_topics(self, subscriber: ListmonkSubscriber) -> frozenset[str]:
        topics = self.config.topics.items()
        return frozenset(topic for topic, list_id in topics if subscriber.is_unsubscribed(list_id))

    def erase_group(self, client: ListmonkClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See ErasingConnector. By the ids of exactly these addresses."""
        found = client.find_subscribers([item.address for item in items])
        ids = {i.ref: row.id for i in items if (row := found.get(i.address.lower()))}
        if ids:
            client.delete([*ids.values()])
        return {
            item.ref: runtime.reflected() if item.ref in ids else runtime.absent() for item in items
        }

    def holds_contact(self, client: ListmonkClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return item.address.lower() in client.find_subscribers([item.address])

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self._list_subscribers(cursor).expand(self._to_snapshots)

    def _to_snapshots(self, row: ListmonkSubscriber) -> Iterator[runtime.ContactSnapshot]:
        off = None if row.is_blocklisted else self._unsubscribed_topics(row)
        yield runtime.ContactSnapshot(row.email, off=off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Who unsubscribed or is blocklisted, but not for bounces.

        listmonk does not record whether the person or a user of listmonk did it.
        """
        return self._list_subscribers(cursor, _OPTED_OUT_CONDITION).expand(self._to_vendor_events)

    def _to_vendor_events(self, subscriber: ListmonkSubscriber) -> Iterable[runtime.VendorEvent]:
        if subscriber.is_blocklisted:
            yield runtime.VendorEvent(
                runtime.VendorEventKind.OPTED_OUT,
                subscriber.email,
                occurred_at=subscriber.blocklisted_at,
            )
            return
        for topic in sorted(self._unsubscribed_topics(subscriber)):
            list_id = self.config.topics[topic]
            at = subscriber.unsubscribed_at(list_id)
            yield runtime.VendorEvent(
                runtime.VendorEventKind.OPTED_OUT, subscriber.email, list_id, at
            )

    def _list_subscribers(
        self, cursor: str | None, condition: str = ""
    ) -> runtime.ContactPage[ListmonkSubscriber]:
        listing = partial(ListmonkClient.list_subscribers, limit=PAGE_SIZE, condition=condition)
        return self.full_page(cursor, listing)


def _find_subscribers(
    client: ListmonkClient, batch: runtime.Items
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
) -> runtime.Outcomes:
    outcomes = dict.fromkeys(refs, runtime.refused(f"list {list_id}: 400"))
    for part, _ in send_bisecting(
        refs, lambda some: client.unsubscribe(list_id, [subscribers[ref].id for ref in some])
    ):
        outcomes |= dict.fromkeys(part, runtime.reflected(f"list {list_id}: 200"))
    return outcomes


def _lift(
    client: ListmonkClient,
    list_id: str,
    refs: Sequence[int],
    subscribers: Mapping[int, ListmonkSubscriber],
) -> runtime.Outcomes:
    free = [ref for ref in refs if not subscribers[ref].is_blocklisted]
    if free:
        client.subscribe(list_id, [subscribers[ref].id for ref in free])
    outcomes = dict.fromkeys(refs, runtime.refused("blocklisted"))
    return outcomes | dict.fromkeys(free, runtime.reflected(f"list {list_id}: 200"))


SPEC = runtime.ConnectorSpec.of(
    Listmonk,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="the documentation of 6.2.0, read on 2026-11-27",
    manually_tested="listmonk 6.2.0 itself, on 27 November 2026",
    secrets={"token"},
    sources=(
        f"{_DOCS}/apis/subscribers/",
        f"{_DOCS}/apis/lists/",
        f"{_DOCS}/roles-and-permissions/",
    ),
    notes=(
        "Map each topic to the number of a list.",
        (
            "A blocklisted subscriber counts as opted out of all marketing, unless listmonk has "
            "bounces of theirs. The blocklist itself is never written: it can't be taken back."
        ),
        "Lists with double opt-in are turned off but not on again: there the person confirms.",
    ),
    open_points=(
        "No registry has it, so CI can't run it: `LISTMONK=/path/to/listmonk make test-real` does.",
        (
            "Not documented, but done: unsubscribing makes no subscription where there is none, "
            "and a page may be chosen by a query within the query."
        ),
        (
            "A subscription set by a clerk's form or by `add` with a status has no date. A "
            "subscriber blocklisted for bounces is known by the bounces on record: where those "
            "were deleted, it is read as a no."
        ),
    ),
)
