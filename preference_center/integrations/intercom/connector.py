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
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import ALL_EMAIL, VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import (
    PushStep,
    ensure_some_accepted,
    read_each,
    run_steps,
)
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    LINK_FIELD,
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import (
    HttpContext,
    RequestRejected,
    UnexpectedResponse,
)
from preference_center.integrations.base.mapping import (
    account_switch_problems,
    mapping_problems,
    validate_batch,
)
from preference_center.integrations.base.outcomes import worst
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.intercom.client import (
    IntercomClient,
    IntercomContact,
    SubscriptionType,
    open_client,
)

GLOBAL_TARGET = ALL_EMAIL
"""What a topic is mapped to that is all email and no subscription type."""
INVALID_ACK = "400"
EVENT_KIND_BY_FLAG = {
    "unsubscribed_from_emails": VendorEventKind.OPTED_OUT,
    "marked_email_as_spam": VendorEventKind.COMPLAINED,
    "has_hard_bounced": VendorEventKind.BOUNCED,
}
_ABSENT = PushOutcome(PushResult.ABSENT, "404")
_DOCS_URL = "https://developers.intercom.com/docs/references"
ContactUpdater = Callable[[IntercomContact, PushItem], PushOutcome]


class Intercom:
    """One Intercom workspace."""

    kind: ClassVar[str] = "intercom"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        # Each contact is looked at and told by itself: more would not end inside a lease.
        batch_size=30,
        # 10,000 a minute, dealt out in windows of 10 seconds.
        rate_limit=RateLimit(1_666, 10),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "access_token": "access token of an app of the workspace that may read and write users "
        "and leads",
        "base_url?": "https://api.eu.intercom.io or https://api.au.intercom.io for workspaces "
        "that are hosted there",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._types_by_topic = {
            t: thing for t, thing in config.topics.items() if thing != GLOBAL_TARGET
        }

    def check(self) -> CheckReport:
        """See Connector. Also says which subscription types no topic maps to."""
        problems = [
            *mapping_problems(self._config, "subscription type", numeric_ids=False),
            *account_switch_problems(self._config, GLOBAL_TARGET, "subscription type"),
        ]
        try:
            with open_client(self._config, self._http) as workspace:
                types = workspace.list_subscription_types()
                texts = workspace.list_text_attributes() if self._config.link_field else set()
                workspace.list_changed(list(EVENT_KIND_BY_FLAG), None)
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the access token, its rights and region")
            )
        problems += [
            f"topic {topic} is mapped to {id_!r}, which is no subscription type for email: "
            f"map it to one that is live, or write {GLOBAL_TARGET}"
            for topic, id_ in sorted(self._types_by_topic.items())
            if id_ not in types or "email" not in types[id_].content_types
        ]
        if self._config.link_field and self._config.link_field not in texts:
            problems.append(
                f"{LINK_FIELD} {self._config.link_field} is no text attribute of contacts: add it"
            )
        unmapped = types.keys() - set(self._types_by_topic.values())
        return CheckReport(
            tuple(problems),
            tuple(f"{types[i].default_translation.name} ({i})" for i in sorted(unmapped)),
        )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Each contact is looked at, and told what differs."""
        if not batch:
            return {}
        self._validate_batch(batch)
        with open_client(self._config, self._http) as workspace:
            types = self._find_mapped_types(workspace)
            asked = [item for item in batch if item.off or item.lift]
            return _update_all_contacts(
                workspace, batch, asked, partial(self._update_contact, workspace, types)
            )

    def _validate_batch(self, batch: Sequence[PushItem]) -> None:
        validate_batch(batch, self._config, self.capabilities)
        for problem in account_switch_problems(self._config, GLOBAL_TARGET, "subscription type"):
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")

    def _find_mapped_types(self, client: IntercomClient) -> dict[str, SubscriptionType]:
        """Topic -> type. Raises DeliveryError (permanent) when one is gone."""
        there = client.list_subscription_types()
        if gone := sorted(t for t, id_ in self._types_by_topic.items() if id_ not in there):
            raise DeliveryError(
                f"{self._config.name}: the subscription types of {', '.join(gone)} are gone: "
                "map them again",
                permanent=True,
            )
        types = {topic: there[id_] for topic, id_ in self._types_by_topic.items()}
        if unknown := sorted(t for t, type_ in types.items() if not type_.has_known_consent_type):
            raise DeliveryError(
                f"{self._config.name}: the subscription types of {', '.join(unknown)} are neither "
                "opt-in nor opt-out: map them to others",
                permanent=True,
            )
        return types

    def _update_contact(
        self,
        client: IntercomClient,
        types: Mapping[str, SubscriptionType],
        contact: IntercomContact,
        item: PushItem,
    ) -> PushOutcome:
        if not types:
            return _set_global_unsubscribe(client, contact, is_unsubscribed=bool(item.off))
        attached = client.list_attached_type_ids(contact)
        if attached is None:
            return _ABSENT
        wanted = dict.fromkeys(item.lift, False) | dict.fromkeys(item.off, True)
        for topic, is_off in sorted(wanted.items(), key=lambda pair: not pair[1]):
            type_ = types[topic]
            should_attach = is_off == type_.is_opt_out
            if should_attach != (type_.id in attached):
                change = client.attach if should_attach else client.detach
                if not change(contact, type_):
                    return PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
        return PushOutcome(PushResult.REFLECTED, "200")

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who never joined an opt-in type said no to nothing (I13)."""
        if not batch:
            return {}
        self._validate_batch(batch)
        with open_client(self._config, self._http) as workspace:
            types = self._find_mapped_types(workspace)
            found = workspace.find_contacts({item.address for item in batch})
            off = read_each(batch, partial(self._read_item, workspace, types, found))
        return {item.ref: topics for item, topics in off.items()}

    def _read_item(
        self,
        client: IntercomClient,
        types: Mapping[str, SubscriptionType],
        contacts_by_address: Mapping[str, list[IntercomContact]],
        item: PushItem,
    ) -> frozenset[str] | None:
        """What is off for all contacts of an address. Raises Unreadable when that is unclear."""
        held = [
            self._off_topics(client, types, c, item)
            for c in _contacts_of(contacts_by_address, item)
        ]
        there = [topics for topics in held if topics is not None]
        return frozenset.intersection(*there) if there else None

    def _off_topics(
        self,
        client: IntercomClient,
        types: Mapping[str, SubscriptionType],
        contact: IntercomContact,
        item: PushItem,
    ) -> frozenset[str] | None:
        if contact.unsubscribed_from_emails:
            return frozenset(self._config.topics)
        attached = client.list_attached_type_ids(contact) if types else set[str]()
        if attached is None:
            return None
        said_no = {t for t, type_ in types.items() if type_.is_opt_out and type_.id in attached}
        never = {t for t, type_ in types.items() if not (type_.is_opt_out or type_.id in attached)}
        return frozenset(said_no | (never & item.off))

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See Fieldable."""
        field = self._config.link_field
        if not (batch and field):
            return {}
        links = {item.ref: item.link for item in batch}
        items = [PushItem(item.ref, item.address, item.channel) for item in batch]

        def write_link(contact: IntercomContact, item: PushItem) -> PushOutcome:
            link = links[item.ref]
            if contact.custom_attributes.get(field) == link:
                return PushOutcome(PushResult.REFLECTED, "200")
            after = workspace.update_contact(contact, {"custom_attributes": {field: link}})
            return _to_outcome(
                after, is_applied=bool(after and after.custom_attributes.get(field) == link)
            )

        with open_client(self._config, self._http) as workspace:
            return _update_all_contacts(workspace, items, items, write_link)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable. A listing doesn't tell which types a contact is attached to."""
        with open_client(self._config, self._http) as workspace:
            contacts, following, done = workspace.list_changed([], cursor)
        seen = [
            ContactSnapshot(
                contact.email,
                off=frozenset(self._config.topics) if contact.unsubscribed_from_emails else None,
                link=self._config.link_value(contact.custom_attributes),
            )
            for contact in contacts
            if contact.email
        ]
        return ContactPage(tuple(seen), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Who unsubscribed from all email, complained, or can't be reached.

        When is not told, only that it was no later than the contact's last change. Who left
        a single type can't be listed: that is seen when an address is read.
        """
        with open_client(self._config, self._http) as workspace:
            contacts, following, done = workspace.list_changed(list(EVENT_KIND_BY_FLAG), cursor)
        news = [each for contact in contacts for each in self._to_vendor_events(contact)]
        return ContactPage(tuple(news), following, done)

    def _to_vendor_events(self, contact: IntercomContact) -> Iterator[VendorEvent]:
        whole = GLOBAL_TARGET if GLOBAL_TARGET in self._config.topics.values() else None
        for flag, kind in EVENT_KIND_BY_FLAG.items():
            if contact.email and getattr(contact, flag):
                thing = whole if kind is VendorEventKind.OPTED_OUT else None
                yield VendorEvent(kind, contact.email, thing, occurred_at=contact.updated_at)


def _update_all_contacts(
    client: IntercomClient,
    batch: Sequence[PushItem],
    items: Sequence[PushItem],
    update: ContactUpdater,
) -> Mapping[int, PushOutcome]:
    """Tell every contact of every address; the worst that came of one counts."""
    found = client.find_contacts({item.address for item in items})

    def push_item(item: PushItem) -> Mapping[int, PushOutcome]:
        contacts = _contacts_of(found, item)
        outcomes = [_try_update(update, contact, item) for contact in contacts]
        return {item.ref: reduce(worst, outcomes) if outcomes else _ABSENT}

    outcomes = run_steps(batch, [PushStep((item.ref,), partial(push_item, item)) for item in items])
    ensure_some_accepted(outcomes, INVALID_ACK)
    return outcomes


def _contacts_of(
    contacts_by_address: Mapping[str, list[IntercomContact]], item: PushItem
) -> list[IntercomContact]:
    """The contacts of an address. Raises Unreadable where the answer left it open."""
    try:
        return contacts_by_address[item.address.casefold()]
    except KeyError:
        raise UnexpectedResponse("a contact came without an address that was asked for") from None


def _try_update(update: ContactUpdater, contact: IntercomContact, item: PushItem) -> PushOutcome:
    try:
        return update(contact, item)
    except RequestRejected:
        return PushOutcome(PushResult.REFUSED, INVALID_ACK)


def _set_global_unsubscribe(
    client: IntercomClient, contact: IntercomContact, *, is_unsubscribed: bool
) -> PushOutcome:
    if contact.unsubscribed_from_emails == is_unsubscribed:
        return PushOutcome(PushResult.REFLECTED, "200")
    after = client.update_contact(contact, {"unsubscribed_from_emails": is_unsubscribed})
    return _to_outcome(
        after, is_applied=bool(after and after.unsubscribed_from_emails == is_unsubscribed)
    )


def _to_outcome(updated: IntercomContact | None, *, is_applied: bool) -> PushOutcome:
    if updated is None:
        return _ABSENT
    return (
        PushOutcome(PushResult.REFLECTED, "200")
        if is_applied
        else PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
    )


SPEC = ConnectorSpec(
    kind=Intercom.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of API 2.15",
    capabilities=Intercom.capabilities,
    own_settings=Intercom.settings,
    secret_settings=frozenset({"access_token"}),
    sources=(
        f"{_DOCS_URL}/2.15/rest-api/api.intercom.io/subscription-types",
        f"{_DOCS_URL}/2.15/rest-api/api.intercom.io/contacts/searchcontacts",
        f"{_DOCS_URL}/rest-api/errors/rate-limiting",
    ),
    build=Intercom,
    notes=(
        f"Map each topic to the id of a subscription type, or the only one to `{GLOBAL_TARGET}`.",
        "Who leaves a single type in Intercom is only seen when the address is read back.",
        (
            "Intercom doesn't say what a token may do: that it may not write shows at the first "
            "push, as a 401 or 403."
        ),
    ),
)
