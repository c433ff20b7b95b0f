"""Ghost: a topic is a newsletter.

https://docs.ghost.org/admin-api
https://ghost.org/help/multiple-newsletters
A member gets the newsletters that they are subscribed to; emails that a member needs (signing
in, payments) are sent anyway. A change replaces all newsletters of a member, so each is looked up
first, which also creates nobody.

A member who is not subscribed may never have been. Ghost's events tell: the last one of a member
and a newsletter names who unsubscribed them. Unsubscribing many members at once in Ghost writes no
event and calls no webhook (MemberRepository.bulkEdit, tried with 5.130.6): then the last event is a
subscription, and only the list of members shows that they are not subscribed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.ghost.client import (
    COMPLAINT_EVENT,
    NEWSLETTER_EVENT,
    PAGE_SIZE,
    EventPosition,
    GhostClient,
    GhostEvent,
    GhostMember,
    group_by_address,
    last_position,
)
from preference_center.integrations.ghost.webhook import GhostWebhookSource

EVENT_LAG = timedelta(minutes=1)
"""How much later than its time an event may be listed: its transaction ends later."""
MIN_OPT_OUT_AGE_FOR_LIFT = timedelta(days=1)
"""By then an opt-out made in Ghost was read from its events: a lift that is requested then is the
person's own later act (decision 36). Before, the opt-out may not have been read."""
_NEVER_SUBSCRIBED = runtime.OffState("never subscribed", is_opt_out=False, can_lift=False)
_UNSUBSCRIBED_IN_BULK = runtime.OffState("unsubscribed in bulk", can_lift=False)
_UNSUBSCRIBED_BY_API = runtime.OffState("unsubscribed by API")
_UNSUBSCRIBED = runtime.OffState("unsubscribed in Ghost")
_UNSUBSCRIBED_RECENTLY = runtime.OffState("unsubscribed in Ghost lately", can_lift=False)
_COMPLAINED = runtime.OffState("complained", can_lift=False, is_exact=False)


@dataclass(frozen=True)
class GhostContact(runtime.RemoteContact):
    """All members of one address, in any case."""

    members: tuple[GhostMember, ...] = ()


class Ghost(runtime.ReadableConnector[GhostClient], runtime.ErasingConnector[GhostClient]):
    """One site."""

    kind = "ghost"
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=50,
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.CHANGES,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The member is deleted with comments, events and labels. For one who pays, that "
        "is done by hand, once the subscription has been cancelled in Ghost.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "the address of Ghost's admin without its path: https://blog.example.com",
        "admin_key": "the Admin API key of a custom integration: ID:SECRET",
        **runtime.NETWORKS_OF_TOOL,
    }
    rules = runtime.ConnectorRules(
        target_noun="newsletter",
        credentials_hint="the Admin API key and base_url",
        group_size=10,
        lookups=runtime.LookupMode.ALL,
        target_check=runtime.TargetCheck.ALWAYS,
    )

    def make_client(self, session: runtime.Session) -> GhostClient:
        """See ApiConnector."""
        return GhostClient(session, self.config.settings["admin_key"], self.http.now)

    def list_targets(self, client: GhostClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for each in client.list_newsletters():
            yield runtime.Target(each.id, each.name, each.unusable_reason)

    def fetch_contacts(
        self, client: GhostClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> runtime.RemoteContacts:
        """See MappedConnector. One request for all, and two more where something is off."""
        members = client.find_members_by_address(addresses)
        states = _find_off_states(client, members, frozenset(target_ids))
        members_by_address = group_by_address(members)
        contacts: dict[str, runtime.RemoteContact | None] = {}
        for address in addresses:
            of = members_by_address.get(address.casefold(), ())
            if not of:
                contacts[address] = None
            elif all(member.id in states for member in of):
                common = _common_off_states([states[each.id] for each in of])
                contacts[address] = GhostContact(common, tuple(of))
        return contacts

    def write_changes(self, client: GhostClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. A request for each member that changes."""
        outcomes = {}
        for change in changes:
            assert isinstance(change.contact, GhostContact)
            results = [_update_member(client, member, change) for member in change.contact.members]
            if runtime.PushResult.RETRY_LATER in results:
                continue
            is_there = runtime.PushResult.REFLECTED in results
            outcomes[change.ref] = runtime.reflected() if is_there else runtime.absent("200")
        return outcomes

    def erase_contact(self, client: GhostClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector. All members of the address, which Ghost tells apart by case."""
        members = _find_members(client, item.address)
        if any(member.may_pay for member in members):
            return runtime.refused("the member may be paying for a subscription")
        statuses = {client.delete_member(member) for member in members}
        is_done = bool(statuses - {HTTPStatus.NOT_FOUND})
        return runtime.reflected("204") if is_done else runtime.absent()

    def holds_contact(self, client: GhostClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return bool(_find_members(client, item.address))

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. The only way to find who was unsubscribed in bulk."""
        return self.full_page(cursor, self._list_contacts)

    def _list_contacts(
        self, client: GhostClient, after: str
    ) -> tuple[list[runtime.ContactSnapshot], str]:
        rows, following = client.list_members(after)
        states = _find_off_states(client, rows, frozenset(self.config.topics.values()))
        return [
            runtime.ContactSnapshot(row.email, off=self._opted_out_topics(states.get(row.id)))
            for row in rows
            if row.email
        ], following

    def _opted_out_topics(
        self, off_states: Mapping[str, runtime.OffState] | None
    ) -> frozenset[str] | None:
        """The topics that somebody turned off; None if the response does not contain them."""
        if off_states is None:
            return None
        off = {target for target, state in off_states.items() if state.is_opt_out}
        return frozenset(topic for topic, target in self.config.topics.items() if target in off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Opt-outs that are still in effect, and complaints, with dates.

        Newest first, back to where the last pass began.
        """
        position = runtime.decode_cursor(GhostEventCursor, cursor) or GhostEventCursor()
        with self.open_client() as client:
            events = client.list_events(
                [NEWSLETTER_EVENT, COMPLAINT_EVENT], since=position.since, before=position.before
            )
            rows = tuple(self._to_vendor_events(client, events))
        if not position.newest_at and events:
            position = GhostEventCursor(position.since, events[0].data.created_at)
        done = len(events) < PAGE_SIZE
        following = (
            position.next_pass() if done else replace(position, before=last_position(events))
        )
        return runtime.ContactPage(rows, runtime.encode_cursor(following), done)

    def _to_vendor_events(
        self, client: GhostClient, events: Sequence[GhostEvent]
    ) -> Iterator[runtime.VendorEvent]:
        mapped = set(self.config.topics.values())
        left = [e for e in events if e.data.subscribed is False and e.data.newsletter_id in mapped]
        complaints = [e for e in events if e.type != NEWSLETTER_EVENT and e.data.member_id]
        ids = {event.data.member_id for event in (*left, *complaints)} - {""}
        members = {m.id: m for m in client.find_members(ids) if m.email}
        for event in left:
            data, member = event.data, members.get(event.data.member_id)
            if member and data.newsletter_id not in (member.newsletter_ids or ()):
                by_person = data.source == "member"
                yield runtime.VendorEvent(
                    runtime.VendorEventKind.OPTED_OUT,
                    member.email,
                    data.newsletter_id,
                    data.created_at,
                    by_person=by_person,
                )
        for event in complaints:
            if member := members.get(event.data.member_id):
                at = event.data.created_at
                yield runtime.VendorEvent(
                    runtime.VendorEventKind.COMPLAINED, member.email, occurred_at=at, by_person=True
                )


@dataclass(frozen=True, slots=True)
class GhostEventCursor:
    """A pass over the events, newest first; times are Ghost's own (UTC)."""

    since: datetime | None = None
    """Where it ends: a little before the newest event of the last pass."""
    newest_at: datetime | None = None
    """The newest event of this pass, once one was listed."""
    before: EventPosition | None = None
    """Where the last page ended."""

    def next_pass(self) -> GhostEventCursor:
        """The cursor of the pass after this one."""
        since = self.newest_at - EVENT_LAG if self.newest_at else self.since
        return GhostEventCursor(max(since, self.since) if since and self.since else since)


def _find_members(client: GhostClient, address: str) -> Sequence[GhostMember]:
    """The members of exactly this address, in any case."""
    found = group_by_address(client.find_members_by_address([address]))
    return found.get(address.casefold(), ())


def _find_off_states(
    client: GhostClient, members: Sequence[GhostMember], target_ids: frozenset[str]
) -> Mapping[str, Mapping[str, runtime.OffState]]:
    """Id of each member whose newsletters are listed -> which targets are off, and why."""
    newsletters = {m.id: m.newsletter_ids for m in members if m.id}
    missing = {id_: target_ids - ids for id_, ids in newsletters.items() if ids is not None}
    last_events: Mapping[tuple[str, str], GhostEvent] = {}
    if any(missing.values()):
        # After the members were listed: no member's list contains one that was archived.
        sent = {each.id for each in client.list_newsletters() if not each.unusable_reason}
        missing = {id_: ids & sent for id_, ids in missing.items()}
        last_events = client.find_last_events({id_: ids for id_, ids in missing.items() if ids})
    complained = {member.id for member in members if member.has_complained}
    return {
        id_: dict.fromkeys(target_ids if id_ in complained else (), _COMPLAINED)
        | {each: _off_state(last_events.get((id_, each)), client.now()) for each in ids}
        for id_, ids in missing.items()
    }


def _off_state(last_event: GhostEvent | None, now: datetime) -> runtime.OffState:
    """Why a member does not get a newsletter, by the last event of the two."""
    if last_event is None:
        return _NEVER_SUBSCRIBED
    if last_event.data.subscribed:
        return _UNSUBSCRIBED_IN_BULK
    if last_event.data.source == "api":
        return _UNSUBSCRIBED_BY_API
    at = last_event.data.created_at
    return _UNSUBSCRIBED if at and at < now - MIN_OPT_OUT_AGE_FOR_LIFT else _UNSUBSCRIBED_RECENTLY


def _common_off_states(
    off_states: Sequence[Mapping[str, runtime.OffState]],
) -> Mapping[str, runtime.OffState]:
    """What is off for all of several members; can be lifted if it can for each."""
    first, *others = off_states
    common = [id_ for id_ in first if all(id_ in other for other in others)]
    return {
        id_: min(
            (each[id_] for each in off_states), key=lambda state: (state.is_exact, state.can_lift)
        )
        for id_ in common
    }


def _update_member(
    client: GhostClient, member: GhostMember, change: runtime.TargetChange
) -> runtime.PushResult:
    """Change one member; RETRY_LATER if it was not acknowledged."""
    before = member.newsletter_ids or frozenset()
    wanted = (before - change.off) | change.on
    if wanted == before:
        return runtime.PushResult.REFLECTED
    changed = client.set_newsletters(member, wanted)
    if changed is None:
        return runtime.PushResult.ABSENT
    after = changed.newsletter_ids
    if after is None or after & change.off or change.on - after:
        return runtime.PushResult.RETRY_LATER
    return runtime.PushResult.REFLECTED


SPEC = runtime.ConnectorSpec.of(
    Ghost,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Ghost's pages and the source of 5.130.6, read on 2026-11-27",
    manually_tested="Ghost 5.130.6 itself, on 28 November 2026",
    secrets={"admin_key"},
    sources=(
        "https://docs.ghost.org/admin-api",
        "https://ghost.org/help/multiple-newsletters",
        "https://github.com/TryGhost/Ghost/tree/main/ghost/core/core/server/services/members",
        "https://docs.ghost.org/webhooks",
        "https://github.com/TryGhost/Ghost/tree/main/ghost/core/core/server/services/webhooks",
    ),
    build_webhook_only=runtime.build_webhook_only("ghost", GhostWebhookSource),
    notes=(
        "Map each topic to the id of a newsletter.",
        "What is turned off in Ghost is turned on again by us after a day at the earliest.",
        (
            "Members who were unsubscribed in bulk are found at night, by the pass over all "
            "members, and can be subscribed again in Ghost only."
        ),
    ),
    open_points=(
        (
            "Held to a description of our own, made from its source, and by hand to Ghost "
            "itself: `make real-ghost`, then `make test-real`."
        ),
        (
            "A change replaces all newsletters of a member and can't be conditional: what a "
            "member leaves in the milliseconds between our look and our write is put back, but "
            "stays in the events, and is recorded and pushed."
        ),
        (
            "Unsubscribing in bulk has no event and no date: an event that says the member was "
            "subscribed distinguishes it from never having joined. Ghost writes none where a "
            "newsletter was made with `opt_in_existing`: those who were then unsubscribed in "
            "bulk are not recorded."
        ),
        (
            "Ghost's own list of addresses that bounce is not read. On SQLite, an address with "
            "capitals outside ASCII is only found as it is written there."
        ),
    ),
)
