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
from preference_center.integrations.base.mapped_connector import MappedConnector
from preference_center.integrations.base.paging import next_full_page
from preference_center.integrations.base.pydantic_types import IsoDatetime
from preference_center.integrations.base.rate_limit import parse_reset_headers
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import ConnectorRules, Target, TargetChange
from preference_center.integrations.base.webhook_only import build_webhook_only
from preference_center.integrations.mailersend.webhook import MailerSendWebhookSource

_SUPPRESSIONS = "/v1/suppressions/{list}"
UNSUBSCRIBES = "unsubscribes"
EVENT_KIND_BY_LIST = {
    UNSUBSCRIBES: VendorEventKind.OPTED_OUT,
    "spam-complaints": VendorEventKind.COMPLAINED,
    "hard-bounces": VendorEventKind.BOUNCED,
}
_DOCS = "https://developers.mailersend.com"


class _Recipient(BaseModel):
    email: str | None = None


class _MailerSendRow(_Recipient):
    """One row of any listing. A suppression's address is in `recipient`."""

    id: str | None = None
    name: str | None = None
    recipient: _Recipient | None = None
    created_at: IsoDatetime = None
    deleted_at: IsoDatetime = None


class _Links(BaseModel):
    next: str | None = None


class _MailerSendRows(BaseModel):
    data: list[_MailerSendRow] | None = None
    links: _Links | None = None


_ROWS = TypeAdapter(_MailerSendRows)


class MailerSend(MappedConnector[HttpSession]):
    """One MailerSend account."""

    kind: ClassVar[str] = "mailersend"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=False,
        batch_size=500,
        # https://developers.mailersend.com/general.html; a plan's daily quota comes on top.
        rate_limit=RateLimit(60, 60),
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_token": "an API token that may read domains, and read and write recipients",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="domain",
        credentials_hint="the API token and what it may access",
        group_size=100,  # No limit is documented.
        by_target=True,
    )

    def open_client(self) -> AbstractContextManager[HttpSession]:
        """See MappedConnector."""
        settings = self.config.settings
        return self.http.session(
            self.config.name,
            settings.get("base_url", "https://api.mailersend.com"),
            headers={"Authorization": f"Bearer {settings['api_token']}"},
            rate_limit_headers=parse_reset_headers(
                "x-ratelimit-remaining", "x-ratelimit-reset", epoch=True
            ),
        )

    def list_targets(self, client: HttpSession) -> Iterator[Target]:
        """See MappedConnector."""
        token = ""
        while True:
            rows, token = _fetch_page(client, "/v1/domains", token)
            yield from (Target(row.id, row.name or "") for row in rows if row.id)
            if not token:
                return

    def find_problems(self, client: HttpSession) -> Iterator[str]:  # noqa: ARG002 - nothing to ask for
        """See MappedConnector."""
        if self.config.sends_service:
            yield (
                "who unsubscribes from a domain gets no service mail from it: send service mail "
                "from a domain that is not mapped, and set this up without --sends-service (I10)"
            )

    def write_changes(
        self, client: HttpSession, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector. All of a request are accepted, or none."""
        (domain,) = changes[0].off
        body = {"domain_id": domain, "recipients": [change.address for change in changes]}
        answer = client.send("POST", _SUPPRESSIONS, path_params={"list": UNSUBSCRIBES}, body=body)
        answer.parse(_ROWS)  # not what it lists: nothing is said of those who are there already
        return {
            change.ref: PushOutcome(PushResult.REFLECTED, str(answer.status)) for change in changes
        }

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable. Who was ever sent something from a mapped domain."""
        with self.open_client() as client:
            return next_full_page(
                cursor, [partial(_list_recipients, client, id_) for id_ in self._domain_ids()]
            )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. It is not shown who said it, so our own entries are among them."""
        with self.open_client() as client:
            return next_full_page(
                cursor,
                [
                    partial(_list_suppressions, client, d, list_)
                    for d in self._domain_ids()
                    for list_ in EVENT_KIND_BY_LIST
                ],
            )

    def _domain_ids(self) -> list[str]:
        return sorted(set(self.config.topics.values()))


def _fetch_page(
    client: HttpSession, route: str, page: str, *, domain: str = "", list_: str = ""
) -> tuple[Sequence[_MailerSendRow], str]:
    """The rows of a page by its number, "" for the first, and the next one's, "" at the end."""
    number = page or "1"
    query = {"page": number, "limit": "100"} | ({"domain_id": domain} if domain else {})
    found = client.send("GET", route, path_params={"list": list_}, query=query).parse(_ROWS)
    more = found.links is not None and found.links.next is not None
    return found.data or (), str(int(number) + 1) if more and found.data else ""


def _list_recipients(
    client: HttpSession, domain: str, page: str
) -> tuple[list[ContactSnapshot], str]:
    rows, following = _fetch_page(client, "/v1/recipients", page, domain=domain)
    return [
        ContactSnapshot(row.email) for row in rows if row.email and not row.deleted_at
    ], following


def _list_suppressions(
    client: HttpSession, domain: str, list_: str, page: str
) -> tuple[list[VendorEvent], str]:
    rows, following = _fetch_page(client, _SUPPRESSIONS, page, domain=domain, list_=list_)
    kind = EVENT_KIND_BY_LIST[list_]
    target = domain if kind is VendorEventKind.OPTED_OUT else None
    return [
        VendorEvent(kind, row.recipient.email, target, occurred_at=row.created_at)
        for row in rows
        if row.recipient and row.recipient.email
    ], following


SPEC = ConnectorSpec(
    kind=MailerSend.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="MailerSend's API reference, read on 2026-11-27",
    capabilities=MailerSend.capabilities,
    own_settings=MailerSend.settings,
    secret_settings=frozenset({"api_token"}),
    sources=(
        f"{_DOCS}/api/v1/recipients.html",
        f"{_DOCS}/api/v1/domains.html",
        f"{_DOCS}/general.html",
        "https://github.com/mailersend/mailersend-python",
        f"{_DOCS}/api/v1/webhooks.html",
    ),
    build=MailerSend,
    build_webhook_only=build_webhook_only("mailersend", MailerSendWebhookSource),
    notes=(
        "Map each topic to the id of a domain that sends nothing but this topic.",
        "What its webhook reports counts for all marketing; what is listed, for the domain.",
        "To let somebody back in, delete the entry in MailerSend by hand.",
    ),
)
