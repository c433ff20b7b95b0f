"""Customer.io: a topic is a topic of the workspace's subscription center.

https://docs.customer.io/journeys/channels/subscriptions/center/
https://docs.customer.io/integrations/api/track/
A change of attributes creates whom Customer.io does not know: each person is looked up first,
and named by the id that Customer.io gave, with the instruction to update and never to create. A
person's `unsubscribed` stops all that they are sent: it is only read (I13).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.http import RequestRejected, basic_auth_headers
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.paging import next_full_page
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.base.webhook_only import build_webhook_only
from preference_center.integrations.customerio.client import CustomerIoClient, CustomerIoPerson
from preference_center.integrations.customerio.webhook import CustomerIoWebhookSource

_HOSTS = {
    "us": ("https://api.customer.io", "https://track.customer.io"),
    "eu": ("https://api-eu.customer.io", "https://track-eu.customer.io"),
}
_PROBE_ADDRESS = "preference-center-check@example.com"
_PREFERENCE_ATTRIBUTE = "cio_subscription_preferences.topics.{}"
_DOCS_URL = "https://docs.customer.io"


@dataclass(frozen=True)
class CustomerIoContact(RemoteContact):
    """A person, with the id that a change names."""

    cio_id: str = ""


class CustomerIo(ReadableConnector[CustomerIoClient]):
    """One workspace, whose people are identified by their email addresses."""

    kind: ClassVar[str] = "customerio"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=500,
        # Of the Track API; the App API's is kept besides: see customerio_api.
        rate_limit=RateLimit(100, 1),
        can_read=True,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "site_id": "the site id of a Track API credential of the workspace",
        "api_key": "the API key that goes with the site id",
        "app_key": "an App API key of the same workspace",
        "region?": "eu for a workspace in the European data center; else us",
        "base_url?": "another address of both APIs, for tests",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="subscription topic",
        credentials_hint="site_id, api_key and app_key, and the region",
        group_size=100,
        lookups=LookupMode.ALL,
        target_check=TargetCheck.ALWAYS,
    )

    @property
    def _region(self) -> str:
        return self.config.settings.get("region", "us")

    @contextmanager
    def open_client(self) -> Iterator[CustomerIoClient]:
        """See MappedConnector. Two APIs, each with credentials of its own."""
        settings, name = self.config.settings, self.config.name
        base = settings.get("base_url")
        app_url, track_url = (base, base) if base else _HOSTS.get(self._region, _HOSTS["us"])
        bearer = {"Authorization": f"Bearer {settings['app_key']}"}
        keys = basic_auth_headers(settings["site_id"], settings["api_key"])
        with (
            self.http.session(name, app_url, headers=bearer) as app,
            self.http.session(name, track_url, headers=keys) as track,
        ):
            yield CustomerIoClient(app, track)

    def list_targets(self, client: CustomerIoClient) -> Iterator[Target]:
        """See MappedConnector."""
        for id_, name in client.list_topics().items():
            yield Target(id_, name)

    def find_problems(self, client: CustomerIoClient) -> Iterator[str]:
        """See MappedConnector. Queries a made-up address, to see whether one can."""
        if self._region not in _HOSTS:
            yield f"region: write one of {', '.join(sorted(_HOSTS))}"
        region = client.get_region()
        if region and region != self._region:
            yield f"the workspace is in another region: set region={region}"
        try:
            client.find_people([_PROBE_ADDRESS], id_type="email")
        except RequestRejected:
            yield (
                "people can't be looked up by their email address: make email an identifier in "
                "the workspace's settings"
            )

    def fetch_contacts(
        self, client: CustomerIoClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """See MappedConnector. One request for all."""
        people = {p.email.casefold(): p for p in client.find_people(addresses, id_type="email")}
        return {a: _to_contact(people.get(a.casefold()), target_ids) for a in addresses}

    def write_changes(
        self, client: CustomerIoClient, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector. Customer.io accepts, and acts a little later."""
        refused = client.update_people([_to_update(change) for change in changes])
        if len(refused) == len(changes):
            raise RequestRejected("all of the batch was rejected", HTTPStatus.BAD_REQUEST)
        return {
            change.ref: PushOutcome(PushResult.REFUSED, "207")
            if index in refused
            else PushOutcome(PushResult.REFLECTED, "accepted")
            for index, change in enumerate(changes)
        }

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable."""

        def fetch_page(token: str) -> tuple[list[ContactSnapshot], str]:
            found, following = client.list_people(token, 1_000)
            return [ContactSnapshot(each.email) for each in found if each.email], following

        with self.open_client() as client:
            return next_full_page(cursor, [fetch_page])

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. What each person has said, dated by their last change of it."""

        def fetch_page(token: str) -> tuple[list[VendorEvent], str]:
            found, following = client.list_people(token, 100)
            ids = [each.cio_id for each in found if each.email and each.cio_id]
            people = client.find_people(ids, id_type="cio_id") if ids else []
            return [news for person in people for news in self._to_vendor_events(person)], following

        with self.open_client() as client:
            return next_full_page(cursor, [fetch_page])

    def _to_vendor_events(self, person: CustomerIoPerson) -> Iterator[VendorEvent]:
        if not person.email:
            return
        if person.is_unsubscribed:
            # Only what has a date, since `scan` doesn't show whose switch is on.
            since = person.unsubscribed_at
            yield VendorEvent(
                VendorEventKind.OPTED_OUT,
                person.email,
                occurred_at=since,
                unsubscribed_from_all=True if since else None,
            )
        for target in sorted(set(self.config.topics.values())):
            if person.chosen_topics.get(target) is False:
                yield VendorEvent(
                    VendorEventKind.OPTED_OUT, person.email, target, person.changed_at
                )


def _to_contact(
    person: CustomerIoPerson | None, target_ids: Collection[str]
) -> RemoteContact | None:
    if person is None:
        return None
    held = {}
    for target in target_ids:
        if person.chosen_topics.get(target) is False:
            held[target] = OffState("unsubscribed")
        elif person.is_unsubscribed:
            held[target] = OffState("unsubscribed from all", is_exact=False)
        elif person.topics_with_defaults.get(target) is False:
            held[target] = OffState("the topic's default", is_opt_out=False)
    return CustomerIoContact(held, person.cio_id)


def _to_update(change: TargetChange) -> Mapping[str, object]:
    """Dots in names change just that topic; `_update` lets nobody be created."""
    cio_id = change.contact.cio_id if isinstance(change.contact, CustomerIoContact) else ""
    states = dict.fromkeys(change.on, True) | dict.fromkeys(change.off, False)
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"cio_id": cio_id} if cio_id else {"email": change.address},
        "attributes": {
            "_update": True,
            **{_PREFERENCE_ATTRIBUTE.format(target): states[target] for target in sorted(states)},
        },
    }


SPEC = ConnectorSpec(
    kind=CustomerIo.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="Customer.io's pages, read on 2026-11-27",
    capabilities=CustomerIo.capabilities,
    own_settings=CustomerIo.settings,
    secret_settings=frozenset({"api_key", "app_key"}),
    sources=(
        f"{_DOCS_URL}/journeys/channels/subscriptions/center/",
        f"{_DOCS_URL}/integrations/api/track/",
        f"{_DOCS_URL}/integrations/api/app/tag/customers/getPeopleById/",
        f"{_DOCS_URL}/integrations/api/app/tag/customers/getpeoplefilter/",
        f"{_DOCS_URL}/integrations/api/webhooks",
        f"{_DOCS_URL}/integrations/data-out/connections/webhooks",
    ),
    build=CustomerIo,
    build_webhook_only=build_webhook_only("customerio", CustomerIoWebhookSource, r"topic_\d+"),
    notes=(
        "Map each topic to a topic of the subscription center as it is named there: `topic_7`.",
        "A message without a topic goes to all who did not unsubscribe from all: name one.",
        "Emails that are sent to unsubscribed people, too, are not stopped by anybody's choice.",
    ),
)
