"""Resend: a topic is a topic of Resend's.

https://resend.com/docs/dashboard/contacts/manage-topics
https://resend.com/docs/api-reference/contacts/update-contact-topics
Broadcasts, and emails sent with a topic, go to nobody who opted out of it. A contact's own
`unsubscribed` stops all broadcasts; Resend does not show who set it, so it is only read (I13). A
suppression stops service mail too, and is never written (I10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from http import HTTPStatus
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.resend.webhook import ResendWebhookSource

PAGE_SIZE = "100"
OPT_OUT, OPT_IN = "opt_out", "opt_in"
_CONTACT, _TOPICS = "/contacts/{address}", "/contacts/{address}/topics"
_EVENT_KIND_BY_ORIGIN = {
    "complaint": runtime.VendorEventKind.COMPLAINED,
    "bounce": runtime.VendorEventKind.BOUNCED,
    "manual": runtime.VendorEventKind.OPTED_OUT,
}
_UNAVAILABLE_STATUSES = {
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The answers to an account without suppressions by API, which are in a private beta."""
_UNSUBSCRIBED = runtime.OffState("unsubscribed", is_exact=False)
_DOCS = "https://resend.com/docs"


class _Row(runtime.LenientModel):
    """One row of any listing: the description requires no field of any."""

    id: str = ""
    name: str = ""
    email: str = ""
    unsubscribed: bool | None = None
    subscription: str = ""
    default_subscription: str = ""
    origin: str = ""
    created_at: runtime.IsoDatetime = None


class _Rows(runtime.LenientModel):
    data: tuple[_Row, ...] = ()
    has_more: bool | None = None


@dataclass
class ResendClient:
    """One team of Resend's, for one push or listing."""

    session: runtime.Session

    @cached_property
    def topics(self) -> Mapping[str, _Row]:
        """Id -> topic. Each has a default, for contacts that never chose."""
        rows = runtime.list_all(partial(self.list_page, route="/topics"))
        return {row.id: row for row in rows if row.id}

    def get_contact(self, address: str) -> _Row | None:
        """One contact; None if there is none of this address."""
        answer = self.session.find("GET", _CONTACT, path_params={"address": address})
        return answer.parse(_Row) if answer else None

    def list_page(
        self,
        after_id: str,
        *,
        route: str,
        address: str = "",
        allowed_statuses: Collection[int] = (),
    ) -> tuple[Sequence[_Row], str]:
        """The rows after the one with this id, and the id of the last one, "" at the end."""
        answer = self.session.send(
            "GET",
            route,
            path_params={"address": address},
            query={"limit": PAGE_SIZE} | ({"after": after_id} if after_id else {}),
            allowed_statuses=allowed_statuses,
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return (), ""
        page = answer.parse(_Rows)
        more = len(page.data) == int(PAGE_SIZE) if page.has_more is None else page.has_more
        token = runtime.last_row_id(row.id for row in page.data) if page.data and more else ""
        return page.data, token


class Resend(runtime.ReadableConnector[ResendClient], runtime.ErasingConnector[ResendClient]):
    """One team of Resend's."""

    kind = "resend"
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=50,
        # https://resend.com/docs/api-reference/rate-limit, for all keys of the team together.
        rate_limit=runtime.RateLimit(5, 1),
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.FULL,
        can_create=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The contact is deleted, with its topics and segments. What was sent stays in "
        "the log of emails for as long as the plan keeps it; a suppression stays.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key with full access; one that may only send is refused",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="topic",
        credentials_hint="the API key, which needs full access",
        api_url="https://api.resend.com",
        bearer_setting="api_key",
        rate_limit_headers=runtime.parse_reset_headers(
            "ratelimit-remaining", "ratelimit-reset", epoch=False
        ),
        max_reads=40,
    )
    client_class = ResendClient

    def list_targets(self, client: ResendClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, topic in client.topics.items():
            yield runtime.Target(id_, topic.name)

    def write_changes(self, client: ResendClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. Topics that a request does not name stay as they are."""
        (change,) = changes
        states = dict.fromkeys(change.on, OPT_IN) | dict.fromkeys(change.off, OPT_OUT)
        topics = [{"id": id_, "subscription": states[id_]} for id_ in sorted(states)]
        answer = client.session.find(
            "PATCH", _TOPICS, path_params={"address": change.address}, body={"topics": topics}
        )
        if answer is None:
            if not (change.off and self.config.create_contacts):
                return {change.ref: runtime.absent()}
            body = {"email": change.address, "topics": topics}
            answer = client.session.send("POST", "/contacts", body=body)
        rows = answer.parse_member(list[_Row], "topics", or_empty=True)
        changed = {row.id: row.subscription for row in rows}
        if any(changed.get(id_, state) != state for id_, state in states.items()):
            return {}
        return {change.ref: runtime.reflected(answer.status)}

    def fetch_contact(
        self, client: ResendClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """See MappedConnector. What is off by a topic's default is no opt-out."""
        contact = client.get_contact(address)
        if contact is None:
            return None
        if contact.unsubscribed:
            return runtime.RemoteContact(dict.fromkeys(target_ids, _UNSUBSCRIBED))
        states = runtime.list_all(partial(client.list_page, route=_TOPICS, address=address))
        off_ids = {r.id for r in states if r.subscription == OPT_OUT}
        topics = {id_: client.topics[id_] for id_ in off_ids & {*target_ids} & {*client.topics}}
        return runtime.RemoteContact(
            {
                id_: runtime.OffState(OPT_OUT, is_opt_out=topic.default_subscription != OPT_OUT)
                for id_, topic in topics.items()
            }
        )

    def erase_contact(self, client: ResendClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        path_params = {"address": item.address}
        answer = client.session.find("DELETE", _CONTACT, path_params=path_params)
        if answer is None:
            return runtime.absent()
        return runtime.acknowledged(answer.parse_member(bool, "deleted", or_empty=True))

    def holds_contact(self, client: ResendClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return client.get_contact(item.address) is not None

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. The list contains who unsubscribed from all, but no topics."""
        page = self.full_page(cursor, partial(ResendClient.list_page, route="/contacts"))
        return page.expand(self._to_snapshots)

    def _to_snapshots(self, row: _Row) -> Iterator[runtime.ContactSnapshot]:
        if row.email:
            off = frozenset(self.config.topics) if row.unsubscribed else None
            yield runtime.ContactSnapshot(row.email, off=off, all_off=row.unsubscribed)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Contacts who unsubscribed from all, then suppressions with dates.

        Since when a contact has been unsubscribed is not documented.
        """
        return self.full_page(cursor, _list_unsubscribed, _list_suppressed)


def _list_unsubscribed(client: ResendClient, after: str) -> tuple[list[runtime.VendorEvent], str]:
    rows, following = client.list_page(after, route="/contacts")
    kind = runtime.VendorEventKind.OPTED_OUT
    return [
        runtime.VendorEvent(kind, row.email, unsubscribed_from_all=True)
        for row in rows
        if row.unsubscribed and row.email
    ], following


def _list_suppressed(client: ResendClient, after: str) -> tuple[list[runtime.VendorEvent], str]:
    rows, following = client.list_page(
        after, route="/suppressions", allowed_statuses=_UNAVAILABLE_STATUSES
    )
    return [
        runtime.VendorEvent(
            kind,
            row.email,
            occurred_at=row.created_at,
            by_person=kind is runtime.VendorEventKind.COMPLAINED,
        )
        for row in rows
        if (kind := _EVENT_KIND_BY_ORIGIN.get(row.origin)) and row.email
    ], following


SPEC = runtime.ConnectorSpec.of(
    Resend,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description 1.5.0 of 2026-08-21",
    secrets={"api_key"},
    sources=(
        f"{_DOCS}/dashboard/contacts/manage-topics",
        f"{_DOCS}/api-reference/contacts/update-contact-topics",
        f"{_DOCS}/api-reference/contacts/delete-contact",
        f"{_DOCS}/api-reference/rate-limit",
        "https://github.com/resend/resend-openapi",
        f"{_DOCS}/webhooks/verify-webhooks-requests",
        f"{_DOCS}/webhooks/event-types",
    ),
    build_webhook_only=runtime.build_webhook_only("resend", ResendWebhookSource),
    notes=(
        "Map each topic to the id of a topic of Resend.",
        "A broadcast without a topic goes to all who did not unsubscribe from all: name one.",
        "Who unsubscribed from all gets nothing there until subscribed again in Resend, too.",
        "What they opt in to on our page meanwhile counts everywhere else.",
        "The limit is that of the team: set a lower `rate` if emails are sent by the API too.",
    ),
    open_points=(
        (
            "Not documented: what a topic that is gone is answered (assumed: an unknown "
            "contact's 404, so topics are listed first), and how an account without suppressions "
            "by API is answered (403, 404 and 422 are read as none)."
        ),
        (
            "Who unsubscribed from all has no date: it counts from when it was found, and again "
            "only once it was over ([decision 36](decisions/0036-reported-dates-and-switches.md))."
        ),
    ),
)
