"""MailerSend: a topic is a sending domain, which sends nothing else.

https://developers.mailersend.com/api/v1/recipients.html
Who is on a domain's unsubscribe list gets nothing from that domain, service mail included: it
is written only where no service mail goes through the account (I10). An entry can be deleted
by its id only, which only the whole list shows: nothing is lifted or read back. There are no
contacts, so nobody is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

from pydantic import BaseModel, TypeAdapter

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.cursors import sweep
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.mapped_connector import MappedConnector
from preference_center.integrations.base.pydantic_types import Moment
from preference_center.integrations.base.rate_limit import reset_headers
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.targets import Change, Rules, Target
from preference_center.integrations.base.webhook_only import Listener

_SUPPRESSIONS = "/v1/suppressions/{list}"
UNSUBSCRIBES = "unsubscribes"
LISTS = {
    UNSUBSCRIBES: NewsKind.OPTED_OUT,
    "spam-complaints": NewsKind.COMPLAINED,
    "hard-bounces": NewsKind.BOUNCED,
}
_DOCS = "https://developers.mailersend.com"


class _Recipient(BaseModel):
    email: str | None = None


class _Row(_Recipient):
    """One row of any listing. A suppression's address is in `recipient`."""

    id: str | None = None
    name: str | None = None
    recipient: _Recipient | None = None
    created_at: Moment = None
    deleted_at: Moment = None


class _Links(BaseModel):
    next: str | None = None


class _Rows(BaseModel):
    data: list[_Row] | None = None
    links: _Links | None = None


_ROWS = TypeAdapter(_Rows)


class MailerSend(MappedConnector[Session]):
    """One MailerSend account."""

    kind: ClassVar[str] = "mailersend"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=False,
        batch_size=500,
        # https://developers.mailersend.com/general.html; a plan's daily quota comes on top.
        rate=Rate(60, 60),
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_token": "an API token that may read domains, and read and write recipients",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[Rules] = Rules(
        target="domain",
        credentials="the API token and what it may access",
        group=100,  # No limit is documented.
        by_target=True,
    )

    def open(self) -> AbstractContextManager[Session]:
        """See MappedConnector."""
        settings = self.setup.settings
        return self.http.session(
            self.setup.name,
            settings.get("base_url", "https://api.mailersend.com"),
            headers={"Authorization": f"Bearer {settings['api_token']}"},
            heard=reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True),
        )

    def targets(self, client: Session) -> Iterator[Target]:
        """See MappedConnector."""
        token = ""
        while True:
            rows, token = _page(client, "/v1/domains", token)
            yield from (Target(row.id, row.name or "") for row in rows if row.id)
            if not token:
                return

    def faults(self, client: Session) -> Iterator[str]:  # noqa: ARG002 - nothing to ask for
        """See MappedConnector."""
        if self.setup.sends_service:
            yield (
                "who unsubscribes from a domain gets no service mail from it: send service mail "
                "from a domain that is not mapped, and set this up without --sends-service (I10)"
            )

    def write(self, client: Session, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector. All of a request are accepted, or none."""
        (domain,) = changes[0].off
        body = {"domain_id": domain, "recipients": [change.address for change in changes]}
        answer = client.send("POST", _SUPPRESSIONS, holes={"list": UNSUBSCRIBES}, body=body)
        answer.parse(_ROWS)  # not what it lists: nothing is said of those who are there already
        return {change.ref: Outcome(Result.REFLECTED, str(answer.status)) for change in changes}

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. Who was ever sent something from a mapped domain."""
        with self.open() as client:
            return sweep(cursor, [partial(_recipients, client, id_) for id_ in self._domains()])

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. It is not shown who said it, so our own entries are among them."""
        with self.open() as client:
            return sweep(
                cursor,
                [
                    partial(_suppressed, client, d, list_)
                    for d in self._domains()
                    for list_ in LISTS
                ],
            )

    def _domains(self) -> list[str]:
        return sorted(set(self.setup.topics.values()))


def _page(
    client: Session, route: str, page: str, *, domain: str = "", list_: str = ""
) -> tuple[Sequence[_Row], str]:
    """The rows of a page by its number, "" for the first, and the next one's, "" at the end."""
    number = page or "1"
    query = {"page": number, "limit": "100"} | ({"domain_id": domain} if domain else {})
    found = client.send("GET", route, holes={"list": list_}, query=query).parse(_ROWS)
    more = found.links is not None and found.links.next is not None
    return found.data or (), str(int(number) + 1) if more and found.data else ""


def _recipients(client: Session, domain: str, page: str) -> tuple[list[Seen], str]:
    rows, following = _page(client, "/v1/recipients", page, domain=domain)
    return [Seen(row.email) for row in rows if row.email and not row.deleted_at], following


def _suppressed(client: Session, domain: str, list_: str, page: str) -> tuple[list[News], str]:
    rows, following = _page(client, _SUPPRESSIONS, page, domain=domain, list_=list_)
    kind = LISTS[list_]
    target = domain if kind is NewsKind.OPTED_OUT else None
    return [
        News(kind, row.recipient.email, target, at=row.created_at)
        for row in rows
        if row.recipient and row.recipient.email
    ], following


ENTRY = Entry(
    kind=MailerSend.kind,
    title="MailerSend",
    proof=Proof.DOCUMENTATION,
    against="MailerSend's API reference, read on 2026-11-27",
    capabilities=MailerSend.capabilities,
    own_settings=MailerSend.settings,
    secrets=frozenset({"api_token"}),
    sources=(
        f"{_DOCS}/api/v1/recipients.html",
        f"{_DOCS}/api/v1/domains.html",
        f"{_DOCS}/general.html",
        "https://github.com/mailersend/mailersend-python",
        f"{_DOCS}/api/v1/webhooks.html",
    ),
    build=MailerSend,
    listen=partial(Listener, "mailersend", ".+"),
    notes=(
        "Map each topic to the id of a domain that sends nothing but this topic.",
        "What its webhook reports counts for all marketing; what is listed, for the domain.",
        "To let somebody back in, delete the entry in MailerSend by hand.",
    ),
)
