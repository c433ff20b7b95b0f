"""This connector maps a topic to an unsubscribe group (ASM) of SendGrid.

https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions
The global unsubscribe list is never written: it would stop service mail too (I10, F2). What is
added to a group that is gone lands there, so groups are listed before each push. Suppressions
are kept without contacts: nobody is absent.

`pull_page` lists the opt-outs, complaints and hard bounces that SendGrid knows of:
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions/retrieve-all-suppressions
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-global-suppressions/retrieve-all-global-suppressions
All lists are paged by `limit` and `offset`, and asked for what came since the last pass
(`start_time`); once a day they are read from the beginning. For the list of groups neither is
documented, though both are served (github.com/sendgrid/docs/issues/5178), so nothing here
relies on them: a page that repeats the one before ends the list, one that is longer than asked
for is all there is, and an old row in answer to `start_time` leaves the rest to the next whole
pass.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from preference_center.integrations.base import runtime
from preference_center.integrations.base.runtime import VendorEvent, VendorEventKind
from preference_center.integrations.base.webhook import parse_epoch
from preference_center.integrations.sendgrid import client as erasure
from preference_center.integrations.sendgrid.client import (
    LOST_STATUSES,
    MAX_FILE_BYTES,
    scan_page,
    write_field,
)

PAGE_SIZE = 500
"""The most that SendGrid gives of a list at a time."""


REQUESTS_PER_PAGE = 10


MAX_ROWS_PER_PAGE = 10_000
"""Rows taken at a time of an answer that has all there is, whatever the `limit`."""


MAX_LIST_BYTES = 500_000_000
"""Bytes; some four million suppressions."""


OVERLAP = timedelta(hours=1)
"""How far a pass reaches back before the last one began."""


FULL_PASS_INTERVAL = timedelta(days=1)


_GROUP_SUPPRESSIONS = "asm/suppressions"


_EVENT_KIND_BY_LIST = {
    _GROUP_SUPPRESSIONS: VendorEventKind.OPTED_OUT,
    "suppression/unsubscribes": VendorEventKind.OPTED_OUT,
    "suppression/spam_reports": VendorEventKind.COMPLAINED,
    "suppression/bounces": VendorEventKind.BOUNCED,
}


_LISTS = tuple(_EVENT_KIND_BY_LIST)


class _SuppressionRow(runtime.LenientModel):
    email: str = ""
    group_id: int | None = None
    created_at: int | None = None
    """What the list of groups calls `created`."""
    created: int | None = None
    status: str = ""
    reason: str = ""

    @property
    def timestamp(self) -> int | None:
        return self.created if self.created_at is None else self.created_at


@dataclass(frozen=True, slots=True)
class _SuppressionCursor:
    """Where a pass is: which list, and how many of its rows were read. Seconds since 1970."""

    until: int
    """When the pass began."""
    full_pass_at: int = 0
    """When the last whole pass began; 0 for never."""
    since: int = 0
    """What came before it is not asked for; 0 for a whole pass."""
    list_index: int = 0
    offset: int = 0
    is_unpaged: bool = False
    last_fingerprint: str = ""
    """Fingerprint of the page before, by a key: a cursor reveals nothing of an address."""

    def next_pass(self, now: int) -> _SuppressionCursor:
        """The next pass: a whole one once a day."""
        if now - self.full_pass_at >= FULL_PASS_INTERVAL.total_seconds():
            return _SuppressionCursor(now, self.full_pass_at, 0)
        return _SuppressionCursor(now, self.full_pass_at, self.until - int(OVERLAP.total_seconds()))

    def next_list(self) -> _SuppressionCursor:
        """The beginning of the next list."""
        whole_at = self.full_pass_at if self.since else self.until
        return _SuppressionCursor(self.until, whole_at, self.since, self.list_index + 1)


def pull_page(
    session: runtime.Session,
    cursor: str | None,
    groups: Collection[str],
    now: datetime,
    secret: str,
) -> runtime.EventPage:
    """The next of them; see SupportsPull. `groups` are those that topics are mapped to."""
    position = _first_position(cursor, int(now.timestamp()))
    events: list[VendorEvent] = []
    done = False
    for _ in range(REQUESTS_PER_PAGE):
        name = _LISTS[position.list_index]
        rows, position = _fetch_rows(session, name, position, secret)
        events += [event for row in rows for event in _to_vendor_events(name, row, groups)]
        done = position.list_index == len(_LISTS)
        if done or position.is_unpaged:
            break
    return runtime.ContactPage(tuple(events), runtime.encode_cursor(position), done=done)


def _first_position(cursor: str | None, now: int) -> _SuppressionCursor:
    position = runtime.decode_cursor(_SuppressionCursor, cursor) or _SuppressionCursor(now)
    return position if position.list_index < len(_LISTS) else position.next_pass(now)


def _fetch_rows(
    session: runtime.Session, list_name: str, cursor: _SuppressionCursor, secret: str
) -> tuple[Sequence[_SuppressionRow], _SuppressionCursor]:
    """The next rows of a list, and where to go on."""
    start = 0 if cursor.is_unpaged else cursor.offset
    query = {"limit": str(PAGE_SIZE), "offset": str(start)}
    if cursor.since:
        query["start_time"] = str(cursor.since)
    answer = session.send("GET", f"/v3/{list_name}", query=query, max_bytes=MAX_LIST_BYTES)
    rows = answer.parse(list[_SuppressionRow])
    if len(rows) > PAGE_SIZE:
        return _slice_rows(rows, cursor)
    fingerprint = _fingerprint(rows, secret)
    if not rows or fingerprint == cursor.last_fingerprint:
        return (), cursor.next_list()
    if any(row.timestamp is not None and row.timestamp < cursor.since for row in rows):
        return rows, cursor.next_list()
    offset = cursor.offset + len(rows)
    return rows, replace(cursor, offset=offset, last_fingerprint=fingerprint)


def _slice_rows(
    rows: Sequence[_SuppressionRow], cursor: _SuppressionCursor
) -> tuple[Sequence[_SuppressionRow], _SuppressionCursor]:
    """Some of a response that has them all; sorted, so that an index means the same again."""
    start = cursor.offset if cursor.is_unpaged else 0
    known = sorted(rows, key=lambda row: (row.timestamp or 0, row.email, row.group_id or 0))
    part, following = known[start : start + MAX_ROWS_PER_PAGE], start + MAX_ROWS_PER_PAGE
    if following >= len(known):
        return part, cursor.next_list()
    return part, replace(cursor, offset=following, is_unpaged=True)


def _fingerprint(rows: Sequence[_SuppressionRow], secret: str) -> str:
    text = "\n".join(f"{row.email} {row.group_id} {row.timestamp}" for row in rows)
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()[:16]


def _to_vendor_events(
    list_name: str, row: _SuppressionRow, groups: Collection[str]
) -> Iterator[VendorEvent]:
    """Nothing of a row without an address, or of a group that no topic is mapped to."""
    kind, of_groups = _EVENT_KIND_BY_LIST[list_name], list_name == _GROUP_SUPPRESSIONS
    if row.email and (not of_groups or str(row.group_id) in groups):
        target = str(row.group_id) if of_groups else None
        is_bounce = kind is VendorEventKind.BOUNCED
        bounce = runtime.Bounce(row.status, diagnostic=row.reason) if is_bounce else None
        yield VendorEvent(kind, row.email, target, parse_epoch(row.timestamp), bounce=bounce)


LIFTS_PER_PUSH = 50
"""A lift is a request of its own: more would not end inside a lease."""


PERMISSIONS = (
    "asm.groups.read",
    "asm.groups.suppressions.create",
    "asm.groups.suppressions.read",
    "asm.groups.suppressions.delete",
)


READ_PERMISSIONS = (
    "suppression.unsubscribes.read",
    "suppression.spam_reports.read",
    "suppression.bounces.read",
    "marketing.read",
)


FIELD_PERMISSION = "marketing.update"


ERASE_PERMISSION = "recipients.erasejob.create"


_DOCS = "https://www.twilio.com/docs/sendgrid/api-reference"


_SUPPRESSIONS = "/v3/asm/groups/{group}/suppressions"


_IS_OFF = runtime.OffState("suppressed")


class _SendGridGroup(runtime.LenientModel):
    id: int
    name: str = ""


class SendGrid(
    runtime.ReadableConnector[runtime.Session], runtime.ErasingConnector[runtime.Session]
):
    """One SendGrid account or subuser."""

    kind = "sendgrid"
    erase_group_size = 1_000
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        checks_permissions=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="SendGrid erases names, address, subject lines, categories and IP addresses, "
        f"which takes the right {ERASE_PERMISSION} (SendGrid's support enables it in older "
        "accounts). It doesn't report its end: after two days the unsubscribe groups are written "
        "again, in case.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": f"an API key with the rights {', '.join(PERMISSIONS)}; to read what people did "
        f"there also {', '.join(READ_PERMISSIONS)}, marketing.update to write their fields, and "
        f"{ERASE_PERMISSION} to erase people",
        "base_url?": "https://api.eu.sendgrid.com for EU subusers",
        "on_behalf_of?": "user name of the subuser, if the key is its parent's",
    }
    rules = runtime.ConnectorRules(
        target_noun="unsubscribe group",
        credentials_hint="the API key and its rights",
        api_url="https://api.sendgrid.com",
        bearer_setting="api_key",
        # https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
        rate_limit_headers=runtime.X_RATELIMIT_HEADERS,
        numeric_ids=True,
        group_size=1_000,  # The API states no limit for `recipient_emails`.
        by_target=True,
        lift_group_size=1,
        max_lifts=LIFTS_PER_PUSH,
        target_check=runtime.TargetCheck.ALWAYS,
    )

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        subuser = self.config.settings.get("on_behalf_of")
        return {**super().headers(), **({"on-behalf-of": subuser} if subuser else {})}

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for group in client.send("GET", "/v3/asm/groups").parse(list[_SendGridGroup]):
            yield runtime.Target(str(group.id), group.name)

    def find_permissions(self, client: runtime.Session) -> Iterator[runtime.Permission]:
        """See ApiConnector."""
        granted = client.send("GET", "/v3/scopes").parse_member(list[str], "scopes")
        add = "add it to the API key"
        for name in PERMISSIONS:
            yield runtime.Permission(name, "turn topics off and on", name in granted, add)
        for name in READ_PERMISSIONS:
            use = "read what people did there"
            yield runtime.Permission(name, use, name in granted, add, is_required=False)
        name, use = ERASE_PERMISSION, "erase people"
        yield runtime.Permission(name, use, name in granted, add, is_required=False)
        if self.config.contact_fields:
            name = FIELD_PERMISSION
            yield runtime.Permission(name, "write fields of contacts", name in granted, add)

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. The response may leave out those who were there before."""
        group = changes[0].target
        if changes[0].on:
            return {changes[0].ref: _lift(client, group, changes[0].address)}
        addresses = [change.address for change in changes]
        body = {"recipient_emails": addresses}
        answer = client.send("POST", _SUPPRESSIONS, path_params={"group": group}, body=body)
        added = answer.parse_member(list[str], "recipient_emails", or_empty=True)
        held = {email.casefold() for email in added}
        if any(address.casefold() not in held for address in addresses):
            held |= _find_suppressed(client, group, addresses)
        return {
            change.ref: runtime.acknowledged(change.address.casefold() in held, "201")
            for change in changes
        }

    def fetch_contacts(
        self, client: runtime.Session, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, runtime.RemoteContact]:
        """See MappedConnector. A request for each group."""
        held = {id_: _find_suppressed(client, id_, addresses) for id_ in sorted(target_ids)}
        return {
            address: runtime.RemoteContact(
                {id_: _IS_OFF for id_, emails in held.items() if address.casefold() in emails}
            )
            for address in addresses
        }

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan: marketing contacts."""
        with self.open_client() as client:
            return scan_page(
                client, self._download, cursor, self.http.now(), self.config.link_field
            )

    def _download(self, url: str) -> runtime.Response:
        """A file of an export. Its host is another, and must not be sent the API key."""
        parts = urlsplit(url)
        with self.http.session(self.config.name, f"{parts.scheme}://{parts.netloc}") as session:
            return session.send(
                "GET",
                "/{file}",
                raw_path=f"{parts.path}?{parts.query}",
                allowed_statuses=LOST_STATUSES,
                max_bytes=MAX_FILE_BYTES,
            )

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull: groups, the global list, spam reports and hard bounces."""
        groups, secret = frozenset(self.config.topics.values()), self.config.settings["api_key"]
        with self.open_client() as client:
            return pull_page(client, cursor, groups, self.http.now(), secret)

    def erase_group(self, client: runtime.Session, items: runtime.EraseItems) -> runtime.Outcomes:
        """See ErasingConnector. Those whose job is over are suppressed again."""
        new = [item for item in items if not item.job]
        over = [item for item in items if item.job]
        groups = set(self.config.topics.values()) if over else set()
        outcomes: dict[int, runtime.PushOutcome] = {}
        self.ensure_targets(client, groups)
        for changes in erasure.suppression_changes(over, groups):
            for ref, outcome in self.write_changes(client, changes).items():
                outcomes[ref] = runtime.worst(outcome, outcomes.get(ref, outcome))
        return {**outcomes, **erasure.start_job(client, new)} if new else outcomes

    def holds_contact(self, client: runtime.Session, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return erasure.has_contact(client, item.address)

    def write_field(self, field: str, batch: runtime.FieldItems) -> runtime.Outcomes:
        """See SupportsContactFields: `field` is a custom field's name."""
        if not batch:
            return {}
        with self.open_client() as client:
            return write_field(client, field, batch)


def _lift(client: runtime.Session, group: str, address: str) -> runtime.PushOutcome:
    # 404: it was not suppressed, which is what is wanted.
    answer = client.send(
        "DELETE",
        f"{_SUPPRESSIONS}/{{email}}",
        path_params={"group": group, "email": address},
        allowed_statuses={404},
    )
    return runtime.reflected(answer.status)


def _find_suppressed(client: runtime.Session, group: str, addresses: Sequence[str]) -> set[str]:
    """Those of `addresses` that are in a group, casefolded."""
    body = {"recipient_emails": addresses}
    route = f"{_SUPPRESSIONS}/search"
    answer = client.send("POST", route, path_params={"group": group}, body=body)
    return {email.casefold() for email in answer.parse(list[str])}


SPEC = runtime.ConnectorSpec.of(
    SendGrid,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of 2026-01-22",
    secrets={"api_key"},
    sources=(
        f"{_DOCS}/suppressions-suppressions",
        f"{_DOCS}/suppressions-unsubscribe-groups",
        f"{_DOCS}/api-key-permissions",
        f"{_DOCS}/recipients-data-erasure-api",
    ),
    open_points=(
        (
            "Not documented: the size of `recipient_emails` (we send 1,000); that the list of "
            "group suppressions has pages and heeds `start_time` (it is read whole once a day, "
            "up to 500 MB); what an exported file holds; that marketing.read allows an export "
            "(if not, contacts are searched for); `contact_id LIKE 'a%'`, for more than 50 "
            "contacts of one second."
        ),
        "A group deleted between our look and our write leads to the global list.",
        "Lifts are one request each, 50 a push.",
    ),
)
