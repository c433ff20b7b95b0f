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
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.cursors import sweep
from preference_center.integrations.base.http import Rejected, basic
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
from preference_center.integrations.customerio.client import Person, Workspace

_HOSTS = {
    "us": ("https://api.customer.io", "https://track.customer.io"),
    "eu": ("https://api-eu.customer.io", "https://track-eu.customer.io"),
}
_PROBE = "preference-center-check@example.com"
_PREFERENCE = "cio_subscription_preferences.topics.{}"
_DOCS = "https://docs.customer.io"


@dataclass(frozen=True)
class Found(Contact):
    """A person, with the id that a change names."""

    cio_id: str = ""


class CustomerIo(ReadableConnector[Workspace]):
    """One workspace, whose people are identified by their email addresses."""

    kind: ClassVar[str] = "customerio"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=500,
        # Of the Track API; the App API's is kept besides: see customerio_api.
        rate=Rate(100, 1),
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "site_id": "the site id of a Track API credential of the workspace",
        "api_key": "the API key that goes with the site id",
        "app_key": "an App API key of the same workspace",
        "region?": "eu for a workspace in the European data center; else us",
        "base_url?": "another address of both APIs, for tests",
    }
    rules: ClassVar[Rules] = Rules(
        target="subscription topic",
        credentials="site_id, api_key and app_key, and the region",
        group=100,
        looks=Looks.ALL,
        guard=Guard.ALWAYS,
    )

    @property
    def _region(self) -> str:
        return self.setup.settings.get("region", "us")

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        """See MappedConnector. Two APIs, each with credentials of its own."""
        settings, name = self.setup.settings, self.setup.name
        base = settings.get("base_url")
        app_url, track_url = (base, base) if base else _HOSTS.get(self._region, _HOSTS["us"])
        bearer = {"Authorization": f"Bearer {settings['app_key']}"}
        keys = basic(settings["site_id"], settings["api_key"])
        with (
            self.http.session(name, app_url, headers=bearer) as app,
            self.http.session(name, track_url, headers=keys) as track,
        ):
            yield Workspace(app, track)

    def targets(self, client: Workspace) -> Iterator[Target]:
        """See MappedConnector."""
        for id_, name in client.topics().items():
            yield Target(id_, name)

    def faults(self, client: Workspace) -> Iterator[str]:
        """See MappedConnector. Queries a made-up address, to see whether one can."""
        if self._region not in _HOSTS:
            yield f"region: write one of {', '.join(sorted(_HOSTS))}"
        region = client.region()
        if region and region != self._region:
            yield f"the workspace is in another region: set region={region}"
        try:
            client.people([_PROBE], by="email")
        except Rejected:
            yield (
                "people can't be looked up by their email address: make email an identifier in "
                "the workspace's settings"
            )

    def look(
        self, client: Workspace, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector. One request for all."""
        people = {p.email.casefold(): p for p in client.people(addresses, by="email")}
        return {a: _found(people.get(a.casefold()), targets) for a in addresses}

    def write(self, client: Workspace, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector. Customer.io accepts, and acts a little later."""
        refused = client.update([_update(change) for change in changes])
        if len(refused) == len(changes):
            raise Rejected("all of the batch was rejected", HTTPStatus.BAD_REQUEST)
        return {
            change.ref: Outcome(Result.REFUSED, "207")
            if index in refused
            else Outcome(Result.REFLECTED, "accepted")
            for index, change in enumerate(changes)
        }

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""

        def everybody(token: str) -> tuple[list[Seen], str]:
            found, following = client.search(token, 1_000)
            return [Seen(each.email) for each in found if each.email], following

        with self.open() as client:
            return sweep(cursor, [everybody])

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. What each person has said, dated by their last change of it."""

        def everybody(token: str) -> tuple[list[News], str]:
            found, following = client.search(token, 100)
            ids = [each.cio_id for each in found if each.email and each.cio_id]
            people = client.people(ids, by="cio_id") if ids else []
            return [news for person in people for news in self._news(person)], following

        with self.open() as client:
            return sweep(cursor, [everybody])

    def _news(self, person: Person) -> Iterator[News]:
        if not person.email:
            return
        if person.is_unsubscribed:
            # Only what has a date, since `scan` doesn't show whose switch is on.
            since = person.unsubscribed_at
            yield News(NewsKind.OPTED_OUT, person.email, at=since, all_off=True if since else None)
        for target in sorted(set(self.setup.topics.values())):
            if person.topics.get(target) is False:
                yield News(NewsKind.OPTED_OUT, person.email, target, person.changed_at)


def _found(person: Person | None, targets: Collection[str]) -> Contact | None:
    if person is None:
        return None
    held = {}
    for target in targets:
        if person.topics.get(target) is False:
            held[target] = Hold("unsubscribed")
        elif person.is_unsubscribed:
            held[target] = Hold("unsubscribed from all", is_exact=False)
        elif person.computed.get(target) is False:
            held[target] = Hold("the topic's default", is_opt_out=False)
    return Found(held, person.cio_id)


def _update(change: Change) -> Mapping[str, object]:
    """Dots in names change just that topic; `_update` lets nobody be created."""
    cio_id = change.contact.cio_id if isinstance(change.contact, Found) else ""
    states = dict.fromkeys(change.on, True) | dict.fromkeys(change.off, False)
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"cio_id": cio_id} if cio_id else {"email": change.address},
        "attributes": {
            "_update": True,
            **{_PREFERENCE.format(target): states[target] for target in sorted(states)},
        },
    }


ENTRY = Entry(
    kind=CustomerIo.kind,
    title="Customer.io",
    proof=Proof.DOCUMENTATION,
    against="Customer.io's pages, read on 2026-11-27",
    capabilities=CustomerIo.capabilities,
    own_settings=CustomerIo.settings,
    secrets=frozenset({"api_key", "app_key"}),
    sources=(
        f"{_DOCS}/journeys/channels/subscriptions/center/",
        f"{_DOCS}/integrations/api/track/",
        f"{_DOCS}/integrations/api/app/tag/customers/getPeopleById/",
        f"{_DOCS}/integrations/api/app/tag/customers/getpeoplefilter/",
        f"{_DOCS}/integrations/api/webhooks",
        f"{_DOCS}/integrations/data-out/connections/webhooks",
    ),
    build=CustomerIo,
    listen=partial(Listener, "customerio", r"topic_\d+"),
    notes=(
        "Map each topic to a topic of the subscription center as it is named there: `topic_7`.",
        "A message without a topic goes to all who did not unsubscribe from all: name one.",
        "Emails that are sent to unsubscribed people, too, are not stopped by anybody's choice.",
    ),
)
