"""People to erase, and a look at everything that is stored, as tests of erasures need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

import preference_center.app.tables  # noqa: F401 - so that the metadata is complete
from preference_center import contacts
from preference_center.contacts.rules.contact import Contact, ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.rules.requests import Extent

ADA, GRACE = (parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace"))
NUMBER = parse_address("+39 333 1234567", Channel.SMS)
EXTERNAL_ID = "customer-of-ada"
LOCALE = "pt-BR"


def origin() -> RequestOrigin:
    return RequestOrigin("test", "key:shop", services().now())


def store(*addresses: Address, external_id: str | None = EXTERNAL_ID) -> Contact:
    given = addresses or (ADA,)
    update = ContactUpdate(external_id=external_id, locale=LOCALE, addresses=given)
    [written] = contacts.upsert_contacts([update], origin())
    return written.contact


def erase(*addresses: Address, extent: Extent = Extent.ACCOUNT, **given: Any) -> list[UUID]:
    refs = [ContactRef(address=address) for address in addresses or (ADA,)]
    return erase_contacts(refs, extent, origin=origin(), **given)


def rows(query: str, *given: object) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda c: c.execute(query.encode(), given).fetchall())


def row(query: str, *given: object) -> tuple[Any, ...]:
    [found] = rows(query, *given)
    return found


def tables_with(text: str) -> set[str]:
    """The tables that hold this text, readable or sealed."""
    return tables_by_text(text)[text]


def tables_by_text(*texts: str) -> dict[str, set[str]]:
    """For each of the texts what `tables_with` returns."""
    stored = [(table, value.lower()) for table, value in stored_texts()]
    return {text: {table for table, value in stored if text.lower() in value} for text in texts}


def stored_texts() -> Iterator[tuple[str, str]]:
    """Every value of every table as text, and what each sealed one decrypts to."""
    stored = run_in_transaction(_read_tables)
    contexts = set(_contexts(stored))
    for table, found in stored.items():
        for value in chain.from_iterable(each.values() for each in found):
            if isinstance(value, bytes | memoryview):
                yield table, bytes(value).decode("latin-1")
                yield from ((table, text) for text in _decrypt(bytes(value), contexts))
            else:
                yield table, str(value)


def _read_tables(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables that have any. Most have none, which one statement finds out."""
    names = [table.name for table in db.metadata.sorted_tables]
    query = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (TABLE {name})" for name in names)
    filled = [name for (name,) in connection.execute(query.encode())]
    with connection.cursor(row_factory=dict_row) as cursor:
        return {name: cursor.execute(f"TABLE {name}".encode()).fetchall() for name in filled}


def _contexts(stored: Mapping[str, list[dict[str, Any]]]) -> Iterator[bytes]:
    """Whatever a text may be sealed with: see `infra.keys.sealed_columns`."""
    for table, found in stored.items():
        if table in ("address", "contact_external_id", "idempotent_response"):
            yield from (bytes(each["digest"]) for each in found)
        for each in found:
            key = each.get("event_id" if table == "event_evidence" else "id")
            if isinstance(key, UUID):
                yield from (key.bytes, f"{table} ".encode() + key.bytes)


def _decrypt(sealed: bytes, contexts: set[bytes]) -> Iterator[str]:
    for context in contexts:
        try:
            yield services().keys.open(sealed, context=context)
        except PreferenceCenterError:  # no sealed text, or that of another row
            continue
