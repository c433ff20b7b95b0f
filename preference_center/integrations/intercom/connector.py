"""Intercom: a topic is a subscription type of one workspace, or all its email.

https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/subscription-types
`unsubscribed_from_emails` stops all mail to a contact, so it may stand for a topic only where
the workspace sends nothing else (I10). One address may have several contacts, users and
leads: all are told, and a topic is off when it is off for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import ALL_EMAIL, News, NewsKind
from preference_center.integrations.base.batching import (
    Step,
    carry_out,
    ensure_some_taken,
    read_each,
    worse,
)
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import (
    LINK_FIELD,
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http, Rejected, Unreadable
from preference_center.integrations.base.mapping import (
    ensure_fits,
    mapping_problems,
    whole_problems,
)
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.intercom.client import (
    Contact,
    SubscriptionType,
    Workspace,
    open_workspace,
)

GLOBAL = ALL_EMAIL
"""What a topic is mapped to that is all email and no subscription type."""
INVALID = "400"
FLAGS = {
    "unsubscribed_from_emails": NewsKind.OPTED_OUT,
    "marked_email_as_spam": NewsKind.COMPLAINED,
    "has_hard_bounced": NewsKind.BOUNCED,
}
_GONE = Outcome(Result.ABSENT, "404")
_DOCS = "https://developers.intercom.com/docs/references"
Tell = Callable[[Contact, Item], Outcome]


class Intercom:
    """One Intercom workspace."""

    kind: ClassVar[str] = "intercom"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        # Each contact is looked at and told by itself: more would not end inside a lease.
        batch_size=30,
        # 10,000 a minute, dealt out in windows of 10 seconds.
        rate=Rate(1_666, 10),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "access_token": "access token of an app of the workspace that may read and write users "
        "and leads",
        "base_url?": "https://api.eu.intercom.io or https://api.au.intercom.io for workspaces "
        "that are hosted there",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._types = {t: thing for t, thing in setup.topics.items() if thing != GLOBAL}

    def check(self) -> Report:
        """See Connector. Also says which subscription types no topic maps to."""
        problems = [
            *mapping_problems(self._setup, "subscription type", numbered=False),
            *whole_problems(self._setup, GLOBAL, "subscription type"),
        ]
        try:
            with open_workspace(self._setup, self._http) as workspace:
                types = workspace.types()
                texts = workspace.text_attributes() if self._setup.link_field else set()
                workspace.listing(list(FLAGS), None)
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the access token, its rights and region"))
        problems += [
            f"topic {topic} is mapped to {id_!r}, which is no subscription type for email: "
            f"map it to one that is live, or write {GLOBAL}"
            for topic, id_ in sorted(self._types.items())
            if id_ not in types or "email" not in types[id_].content_types
        ]
        if self._setup.link_field and self._setup.link_field not in texts:
            problems.append(
                f"{LINK_FIELD} {self._setup.link_field} is no text attribute of contacts: add it"
            )
        unmapped = types.keys() - set(self._types.values())
        return Report(
            tuple(problems),
            tuple(f"{types[i].default_translation.name} ({i})" for i in sorted(unmapped)),
        )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Each contact is looked at, and told what differs."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with open_workspace(self._setup, self._http) as workspace:
            types = self._named(workspace)
            asked = [item for item in batch if item.off or item.lift]
            return _tell_all(workspace, batch, asked, partial(self._tell, workspace, types))

    def _ensure_fits(self, batch: Sequence[Item]) -> None:
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in whole_problems(self._setup, GLOBAL, "subscription type"):
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _named(self, workspace: Workspace) -> dict[str, SubscriptionType]:
        """Topic -> type. Raises DeliveryError (permanent) when one is gone."""
        there = workspace.types()
        if gone := sorted(t for t, id_ in self._types.items() if id_ not in there):
            raise DeliveryError(
                f"{self._setup.name}: the subscription types of {', '.join(gone)} are gone: "
                "map them again",
                permanent=True,
            )
        types = {topic: there[id_] for topic, id_ in self._types.items()}
        if unknown := sorted(t for t, type_ in types.items() if not type_.is_known):
            raise DeliveryError(
                f"{self._setup.name}: the subscription types of {', '.join(unknown)} are neither "
                "opt-in nor opt-out: map them to others",
                permanent=True,
            )
        return types

    def _tell(
        self,
        workspace: Workspace,
        types: Mapping[str, SubscriptionType],
        contact: Contact,
        item: Item,
    ) -> Outcome:
        if not types:
            return _tell_global(workspace, contact, is_off=bool(item.off))
        attached = workspace.attached(contact)
        if attached is None:
            return _GONE
        wanted = dict.fromkeys(item.lift, False) | dict.fromkeys(item.off, True)
        for topic, is_off in sorted(wanted.items(), key=lambda pair: not pair[1]):
            type_ = types[topic]
            should_attach = is_off == type_.is_opt_out
            if should_attach != (type_.id in attached):
                change = workspace.attach if should_attach else workspace.detach
                if not change(contact, type_):
                    return Outcome(Result.LATER, "not acknowledged")
        return Outcome(Result.REFLECTED, "200")

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who never joined an opt-in type said no to nothing (I13)."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with open_workspace(self._setup, self._http) as workspace:
            types = self._named(workspace)
            found = workspace.known({item.address for item in batch})
            off = read_each(batch, partial(self._held, workspace, types, found))
        return {item.ref: topics for item, topics in off.items()}

    def _held(
        self,
        workspace: Workspace,
        types: Mapping[str, SubscriptionType],
        found: Mapping[str, list[Contact]],
        item: Item,
    ) -> frozenset[str] | None:
        """What is off for all contacts of an address. Raises Unreadable when that is unclear."""
        held = [self._off(workspace, types, c, item) for c in _contacts(found, item)]
        there = [topics for topics in held if topics is not None]
        return frozenset.intersection(*there) if there else None

    def _off(
        self,
        workspace: Workspace,
        types: Mapping[str, SubscriptionType],
        contact: Contact,
        item: Item,
    ) -> frozenset[str] | None:
        if contact.unsubscribed_from_emails:
            return frozenset(self._setup.topics)
        attached = workspace.attached(contact) if types else set[str]()
        if attached is None:
            return None
        said_no = {t for t, type_ in types.items() if type_.is_opt_out and type_.id in attached}
        never = {t for t, type_ in types.items() if not (type_.is_opt_out or type_.id in attached)}
        return frozenset(said_no | (never & item.off))

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable."""
        field = self._setup.link_field
        if not (batch and field):
            return {}
        links = {item.ref: item.link for item in batch}
        items = [Item(item.ref, item.address, item.channel) for item in batch]

        def tell(contact: Contact, item: Item) -> Outcome:
            link = links[item.ref]
            if contact.custom_attributes.get(field) == link:
                return Outcome(Result.REFLECTED, "200")
            after = workspace.change(contact, {"custom_attributes": {field: link}})
            return _judge(after, holds=bool(after and after.custom_attributes.get(field) == link))

        with open_workspace(self._setup, self._http) as workspace:
            return _tell_all(workspace, items, items, tell)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. A listing doesn't tell which types a contact is attached to."""
        with open_workspace(self._setup, self._http) as workspace:
            contacts, following, done = workspace.listing([], cursor)
        seen = [
            Seen(
                contact.email,
                off=frozenset(self._setup.topics) if contact.unsubscribed_from_emails else None,
                link=self._setup.link_in(contact.custom_attributes),
            )
            for contact in contacts
            if contact.email
        ]
        return Page(tuple(seen), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who unsubscribed from all email, complained, or can't be reached.

        When is not told, only that it was no later than the contact's last change. Who left
        a single type can't be listed: that is seen when an address is read.
        """
        with open_workspace(self._setup, self._http) as workspace:
            contacts, following, done = workspace.listing(list(FLAGS), cursor)
        news = [each for contact in contacts for each in self._news(contact)]
        return Page(tuple(news), following, done)

    def _news(self, contact: Contact) -> Iterator[News]:
        whole = GLOBAL if GLOBAL in self._setup.topics.values() else None
        for flag, kind in FLAGS.items():
            if contact.email and getattr(contact, flag):
                thing = whole if kind is NewsKind.OPTED_OUT else None
                yield News(kind, contact.email, thing, at=contact.updated_at)


def _tell_all(
    workspace: Workspace, batch: Sequence[Item], asked: Sequence[Item], tell: Tell
) -> Mapping[int, Outcome]:
    """Tell every contact of every address; the worst that came of one counts."""
    found = workspace.known({item.address for item in asked})

    def bring(item: Item) -> Mapping[int, Outcome]:
        contacts = _contacts(found, item)
        outcomes = [_tried(tell, contact, item) for contact in contacts]
        return {item.ref: reduce(worse, outcomes) if outcomes else _GONE}

    outcomes = carry_out(batch, [Step((item.ref,), partial(bring, item)) for item in asked])
    ensure_some_taken(outcomes, INVALID)
    return outcomes


def _contacts(found: Mapping[str, list[Contact]], item: Item) -> list[Contact]:
    """The contacts of an address. Raises Unreadable where the answer left it open."""
    try:
        return found[item.address.casefold()]
    except KeyError:
        raise Unreadable("a contact came without an address that was asked for") from None


def _tried(tell: Tell, contact: Contact, item: Item) -> Outcome:
    try:
        return tell(contact, item)
    except Rejected:
        return Outcome(Result.REFUSED, INVALID)


def _tell_global(workspace: Workspace, contact: Contact, *, is_off: bool) -> Outcome:
    if contact.unsubscribed_from_emails == is_off:
        return Outcome(Result.REFLECTED, "200")
    after = workspace.change(contact, {"unsubscribed_from_emails": is_off})
    return _judge(after, holds=bool(after and after.unsubscribed_from_emails == is_off))


def _judge(after: Contact | None, *, holds: bool) -> Outcome:
    if after is None:
        return _GONE
    return Outcome(Result.REFLECTED, "200") if holds else Outcome(Result.LATER, "not acknowledged")


ENTRY = Entry(
    kind=Intercom.kind,
    title="Intercom",
    proof=Proof.DESCRIPTION,
    against="the description of API 2.15",
    capabilities=Intercom.capabilities,
    own_settings=Intercom.settings,
    secrets=frozenset({"access_token"}),
    sources=(
        f"{_DOCS}/2.15/rest-api/api.intercom.io/subscription-types",
        f"{_DOCS}/2.15/rest-api/api.intercom.io/contacts/searchcontacts",
        f"{_DOCS}/rest-api/errors/rate-limiting",
    ),
    build=Intercom,
    notes=(
        f"Map each topic to the id of a subscription type, or the only one to `{GLOBAL}`.",
        "Who leaves a single type in Intercom is only seen when the address is read back.",
        (
            "Intercom doesn't say what a token may do: that it may not write shows at the first "
            "push, as a 401 or 403."
        ),
    ),
)
