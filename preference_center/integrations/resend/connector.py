"""Resend: a topic is a topic of Resend's.

https://resend.com/docs/dashboard/contacts/manage-topics
https://resend.com/docs/api-reference/contacts/update-contact-topics
Broadcasts, and emails sent with a topic, go to nobody who opted out of it. A contact's own
`unsubscribed` stops all broadcasts; Resend does not show who set it, so it is only read (I13). A
suppression stops service mail too, and is never written (I10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import ClassVar

from pydantic import BaseModel, TypeAdapter

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
from preference_center.integrations.base.http import HttpSession
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.paging import last_row_id, next_full_page
from preference_center.integrations.base.pydantic_types import IsoDatetime
from preference_center.integrations.base.rate_limit import parse_reset_headers
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import (
    ConnectorRules,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
)
from preference_center.integrations.base.webhook_only import build_webhook_only
from preference_center.integrations.resend.webhook import ResendWebhookSource

PAGE_SIZE = "100"
OPT_OUT, OPT_IN = "opt_out", "opt_in"
_CONTACT, _TOPICS = "/contacts/{address}", "/contacts/{address}/topics"
_EVENT_KIND_BY_ORIGIN = {
    "complaint": VendorEventKind.COMPLAINED,
    "bounce": VendorEventKind.BOUNCED,
    "manual": VendorEventKind.OPTED_OUT,
}
_UNAVAILABLE_STATUSES = {
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""What an account is answered that has no suppressions by API: they are in a private beta."""
_UNSUBSCRIBED_HOLD = OffState("unsubscribed", is_exact=False)
_DOCS = "https://resend.com/docs"


class _ResendRow(BaseModel):
    """One row of any listing: the description requires no field of any."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    unsubscribed: bool | None = None
    subscription: str | None = None
    default_subscription: str | None = None
    origin: str | None = None
    created_at: IsoDatetime = None


class _ResendRows(BaseModel):
    data: list[_ResendRow] | None = None
    has_more: bool | None = None


class _UpdateResponse(BaseModel):
    topics: list[_ResendRow] | None = None


_ROW, _ROWS, _UPDATE = (
    TypeAdapter(_ResendRow),
    TypeAdapter(_ResendRows),
    TypeAdapter(_UpdateResponse),
)


@dataclass
class ResendClient:
    """One team of Resend's, for one push or listing."""

    session: HttpSession

    @cached_property
    def topics(self) -> Mapping[str, _ResendRow]:
        """Id -> topic. Each has a default, for contacts that never chose."""
        return {row.id: row for row in self.list_all("/topics") if row.id}

    def list_all(self, route: str, address: str = "") -> Iterator[_ResendRow]:
        """All rows of a listing."""
        token = ""
        while True:
            rows, token = self.list_page(route, token, address=address)
            yield from rows
            if not token:
                return

    def list_page(
        self,
        route: str,
        after_id: str,
        *,
        address: str = "",
        allowed_statuses: frozenset[int] = frozenset(),
    ) -> tuple[Sequence[_ResendRow], str]:
        """The rows after the row with the id `after`, and the id to go on from, "" at the end."""
        query = {"limit": PAGE_SIZE} | ({"after": after_id} if after_id else {})
        holes = {"address": address}
        answer = self.session.send(
            "GET", route, path_params=holes, query=query, allowed_statuses=allowed_statuses
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return (), ""
        found = answer.parse(_ROWS)
        rows = found.data or []
        more = rows and (found.has_more or (found.has_more is None and len(rows) == int(PAGE_SIZE)))
        return rows, last_row_id(row.id for row in rows) if more else ""


class Resend(ReadableConnector[ResendClient]):
    """One team of Resend's."""

    kind: ClassVar[str] = "resend"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=50,
        # https://resend.com/docs/api-reference/rate-limit, for all keys of the team together.
        rate_limit=RateLimit(5, 1),
        can_read=True,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key with full access; one that may only send is refused",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="topic",
        credentials_hint="the API key, which needs full access",
        group_size=1,
        max_reads=40,
    )

    @contextmanager
    def open_client(self) -> Iterator[ResendClient]:
        """See MappedConnector."""
        settings = self.config.settings
        with self.http.session(
            self.config.name,
            settings.get("base_url", "https://api.resend.com"),
            headers={"Authorization": f"Bearer {settings['api_key']}"},
            rate_limit_headers=parse_reset_headers(
                "ratelimit-remaining", "ratelimit-reset", epoch=False
            ),
        ) as session:
            yield ResendClient(session)

    def list_targets(self, client: ResendClient) -> Iterator[Target]:
        """See MappedConnector."""
        for id_, topic in client.topics.items():
            yield Target(id_, topic.name or "")

    def write_changes(
        self, client: ResendClient, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector. Topics that a request does not name stay as they are."""
        (change,) = changes
        states = dict.fromkeys(change.on, OPT_IN) | dict.fromkeys(change.off, OPT_OUT)
        topics = [{"id": id_, "subscription": states[id_]} for id_ in sorted(states)]
        answer = client.session.send(
            "PATCH",
            _TOPICS,
            path_params={"address": change.address},
            body={"topics": topics},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            if not (change.off and self.config.create_contacts):
                return {change.ref: PushOutcome(PushResult.ABSENT, "404")}
            body = {"email": change.address, "topics": topics}
            answer = client.session.send("POST", "/contacts", body=body)
        changed = {row.id: row.subscription for row in answer.parse(_UPDATE).topics or ()}
        if any(changed.get(id_, state) != state for id_, state in states.items()):
            return {}
        return {change.ref: PushOutcome(PushResult.REFLECTED, str(answer.status))}

    def fetch_contacts(
        self, client: ResendClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """See MappedConnector. What is off by a topic's default is no opt-out."""
        (address,) = addresses
        answer = client.session.send(
            "GET",
            _CONTACT,
            path_params={"address": address},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return {address: None}
        if answer.parse(_ROW).unsubscribed:
            return {address: RemoteContact(dict.fromkeys(target_ids, _UNSUBSCRIBED_HOLD))}
        held = {
            row.id: OffState(
                OPT_OUT, is_opt_out=client.topics[row.id].default_subscription != OPT_OUT
            )
            for row in client.list_all(_TOPICS, address)
            if row.subscription == OPT_OUT
            and row.id
            and row.id in target_ids
            and row.id in client.topics
        }
        return {address: RemoteContact(held)}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable. Topics are not listed, but who unsubscribed from all is."""
        everything = frozenset(self.config.topics)

        def contacts(after: str) -> tuple[list[ContactSnapshot], str]:
            rows, following = account.list_page("/contacts", after)
            seen = [
                ContactSnapshot(
                    row.email,
                    off=everything if row.unsubscribed else None,
                    all_off=row.unsubscribed,
                )
                for row in rows
                if row.email
            ]
            return seen, following

        with self.open_client() as account:
            return next_full_page(cursor, [contacts])

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Contacts who unsubscribed from all, then suppressions, with their dates.

        Since when a contact has been unsubscribed is not documented.
        """

        def unsubscribed(after: str) -> tuple[list[VendorEvent], str]:
            rows, following = account.list_page("/contacts", after)
            gone = [row.email for row in rows if row.unsubscribed and row.email]
            found = [
                VendorEvent(VendorEventKind.OPTED_OUT, address, unsubscribed_from_all=True)
                for address in gone
            ]
            return found, following

        def suppressed(after: str) -> tuple[list[VendorEvent], str]:
            rows, following = account.list_page(
                "/suppressions", after, allowed_statuses=frozenset(_UNAVAILABLE_STATUSES)
            )
            return [news for row in rows if (news := _to_vendor_event(row))], following

        with self.open_client() as account:
            return next_full_page(cursor, [unsubscribed, suppressed])


def _to_vendor_event(row: _ResendRow) -> VendorEvent | None:
    kind = _EVENT_KIND_BY_ORIGIN.get(row.origin or "")
    if kind is None or not row.email:
        return None
    is_complaint = kind is VendorEventKind.COMPLAINED
    return VendorEvent(kind, row.email, occurred_at=row.created_at, by_person=is_complaint)


SPEC = ConnectorSpec(
    kind=Resend.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description 1.5.0 of 2026-08-21",
    capabilities=Resend.capabilities,
    own_settings=Resend.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/dashboard/contacts/manage-topics",
        f"{_DOCS}/api-reference/contacts/update-contact-topics",
        f"{_DOCS}/api-reference/rate-limit",
        "https://github.com/resend/resend-openapi",
        f"{_DOCS}/webhooks/verify-webhooks-requests",
        f"{_DOCS}/webhooks/event-types",
    ),
    build=Resend,
    build_webhook_only=build_webhook_only("resend", ResendWebhookSource),
    notes=(
        "Map each topic to the id of a topic of Resend.",
        "A broadcast without a topic goes to all who did not unsubscribe from all: name one.",
        "Who unsubscribed from all gets nothing there until subscribed again in Resend, too.",
        "What they opt in to on our page meanwhile counts everywhere else.",
        "The limit is that of the team: set a lower `rate` if emails are sent by the API too.",
    ),
)
