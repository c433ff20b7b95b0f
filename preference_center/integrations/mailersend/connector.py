"""MailerSend: a topic is a sending domain, which sends nothing else.

https://developers.mailersend.com/api/v1/recipients.html
An address on a domain's unsubscribe list gets nothing from that domain, service mail included: it
is written only where no service mail goes through the account (I10). An entry can only be deleted
by its id, which only the whole list contains: nothing is lifted or read back. There are no
contacts, so nobody is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.mailersend.webhook import MailerSendWebhookSource

_SUPPRESSIONS = "/v1/suppressions/{list}"
UNSUBSCRIBES = "unsubscribes"
EVENT_KIND_BY_LIST = {
    UNSUBSCRIBES: runtime.VendorEventKind.OPTED_OUT,
    "spam-complaints": runtime.VendorEventKind.COMPLAINED,
    "hard-bounces": runtime.VendorEventKind.BOUNCED,
}
_DOCS = "https://developers.mailersend.com"


class _Recipient(runtime.LenientModel):
    email: str = ""


class _Row(_Recipient):
    """One row of any listing. A suppression's address is in `recipient`."""

    id: str = ""
    name: str = ""
    recipient: _Recipient = _Recipient()
    created_at: runtime.IsoDatetime = None
    deleted_at: runtime.IsoDatetime = None


class _Links(runtime.LenientModel):
    next: str = ""


class _Rows(runtime.LenientModel):
    data: tuple[_Row, ...] = ()
    links: _Links = _Links()


class MailerSend(runtime.MappedConnector[runtime.Session]):
    """One MailerSend account."""

    kind = "mailersend"
    capabilities = runtime.Capabilities(
        can_lift=False,
        batch_size=500,
        # https://developers.mailersend.com/general.html; a plan's daily quota comes on top.
        rate_limit=runtime.RateLimit(60, 60),
        scans=runtime.ListingMode.FULL,
        erase_note="MailerSend finds a recipient by its own id only: look the address up there "
        "under Recipients, and delete it; leave its suppression. The activity goes by itself when "
        "the days of the plan are over.",
        pulls=runtime.ListingMode.FULL,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_token": "an API token that may read domains, and read and write recipients",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="domain",
        credentials_hint="the API token and what it may access",
        bearer_setting="api_token",
        api_url="https://api.mailersend.com",
        rate_limit_headers=runtime.X_RATELIMIT_HEADERS,
        group_size=100,  # No limit is documented.
        by_target=True,
    )

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for row in runtime.list_all(partial(_fetch_page, client, "/v1/domains")):
            if row.id:
                yield runtime.Target(row.id, row.name)

    def find_problems(self, client: runtime.Session) -> Iterator[str]:  # noqa: ARG002 - nothing to ask for
        """See ApiConnector."""
        if self.config.sends_service:
            yield (
                "who unsubscribes from a domain gets no service mail from it: send service mail "
                "from a domain that is not mapped, and set this up without --sends-service (I10)"
            )

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. All of a request are accepted, or none."""
        body = {
            "domain_id": changes[0].target,
            "recipients": [change.address for change in changes],
        }
        answer = client.send("POST", _SUPPRESSIONS, path_params={"list": UNSUBSCRIBES}, body=body)
        answer.parse(_Rows)  # its rows leave out those that were there already
        return {change.ref: runtime.reflected(answer.status) for change in changes}

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. Everybody who was ever sent an email from a mapped domain."""
        return self.full_page(
            cursor, *(partial(_list_recipients, domain=id_) for id_ in self._domain_ids())
        )

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. It does not contain who made an entry, so ours are among them."""
        sources = (
            partial(_list_suppressions, domain=id_, list_=list_)
            for id_ in self._domain_ids()
            for list_ in EVENT_KIND_BY_LIST
        )
        return self.full_page(cursor, *sources)

    def _domain_ids(self) -> list[str]:
        return sorted(set(self.config.topics.values()))


def _fetch_page(
    client: runtime.Session, route: str, page: str, *, domain: str = "", list_: str = ""
) -> tuple[Sequence[_Row], str]:
    """The rows of a page by its number, "" for the first, and the next one's, "" at the end."""
    number = page or "1"
    query = {"page": number, "limit": "100"} | ({"domain_id": domain} if domain else {})
    rows = client.send("GET", route, path_params={"list": list_}, query=query).parse(_Rows)
    return rows.data, str(int(number) + 1) if rows.links.next and rows.data else ""


def _list_recipients(
    client: runtime.Session, page: str, *, domain: str
) -> tuple[list[runtime.ContactSnapshot], str]:
    rows, following = _fetch_page(client, "/v1/recipients", page, domain=domain)
    return [
        runtime.ContactSnapshot(row.email) for row in rows if row.email and not row.deleted_at
    ], following


def _list_suppressions(
    client: runtime.Session, page: str, *, domain: str, list_: str
) -> tuple[list[runtime.VendorEvent], str]:
    rows, following = _fetch_page(client, _SUPPRESSIONS, page, domain=domain, list_=list_)
    kind = EVENT_KIND_BY_LIST[list_]
    target = domain if kind is runtime.VendorEventKind.OPTED_OUT else None
    return [
        runtime.VendorEvent(kind, row.recipient.email, target, occurred_at=row.created_at)
        for row in rows
        if row.recipient.email
    ], following


SPEC = runtime.ConnectorSpec.of(
    MailerSend,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="MailerSend's API reference, read on 2026-11-27",
    secrets={"api_token"},
    sources=(
        f"{_DOCS}/api/v1/recipients.html",
        f"{_DOCS}/api/v1/domains.html",
        f"{_DOCS}/general.html",
        "https://github.com/mailersend/mailersend-python",
        f"{_DOCS}/api/v1/webhooks.html",
    ),
    build_webhook_only=runtime.build_webhook_only("mailersend", MailerSendWebhookSource),
    notes=(
        "Map each topic to the id of a domain that sends nothing but this topic.",
        "What its webhook reports counts for all marketing; what is listed, for the domain.",
        "To let somebody back in, delete the entry in MailerSend by hand.",
    ),
    open_points=(
        (
            "Not documented: how many addresses fit a request (we send 100), and that one is "
            "accepted again."
        ),
        (
            "An entry is found only by paging through the whole list, at 60 requests a minute: "
            "nothing is lifted or read back. Pages are counted by number: what moves in between "
            "is found at the next sweep."
        ),
    ),
)
