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
from functools import cached_property, partial
from http import HTTPStatus
from typing import ClassVar

from pydantic import BaseModel, TypeAdapter

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.cursors import last_id, sweep
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.pydantic_types import Moment
from preference_center.integrations.base.rate_limit import reset_headers
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.targets import Change, Contact, Hold, Rules, Target
from preference_center.integrations.base.webhook_only import Listener

PAGE = "100"
OFF, ON = "opt_out", "opt_in"
_CONTACT, _TOPICS = "/contacts/{address}", "/contacts/{address}/topics"
_ORIGINS = {
    "complaint": NewsKind.COMPLAINED,
    "bounce": NewsKind.BOUNCED,
    "manual": NewsKind.OPTED_OUT,
}
_NOT_THERE = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
"""What an account is answered that has no suppressions by API: they are in a private beta."""
_UNSUBSCRIBED = Hold("unsubscribed", is_exact=False)
_DOCS = "https://resend.com/docs"


class _Row(BaseModel):
    """One row of any listing: the description requires no field of any."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    unsubscribed: bool | None = None
    subscription: str | None = None
    default_subscription: str | None = None
    origin: str | None = None
    created_at: Moment = None


class _Rows(BaseModel):
    data: list[_Row] | None = None
    has_more: bool | None = None


class _Changed(BaseModel):
    topics: list[_Row] | None = None


_ROW, _ROWS, _CHANGED = TypeAdapter(_Row), TypeAdapter(_Rows), TypeAdapter(_Changed)


@dataclass
class Account:
    """One team of Resend's, for one push or listing."""

    session: Session

    @cached_property
    def topics(self) -> Mapping[str, _Row]:
        """Id -> topic. Each has a default, for contacts that never chose."""
        return {row.id: row for row in self.all_rows("/topics") if row.id}

    def all_rows(self, route: str, address: str = "") -> Iterator[_Row]:
        """All rows of a listing."""
        token = ""
        while True:
            rows, token = self.page(route, token, address=address)
            yield from rows
            if not token:
                return

    def page(
        self, route: str, after: str, *, address: str = "", allow: frozenset[int] = frozenset()
    ) -> tuple[Sequence[_Row], str]:
        """The rows after the row with the id `after`, and the id to go on from, "" at the end."""
        query = {"limit": PAGE} | ({"after": after} if after else {})
        holes = {"address": address}
        answer = self.session.send("GET", route, holes=holes, query=query, allow=allow)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return (), ""
        found = answer.parse(_ROWS)
        rows = found.data or []
        more = rows and (found.has_more or (found.has_more is None and len(rows) == int(PAGE)))
        return rows, last_id(row.id for row in rows) if more else ""


class Resend(ReadableConnector[Account]):
    """One team of Resend's."""

    kind: ClassVar[str] = "resend"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=50,
        # https://resend.com/docs/api-reference/rate-limit, for all keys of the team together.
        rate=Rate(5, 1),
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key with full access; one that may only send is refused",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[Rules] = Rules(
        target="topic", credentials="the API key, which needs full access", group=1, reads=40
    )

    @contextmanager
    def open(self) -> Iterator[Account]:
        """See MappedConnector."""
        settings = self.setup.settings
        with self.http.session(
            self.setup.name,
            settings.get("base_url", "https://api.resend.com"),
            headers={"Authorization": f"Bearer {settings['api_key']}"},
            heard=reset_headers("ratelimit-remaining", "ratelimit-reset", epoch=False),
        ) as session:
            yield Account(session)

    def targets(self, client: Account) -> Iterator[Target]:
        """See MappedConnector."""
        for id_, topic in client.topics.items():
            yield Target(id_, topic.name or "")

    def write(self, client: Account, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector. Topics that a request does not name stay as they are."""
        (change,) = changes
        states = dict.fromkeys(change.on, ON) | dict.fromkeys(change.off, OFF)
        topics = [{"id": id_, "subscription": states[id_]} for id_ in sorted(states)]
        answer = client.session.send(
            "PATCH",
            _TOPICS,
            holes={"address": change.address},
            body={"topics": topics},
            allow={HTTPStatus.NOT_FOUND},
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            if not (change.off and self.setup.create_contacts):
                return {change.ref: Outcome(Result.ABSENT, "404")}
            body = {"email": change.address, "topics": topics}
            answer = client.session.send("POST", "/contacts", body=body)
        changed = {row.id: row.subscription for row in answer.parse(_CHANGED).topics or ()}
        if any(changed.get(id_, state) != state for id_, state in states.items()):
            return {}
        return {change.ref: Outcome(Result.REFLECTED, str(answer.status))}

    def look(
        self, client: Account, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector. What is off by a topic's default is no opt-out."""
        (address,) = addresses
        answer = client.session.send(
            "GET", _CONTACT, holes={"address": address}, allow={HTTPStatus.NOT_FOUND}
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return {address: None}
        if answer.parse(_ROW).unsubscribed:
            return {address: Contact(dict.fromkeys(targets, _UNSUBSCRIBED))}
        held = {
            row.id: Hold(OFF, is_opt_out=client.topics[row.id].default_subscription != OFF)
            for row in client.all_rows(_TOPICS, address)
            if row.subscription == OFF and row.id and row.id in targets and row.id in client.topics
        }
        return {address: Contact(held)}

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. Topics are not listed, but who unsubscribed from all is."""
        everything = frozenset(self.setup.topics)

        def contacts(after: str) -> tuple[list[Seen], str]:
            rows, following = account.page("/contacts", after)
            seen = [
                Seen(
                    row.email,
                    off=everything if row.unsubscribed else None,
                    all_off=row.unsubscribed,
                )
                for row in rows
                if row.email
            ]
            return seen, following

        with self.open() as account:
            return sweep(cursor, [contacts])

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Contacts who unsubscribed from all, then suppressions, with their dates.

        Since when a contact has been unsubscribed is not documented.
        """

        def unsubscribed(after: str) -> tuple[list[News], str]:
            rows, following = account.page("/contacts", after)
            gone = [row.email for row in rows if row.unsubscribed and row.email]
            found = [News(NewsKind.OPTED_OUT, address, all_off=True) for address in gone]
            return found, following

        def suppressed(after: str) -> tuple[list[News], str]:
            rows, following = account.page("/suppressions", after, allow=frozenset(_NOT_THERE))
            return [news for row in rows if (news := _suppression(row))], following

        with self.open() as account:
            return sweep(cursor, [unsubscribed, suppressed])


def _suppression(row: _Row) -> News | None:
    kind = _ORIGINS.get(row.origin or "")
    if kind is None or not row.email:
        return None
    is_complaint = kind is NewsKind.COMPLAINED
    return News(kind, row.email, at=row.created_at, by_person=is_complaint)


ENTRY = Entry(
    kind=Resend.kind,
    title="Resend",
    proof=Proof.DESCRIPTION,
    against="the description 1.5.0 of 2026-08-21",
    capabilities=Resend.capabilities,
    own_settings=Resend.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/dashboard/contacts/manage-topics",
        f"{_DOCS}/api-reference/contacts/update-contact-topics",
        f"{_DOCS}/api-reference/rate-limit",
        "https://github.com/resend/resend-openapi",
        f"{_DOCS}/webhooks/verify-webhooks-requests",
        f"{_DOCS}/webhooks/event-types",
    ),
    build=Resend,
    listen=partial(Listener, "resend", ".+"),
    notes=(
        "Map each topic to the id of a topic of Resend.",
        "A broadcast without a topic goes to all who did not unsubscribe from all: name one.",
        "Who unsubscribed from all gets nothing there until subscribed again in Resend, too.",
        "What they opt in to on our page meanwhile counts everywhere else.",
        "The limit is that of the team: set a lower `rate` if emails are sent by the API too.",
    ),
)
