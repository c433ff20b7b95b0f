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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News
from preference_center.integrations.base.batching import Step, carry_out, not_yet, send_halving
from preference_center.integrations.base.check_report import Report, Right
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Answer, Http, Session
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.base.rate_limit import reset_headers
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.sendgrid.contacts import scan_page, write_links
from preference_center.integrations.sendgrid.export import LONGEST_FILE, LOST
from preference_center.integrations.sendgrid.suppressions import pull_page

LIFTS_PER_PUSH = 50
"""A lift is a request of its own: more would not end inside a lease."""
RIGHTS = (
    "asm.groups.read",
    "asm.groups.suppressions.create",
    "asm.groups.suppressions.read",
    "asm.groups.suppressions.delete",
)
READING_RIGHTS = (
    "suppression.unsubscribes.read",
    "suppression.spam_reports.read",
    "suppression.bounces.read",
    "marketing.read",
)
LINK_RIGHT = "marketing.update"
# https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
_HEARD = reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
_DOCS = "https://www.twilio.com/docs/sendgrid/api-reference"
_SUPPRESSIONS = "/v3/asm/groups/{group}/suppressions"


class _Group(Lenient):
    id: int
    name: str = ""


class _Added(Lenient):
    recipient_emails: Sequence[str] = ()


class _Rights(BaseModel):
    scopes: list[str]


_GROUPS = TypeAdapter(list[_Group])
_ADDED = TypeAdapter(_Added)
_RIGHTS = TypeAdapter(_Rights)
_EMAILS = TypeAdapter(list[str])


class SendGrid:
    """One SendGrid account or subuser."""

    kind: ClassVar[str] = "sendgrid"
    # The API states no limit for `recipient_emails`; 1,000 is ours.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
        tells_rights=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": f"an API key with the rights {', '.join(RIGHTS)}; to read what people did "
        f"there also {', '.join(READING_RIGHTS)}, and marketing.update to write links",
        "base_url?": "https://api.eu.sendgrid.com for EU subusers",
        "on_behalf_of?": "user name of the subuser, if the key is its parent's",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def _session(self) -> Session:
        settings = self._setup.settings
        headers = {"Authorization": f"Bearer {settings['api_key']}"}
        if subuser := settings.get("on_behalf_of"):
            headers["on-behalf-of"] = subuser
        base_url = settings.get("base_url", "https://api.sendgrid.com")
        return self._http.session(self._setup.name, base_url, headers=headers, heard=_HEARD)

    def check(self) -> Report:
        """See Connector. Also says which groups no topic maps to."""
        problems = list(mapping_problems(self._setup, "unsubscribe group"))
        try:
            with self._session() as session:
                rights = session.send("GET", "/v3/scopes").parse(_RIGHTS).scopes
                groups = self._groups(session)
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the API key and its rights"))
        problems += [
            f"topic {topic} is mapped to group {group}, which the account has not: "
            "map it to a group that exists"
            for topic, group in sorted(self._setup.topics.items())
            if group.isdigit() and int(group) not in groups
        ]
        mapped = set(self._setup.topics.values())
        unmapped = [f"{name} ({id_})" for id_, name in groups.items() if str(id_) not in mapped]
        return Report(tuple(problems), tuple(unmapped)).with_rights(self._rights(rights))

    def _rights(self, held: Collection[str]) -> Iterator[Right]:
        add = "add it to the API key"
        for name in RIGHTS:
            yield Right(name, "turn topics off and on", name in held, add)
        for name in READING_RIGHTS:
            use = "read what people did there"
            yield Right(name, use, name in held, add, needed=False)
        if self._setup.link_field:
            yield Right(LINK_RIGHT, "write links", LINK_RIGHT in held, add)

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first, a group at a time; then lifts, one by one."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with self._session() as session:
            self._ensure_groups(session, batch)
            return carry_out(batch, [*self._offs(session, batch), *self._lifts(session, batch)])

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. SendGrid keeps suppressions without contacts: none is absent."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        off: dict[int, set[str]] = {item.ref: set() for item in batch}
        with self._session() as session:
            for topic, group in self._setup.topics.items():
                suppressed = self._suppressed(session, group, [item.address for item in batch])
                for item in batch:
                    if item.address.casefold() in suppressed:
                        off[item.ref].add(topic)
        return {ref: frozenset(topics) for ref, topics in off.items()}

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable: marketing contacts."""
        with self._session() as session:
            now, field = self._http.now(), self._setup.link_field
            return scan_page(session, self._download, cursor, now, field)

    def _download(self, url: str) -> Answer:
        """A file of an export. Its host is another, and must not be sent the API key."""
        whole = urlsplit(url)
        with self._http.session(self._setup.name, f"{whole.scheme}://{whole.netloc}") as session:
            exact = f"{whole.path}?{whole.query}"
            return session.send("GET", "/{file}", exact=exact, allow=LOST, most=LONGEST_FILE)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable: groups, the global list, spam reports and hard bounces."""
        with self._session() as session:
            groups, secret = frozenset(self._setup.topics.values()), self._setup.settings["api_key"]
            return pull_page(session, cursor, groups, self._http.now(), secret)

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable: `link_field` is a custom field's name."""
        field = self._setup.link_field
        if not batch or field is None:
            return {}
        with self._session() as session:
            return write_links(session, batch, field)

    def _groups(self, session: Session) -> dict[int, str]:
        answer = session.send("GET", "/v3/asm/groups").parse(_GROUPS)
        return {group.id: group.name for group in answer}

    def _ensure_groups(self, session: Session, batch: Sequence[Item]) -> None:
        """Raise DeliveryError (permanent) when a group is gone.

        What is added to it would land on the *global* list, says the API reference (I10).
        """
        groups = self._groups(session)
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        gone = sorted(t for t in named if int(self._setup.topics[t]) not in groups)
        if gone:
            raise DeliveryError(
                f"{self._setup.name}: the groups of {', '.join(gone)} are gone: map them again",
                permanent=True,
            )

    def _offs(self, session: Session, batch: Sequence[Item]) -> list[Step]:
        steps = []
        for topic in sorted(set().union(*(item.off for item in batch))):
            items = [item for item in batch if topic in item.off]
            call = partial(self._turn_off, session, self._setup.topics[topic], items)
            steps.append(Step(tuple(item.ref for item in items), call))
        return steps

    def _turn_off(
        self, session: Session, group: str, items: Sequence[Item]
    ) -> Mapping[int, Outcome]:
        def add(part: Sequence[Item]) -> set[str]:
            addresses = [item.address for item in part]
            answer = session.send(
                "POST",
                _SUPPRESSIONS,
                holes={"group": group},
                body={"recipient_emails": addresses},
            )
            held = {email.casefold() for email in answer.parse(_ADDED).recipient_emails}
            if any(address.casefold() not in held for address in addresses):
                # The answer may leave out those that were there before: look.
                held |= self._suppressed(session, group, addresses)
            return held

        outcomes = {item.ref: Outcome(Result.REFUSED, f"group {group}: 400") for item in items}
        for part, held in send_halving(items, add):
            for item in part:
                known = item.address.casefold() in held
                outcomes[item.ref] = Outcome(
                    Result.REFLECTED if known else Result.LATER, f"group {group}: 201"
                )
        return outcomes

    def _suppressed(self, session: Session, group: str, addresses: Sequence[str]) -> set[str]:
        answer = session.send(
            "POST",
            f"{_SUPPRESSIONS}/search",
            holes={"group": group},
            body={"recipient_emails": addresses},
        )
        return {email.casefold() for email in answer.parse(_EMAILS)}

    def _lifts(self, session: Session, batch: Sequence[Item]) -> list[Step]:
        wanted = [(item, topic) for item in batch for topic in sorted(item.lift)]
        return [
            Step((item.ref,), partial(self._lift, session, item, topic))
            if number < LIFTS_PER_PUSH
            else Step((item.ref,), partial(not_yet, item))
            for number, (item, topic) in enumerate(wanted)
        ]

    def _lift(self, session: Session, item: Item, topic: str) -> Mapping[int, Outcome]:
        group = self._setup.topics[topic]
        # 404: it was not suppressed, which is what is wanted.
        answer = session.send(
            "DELETE",
            f"{_SUPPRESSIONS}/{{email}}",
            holes={"group": group, "email": item.address},
            allow={404},
        )
        return {item.ref: Outcome(Result.REFLECTED, f"group {group}: {answer.status}")}


ENTRY = Entry(
    kind=SendGrid.kind,
    title="SendGrid",
    proof=Proof.DESCRIPTION,
    against="the description of 2026-01-22",
    capabilities=SendGrid.capabilities,
    own_settings=SendGrid.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/suppressions-suppressions",
        f"{_DOCS}/suppressions-unsubscribe-groups",
        f"{_DOCS}/api-key-permissions",
    ),
    build=SendGrid,
)
