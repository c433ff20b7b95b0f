"""Looks at the tables themselves, so that "nothing changed" means nothing."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from preference_center.contacts import restrict_contacts
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Channel, parse_address
from preference_center.ledger.rules import RequestOrigin
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
    """Reads on a connection of its own, each time what is committed."""

    url: str

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first."""
        return read_rows(self.url, f"SELECT * FROM {EVENT_WITH_EVIDENCE} ORDER BY seq")

    def kinds(self) -> list[tuple[str, str]]:
        """Kind and scope of all events, oldest first."""
        return [(event["kind"], event["scope"]) for event in self.events()]

    def acts(self) -> list[tuple[str, str]]:
        """The same, each once: where two presses meet, both may be recorded, to one effect."""
        return list(dict.fromkeys(self.kinds()))

    def rows(self) -> dict[str, list[Any]]:
        """Every row of every table that an opt-out may touch."""
        return {
            table: sorted(map(repr, read_rows(self.url, f"SELECT * FROM {table}")))
            for table in TABLES
        }


def read_rows(url: str, query: str) -> list[dict[str, Any]]:
    """What a query finds, over the one connection to this database."""
    connection = _connection_to(url)
    try:
        return connection.execute(query.encode()).fetchall()
    except psycopg.OperationalError:
        if not connection.broken:
            raise
        _connection_to.cache_clear()  # the test has ended the database's connections
        return _connection_to(url).execute(query.encode()).fetchall()


@cache
def _connection_to(url: str) -> psycopg.Connection[DictRow]:
    """One connection for all tests: to open one takes longer than to read all that they look at."""
    # Prepares nothing: tests of migrations change what columns there are.
    connection = psycopg.connect(url, row_factory=dict_row, autocommit=True, prepare_threshold=None)
    atexit.register(connection.close)
    return connection
