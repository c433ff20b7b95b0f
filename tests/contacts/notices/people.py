"""People to inform, and a version that is announced to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from tests.clock import START
from tests.in_force import CATALOGUE, put_in_force

if TYPE_CHECKING:
    from flask import Flask

VERSION = "2027-01"
CATALOGUE_WITH_VERSIONS = f"""{CATALOGUE}
[message_types.policy_update]
class = "service"
ground = "legal_notice"

[policies.privacy."2026-01"]
effective = 2026-01-01
url = "https://acme.example/privacy/2026-01"
sha256 = "{"0" * 64}"
summary = {{ it = "La prima.", en = "The first one." }}

[policies.privacy."{VERSION}"]
effective = 2027-01-01
material = true
url = "https://acme.example/privacy/{VERSION}"
sha256 = "{"f" * 64}"
summary = {{ it = "Un nuovo fornitore.", en = "A new supplier." }}
message_type = "policy_update"
"""
ORIGIN = RequestOrigin("test", "test", START)


def announce_in(app: Flask) -> None:
    put_in_force(app, CATALOGUE_WITH_VERSIONS)


def address(text: str, channel: Channel = Channel.EMAIL) -> Any:
    return parse_address(text, channel)


def add_contact(name: str, *addresses: str) -> None:
    """A contact with these email addresses."""
    found = tuple(map(address, addresses))
    contacts.upsert_contacts([ContactUpdate(name, "it", found)], ORIGIN)


def close(text: str) -> None:
    contacts.deactivate_contacts([(ContactRef(address=address(text)), START)], ORIGIN)


def happen(kind: EventKind, scope: str, text: str) -> None:
    now = services().now()
    change = Change(services().new_id(), kind, address(text), scope, now, now, "test", "test")
    record([change])


def add_people() -> None:
    """Ada (two addresses, no marketing), Grace, Zoe; a bounced, a closed one, one by herself."""
    add_contact("c-ada", "ada@example.com", "ada@work.example")
    happen(EventKind.OPTED_OUT, ALL_MARKETING, "ada@example.com")
    happen(EventKind.BOUNCED, UNDELIVERABLE, "ada@work.example")
    add_contact("c-grace", "grace@example.com")
    add_contact("c-zoe", "zoe@example.com")
    add_contact("c-bob", "bob@example.com")
    happen(EventKind.BOUNCED, UNDELIVERABLE, "bob@example.com")
    add_contact("c-carl", "carl@example.com")
    close("carl@example.com")
    happen(EventKind.CONSENTED, "acme.news", "solo@example.com")
    happen(EventKind.BOUNCED, UNDELIVERABLE, "stranger@example.com")


REACHED = {"ada@example.com", "grace@example.com", "zoe@example.com", "solo@example.com"}


def rows(query: str) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda connection: connection.execute(query.encode()).fetchall())
