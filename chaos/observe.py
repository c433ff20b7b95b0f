"""Reads the state: from the database, and as a sender that asks the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import httpx
import psycopg

from chaos.audit import Found
from chaos.people import Person
from chaos.witness import MESSAGE_TYPE, sender_key
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from tests.faults.service import Service

BYSTANDERS = 1_000
"""People who did nothing; a sender asks about them too."""
AT_ONCE = 1_000

SUPPRESSED = "SELECT a.digest FROM suppression s JOIN address a ON a.id = s.address_id WHERE active"
EVENTS = "SELECT a.digest, e.kind, e.source FROM event e JOIN address a ON a.id = e.address_id"
STATES = """SELECT a.digest, count(*) FROM sync_state s JOIN address a ON a.id = s.address_id
    GROUP BY a.digest"""
UNSETTLED = """SELECT count(*) FROM sync_state WHERE due_at IS NOT NULL OR next_at IS NOT NULL
    OR lease IS NOT NULL OR reflected_version <> wanted_version"""
UNPROVEN = """SELECT a.digest FROM sync_state s JOIN address a ON a.id = s.address_id
    WHERE s.turned_off <> '{}' AND NOT EXISTS (
        SELECT FROM delivery d WHERE d.outcome = 'reflected'
            AND d.address_id = s.address_id AND d.destination_id = s.destination_id)"""
EXPLAINED = {
    ("opted_out", "one_click"),
    ("opted_out", "unsubscribe_page"),
    ("retracted", "unsubscribe_page"),
}
"""Kinds and sources of events that people's acts make."""


def look(service: Service, people: Sequence[Person], tools: Mapping[str, set[str]]) -> Found:
    """Everything that the audit compares. The web process must answer."""
    with service.app.app_context():
        run_in_transaction(lambda _: None)  # learns which of the digest keys is in use
        keys = services().keys
    addresses = (parse_address(person.address, Channel.EMAIL) for person in people)
    names = {keys.exact_digest(address): address.exact for address in addresses}

    def name(digest: object) -> str:
        assert isinstance(digest, bytes)
        return names.get(digest, "?")

    with Watch(service) as watch:
        unsettled = watch.unsettled()
    opt_outs: Counter[str] = Counter()
    strange = []
    for digest, kind, source in service.rows(EVENTS):
        if (kind, source) not in EXPLAINED or digest not in names:
            strange.append(f"{name(digest)} has an event {kind} by {source}")
        opt_outs[name(digest)] += kind == "opted_out"
    others = (f"bystander-{number}@example.com" for number in range(BYSTANDERS))
    return Found(
        opt_outs=opt_outs,
        strange=strange,
        suppressed={name(digest) for (digest,) in service.rows(SUPPRESSED)},
        denied=set(_denied(service, [*names.values(), *others])),
        tools=tools,
        states={name(digest): count for digest, count in service.rows(STATES)},
        unproven={name(digest) for (digest,) in service.rows(UNPROVEN)},
        unsettled=unsettled,
    )


@dataclass(slots=True)
class Watch:
    """Looks at what is left again and again, over one connection."""

    service: Service
    _connection: psycopg.Connection = field(init=False)

    def __enter__(self) -> Self:
        """Connect."""
        self._connection = psycopg.connect(self.service.settings.database_url, autocommit=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._connection.close()

    def unsettled(self) -> int:
        """How many sync states are not done."""
        row = self._connection.execute(UNSETTLED).fetchone()
        return int(row[0]) if row else 0


def _denied(service: Service, addresses: Sequence[str]) -> Iterator[str]:
    """Whom a sender may not write to, according to `POST /v1/decisions`."""
    headers = {"Authorization": f"Bearer {sender_key(service, 'audit')}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as client:
        for start in range(0, len(addresses), AT_ONCE):
            asked = addresses[start : start + AT_ONCE]
            question = {"message_type": MESSAGE_TYPE, "recipients": asked}
            answer = client.post("/v1/decisions", json=question).raise_for_status().json()
            for address, decision in zip(asked, answer["decisions"], strict=True):
                if not decision["allow"]:
                    yield address
