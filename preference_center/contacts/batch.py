"""The outcome of the rows of one request about contacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.contacts.rules.contacts import Contact
from preference_center.contacts.rules.restriction import UnrestrictionProof
from preference_center.core.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    RowError,
)
from preference_center.ledger.rules import ConsentEvidence


@dataclass(frozen=True, slots=True)
class WrittenContact:
    """One contact as it is now, and whether its row changed it."""

    contact: Contact
    is_changed: bool


@dataclass(slots=True)
class BatchResult:
    """The outcome of the rows of one request, and what the ledger must record."""

    written: list[WrittenContact] = field(default_factory=list)
    closed_at: dict[UUID, datetime] = field(default_factory=dict)
    already_closed: dict[UUID, Contact] = field(default_factory=dict)
    """Contacts that were closed before this request."""
    proofs: dict[UUID, tuple[int, ConsentEvidence]] = field(default_factory=dict)
    """Of reopenings, with the index of the row."""
    restricted_at: dict[UUID, datetime] = field(default_factory=dict)
    """Contacts that a row restricts, and since when."""
    unrestricted: dict[UUID, tuple[int, UnrestrictionProof]] = field(default_factory=dict)
    """Contacts whose restriction a row ends, with the index of the row."""
    ended_restrictions: set[int] = field(default_factory=set)
    """Indexes of rows that ended a restriction of an address, with or without the contact's."""
    errors: list[RowError] = field(default_factory=list)

    def add(self, contact: Contact, *, is_changed: bool) -> None:
        """Add the outcome of the next row."""
        self.written.append(WrittenContact(contact, is_changed))

    @contextmanager
    def collect_errors(self, row: int, field_path: str = "") -> Iterator[None]:
        """Collect an InvalidInput as an error of this row, and continue after it."""
        try:
            yield
        except AddressConflict as error:
            self.errors.append(RowError(row, f"addresses/{error.index}", error))
        except ExternalIdConflict as error:
            self.errors.append(RowError(row, "external_id", error))
        except InvalidInput as error:
            self.errors.append(RowError(row, field_path, error))
