"""People of the demo in the states that its pages show, for pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from dev.demo.seeding import HERE, with_shops_at
from preference_center.catalogue import catalogue_digest, parse_catalogue
from preference_center.catalogue import store as catalogues
from preference_center.catalogue.cli import read_catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link, TokenPurpose
from preference_center.destinations.rules.plan import build_settlement
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations, states
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import ClaimedEmail, EmailKind
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_consent_change,
    build_opt_out_change,
)
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.requests import files

TOPICS = {"cascina": "cascina.newsletter", "bottega": "bottega.similar_products"}
"""Per brand, the topic of the message whose links are opened."""
MESSAGE = "0198f1de-7c1a-7000-8000-0000000000ab"
ORIGIN = "demo"

OUTCOMES = {"crm": "reflected", "email-tool": "absent", "shop": None, "old-crm": None}
"""Per destination, what comes of an opt-out there."""

_EMAILS = """SELECT id, kind, ciphertext, language, brand, expires_at, attempts
    FROM outgoing_mail ORDER BY id DESC"""


@dataclass
class Demo:
    """The service at `site`, going by `clock`. Needs an application context."""

    site: str
    clock: list[datetime]
    shops_port: int
    """Where the shops are that use the consent tool."""
    brand: str = "cascina"
    """Whose messages the links come from."""
    language: str = "en"
    people: int = 0
    tools: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Put the catalogue in force and connect the tools."""
        text = with_shops_at(self.shops_port, read_catalogue(HERE / "catalogue.toml"))
        parse_catalogue(text)
        run_in_transaction(
            lambda c: catalogues.insert_version(c, text, catalogue_digest(text), services().now())
        )
        self.tools = run_in_transaction(_connect)

    def rewind(self, now: datetime) -> None:
        """Go back to this moment."""
        self.clock[0] = now

    def url(
        self,
        page: str,
        *,
        channel: Channel = Channel.EMAIL,
        language: str = "",
        consents: bool = False,
        age: timedelta = timedelta(days=1),
    ) -> str:
        """The link of somebody new to this page, out of a message of that age."""
        address = self._somebody(channel)
        if consents:
            self._consent(address)
        return self._link(address, page, language or self.language, age)

    def visit_url(self, page: str) -> str:
        """A visit of this page that proves control of somebody new's address."""
        address, now = self._somebody(Channel.EMAIL), self.clock[0]
        token = services().links.create_one_time_token(
            TokenPurpose.PAGE_VISIT, address, uuid4(), now
        )
        return f"{self.site}/{page}/{token}?lang={self.language}"

    def build_access_files(self) -> None:
        """What a worker does: build the files that people wait for."""
        for request_id in run_in_transaction(lambda c: files.list_waiting(c, 10)):
            build_access_file(request_id)

    def new_address(self) -> str:
        """An address that nobody has written to: what can be emailed to one has a limit."""
        self.people += 1
        return self.newest_address

    @property
    def newest_address(self) -> str:
        """The email address of whom the newest link is for."""
        return f"ada{self.people}@example.com"

    def link_mailed_to(self, address: str, kind: EmailKind | None = None) -> str:
        """The link in an email to this address, of this kind if there are several."""
        rows = run_in_transaction(lambda connection: connection.execute(_EMAILS).fetchall())
        emails = [ClaimedEmail(*row).decrypt(services().keys) for row in rows]
        return next(
            email.values["link"]
            for email in emails
            if email.recipient.exact == address and kind in {None, email.kind}
        )

    def opt_out_status_url(self, *, proven: bool = True) -> str:
        """The receipt of somebody whose opt-out is on its way, at all paces.

        By a link that proves control of the address, or by that of a message.
        """
        address = self._somebody(Channel.EMAIL)
        now = self.clock[0]
        self.clock[0] = now - timedelta(hours=3)
        self._opt_out(address, ALL_MARKETING, ReceivedVia.FORM)
        self.clock[0] = now - timedelta(minutes=19)
        for name, outcome in OUTCOMES.items():
            if outcome:
                run_in_transaction(_settling(self.tools[name], outcome, self.clock[0]))
        self.clock[0] = now
        if not proven:
            return self._link(address, "w", self.language)
        token = services().links.create_one_time_token(
            TokenPurpose.PAGE_VISIT, address, UUID(MESSAGE), now
        )
        return f"{self.site}/w/{token}?lang={self.language}"

    def _somebody(self, channel: Channel) -> Address:
        self.people += 1
        if channel is Channel.EMAIL:
            return parse_address(f"ada{self.people}@example.com", channel)
        return parse_address(f"+39347123{self.people:04}", channel)

    def _link(
        self, address: Address, page: str, language: str, age: timedelta = timedelta(days=1)
    ) -> str:
        issued_at = self.clock[0] - age
        topic = TOPICS[self.brand] if address.channel is Channel.EMAIL else "bottega.sms_offers"
        token = services().links.create_token(Link(address, topic, MESSAGE, issued_at))
        return f"{self.site}/{page}/{token}?lang={language}"

    def _consent(self, address: Address) -> None:
        proof = ConsentEvidence("demo", "Write to me.", "en", self.clock[0] - timedelta(days=30))
        origin = RequestOrigin(ORIGIN, ORIGIN, self.clock[0])
        topics = current_catalogue().topics_for_channel(address.channel)
        record(
            [
                build_consent_change(uuid4(), address, topic, proof, origin, own_act=False)
                for topic in topics[:3]
            ]
        )

    def _opt_out(self, address: Address, scope: str, via: ReceivedVia) -> None:
        now = self.clock[0]
        origin = RequestOrigin(ORIGIN, ORIGIN, now)
        new_id = services().new_id()
        record(
            [
                build_opt_out_change(
                    new_id, address, scope, via, origin, received_at=now, occurred_at=now
                )
            ]
        )


def _connect(connection: Connection) -> dict[str, int]:
    keys, now = services().keys, services().now()
    topics = current_catalogue().topics_for_channel(Channel.EMAIL)
    tools = {}
    for name in OUTCOMES:
        sends = [topic.key for topic in topics if name != "shop" or topic.brand == "bottega"]
        tools[name] = destinations.insert_destination(
            connection,
            keys,
            name=name,
            kind="webhook",
            settings={},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset(sends),
            sends_service=False,
            now=now,
        )
        status = DestinationStatus.PAUSED if name == "old-crm" else DestinationStatus.ACTIVE
        destinations.set_status(connection, tools[name], status)
    return tools


def _settling(tool: int, outcome: str, now: datetime) -> Callable[[Connection], object]:
    """What a worker does that finds the tool obedient: claim what is due, and settle it."""

    def work(connection: Connection) -> None:
        lease = services().new_id()
        until = now + timedelta(seconds=90)
        claims = states.claim_rows(connection, tool, lease, now=now, until=until, limit=100)
        rows = [
            replace(build_settlement(claim, None, None, now, 0.0), outcome=outcome, ack="204")
            for claim in claims
        ]
        states.settle_rows(connection, tool, lease, rows, now=now)

    return work
