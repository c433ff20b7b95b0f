"""GNU Mailman 3: a topic is a mailing list, "off" is a membership with delivery disabled.

https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/membership.html
https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/preferences.html
Deleting the membership could not be taken back: whoever is subscribed again gets the list's
welcome, and has lost the settings of the membership. `by_moderator` is ours, `by_user` is what
a person chose in Mailman, and stays when we lift (I13). A ban is not put on members: it would
discard what they write to the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, RequestRejected
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.outcomes import worst
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.mailman.client import (
    MailmanClient,
    MailmanCursor,
    MailmanMembership,
    open_client,
)

BY_MODERATOR, BY_USER = "by_moderator", "by_user"
OPTED_OUT_STATUSES = (BY_MODERATOR, BY_USER)
"""What holds a no. `by_bounces` does not: whoever resets a bounce turns the mail on again."""
_REJECTION_STATUSES = frozenset({400, 422})
_DOCS = "https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs"


class Mailman:
    """Some lists of one Mailman core."""

    kind: ClassVar[str] = "mailman"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        # A search for each address, and two requests for each of its lists.
        batch_size=50,
        can_read=True,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "address of the REST API, as in http://127.0.0.1:8001",
        "user": "admin_user of the section [webservice] of mailman.cfg",
        "password": "admin_pass of the same section",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    def check(self) -> CheckReport:
        """See Connector. Also says which lists no topic maps to."""
        problems = [*mapping_problems(self._config, "list", numeric_ids=False)]
        try:
            with open_client(self._config, self._http) as core:
                lists = core.lists()
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check base_url, user and password"))
        problems += [
            f"topic {topic} is mapped to list {target}, which Mailman has not: write the id of "
            "one that exists, as in news.lists.example.com"
            for topic, target in sorted(self._config.topics.items())
            if target not in lists
        ]
        mapped = set(self._config.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in lists.items() if id_ not in mapped]
        return CheckReport(tuple(problems), tuple(unmapped))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Each address is looked for, and only what differs is written."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as core:
            steps = [
                PushStep((item.ref,), partial(self._push_item, core, item))
                for item in batch
                if item.off or item.lift
            ]
            outcomes = run_steps(batch, steps)
        if len(outcomes) > 1 and all(o.result is PushResult.REFUSED for o in outcomes.values()):
            raise RequestRejected(
                "every address was rejected: the request itself must be at fault", 400
            )
        return outcomes

    def _push_item(self, client: MailmanClient, item: PushItem) -> Mapping[int, PushOutcome]:
        try:
            memberships = client.memberships(item.address)
            outcomes = [self._turn_off(client, item, t, memberships) for t in sorted(item.off)]
            outcomes += [self._lift(client, item, t, memberships) for t in sorted(item.lift)]
        except RequestRejected as error:
            if error.status not in _REJECTION_STATUSES:
                raise
            return {item.ref: PushOutcome(PushResult.REFUSED, str(error.status))}
        # Who is in one of the lists is no stranger, and gets nothing from the others.
        known = [o for o in outcomes if o.result is not PushResult.ABSENT] or outcomes
        result = known[0]
        for outcome in known[1:]:
            result = worst(result, outcome)
        return {item.ref: result}

    def _turn_off(
        self,
        client: MailmanClient,
        item: PushItem,
        topic: str,
        memberships: Sequence[MailmanMembership],
    ) -> PushOutcome:
        list_id = self._config.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            client.ensure_list(list_id)
            if not self._config.create_contacts:
                return PushOutcome(PushResult.ABSENT, "not a member")
            return client.ban(list_id, item.address)
        status = BY_MODERATOR
        for member in there:
            status = client.delivery_status(member.member_id)
            if status not in OPTED_OUT_STATUSES:
                client.set_delivery_status(member.member_id, BY_MODERATOR)
                status = BY_MODERATOR
        return PushOutcome(PushResult.REFLECTED, status)

    def _lift(
        self,
        client: MailmanClient,
        item: PushItem,
        topic: str,
        memberships: Sequence[MailmanMembership],
    ) -> PushOutcome:
        """Only what we turned off comes back. Who left is not subscribed again (I13)."""
        list_id = self._config.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            client.ensure_list(list_id)
            if self._config.create_contacts:
                client.unban(list_id, item.address)
            return PushOutcome(PushResult.ABSENT, "not a member")
        for member in there:
            client.reset_delivery_status(member.member_id, BY_MODERATOR)
        if any(client.delivery_status(member.member_id) == BY_USER for member in there):
            return PushOutcome(PushResult.REFUSED, "stopped in Mailman by the person")
        return PushOutcome(PushResult.REFLECTED, "delivery as before")

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable.

        A list that the address isn't in is off if we want it off, and else not spoken of:
        who never joined has said no "no".
        """
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as core:
            return {item.ref: self._read_item(core, item) for item in batch}

    def _read_item(self, client: MailmanClient, item: PushItem) -> frozenset[str] | None:
        memberships = client.memberships(item.address)
        held: set[str] = set()
        joined: set[str] = set()
        for topic, list_id in self._config.topics.items():
            there = [m.member_id for m in memberships if m.list_id == list_id]
            if there:
                joined.add(topic)
                if all(client.delivery_status(member) in OPTED_OUT_STATUSES for member in there):
                    held.add(topic)
            else:
                client.ensure_list(list_id)
        settled = item.off - joined
        if self._config.create_contacts:
            settled = frozenset(
                t for t in settled if client.is_banned(self._config.topics[t], item.address)
            )
            return frozenset(held | settled) if joined or settled else None
        return frozenset(held | settled) if joined else None

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable. The members of the mapped lists, one list after the other."""
        with open_client(self._config, self._http) as core:
            found, following = self._list_members(core, cursor)
        return ContactPage(
            tuple(ContactSnapshot(m.email) for m in found), following, following is None
        )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Who has delivery disabled; when is not told.

        Who left a list is not told either: Mailman keeps no trace of them. Each member is
        asked for: searching by delivery takes Mailman a second for 1,500 members, and is no
        faster for a page of them.
        """
        with open_client(self._config, self._http) as core:
            found, following = self._list_members(core, cursor)
            held = [m for m in found if core.delivery_status(m.member_id) in OPTED_OUT_STATUSES]
        news = [VendorEvent(VendorEventKind.OPTED_OUT, m.email, m.list_id) for m in held]
        return ContactPage(tuple(news), following, following is None)

    def _list_members(
        self, client: MailmanClient, cursor: str | None
    ) -> tuple[list[MailmanMembership], str | None]:
        """A page of the lists' members from `cursor` on, and the cursor of the next."""
        lists = sorted(set(self._config.topics.values()))
        place = MailmanCursor.parse(cursor, lists)
        if place is None:
            return [], None
        found, more = client.list_members(place)
        following = place.next_page() if more else place.next_list(lists)
        return found, str(following) if following else None


SPEC = ConnectorSpec(
    kind=Mailman.kind,
    tested_against=TestedAgainst.REAL_SERVER,
    tested_version="GNU Mailman core 3.3.10, by `make test-real`",
    capabilities=Mailman.capabilities,
    own_settings=Mailman.settings,
    secret_settings=frozenset({"password"}),
    sources=(f"{_DOCS}/membership.html", f"{_DOCS}/preferences.html"),
    build=Mailman,
    notes=(
        "Map each topic to the id of a list, as in `news.lists.example.com`.",
        "A member who said no stays a member, with delivery disabled by the moderator.",
        "The API's only user may do everything, so there are no rights to ask for.",
        (
            "Who disabled delivery in Mailman is read in as a no; who left a list is not: that "
            "can't be told from never having joined. Put our link into the footer, not Mailman's."
        ),
        (
            "`create_contacts` bans who is no member, so that nobody can subscribe them; it "
            "also discards what they write to the list. A lift ends the ban and subscribes nobody."
        ),
    ),
)
