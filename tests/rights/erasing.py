"""People to erase, and a look at everything that is stored, as tests of erasures need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from preference_center import contacts
from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.contacts import Contact, ContactRef, ContactUpdate
from preference_center.domain.rights.model import Extent
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.errors import PreferenceCenterError
from preference_center.extensions import db
from preference_center.rights.erase import erase_contacts
from preference_center.storage.db.database import run_in_transaction

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


def stored_texts() -> Iterator[tuple[str, str]]:
    """Every value of every table as text, and what each sealed one decrypts to."""
    contexts = {bytes(digest) for (digest,) in rows("SELECT digest FROM address")}
    contexts |= {bytes(digest) for (digest,) in rows("SELECT digest FROM contact_external_id")}
    contexts |= {bytes(digest) for (digest,) in rows("SELECT digest FROM idempotent_response")}
    for name, (number,) in (
        (table.name, found)
        for table in db.metadata.sorted_tables
        if "id" in table.columns
        for found in rows(f"SELECT id FROM {table.name}")
        if isinstance(found[0], UUID)
    ):
        contexts |= {number.bytes, f"{name} ".encode() + number.bytes}
    for table in db.metadata.sorted_tables:
        for values in rows(f"SELECT * FROM {table.name}"):
            for value in values:
                if isinstance(value, bytes | memoryview):
                    yield table.name, bytes(value).decode("latin-1")
                    yield from ((table.name, text) for text in _decrypt(bytes(value), contexts))
                else:
                    yield table.name, str(value)


def _decrypt(sealed: bytes, contexts: set[bytes]) -> Iterator[str]:
    for context in contexts:
        try:
            yield services().keys.open(sealed, context=context)
        except PreferenceCenterError:  # no sealed text, or that of another row
            continue


def tables_with(text: str) -> set[str]:
    """The tables that hold this text, readable or sealed."""
    return {name for name, found in stored_texts() if text.lower() in found.lower()}
