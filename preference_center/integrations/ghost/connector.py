"""Ghost: a topic is a newsletter.

https://docs.ghost.org/admin-api
https://ghost.org/help/multiple-newsletters
A member gets the newsletters that they are subscribed to; emails that a member needs (signing
in, payments) go out all the same. A change replaces all newsletters of a member, so each is
looked up first, which also creates nobody.

Who is not subscribed may never have been. Ghost's events show which: the last one of a member
and a newsletter says who unsubscribed them. Unsubscribing many members at once in Ghost writes
no event and calls no webhook (MemberRepository.bulkEdit, tried with 5.130.6): then the last event
says that they were subscribed, and only the list of members shows that they are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Self

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.cursors import last_id, sweep
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
from preference_center.integrations.ghost.client import (
    COMPLAINED,
    OPTED,
    PAGE,
    Event,
    Member,
    Site,
    Spot,
    active,
    by_address,
    spot,
)

LAG = timedelta(minutes=1)
"""How much later than its time an event may show: it is written by a transaction of its own."""
HEARD = timedelta(days=1)
"""After it, what somebody turned off in Ghost was read from its events: a lift that we are
asked for then is of the person's own later act (decision 36). Before, it may be unheard."""
_NEVER = Hold("never subscribed", is_opt_out=False, may_lift=False)
_IN_BULK = Hold("unsubscribed in bulk", may_lift=False)
_BY_API = Hold("unsubscribed by API")
_LONG_AGO = Hold("unsubscribed in Ghost")
_LATELY = Hold("unsubscribed in Ghost lately", may_lift=False)
_COMPLAINED = Hold("complained", may_lift=False, is_exact=False)


@dataclass(frozen=True)
class Found(Contact):
    """All members of one address, in whatever case it is written there."""

    members: tuple[Member, ...] = ()


class Ghost(ReadableConnector[Site]):
    """One site."""

    kind: ClassVar[str] = "ghost"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=50,
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.CHANGES,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "the address of Ghost's admin without its path: https://blog.example.com",
        "admin_key": "the Admin API key of a custom integration: ID:SECRET",
    }
    rules: ClassVar[Rules] = Rules(
        target="newsletter",
        credentials="the Admin API key and base_url",
        group=10,
        looks=Looks.ALL,
        guard=Guard.ALWAYS,
    )

    @contextmanager
    def open(self) -> Iterator[Site]:
        """See MappedConnector. A company may run Ghost in its own network."""
        settings = self.setup.settings
        with self.http.session(self.setup.name, settings["base_url"], guarded=False) as session:
            yield Site(session, settings["admin_key"], self.http.now)

    def targets(self, client: Site) -> Iterator[Target]:
        """See MappedConnector."""
        for each in client.newsletters():
            yield Target(each.id, each.name, each.fault)

    def look(
        self, client: Site, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector. One request for all, and two more where something is off."""
        members = client.members_of(addresses)
        holds, found = _holds(client, members, frozenset(targets)), by_address(members)
        contacts: dict[str, Contact | None] = {}
        for address in addresses:
            of = found.get(address.casefold(), ())
            if not of:
                contacts[address] = None
            elif all(member.id in holds for member in of):
                contacts[address] = Found(_in_all([holds[each.id] for each in of]), tuple(of))
        return contacts

    def write(self, client: Site, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector. A request for each member that changes."""
        outcomes = {}
        for change in changes:
            assert isinstance(change.contact, Found)
            results = [_write(client, member, change) for member in change.contact.members]
            if Result.LATER in results:
                continue
            is_there = Result.REFLECTED in results
            outcomes[change.ref] = Outcome(Result.REFLECTED if is_there else Result.ABSENT, "200")
        return outcomes

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. Also shows who was unsubscribed in bulk, which nothing else does."""

        def members(token: str) -> tuple[list[Seen], str]:
            rows = client.members_after(token)
            targets = frozenset(self.setup.topics.values())
            holds = _holds(client, rows, targets)
            seen = [Seen(row.email, off=self._said(holds.get(row.id))) for row in rows if row.email]
            return seen, last_id(row.id for row in rows) if len(rows) == PAGE else ""

        with self.open() as client:
            return sweep(cursor, [members])

    def _said(self, holds: Mapping[str, Hold] | None) -> frozenset[str] | None:
        """The topics that somebody turned off; None if the answer does not say."""
        if holds is None:
            return None
        off = {target for target, hold in holds.items() if hold.is_opt_out}
        return frozenset(topic for topic, target in self.setup.topics.items() if target in off)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who unsubscribed and is unsubscribed still, and complaints, with dates.

        Newest first, back to where the last pass began.
        """
        walk = Walk.read(cursor)
        with self.open() as client:
            events = client.events([OPTED, COMPLAINED], since=walk.since, before=walk.before)
            rows = tuple(self._news(client, events))
        if not walk.newest and events:
            walk = Walk(walk.since, events[0].data.created_at)
        done = len(events) < PAGE
        return Page(rows, walk.end() if done else walk.on(spot(events)), done)

    def _news(self, client: Site, events: Sequence[Event]) -> Iterator[News]:
        mapped = set(self.setup.topics.values())
        left = [e for e in events if e.data.subscribed is False and e.data.newsletter_id in mapped]
        complaints = [e for e in events if e.type != OPTED and e.data.member_id]
        ids = {event.data.member_id for event in (*left, *complaints)} - {""}
        members = {m.id: m for m in client.members(ids) if m.email}
        for event in left:
            data, member = event.data, members.get(event.data.member_id)
            if member and data.newsletter_id not in (member.newsletter_ids or ()):
                by_person = data.source == "member"
                yield News(
                    NewsKind.OPTED_OUT,
                    member.email,
                    data.newsletter_id,
                    data.created_at,
                    by_person=by_person,
                )
        for event in complaints:
            if member := members.get(event.data.member_id):
                at = event.data.created_at
                yield News(NewsKind.COMPLAINED, member.email, at=at, by_person=True)


@dataclass(frozen=True, slots=True)
class Walk:
    """A pass over the events, newest first, as its cursor holds it: times of Ghost's own."""

    since: datetime | None = None
    """Where it ends: a little before the newest event of the last pass."""
    newest: datetime | None = None
    """The newest event of this pass, once one was seen."""
    before: Spot | None = None
    """Where it has come to."""

    @classmethod
    def read(cls, cursor: str | None) -> Self:
        """The pass that `cursor` is of."""
        since, newest, at, id_ = (cursor or "|||").split("|")
        times = [datetime.fromisoformat(each) if each else None for each in (since, newest, at)]
        return cls(times[0], times[1], Spot(times[2], id_) if times[2] else None)

    def on(self, to: Spot) -> str:
        """The cursor of the next page."""
        return f"{_text(self.since)}|{_text(self.newest)}|{to.at.isoformat()}|{to.id}"

    def end(self) -> str:
        """The cursor of the next pass."""
        since = self.newest - LAG if self.newest else self.since
        return f"{_text(max(since, self.since) if since and self.since else since)}|||"


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _holds(
    client: Site, members: Sequence[Member], targets: frozenset[str]
) -> Mapping[str, Mapping[str, Hold]]:
    """Id of each member whose newsletters are listed -> what of `targets` is off, and why."""
    held = {m.id: m.newsletter_ids for m in members if m.id}
    missing = {id_: targets - ids for id_, ids in held.items() if ids is not None}
    choices: Mapping[tuple[str, str], Event] = {}
    if any(missing.values()):
        # After the members were listed: one that was archived is in nobody's list.
        sent = frozenset(active(client.newsletters()))
        missing = {id_: ids & sent for id_, ids in missing.items()}
        choices = client.last_choices({id_: ids for id_, ids in missing.items() if ids})
    complained = {member.id for member in members if member.has_complained}
    return {
        id_: dict.fromkeys(targets if id_ in complained else (), _COMPLAINED)
        | {each: _hold(choices.get((id_, each)), client.now()) for each in ids}
        for id_, ids in missing.items()
    }


def _hold(last: Event | None, now: datetime) -> Hold:
    """Why a member does not get a newsletter, by the last event of the two."""
    if last is None:
        return _NEVER
    if last.data.subscribed:
        return _IN_BULK
    if last.data.source == "api":
        return _BY_API
    at = last.data.created_at
    return _LONG_AGO if at and at < now - HEARD else _LATELY


def _in_all(holds: Sequence[Mapping[str, Hold]]) -> Mapping[str, Hold]:
    """What is off for each of several members; not ours to lift if it is not for one."""
    first, *others = holds
    common = [id_ for id_ in first if all(id_ in other for other in others)]
    return {
        id_: min((each[id_] for each in holds), key=lambda hold: (hold.is_exact, hold.may_lift))
        for id_ in common
    }


def _write(client: Site, member: Member, change: Change) -> Result:
    """Change one member; LATER if it was not acknowledged."""
    before = member.newsletter_ids or frozenset()
    wanted = (before - change.off) | change.on
    if wanted == before:
        return Result.REFLECTED
    changed = client.set_newsletters(member, wanted)
    if changed is None:
        return Result.ABSENT
    held = changed.newsletter_ids
    if held is None or held & change.off or change.on - held:
        return Result.LATER
    return Result.REFLECTED


ENTRY = Entry(
    kind=Ghost.kind,
    title="Ghost",
    proof=Proof.DOCUMENTATION,
    against="Ghost's pages and the source of 5.130.6, read on 2026-11-27",
    by_hand="Ghost 5.130.6 itself, on 27 November 2026",
    capabilities=Ghost.capabilities,
    own_settings=Ghost.settings,
    secrets=frozenset({"admin_key"}),
    sources=(
        "https://docs.ghost.org/admin-api",
        "https://ghost.org/help/multiple-newsletters",
        "https://github.com/TryGhost/Ghost/tree/main/ghost/core/core/server/services/members",
        "https://docs.ghost.org/webhooks",
        "https://github.com/TryGhost/Ghost/tree/main/ghost/core/core/server/services/webhooks",
    ),
    build=Ghost,
    listen=partial(Listener, "ghost", ".+"),
    notes=(
        "Map each topic to the id of a newsletter.",
        "What is turned off in Ghost is turned on again by us after a day at the earliest.",
        "Who was unsubscribed in bulk there is subscribed again in Ghost only.",
        "Who was unsubscribed in bulk is found at night, by the pass over all members.",
    ),
)
