"""Looks at the tables themselves, so that "nothing changed" means nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from preference_center.contacts import restrict_contacts
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.contacts import ContactRef
from preference_center.domain.sender_requests import RequestOrigin
from tests.ledger.changes import EVENT_WITH_EVIDENCE

TABLES = (
    "event", "address", "address_key", "suppression", "consent", "retraction", "sync_state",
    "rights_request", "rights_step",
)  # fmt: skip


def restrict(text: str, at: datetime) -> None:
    """Limit the use of the data of this email address."""
    address = parse_address(text, Channel.EMAIL)
    restrict_contacts([(ContactRef(address=address), at)], RequestOrigin("test", "test", at))


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reads on a connection of its own."""

    url: str

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(
                f"SELECT * FROM {EVENT_WITH_EVIDENCE} ORDER BY seq".encode()
            ).fetchall()

    def kinds(self) -> list[tuple[str, str]]:
        """Kind and scope of all events, oldest first."""
        return [(event["kind"], event["scope"]) for event in self.events()]

    def rows(self) -> dict[str, list[Any]]:
        """Every row of every table that an opt-out may touch."""
        with psycopg.connect(self.url) as connection:
            return {
                table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}".encode())))
                for table in TABLES
            }
