"""Mailchimp: a topic is a group (an "interest") of one audience, or the whole audience.

https://mailchimp.com/developer/marketing/api/list-members/update-list-member/
https://mailchimp.com/developer/marketing/docs/fundamentals/#api-limits
Campaigns only go to members with the status "subscribed", so unsubscribing somebody from an
audience stops all that is sent to it: it may stand for a topic only where the destination
sends nothing else (I10). Members are changed one at a time, which is acknowledged one at a
time: batches of operations (POST /batches) may act after our lease, and out of turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import WHOLE, News, NewsKind
from preference_center.integrations.base.batching import (
    Step,
    carry_out,
    not_yet,
    read_each,
    send_halving,
)
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http, Rejected, Unreadable
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.multi_channel import ByChannel, Parts
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.mailchimp.client import (
    ARCHIVED,
    INVALID,
    SILENCED,
    SUBSCRIBED,
    UNSUBSCRIBED,
    Audience,
    open_audience,
)
from preference_center.integrations.mailchimp.models import Listed, Member
from preference_center.integrations.mailchimp.sms import MailchimpTexts

BULK = 500
"""Members that one batch may add or change, says the reference."""
_DOCS = "https://mailchimp.com/developer/marketing"


class Mailchimp:
    """One audience of a Mailchimp account."""

    kind: ClassVar[str] = "mailchimp"
    # An account may have 10 requests under way at once; no number a second is documented.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        # Two requests an address: more would not end inside a lease.
        batch_size=50,
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
        off_is_a_no=False,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key of a user who is a manager or more; it ends with the data "
        "centre, as in -us21",
        "audience": "id of the audience",
        "base_url?": "another address of the API, for tests",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._groups = {t: thing for t, thing in setup.topics.items() if thing != WHOLE}

    @property
    def _is_whole(self) -> bool:
        return WHOLE in self._setup.topics.values()

    def check(self) -> Report:
        """See Connector. Also says which groups no topic maps to."""
        problems = [
            *mapping_problems(self._setup, "group", numbered=False),
            *self._setting_problems(),
        ]
        try:
            with open_audience(self._setup, self._http) as audience:
                role, groups, fields = audience.role(), audience.groups(), audience.link_fields()
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the API key and the id of the audience"))
        if role in {"author", "viewer"}:
            problems.append(
                f"the API key's user is only {role}, who may not change members: "
                "use a key of a manager, an admin or the owner"
            )
        problems += [
            f"topic {topic} is mapped to group {group}, which the audience has not: "
            f"map it to a group that exists, or write {WHOLE}"
            for topic, group in sorted(self._groups.items())
            if group not in groups
        ]
        if (field := self._setup.link_field) and field not in fields:
            problems.append(f"link_field {field} is no text field of the audience: add it there")
        unmapped = {name: id_ for id_, name in groups.items() if id_ not in self._groups.values()}
        return Report(tuple(problems), tuple(f"{n} ({i})" for n, i in unmapped.items()))

    def _setting_problems(self) -> Iterator[str]:
        if self._is_whole and self._groups:
            yield (
                f"a topic is mapped to the whole {WHOLE}, which would stop "
                f"{', '.join(sorted(self._groups))} too: map it to a group of its own"
            )
        if self._is_whole and self._setup.sends_service:
            yield (
                f"unsubscribing from the {WHOLE} would stop the service mail that is sent "
                "to it: map the topic to a group, or send service mail by other means (I10)"
            )
        if self._setup.create_contacts and not self._is_whole:
            yield (
                "create_contacts: a new member without a group is told nothing, so there is "
                f"nothing to add: take the setting away, or map the topic to {WHOLE}"
            )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Each member is looked at, and only told what differs."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")
        with open_audience(self._setup, self._http) as audience:
            audience.ensure_there()
            outcomes = carry_out(batch, self._steps(audience, batch))
        if len(outcomes) > 1 and all(o.ack == INVALID for o in outcomes.values()):
            raise Rejected("every address was rejected: the request itself must be at fault", 400)
        return outcomes

    def _steps(self, audience: Audience, batch: Sequence[Item]) -> list[Step]:
        return [
            Step((item.ref,), partial(self._bring, audience, item))
            for item in batch
            if item.off or item.lift
        ]

    def _bring(self, audience: Audience, item: Item) -> Mapping[int, Outcome]:
        member = audience.member(item.address)
        if member is None or member.status == ARCHIVED:
            # The archived are not mailed; a change of theirs would bring them back.
            return {item.ref: Outcome(Result.ABSENT, member.status if member else "404")}
        if missing := self._missing(item, member):
            audience.ensure_groups(missing)
            raise Unreadable("a member came without a group that the audience has")
        changes = self._changes(item, member)
        if not changes:
            return {item.ref: Outcome(Result.REFLECTED, member.status)}
        outcome = audience.change(item.address, changes, partial(self._holds, item))
        if item.lift and self._is_whole and outcome.result is Result.REFLECTED:
            outcome = self._kept(item, audience.member(item.address))
        return {item.ref: outcome}

    def _kept(self, item: Item, member: Member | None) -> Outcome:
        """What came of a lift that was acknowledged.

        Users report that Mailchimp may leave it undone without a word, for who left in person
        (github.com/strangerstudios/pmpro-mailchimp/issues/151).
        """
        if member is None or not self._holds(item, member):
            return Outcome(Result.REFUSED, "acknowledged, but not done")
        return Outcome(Result.REFLECTED, member.status)

    def _missing(self, item: Item, member: Member) -> dict[str, str]:
        """Topic -> group, of the groups that the item is about and the member doesn't name."""
        wanted = item.off | item.lift
        groups = {topic: group for topic, group in self._groups.items() if topic in wanted}
        return {topic: id_ for topic, id_ in groups.items() if id_ not in member.interests}

    def _holds(self, item: Item, member: Member) -> bool:
        return not self._missing(item, member) and not self._changes(item, member)

    def _changes(self, item: Item, member: Member) -> dict[str, Any]:
        """What is still to be written of a member. Groups that aren't named stay (I13)."""
        if self._is_whole:
            if item.off and member.status not in SILENCED:
                return {"status": UNSUBSCRIBED}
            if item.lift and member.status == UNSUBSCRIBED:
                return {"status": SUBSCRIBED}
            return {}
        wanted = dict.fromkeys(item.lift, True) | dict.fromkeys(item.off, False)
        interests = {self._groups[topic]: on for topic, on in wanted.items()}
        differing = {id_: on for id_, on in interests.items() if member.interests[id_] != on}
        return {"interests": differing} if differing else {}

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who was unsubscribed from the audience gets no topic of it."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_audience(self._setup, self._http) as audience:
            audience.ensure_there()
            found = read_each(batch, partial(self._held, audience))
        return {item.ref: off for item, off in found.items()}

    def _held(self, audience: Audience, item: Item) -> frozenset[str] | None:
        member = audience.member(item.address)
        return self._off(member.status, member.interests) if member else None

    def _off(self, status: str, interests: Mapping[str, bool]) -> frozenset[str] | None:
        """None for the archived. Raises Unreadable where a mapped group is not listed."""
        if status == ARCHIVED:
            return None
        if status in SILENCED:
            return frozenset(self._setup.topics)
        if not interests.keys() >= set(self._groups.values()):
            raise Unreadable("a member came without a group that is mapped")
        return frozenset(topic for topic, group in self._groups.items() if not interests[group])

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable. Writes a text field of the audience, named by its tag."""
        field = self._setup.link_field
        if not batch or field is None:
            return {}
        with open_audience(self._setup, self._http) as audience:
            audience.ensure_there()
            steps = [Step((i.ref,), partial(_write_link, audience, i, field)) for i in batch]
            return carry_out([Item(i.ref, i.address, i.channel) for i in batch], steps)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        with open_audience(self._setup, self._http) as audience:
            members, following, done = audience.listing(cursor)
        rows = (
            Seen(
                m.email_address,
                off=self._seen_off(m),
                link=self._setup.link_in(m.merge_fields),
            )
            for m in members
            if m.status != ARCHIVED and m.email_address
        )
        return Page(tuple(rows), following, done)

    def _seen_off(self, member: Listed) -> frozenset[str] | None:
        with suppress(Unreadable):
            return self._off(member.status, member.interests)
        return None

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who unsubscribed from the audience, no later than the last change."""
        with open_audience(self._setup, self._http) as audience:
            members, following, done = audience.listing(cursor, unsubscribed=True)
        rows = (
            News(NewsKind.OPTED_OUT, m.email_address, WHOLE, m.last_changed)
            for m in members
            if m.email_address
        )
        return Page(tuple(rows), following, done)


class MailchimpAdding(Mailchimp):
    """The same where unknown addresses are to be added: nobody need be looked at first."""

    capabilities: ClassVar[Capabilities] = replace(Mailchimp.capabilities, batch_size=BULK)

    def _steps(self, audience: Audience, batch: Sequence[Item]) -> list[Step]:
        offs = [item for item in batch if item.off]
        lifts = [item for item in batch if item.lift]
        single = Mailchimp.capabilities.batch_size
        steps = super()._steps(audience, lifts[:single])
        steps += [Step((item.ref,), partial(not_yet, item)) for item in lifts[single:]]
        if offs:
            steps.insert(0, Step(tuple(i.ref for i in offs), partial(_add, audience, offs)))
        return steps


def _add(audience: Audience, items: Sequence[Item]) -> Mapping[int, Outcome]:
    outcomes = {item.ref: Outcome(Result.REFUSED, INVALID) for item in items}
    for part, found in send_halving(
        items, lambda some: audience.unsubscribe([item.address for item in some])
    ):
        for item in part:
            missing = Outcome(Result.LATER, "not acknowledged")
            outcomes[item.ref] = found.get(item.address.casefold(), missing)
    return outcomes


def _write_link(audience: Audience, item: LinkItem, field: str) -> Mapping[int, Outcome]:
    changes = {"merge_fields": {field: item.link}}
    written = audience.change(
        item.address, changes, lambda m: m.merge_fields.get(field) == item.link
    )
    return {item.ref: written}


def _by_email(setup: Setup, http: Http) -> Connector:
    return (MailchimpAdding if setup.create_contacts else Mailchimp)(setup, http)


class MailchimpChannels(ByChannel):
    """One audience, for email and SMS."""

    kind: ClassVar[str] = Mailchimp.kind
    capabilities: ClassVar[Capabilities] = replace(
        Mailchimp.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Mailchimp.settings
    parts: ClassVar[Parts] = {Channel.EMAIL: _by_email, Channel.SMS: MailchimpTexts}


def _connect(setup: Setup, http: Http) -> Connector:
    """Batches are longer where only email is sent and contacts are created."""
    texts = setup.on(Channel.SMS).topics
    return MailchimpChannels(setup, http) if texts else _by_email(setup, http)


ENTRY = Entry(
    kind=Mailchimp.kind,
    title="Mailchimp",
    proof=Proof.DOCUMENTATION,
    against="the API reference, read on 2026-11-27, and the description 3.0.55",
    capabilities=MailchimpChannels.capabilities,
    own_settings=Mailchimp.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/api/list-members/update-list-member/",
        f"{_DOCS}/api/lists/batch-subscribe-or-unsubscribe/",
        f"{_DOCS}/api/list-members/list-members-info/",
        f"{_DOCS}/docs/audiences-introduction/",
    ),
    build=_connect,
    notes=(
        f"Map each topic to a group of the audience, or the only one to `{WHOLE}`.",
        "Who unsubscribed in Mailchimp can come back by Mailchimp's own forms only, not by us.",
        "An account may have 10 requests under way: run no more workers on it.",
        (
            "Map a topic that goes by SMS to `sms`. Contacts without an email address are only to "
            "be had by endpoints that Mailchimp calls beta."
        ),
        "Who leaves a group by Mailchimp's own form is not noticed; who leaves the audience is.",
        "Who unsubscribed and was archived before the first reading is not read in: no mail goes.",
    ),
)
