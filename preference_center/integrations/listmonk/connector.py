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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, send_halving
from preference_center.integrations.base.check_report import Report, Right
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.listmonk.client import Account, Subscriber, open_account
from preference_center.integrations.listmonk.permissions import rights

PAGE = 500
_DOCS = "https://listmonk.app/docs"
_SAID_NO = (
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
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        # No limit is documented; addresses are looked for in the query of a URL.
        batch_size=200,
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
        tells_rights=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "where listmonk is, as in https://lists.example.com",
        "user": "an API user with the rights lists:get_all, lists:manage_all, "
        "subscribers:get_all, subscribers:sql_query and subscribers:manage; in place of "
        "lists:manage_all, a list role with list:manage on each mapped list will do",
        "token": "its access token",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._topics = {thing: topic for topic, thing in setup.topics.items()}

    def check(self) -> Report:
        """See Connector. Also says which lists no topic maps to."""
        problems = [*mapping_problems(self._setup, "list")]
        mapped = sorted(target for target in self._setup.topics.values() if target.isdigit())
        needed: tuple[Right, ...] = ()
        try:
            with open_account(self._setup, self._http) as account:
                needed = tuple(rights(account.profile(), mapped))
                lists = {str(each.id): each.name for each in account.lists()}
                account.page(0, 1)
        except DeliveryError as error:
            fault = f"{error}: check base_url, user, token and its rights"
            return Report((*problems, fault)).with_rights(needed)
        problems += [
            f"topic {topic} is mapped to list {target}, which listmonk has not (or doesn't show "
            "this user): map it to a list that exists"
            for topic, target in sorted(self._setup.topics.items())
            if target.isdigit() and target not in lists
        ]
        unmapped = [f"{name} ({id_})" for id_, name in lists.items() if id_ not in self._topics]
        return Report(tuple(problems), tuple(unmapped)).with_rights(needed)

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first, a list at a time."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            doubles = account.double_opt_in(self._named(batch))
            found = _find(account, batch)
            outcomes = carry_out(batch, self._steps(account, batch, found, doubles))
        absent = Outcome(Result.ABSENT, "no subscriber")
        named = {item.ref for item in batch if item.off or item.lift}
        return outcomes | dict.fromkeys(named - found.keys(), absent)

    def _named(self, batch: Sequence[Item]) -> set[str]:
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        return {self._setup.topics[topic] for topic in named}

    def _steps(
        self,
        account: Account,
        batch: Sequence[Item],
        found: Mapping[int, Subscriber],
        doubles: Collection[str],
    ) -> list[Step]:
        steps = []
        there = [item for item in batch if item.ref in found]
        for topic in sorted(set().union(*(item.off for item in batch))):
            list_id = self._setup.topics[topic]
            # Also who seems not to be in the list: unsubscribing puts nobody there.
            refs = [i.ref for i in there if topic in i.off and not found[i.ref].left(list_id)]
            steps.append(Step(tuple(refs), partial(_unsubscribe, account, list_id, refs, found)))
        for topic in sorted(set().union(*(item.lift for item in batch))):
            list_id = self._setup.topics[topic]
            refs = [i.ref for i in there if topic in i.lift and found[i.ref].left(list_id)]
            if list_id in doubles:
                # Whether the opt-in was confirmed before can't be told any more: left off.
                steps.append(Step(tuple(refs), partial(_leave_off, refs)))
            else:
                steps.append(Step(tuple(refs), partial(_lift, account, list_id, refs, found)))
        return [step for step in steps if step.refs]

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable.

        A list that doesn't mail the subscriber is off if we want it off. Whether a person
        chose the blocklist is told by `pull`.
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            account.double_opt_in(set(self._setup.topics.values()))
            found = _find(account, batch)
        return {item.ref: self._off(item, found.get(item.ref)) for item in batch}

    def _off(self, item: Item, subscriber: Subscriber | None) -> frozenset[str] | None:
        if subscriber is None:
            return None
        if subscriber.is_blocked:
            return item.off
        unmailed = {t for t in item.off if not subscriber.gets(self._setup.topics[t])}
        return self._left(subscriber) | unmailed

    def _left(self, subscriber: Subscriber) -> frozenset[str]:
        topics = self._setup.topics.items()
        return frozenset(topic for topic, list_id in topics if subscriber.left(list_id))

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        rows, following = self._listed(cursor)
        seen = [Seen(s.email, off=None if s.is_blocked else self._left(s)) for s in rows]
        return Page(tuple(seen), following, following is None)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who unsubscribed or is blocklisted, but not for bounces.

        Whether a person did it or a clerk is not said.
        """
        rows, following = self._listed(cursor, _SAID_NO)
        news = [news for row in rows for news in self._news(row)]
        return Page(tuple(news), following, following is None)

    def _news(self, subscriber: Subscriber) -> Iterable[News]:
        if subscriber.is_blocked:
            yield News(NewsKind.OPTED_OUT, subscriber.email, at=subscriber.blocked_at)
            return
        for topic in sorted(self._left(subscriber)):
            list_id = self._setup.topics[topic]
            at = subscriber.left_at(list_id)
            yield News(NewsKind.OPTED_OUT, subscriber.email, list_id, at)

    def _listed(
        self, cursor: str | None, condition: str = ""
    ) -> tuple[list[Subscriber], str | None]:
        with open_account(self._setup, self._http) as account:
            rows, last = account.page(int(cursor or 0), PAGE, condition)
        return rows, None if last is None else str(last)


def _find(account: Account, batch: Sequence[Item]) -> dict[int, Subscriber]:
    """Ref -> subscriber, of those that are there."""
    by_address = account.find([item.address for item in batch])
    found = {item.ref: by_address.get(item.address.lower()) for item in batch}
    return {ref: subscriber for ref, subscriber in found.items() if subscriber}


def _unsubscribe(
    account: Account, list_id: str, refs: Sequence[int], found: Mapping[int, Subscriber]
) -> Mapping[int, Outcome]:
    outcomes = dict.fromkeys(refs, Outcome(Result.REFUSED, f"list {list_id}: 400"))
    for part, _ in send_halving(
        refs, lambda some: account.unsubscribe(list_id, [found[ref].id for ref in some])
    ):
        outcomes |= dict.fromkeys(part, Outcome(Result.REFLECTED, f"list {list_id}: 200"))
    return outcomes


def _leave_off(refs: Sequence[int]) -> Mapping[int, Outcome]:
    return dict.fromkeys(refs, Outcome(Result.REFUSED, "the list has double opt-in"))


def _lift(
    account: Account, list_id: str, refs: Sequence[int], found: Mapping[int, Subscriber]
) -> Mapping[int, Outcome]:
    free = [ref for ref in refs if not found[ref].is_blocked]
    if free:
        account.subscribe(list_id, [found[ref].id for ref in free])
    outcomes = dict.fromkeys(refs, Outcome(Result.REFUSED, "blocklisted"))
    return outcomes | dict.fromkeys(free, Outcome(Result.REFLECTED, f"list {list_id}: 200"))


ENTRY = Entry(
    kind=Listmonk.kind,
    title="listmonk",
    proof=Proof.DOCUMENTATION,
    against="the documentation of 6.2.0, read on 2026-11-27",
    by_hand="listmonk 6.2.0 itself, on 27 November 2026",
    capabilities=Listmonk.capabilities,
    own_settings=Listmonk.settings,
    secrets=frozenset({"token"}),
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
