"""This connector maps a topic to a topic of a Customer.io workspace's subscription center.

https://docs.customer.io/journeys/channels/subscriptions/center/
https://docs.customer.io/integrations/api/app/
https://docs.customer.io/integrations/api/track/
A change of attributes creates unknown people: each person is looked up first, and identified by
Customer.io's own id, with the instruction to update and never to create. A person's `unsubscribed`
stops everything that they are sent: it is only read (I13).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from preference_center.integrations.base import runtime
from preference_center.integrations.base.webhook import parse_epoch
from preference_center.integrations.customerio.webhook import CustomerIoWebhookSource

APP_API_LIMIT = runtime.EndpointRateLimit("app", runtime.RateLimit(10, 1))


_HAS_EMAIL_FILTER = {"attribute": {"field": "email", "operator": "exists"}}


_StringId = Annotated[str, BeforeValidator(str)]


class PersonIdentifiers(runtime.LenientModel):
    """How a person is identified."""

    email: _StringId = ""
    cio_id: _StringId = ""


class CustomerIoPerson(runtime.LenientModel):
    """One person. Times are UTC, None where Customer.io has none."""

    identifiers: PersonIdentifiers = PersonIdentifiers()
    attributes: Mapping[str, Any] = {}
    timestamps: Mapping[str, Any] = {}
    unsubscribed: bool = False

    @property
    def email(self) -> str:
        """The address, "" without one."""
        return self.identifiers.email or str(self.attributes.get("email") or "")

    @property
    def cio_id(self) -> str:
        """Customer.io's own id, "" without one."""
        return self.identifiers.cio_id or str(self.attributes.get("cio_id") or "")

    @property
    def chosen_topics(self) -> Mapping[str, bool]:
        """What the person chose."""
        return self._preferences("cio_subscription_preferences", "topics")

    @property
    def topics_with_defaults(self) -> Mapping[str, bool]:
        """The same, with the topics' defaults for the rest."""
        return self._preferences("_cio_subscription_preferences_computed", "topics")

    @property
    def changed_at(self) -> datetime | None:
        """When the chosen topics and channels changed last."""
        return parse_epoch(self.timestamps.get("cio_subscription_preferences"))

    @property
    def is_unsubscribed(self) -> bool:
        """From all, or from all email."""
        switch = str(self.attributes.get("unsubscribed", "")).casefold() in {"true", "1"}
        return self.unsubscribed or switch or self._has_no_email

    @property
    def unsubscribed_at(self) -> datetime | None:
        """When that was."""
        at = parse_epoch(self.timestamps.get("unsubscribed"))
        return at or (self.changed_at if self._has_no_email else None)

    @property
    def _has_no_email(self) -> bool:
        return self._preferences("cio_subscription_preferences", "channels").get("email") is False

    def _preferences(self, attribute: str, name: str) -> Mapping[str, bool]:
        """Those that are true or false: of the others nothing was chosen."""
        found = _parse_object(self.attributes.get(attribute)).get(name)
        rows = found.items() if isinstance(found, dict) else ()
        return {name: is_on for name, is_on in rows if isinstance(is_on, bool)}


class _Customer(runtime.LenientModel):
    customer: CustomerIoPerson


class _PeoplePage(runtime.LenientModel):
    identifiers: tuple[PersonIdentifiers, ...] = ()
    next: _StringId = ""


class _Topic(runtime.LenientModel):
    id: int
    identifier: str = ""
    name: str = ""


class _BatchError(runtime.LenientModel):
    batch_index: int | None = None


@dataclass(frozen=True, slots=True)
class CustomerIoClient:
    """One workspace, for one push or listing."""

    app_api: runtime.Session
    track_api: runtime.Session

    def list_topics(self) -> dict[str, str]:
        """Id of each topic, as in `topic_7` -> its name."""
        answer = self.app_api.send("GET", "/v1/subscription_topics", limit=APP_API_LIMIT)
        topics = answer.parse_member(list[_Topic], "topics", or_empty=True)
        return {topic.identifier or f"topic_{topic.id}": topic.name for topic in topics}

    def get_region(self) -> str:
        """Where the workspace is: "us" or "eu". Fails for wrong credentials of the Track API."""
        answer = self.track_api.send("GET", "/api/v1/accounts/region")
        return answer.parse_member(str, "region", or_empty=True)

    def find_people(self, ids: Sequence[str], *, id_type: str) -> list[CustomerIoPerson]:
        """At most 100 people by "email" or "cio_id"; unknown ones are left out."""
        answer = self.app_api.send(
            "POST",
            "/v1/customers/attributes",
            query={"id_type": id_type},
            body={"ids": list(ids)},
            limit=APP_API_LIMIT,
        )
        rows = answer.parse_member(list[_Customer], "customers", or_empty=True)
        return [row.customer for row in rows]

    def list_people(self, start: str, limit: int) -> tuple[Sequence[PersonIdentifiers], str]:
        """A page of those who have an address, and where the next begins, "" at the end."""
        page = self.app_api.send(
            "POST",
            "/v1/customers",
            query={"limit": str(limit)} | ({"start": start} if start else {}),
            body={"filter": _HAS_EMAIL_FILTER},
            limit=APP_API_LIMIT,
        ).parse(_PeoplePage)
        return page.identifiers, page.next

    def update_people(self, people: Sequence[Mapping[str, object]]) -> set[int]:
        """Change people, in at most 500 kB; the indices of those that were rejected.

        Raises RequestRejected where the response does not name them.
        """
        answer = self.track_api.send("POST", "/api/v2/batch", body={"batch": people})
        errors = answer.parse_member(list[_BatchError], "errors", or_empty=True)
        indices = {error.batch_index for error in errors}
        if None in indices:
            raise runtime.RequestRejected("some were rejected, without their indices", 400)
        return {index for index in indices if index is not None}


def _parse_object(value: object) -> dict[str, Any]:
    """An attribute that is an object, mostly as JSON in a string; empty if it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_HOSTS = {
    "us": ("https://api.customer.io", "https://track.customer.io"),
    "eu": ("https://api-eu.customer.io", "https://track-eu.customer.io"),
}


RESERVED_ATTRIBUTES = frozenset(
    {"anonymous_id", "cio_id", "created_at", "email", "id", "phone", "timezone", "unsubscribed"}
)
"""Attributes with a meaning of their own, as are those of reserved prefixes."""


_RESERVED_PREFIXES = ("_", "cio_")


_PREFERENCE_ATTRIBUTE = "cio_subscription_preferences.topics.{}"


_DOCS_URL = "https://docs.customer.io"


@dataclass(frozen=True)
class CustomerIoContact(runtime.RemoteContact):
    """A person, with the id that a change names."""

    cio_id: str = ""


class CustomerIo(
    runtime.ReadableConnector[CustomerIoClient],
    runtime.ContactFieldConnector[CustomerIoClient],
    runtime.RequestedErasureConnector[CustomerIoClient],
):
    """One workspace, whose people are identified by their email addresses."""

    kind = "customerio"
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=500,
        # Of the Track API; the App API has a limit of its own: APP_API_LIMIT.
        rate_limit=runtime.RateLimit(100, 1),
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.FULL,
        can_write_fields=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="The person is suppressed: everything about them is deleted, and Customer.io "
        "never takes their identifiers again until somebody unsuppresses them there.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "site_id": "the site id of a Track API credential of the workspace",
        "api_key": "the API key that goes with the site id",
        "app_key": "an App API key of the same workspace",
        "region?": "eu for a workspace in the European data center; else us",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="subscription topic",
        credentials_hint="site_id, api_key and app_key, and the region",
        group_size=100,
        lookups=runtime.LookupMode.ALL,
        target_check=runtime.TargetCheck.ALWAYS,
    )

    erase_group_size = 100
    field_group_size = 100

    @property
    def _region(self) -> str:
        return self.config.settings.get("region", "us")

    @contextmanager
    def open_client(self) -> Iterator[CustomerIoClient]:
        """See ApiConnector. Two APIs, each with credentials of its own."""
        settings, name = self.config.settings, self.config.name
        base = settings.get("base_url")
        app_url, track_url = (base, base) if base else _HOSTS.get(self._region, _HOSTS["us"])
        bearer = {"Authorization": f"Bearer {settings['app_key']}"}
        keys = runtime.basic_auth_headers(settings["site_id"], settings["api_key"])
        with (
            self.http.session(name, app_url, headers=bearer) as app,
            self.http.session(name, track_url, headers=keys) as track,
        ):
            yield CustomerIoClient(app, track)

    def list_targets(self, client: CustomerIoClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, name in client.list_topics().items():
            yield runtime.Target(id_, name)

    def find_problems(self, client: CustomerIoClient) -> Iterator[str]:
        """See ApiConnector. Looks a made-up address up, since emails may identify nobody."""
        if self._region not in _HOSTS:
            yield f"region: write one of {', '.join(sorted(_HOSTS))}"
        for field, setting in self.config.contact_fields.items():
            if not _is_custom_attribute(field):
                yield f"{setting}: {field} has another meaning in Customer.io: name another"
        region = client.get_region()
        if region and region != self._region:
            yield f"the workspace is in another region: set region={region}"
        try:
            client.find_people([runtime.PROBE_ADDRESS], id_type="email")
        except runtime.RequestRejected:
            yield (
                "people can't be looked up by their email address: make email an identifier in "
                "the workspace's settings"
            )

    def fetch_contacts(
        self, client: CustomerIoClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> runtime.RemoteContacts:
        """See MappedConnector. One request for all."""
        people = {p.email.casefold(): p for p in client.find_people(addresses, id_type="email")}
        return {a: _to_contact(people.get(a.casefold()), target_ids) for a in addresses}

    def write_changes(self, client: CustomerIoClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. Customer.io accepts a change, and applies it later."""
        rejected = client.update_people([_to_topic_update(change) for change in changes])
        accepted = {change.ref: runtime.reflected("accepted") for change in changes}
        return accepted | _rejected(changes, rejected)

    def write_field_group(
        self, client: CustomerIoClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector. Writes an attribute, which need not exist yet."""
        contacts = self.fetch_contacts(client, [item.address for item in items], ())
        held = [item for item in items if contacts[item.address] is not None]
        outcomes = {item.ref: runtime.absent() for item in items}
        if held:
            rejected = client.update_people(
                [_to_update(i.address, contacts[i.address], {field: i.value}) for i in held]
            )
            outcomes |= {item.ref: runtime.reflected("accepted") for item in held}
            outcomes |= _rejected(held, rejected)
        return outcomes

    def find_held_contacts(
        self, client: CustomerIoClient, items: runtime.EraseItems
    ) -> Mapping[int, bool]:
        """See ErasingConnector."""
        held: dict[int, bool] = {}
        for group in runtime.chunked(items, self.erase_group_size):
            contacts = self.fetch_contacts(client, [item.address for item in group], ())
            held |= {item.ref: contacts[item.address] is not None for item in group}
        return held

    def request_erasures(
        self, client: CustomerIoClient, items: runtime.EraseItems
    ) -> runtime.Outcomes:
        """See RequestedErasureConnector."""
        return _rejected(items, client.update_people([_to_suppression(item) for item in items]))

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        page = self.full_page(cursor, partial(CustomerIoClient.list_people, limit=1_000))
        return page.expand(_to_snapshots)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Each person's choices, with the date of their last change."""
        return self.full_page(cursor, self._list_events)

    def _list_events(
        self, client: CustomerIoClient, token: str
    ) -> tuple[list[runtime.VendorEvent], str]:
        found, following = client.list_people(token, 100)
        ids = [each.cio_id for each in found if each.email and each.cio_id]
        people = client.find_people(ids, id_type="cio_id") if ids else []
        return [event for person in people for event in self._to_vendor_events(person)], following

    def _to_vendor_events(self, person: CustomerIoPerson) -> Iterator[runtime.VendorEvent]:
        if not person.email:
            return
        if person.is_unsubscribed:
            # With a date only, since `scan` doesn't list whose switch is on.
            since = person.unsubscribed_at
            yield runtime.VendorEvent(
                runtime.VendorEventKind.OPTED_OUT,
                person.email,
                occurred_at=since,
                unsubscribed_from_all=True if since else None,
            )
        for target in sorted(set(self.config.topics.values())):
            if person.chosen_topics.get(target) is False:
                yield runtime.VendorEvent(
                    runtime.VendorEventKind.OPTED_OUT, person.email, target, person.changed_at
                )


def _rejected(
    sent: Sequence[runtime.TargetChange | runtime.FieldItem | runtime.EraseItem],
    indices: Collection[int],
) -> dict[int, runtime.PushOutcome]:
    """The outcomes of those that were rejected. Raises RequestRejected if all were."""
    if len(indices) == len(sent):
        raise runtime.RequestRejected("all of the batch was rejected", HTTPStatus.BAD_REQUEST)
    return {sent[index].ref: runtime.refused(207) for index in indices if index < len(sent)}


def _to_snapshots(person: PersonIdentifiers) -> Iterator[runtime.ContactSnapshot]:
    if person.email:
        yield runtime.ContactSnapshot(person.email)


def _to_contact(
    person: CustomerIoPerson | None, target_ids: Collection[str]
) -> runtime.RemoteContact | None:
    if person is None:
        return None
    off = {}
    for target in target_ids:
        if person.chosen_topics.get(target) is False:
            off[target] = runtime.OffState("unsubscribed")
        elif person.is_unsubscribed:
            off[target] = runtime.OffState("unsubscribed from all", is_exact=False)
        elif person.topics_with_defaults.get(target) is False:
            off[target] = runtime.OffState("the topic's default", is_opt_out=False)
    return CustomerIoContact(off, person.cio_id)


def _to_suppression(item: runtime.EraseItem) -> Mapping[str, object]:
    """Deletes a person, and bars all of their identifiers."""
    return {"type": "person", "action": "suppress", "identifiers": {"email": item.address}}


def _to_topic_update(change: runtime.TargetChange) -> Mapping[str, object]:
    """A name with dots changes that topic only."""
    states = dict.fromkeys(change.on, True) | dict.fromkeys(change.off, False)
    attributes = {_PREFERENCE_ATTRIBUTE.format(target): states[target] for target in sorted(states)}
    return _to_update(change.address, change.contact, attributes)


def _to_update(
    address: str, contact: runtime.RemoteContact | None, attributes: Mapping[str, object]
) -> Mapping[str, object]:
    """`_update` prevents that a person is created."""
    cio_id = contact.cio_id if isinstance(contact, CustomerIoContact) else ""
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"cio_id": cio_id} if cio_id else {"email": address},
        "attributes": {"_update": True, **attributes},
    }


def _is_custom_attribute(name: str) -> bool:
    """Whether an attribute is the account's own, and its name is no path into another."""
    folded = name.casefold()
    is_reserved = folded in RESERVED_ATTRIBUTES or folded.startswith(_RESERVED_PREFIXES)
    return not is_reserved and "." not in name


SPEC = runtime.ConnectorSpec.of(
    CustomerIo,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Customer.io's pages, read on 2026-11-27",
    secrets={"api_key", "app_key"},
    sources=(
        f"{_DOCS_URL}/journeys/channels/subscriptions/center/",
        f"{_DOCS_URL}/integrations/api/track/",
        f"{_DOCS_URL}/integrations/api/track/tag/track-customers/suppress/",
        f"{_DOCS_URL}/integrations/api/app/tag/customers/getPeopleById/",
        f"{_DOCS_URL}/integrations/api/app/tag/customers/getpeoplefilter/",
        f"{_DOCS_URL}/messaging/people/reserved-attributes/",
        f"{_DOCS_URL}/integrations/api/webhooks",
        f"{_DOCS_URL}/integrations/data-out/connections/webhooks",
    ),
    build_webhook_only=runtime.build_webhook_only(
        "customerio", CustomerIoWebhookSource, r"topic_\d+"
    ),
    notes=(
        "Map each topic to a topic of the subscription center as it is named there: `topic_7`.",
        "A message without a topic goes to all who did not unsubscribe from all: name one.",
        "Emails that are sent to unsubscribed people as well are stopped by no choice.",
    ),
    open_points=(
        (
            "Held to a description of our own: the vendor's is published for its Track API only. "
            "Changes take effect later; reading back confirms them."
        ),
        (
            "Dates come from `timestamps`, which the vendor calls deprecated; without one, a "
            "listed opt-out counts from when it was found."
        ),
        "Workspaces that don't identify people by email can't be used.",
        (
            "Not documented: that topics are listed with an `identifier`, and how soon a "
            "suppressed person is gone from the App API (looked for every ten minutes)."
        ),
    ),
)
