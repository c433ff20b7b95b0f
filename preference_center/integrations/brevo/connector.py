"""Brevo: a topic is a list.

https://developers.brevo.com/reference/remove-contact-from-list
https://help.brevo.com/hc/en-us/articles/209458705
Blocklisting a contact stops all campaigns (transactional mail has a blocklist of its own),
but who blocklisted them isn't told: it is the person's own switch, which we only read (I13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
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
from preference_center.domain.vendor_events import VendorEvent
from preference_center.integrations.base.batching import PushStep, read_each, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, RequestRejected
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    MultiChannelConnector,
)
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.brevo.client import (
    PAGE_SIZE,
    BrevoClient,
    BrevoContact,
    BrevoCursor,
    open_client,
)
from preference_center.integrations.brevo.sms import BrevoSms
from preference_center.integrations.brevo.vendor_events import pull_page

REMOVE, ADD = "remove", "add"
_DOCS_URL = "https://developers.brevo.com"


class Brevo:
    """One Brevo account."""

    kind: ClassVar[str] = "brevo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=150,
        rate_limit=RateLimit(10, 1),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        off_means_opt_out=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key (v3); if the account allows API calls from known addresses "
        "only, the workers' are among them",
        "base_url?": "another address of the API, for tests",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    def check(self) -> CheckReport:
        """See Connector. Also says which lists no topic maps to."""
        topics = self._config.topics
        problems = list(mapping_problems(self._config, "list"))
        try:
            with open_client(self._config, self._http) as account:
                lists = account.list_lists()
                texts = account.list_text_attributes() if self._config.link_field else set()
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check the API key and where it may be used"))
        problems += [
            f"topic {topic} is mapped to list {list_}, which the account has not: "
            "map it to a list that exists"
            for topic, list_ in sorted(topics.items())
            if list_.isdigit() and int(list_) not in lists
        ]
        if (name := self._config.link_field) and name not in texts:
            problems.append(f"link_field {name} is no text attribute of contacts: add it there")
        unmapped = [f"{name} ({i})" for i, name in lists.items() if str(i) not in topics.values()]
        return CheckReport(tuple(problems), tuple(unmapped))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go first, a list at a time; then lifts."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            move = _ListUpdater(account)
            steps = [*self._build_steps(move, batch, REMOVE), *self._build_steps(move, batch, ADD)]
            return run_steps(batch, steps)

    def _build_steps(
        self, list_updater: _ListUpdater, batch: Sequence[PushItem], action: str
    ) -> Iterator[PushStep]:
        for topic, list_ in sorted(self._config.topics.items()):
            items = [i for i in batch if topic in (i.off if action == REMOVE else i.lift)]
            if items:
                call = partial(list_updater.update_list, list_, action, items)
                yield PushStep(tuple(i.ref for i in items), call)

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who isn't on a list doesn't get it, who is blocklisted none."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            found = read_each(batch, lambda i: account.get_contact(i.address))
        return {
            item.ref: self._off_topics(contact) if isinstance(contact, BrevoContact) else None
            for item, contact in found.items()
        }

    def _off_topics(self, contact: BrevoContact) -> frozenset[str]:
        return frozenset(
            topic
            for topic, list_ in self._config.topics.items()
            if contact.email_blacklisted or int(list_) not in contact.list_ids
        )

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See Fieldable. Writes a text attribute of contacts, named as in Brevo."""
        name = self._config.link_field
        if not batch or name is None:
            return {}
        with open_client(self._config, self._http) as account:
            steps = [PushStep((i.ref,), partial(_write_link, account, i, name)) for i in batch]
            return run_steps([PushItem(i.ref, i.address, i.channel) for i in batch], steps)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable."""
        place = BrevoCursor.parse(cursor)
        with open_client(self._config, self._http) as account:
            contacts = account.list_modified_contacts(place, PAGE_SIZE)
        following, done = place.advance(len(contacts), PAGE_SIZE, self._http.now())
        rows = (
            ContactSnapshot(
                c.email, off=self._off_topics(c), link=self._config.link_value(c.attributes)
            )
            for c in contacts
            if c.email
        )
        return ContactPage(tuple(rows), str(following), done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Who is blocklisted, unsubscribed from a mapped list, or blocked."""
        lists = [*self._config.topics.values()]
        with open_client(self._config, self._http) as account:
            return pull_page(account, cursor, lists, self._http.now())


@dataclass(slots=True)
class _ListUpdater:
    """Moves addresses onto lists or off them, in one push.

    Brevo names whom it moved. Of the others it only says that they are unknown or where
    they should be already, and if nobody was moved, it rejects the request; so these are
    looked at one by one, once.
    """

    client: BrevoClient
    contacts: dict[str, BrevoContact | int] = field(default_factory=dict)

    def update_list(
        self, list_id: str, action: str, items: Sequence[PushItem]
    ) -> Mapping[int, PushOutcome]:
        """A step: each of `items` off the list, or on it."""
        try:
            moved = self.client.update_list_members(
                list_id, action, [item.address for item in items]
            )
            rejected = False
        except RequestRejected as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            moved, rejected = set(), True
        done = PushOutcome(PushResult.REFLECTED, "201")
        outcomes = {item.ref: done for item in items if item.address.casefold() in moved}
        waiting = []
        for item in items:
            if item.ref not in outcomes:
                outcomes[item.ref] = self._check_contact(item, int(list_id), action)
                waiting += [item] if outcomes[item.ref].result is PushResult.RETRY_LATER else []
        if rejected and waiting:
            outcomes |= self._bisect_rejected(list_id, action, waiting)
        return outcomes

    def _check_contact(self, item: PushItem, list_id: int, action: str) -> PushOutcome:
        contact = self.contacts.get(item.address)
        if contact is None:
            contact = self.contacts[item.address] = self.client.get_contact(item.address)
        if contact == HTTPStatus.NOT_FOUND:
            return PushOutcome(PushResult.ABSENT, "404")
        if not isinstance(contact, BrevoContact):
            return PushOutcome(PushResult.REFUSED, str(contact))
        if (list_id in contact.list_ids) == (action == ADD):
            return PushOutcome(PushResult.REFLECTED, "nothing to change")
        return PushOutcome(PushResult.RETRY_LATER, "not acknowledged")

    def _bisect_rejected(
        self, list_id: str, action: str, items: Sequence[PushItem]
    ) -> dict[int, PushOutcome]:
        """One bad address had the whole request rejected: find it by halving."""
        outcomes = {item.ref: PushOutcome(PushResult.REFUSED, "400") for item in items}
        for part, moved in send_bisecting(
            items,
            lambda some: self.client.update_list_members(
                list_id, action, [i.address for i in some]
            ),
        ):
            for item in part:
                known = item.address.casefold() in moved
                result = PushResult.REFLECTED if known else PushResult.RETRY_LATER
                outcomes[item.ref] = PushOutcome(result, "201" if known else "not acknowledged")
        return outcomes


def _write_link(
    client: BrevoClient, item: LinkItem, attribute_name: str
) -> Mapping[int, PushOutcome]:
    status = client.set_attribute(item.address, attribute_name, item.link)
    results = {HTTPStatus.NOT_FOUND: PushResult.ABSENT, HTTPStatus.BAD_REQUEST: PushResult.REFUSED}
    result = results.get(HTTPStatus(status), PushResult.REFLECTED)
    return {item.ref: PushOutcome(result, str(status))}


class BrevoMultiChannel(MultiChannelConnector):
    """One Brevo account, for email and SMS."""

    kind: ClassVar[str] = Brevo.kind
    capabilities: ClassVar[Capabilities] = replace(
        Brevo.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Brevo.settings
    connector_factories: ClassVar[ConnectorFactories] = {
        Channel.EMAIL: Brevo,
        Channel.SMS: BrevoSms,
    }


SPEC = ConnectorSpec(
    kind=Brevo.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="Brevo's API reference, read on 2026-11-27",
    capabilities=BrevoMultiChannel.capabilities,
    own_settings=Brevo.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS_URL}/reference/remove-contact-from-list",
        f"{_DOCS_URL}/reference/get-contact-info",
        f"{_DOCS_URL}/reference/get-contacts",
        f"{_DOCS_URL}/reference/update-contact",
        f"{_DOCS_URL}/reference/get-transac-blocked-contacts",
        f"{_DOCS_URL}/docs/api-limits",
    ),
    build=BrevoMultiChannel,
    notes=(
        "What is sent to segments and by automations asks for no list: let it ask for one.",
        "No email is blocklisted by us; who is blocklisted in Brevo has said no to all marketing.",
        "Map a topic that goes by SMS to `sms`: a contact is blocklisted for SMS or not.",
        "A blocklisting without a trace in the last 90 days counts as 90 days old.",
    ),
)
