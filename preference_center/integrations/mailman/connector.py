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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, worse
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http, Rejected
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.mailman.client import Core, Membership, Place, open_core

BY_MODERATOR, BY_USER = "by_moderator", "by_user"
HELD = (BY_MODERATOR, BY_USER)
"""What holds a no. `by_bounces` does not: whoever resets a bounce turns the mail on again."""
_REJECTED = frozenset({400, 422})
_DOCS = "https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs"


class Mailman:
    """Some lists of one Mailman core."""

    kind: ClassVar[str] = "mailman"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        # A search for each address, and two requests for each of its lists.
        batch_size=50,
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "address of the REST API, as in http://127.0.0.1:8001",
        "user": "admin_user of the section [webservice] of mailman.cfg",
        "password": "admin_pass of the same section",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector. Also says which lists no topic maps to."""
        problems = [*mapping_problems(self._setup, "list", numbered=False)]
        try:
            with open_core(self._setup, self._http) as core:
                lists = core.lists()
        except DeliveryError as error:
            return Report((*problems, f"{error}: check base_url, user and password"))
        problems += [
            f"topic {topic} is mapped to list {target}, which Mailman has not: write the id of "
            "one that exists, as in news.lists.example.com"
            for topic, target in sorted(self._setup.topics.items())
            if target not in lists
        ]
        mapped = set(self._setup.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in lists.items() if id_ not in mapped]
        return Report(tuple(problems), tuple(unmapped))

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Each address is looked for, and only what differs is written."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_core(self._setup, self._http) as core:
            steps = [
                Step((item.ref,), partial(self._bring, core, item))
                for item in batch
                if item.off or item.lift
            ]
            outcomes = carry_out(batch, steps)
        if len(outcomes) > 1 and all(o.result is Result.REFUSED for o in outcomes.values()):
            raise Rejected("every address was rejected: the request itself must be at fault", 400)
        return outcomes

    def _bring(self, core: Core, item: Item) -> Mapping[int, Outcome]:
        try:
            memberships = core.memberships(item.address)
            outcomes = [self._turn_off(core, item, t, memberships) for t in sorted(item.off)]
            outcomes += [self._lift(core, item, t, memberships) for t in sorted(item.lift)]
        except Rejected as error:
            if error.status not in _REJECTED:
                raise
            return {item.ref: Outcome(Result.REFUSED, str(error.status))}
        # Who is in one of the lists is no stranger, and gets nothing from the others.
        known = [o for o in outcomes if o.result is not Result.ABSENT] or outcomes
        worst = known[0]
        for outcome in known[1:]:
            worst = worse(worst, outcome)
        return {item.ref: worst}

    def _turn_off(
        self, core: Core, item: Item, topic: str, memberships: Sequence[Membership]
    ) -> Outcome:
        list_id = self._setup.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            core.ensure_list(list_id)
            if not self._setup.create_contacts:
                return Outcome(Result.ABSENT, "not a member")
            return core.ban(list_id, item.address)
        status = BY_MODERATOR
        for member in there:
            status = core.status(member.member_id)
            if status not in HELD:
                core.set_status(member.member_id, BY_MODERATOR)
                status = BY_MODERATOR
        return Outcome(Result.REFLECTED, status)

    def _lift(
        self, core: Core, item: Item, topic: str, memberships: Sequence[Membership]
    ) -> Outcome:
        """Only what we turned off comes back. Who left is not subscribed again (I13)."""
        list_id = self._setup.topics[topic]
        there = [m for m in memberships if m.list_id == list_id]
        if not there:
            core.ensure_list(list_id)
            if self._setup.create_contacts:
                core.unban(list_id, item.address)
            return Outcome(Result.ABSENT, "not a member")
        for member in there:
            core.forget_status(member.member_id, BY_MODERATOR)
        if any(core.status(member.member_id) == BY_USER for member in there):
            return Outcome(Result.REFUSED, "stopped in Mailman by the person")
        return Outcome(Result.REFLECTED, "delivery as before")

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable.

        A list that the address isn't in is off if we want it off, and else not spoken of:
        who never joined has said no "no".
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_core(self._setup, self._http) as core:
            return {item.ref: self._read(core, item) for item in batch}

    def _read(self, core: Core, item: Item) -> frozenset[str] | None:
        memberships = core.memberships(item.address)
        held: set[str] = set()
        joined: set[str] = set()
        for topic, list_id in self._setup.topics.items():
            there = [m.member_id for m in memberships if m.list_id == list_id]
            if there:
                joined.add(topic)
                if all(core.status(member) in HELD for member in there):
                    held.add(topic)
            else:
                core.ensure_list(list_id)
        settled = item.off - joined
        if self._setup.create_contacts:
            settled = frozenset(
                t for t in settled if core.is_banned(self._setup.topics[t], item.address)
            )
            return frozenset(held | settled) if joined or settled else None
        return frozenset(held | settled) if joined else None

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. The members of the mapped lists, one list after the other."""
        with open_core(self._setup, self._http) as core:
            found, following = self._listed(core, cursor)
        return Page(tuple(Seen(m.email) for m in found), following, following is None)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who has delivery disabled; when is not told.

        Who left a list is not told either: Mailman keeps no trace of them. Each member is
        asked for: searching by delivery takes Mailman a second for 1,500 members, and is no
        faster for a page of them.
        """
        with open_core(self._setup, self._http) as core:
            found, following = self._listed(core, cursor)
            held = [m for m in found if core.status(m.member_id) in HELD]
        news = [News(NewsKind.OPTED_OUT, m.email, m.list_id) for m in held]
        return Page(tuple(news), following, following is None)

    def _listed(self, core: Core, cursor: str | None) -> tuple[list[Membership], str | None]:
        """A page of the lists' members from `cursor` on, and the cursor of the next."""
        lists = sorted(set(self._setup.topics.values()))
        place = Place.read(cursor, lists)
        if place is None:
            return [], None
        found, more = core.page(place)
        following = place.next_page() if more else place.next_of(lists)
        return found, str(following) if following else None


ENTRY = Entry(
    kind=Mailman.kind,
    title="GNU Mailman 3",
    proof=Proof.REAL,
    against="GNU Mailman core 3.3.10, by `make test-real`",
    capabilities=Mailman.capabilities,
    own_settings=Mailman.settings,
    secrets=frozenset({"password"}),
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
