"""GNU Mailman 3: a topic is a mailing list, "off" is a membership with delivery disabled.

https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/membership.html
https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/preferences.html
Deleting the membership could not be taken back: anyone who is subscribed again gets the list's
welcome, and has lost the settings of the membership. `by_moderator` is ours, `by_user` is what
a person chose in Mailman, and stays when we lift (I13). A ban is not put on members: it would
discard what they write to the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.mailman.client import (
    MailmanClient,
    MailmanCursor,
    MailmanMembership,
)

BY_MODERATOR, BY_USER = "by_moderator", "by_user"
OPTED_OUT_STATUSES = (BY_MODERATOR, BY_USER)
"""What holds an opt-out. `by_bounces` does not: resetting bounces turns delivery on again."""
_REJECTION_STATUSES = frozenset({400, 422})
_DOCS = "https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs"


class Mailman(runtime.ReadableApiConnector[MailmanClient], runtime.ErasingConnector[MailmanClient]):
    """Some lists of one Mailman core."""

    kind = "mailman"
    capabilities = runtime.Capabilities(
        can_lift=True,
        # A search for each address, and two requests for each of its lists.
        batch_size=50,
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.FULL,
        can_create=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The address is deleted with all memberships, and the user unless they have "
        "another one; a ban stays. Archives and accounts of the web interface are not Mailman "
        "core's: search them by hand.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "address of the REST API, as in http://10.20.0.5:8001",
        "user": "admin_user of the section [webservice] of mailman.cfg",
        "password": "admin_pass of the same section",
        **runtime.NETWORKS_OF_TOOL,
    }

    rules = runtime.ConnectorRules(
        target_noun="list", credentials_hint="base_url, user and password"
    )

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return runtime.basic_auth_headers(
            self.config.settings["user"], self.config.settings["password"]
        )

    def make_client(self, session: runtime.Session) -> MailmanClient:
        """See ApiConnector."""
        return MailmanClient(self.config.name, session)

    def list_targets(self, client: MailmanClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, name in client.lists().items():
            yield runtime.Target(id_, name)

    def push_batch(self, client: MailmanClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Each address is looked up, and only what differs is written."""
        steps = [
            runtime.PushStep((item.ref,), partial(self._push_item, client, item))
            for item in batch
            if item.off or item.lift
        ]
        outcomes = runtime.run_steps(batch, steps)
        refused = [o for o in outcomes.values() if o.result is runtime.PushResult.REFUSED]
        if len(refused) == len(outcomes) > 1:
            raise runtime.RequestRejected(
                "every address was rejected: the request itself must be at fault", 400
            )
        return outcomes

    def _push_item(self, client: MailmanClient, item: runtime.PushItem) -> runtime.Outcomes:
        try:
            memberships = client.memberships(item.address)
            outcomes = [self._turn_off(client, item, t, memberships) for t in sorted(item.off)]
            outcomes += [self._lift(client, item, t, memberships) for t in sorted(item.lift)]
        except runtime.RequestRejected as error:
            if error.status not in _REJECTION_STATUSES:
                raise
            return {item.ref: runtime.refused(str(error.status))}
        # A member of one list is known, and gets nothing from the others.
        known = [o for o in outcomes if o.result is not runtime.PushResult.ABSENT] or outcomes
        result = known[0]
        for outcome in known[1:]:
            result = runtime.worst(result, outcome)
        return {item.ref: result}

    def _turn_off(
        self,
        client: MailmanClient,
        item: runtime.PushItem,
        topic: str,
        memberships: Sequence[MailmanMembership],
    ) -> runtime.PushOutcome:
        list_id = self.config.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            client.ensure_list(list_id)
            if not self.config.create_contacts:
                return runtime.absent("not a member")
            return client.ban(list_id, item.address)
        status = BY_MODERATOR
        for member in there:
            status = client.delivery_status(member.member_id)
            if status not in OPTED_OUT_STATUSES:
                client.set_delivery_status(member.member_id, BY_MODERATOR)
                status = BY_MODERATOR
        return runtime.reflected(status)

    def _lift(
        self,
        client: MailmanClient,
        item: runtime.PushItem,
        topic: str,
        memberships: Sequence[MailmanMembership],
    ) -> runtime.PushOutcome:
        """Only what we turned off is turned on. Who left is not subscribed again (I13)."""
        list_id = self.config.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            client.ensure_list(list_id)
            if self.config.create_contacts:
                client.unban(list_id, item.address)
            return runtime.absent("not a member")
        for member in there:
            client.reset_delivery_status(member.member_id, BY_MODERATOR)
        if any(client.delivery_status(member.member_id) == BY_USER for member in there):
            return runtime.refused("stopped in Mailman by the person")
        return runtime.reflected("delivery as before")

    def read_batch(self, client: MailmanClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector.

        A list that the address isn't in is off only where it is wanted off: who never joined
        has not opted out.
        """
        return {item.ref: self._read_item(client, item) for item in batch}

    def _read_item(self, client: MailmanClient, item: runtime.PushItem) -> frozenset[str] | None:
        memberships = client.memberships(item.address)
        off: set[str] = set()
        joined: set[str] = set()
        for topic, list_id in self.config.topics.items():
            there = [m.member_id for m in memberships if m.list_id == list_id]
            if there:
                joined.add(topic)
                if all(client.delivery_status(member) in OPTED_OUT_STATUSES for member in there):
                    off.add(topic)
            else:
                client.ensure_list(list_id)
        settled = item.off - joined
        if self.config.create_contacts:
            settled = frozenset(
                t for t in settled if client.is_banned(self.config.topics[t], item.address)
            )
            return frozenset(off | settled) if joined or settled else None
        return frozenset(off | settled) if joined else None

    def erase_contact(self, client: MailmanClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return client.erase(item.address)

    def holds_contact(self, client: MailmanClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return client.has_address(item.address)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. The members of the mapped lists, one list after the other."""
        with self.open_client() as core:
            found, following = self._list_members(core, cursor)
        return runtime.ContactPage(
            tuple(runtime.ContactSnapshot(m.email) for m in found), following, following is None
        )

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Members with delivery disabled; since when is not available.

        Mailman keeps no trace of members who left. Each member is read: a search by delivery
        takes Mailman a second for 1,500 members, and is no faster for a page of them.
        """
        with self.open_client() as core:
            found, following = self._list_members(core, cursor)
            off = [m for m in found if core.delivery_status(m.member_id) in OPTED_OUT_STATUSES]
        events = [
            runtime.VendorEvent(runtime.VendorEventKind.OPTED_OUT, m.email, m.list_id) for m in off
        ]
        return runtime.ContactPage(tuple(events), following, following is None)

    def _list_members(
        self, client: MailmanClient, cursor: str | None
    ) -> tuple[list[MailmanMembership], str | None]:
        """A page of the lists' members from `cursor` on, and the cursor of the next."""
        lists = sorted(set(self.config.topics.values()))
        position = MailmanCursor.parse(cursor, lists)
        if position is None:
            return [], None
        found, more = client.list_members(position)
        following = position.next_page() if more else position.next_list(lists)
        return found, runtime.encode_cursor(following) if following else None


SPEC = runtime.ConnectorSpec.of(
    Mailman,
    tested_against=runtime.TestedAgainst.REAL_SERVER,
    tested_version="GNU Mailman core 3.3.10, by `make test-real`",
    secrets={"password"},
    sources=(
        f"{_DOCS}/membership.html",
        f"{_DOCS}/preferences.html",
        f"{_DOCS}/addresses.html",
        f"{_DOCS}/users.html",
    ),
    notes=(
        "Map each topic to the id of a list, as in `news.lists.example.com`.",
        "Who opts out stays a member, with delivery disabled by the moderator.",
        "The API's only user may do everything, so there are no rights to ask for.",
        (
            "Delivery that a member disabled is recorded as an opt-out; leaving a list leaves no "
            "trace and is not. Put our link into the footer, not Mailman's."
        ),
        (
            "`create_contacts` bans who is no member, so that nobody can subscribe them; it also "
            "discards what they write to the list. A lift ends the ban and subscribes nobody."
        ),
    ),
    open_points=(
        "Opt-outs there have no date.",
        (
            "A lift forgets a membership's settings and writes back those that are not about "
            "delivery: a worker that dies in between loses the digest mode."
        ),
    ),
)
