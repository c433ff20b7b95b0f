"""SendGrid: a topic is an unsubscribe group (ASM).

https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions
The global unsubscribe list is never written: it would stop service mail too (I10, F2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent
from preference_center.integrations.base.batching import PushStep, deferred, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport, Permission
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession, Response
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.base.rate_limit import parse_reset_headers
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.sendgrid.contacts import scan_page, write_links
from preference_center.integrations.sendgrid.export import LOST_STATUSES, MAX_FILE_BYTES
from preference_center.integrations.sendgrid.suppressions import pull_page

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
LINK_PERMISSION = "marketing.update"
# https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
_RATE_LIMIT_HEADERS = parse_reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
_DOCS = "https://www.twilio.com/docs/sendgrid/api-reference"
_SUPPRESSIONS = "/v3/asm/groups/{group}/suppressions"


class _SendGridGroup(LenientModel):
    id: int
    name: str = ""


class _AddedRecipients(LenientModel):
    recipient_emails: Sequence[str] = ()


class _ScopesResponse(BaseModel):
    scopes: list[str]


_GROUPS = TypeAdapter(list[_SendGridGroup])
_ADDED = TypeAdapter(_AddedRecipients)
_SCOPES = TypeAdapter(_ScopesResponse)
_EMAILS = TypeAdapter(list[str])


class SendGrid:
    """One SendGrid account or subuser."""

    kind: ClassVar[str] = "sendgrid"
    # The API states no limit for `recipient_emails`; 1,000 is ours.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        checks_permissions=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": f"an API key with the rights {', '.join(PERMISSIONS)}; to read what people did "
        f"there also {', '.join(READ_PERMISSIONS)}, and marketing.update to write links",
        "base_url?": "https://api.eu.sendgrid.com for EU subusers",
        "on_behalf_of?": "user name of the subuser, if the key is its parent's",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    def _open_session(self) -> HttpSession:
        settings = self._config.settings
        headers = {"Authorization": f"Bearer {settings['api_key']}"}
        if subuser := settings.get("on_behalf_of"):
            headers["on-behalf-of"] = subuser
        base_url = settings.get("base_url", "https://api.sendgrid.com")
        return self._http.session(
            self._config.name, base_url, headers=headers, rate_limit_headers=_RATE_LIMIT_HEADERS
        )

    def check(self) -> CheckReport:
        """See Connector. Also says which groups no topic maps to."""
        problems = list(mapping_problems(self._config, "unsubscribe group"))
        try:
            with self._open_session() as session:
                rights = session.send("GET", "/v3/scopes").parse(_SCOPES).scopes
                groups = self._groups(session)
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check the API key and its rights"))
        problems += [
            f"topic {topic} is mapped to group {group}, which the account has not: "
            "map it to a group that exists"
            for topic, group in sorted(self._config.topics.items())
            if group.isdigit() and int(group) not in groups
        ]
        mapped = set(self._config.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in groups.items() if str(id_) not in mapped]
        return CheckReport(tuple(problems), tuple(unmapped)).with_permissions(
            self._list_permissions(rights)
        )

    def _list_permissions(self, granted: Collection[str]) -> Iterator[Permission]:
        add = "add it to the API key"
        for name in PERMISSIONS:
            yield Permission(name, "turn topics off and on", name in granted, add)
        for name in READ_PERMISSIONS:
            use = "read what people did there"
            yield Permission(name, use, name in granted, add, is_required=False)
        if self._config.link_field:
            yield Permission(LINK_PERMISSION, "write links", LINK_PERMISSION in granted, add)

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go first, a group at a time; then lifts, one by one."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with self._open_session() as session:
            self._ensure_groups(session, batch)
            return run_steps(
                batch,
                [
                    *self._build_opt_out_steps(session, batch),
                    *self._build_lift_steps(session, batch),
                ],
            )

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. SendGrid keeps suppressions without contacts: none is absent."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        off: dict[int, set[str]] = {item.ref: set() for item in batch}
        with self._open_session() as session:
            for topic, group in self._config.topics.items():
                suppressed = self._find_suppressed(session, group, [item.address for item in batch])
                for item in batch:
                    if item.address.casefold() in suppressed:
                        off[item.ref].add(topic)
        return {ref: frozenset(topics) for ref, topics in off.items()}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See Scannable: marketing contacts."""
        with self._open_session() as session:
            now, field = self._http.now(), self._config.link_field
            return scan_page(session, self._download, cursor, now, field)

    def _download(self, url: str) -> Response:
        """A file of an export. Its host is another, and must not be sent the API key."""
        whole = urlsplit(url)
        with self._http.session(self._config.name, f"{whole.scheme}://{whole.netloc}") as session:
            exact = f"{whole.path}?{whole.query}"
            return session.send(
                "GET",
                "/{file}",
                raw_path=exact,
                allowed_statuses=LOST_STATUSES,
                max_bytes=MAX_FILE_BYTES,
            )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable: groups, the global list, spam reports and hard bounces."""
        with self._open_session() as session:
            groups, secret = (
                frozenset(self._config.topics.values()),
                self._config.settings["api_key"],
            )
            return pull_page(session, cursor, groups, self._http.now(), secret)

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See Fieldable: `link_field` is a custom field's name."""
        field = self._config.link_field
        if not batch or field is None:
            return {}
        with self._open_session() as session:
            return write_links(session, batch, field)

    def _groups(self, session: HttpSession) -> dict[int, str]:
        answer = session.send("GET", "/v3/asm/groups").parse(_GROUPS)
        return {group.id: group.name for group in answer}

    def _ensure_groups(self, session: HttpSession, batch: Sequence[PushItem]) -> None:
        """Raise DeliveryError (permanent) when a group is gone.

        What is added to it would land on the *global* list, says the API reference (I10).
        """
        groups = self._groups(session)
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        gone = sorted(t for t in named if int(self._config.topics[t]) not in groups)
        if gone:
            raise DeliveryError(
                f"{self._config.name}: the groups of {', '.join(gone)} are gone: map them again",
                permanent=True,
            )

    def _build_opt_out_steps(
        self, session: HttpSession, batch: Sequence[PushItem]
    ) -> list[PushStep]:
        steps = []
        for topic in sorted(set().union(*(item.off for item in batch))):
            items = [item for item in batch if topic in item.off]
            call = partial(self._turn_off, session, self._config.topics[topic], items)
            steps.append(PushStep(tuple(item.ref for item in items), call))
        return steps

    def _turn_off(
        self, session: HttpSession, group: str, items: Sequence[PushItem]
    ) -> Mapping[int, PushOutcome]:
        def add(part: Sequence[PushItem]) -> set[str]:
            addresses = [item.address for item in part]
            answer = session.send(
                "POST",
                _SUPPRESSIONS,
                path_params={"group": group},
                body={"recipient_emails": addresses},
            )
            held = {email.casefold() for email in answer.parse(_ADDED).recipient_emails}
            if any(address.casefold() not in held for address in addresses):
                # The answer may leave out those that were there before: look.
                held |= self._find_suppressed(session, group, addresses)
            return held

        outcomes = {
            item.ref: PushOutcome(PushResult.REFUSED, f"group {group}: 400") for item in items
        }
        for part, held in send_bisecting(items, add):
            for item in part:
                known = item.address.casefold() in held
                outcomes[item.ref] = PushOutcome(
                    PushResult.REFLECTED if known else PushResult.RETRY_LATER, f"group {group}: 201"
                )
        return outcomes

    def _find_suppressed(
        self, session: HttpSession, group: str, addresses: Sequence[str]
    ) -> set[str]:
        answer = session.send(
            "POST",
            f"{_SUPPRESSIONS}/search",
            path_params={"group": group},
            body={"recipient_emails": addresses},
        )
        return {email.casefold() for email in answer.parse(_EMAILS)}

    def _build_lift_steps(self, session: HttpSession, batch: Sequence[PushItem]) -> list[PushStep]:
        wanted = [(item, topic) for item in batch for topic in sorted(item.lift)]
        return [
            PushStep((item.ref,), partial(self._lift, session, item, topic))
            if number < LIFTS_PER_PUSH
            else PushStep((item.ref,), partial(deferred, item))
            for number, (item, topic) in enumerate(wanted)
        ]

    def _lift(self, session: HttpSession, item: PushItem, topic: str) -> Mapping[int, PushOutcome]:
        group = self._config.topics[topic]
        # 404: it was not suppressed, which is what is wanted.
        answer = session.send(
            "DELETE",
            f"{_SUPPRESSIONS}/{{email}}",
            path_params={"group": group, "email": item.address},
            allowed_statuses={404},
        )
        return {item.ref: PushOutcome(PushResult.REFLECTED, f"group {group}: {answer.status}")}


SPEC = ConnectorSpec(
    kind=SendGrid.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of 2026-01-22",
    capabilities=SendGrid.capabilities,
    own_settings=SendGrid.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/suppressions-suppressions",
        f"{_DOCS}/suppressions-unsubscribe-groups",
        f"{_DOCS}/api-key-permissions",
    ),
    build=SendGrid,
)
