"""Contacts as values: the addresses and external ids of one person, and their account."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.core.addresses import Address

MAX_ADDRESSES = 100
"""Of one contact. One with more is no person but an error in the sender's data."""


class AccountState(StrEnum):
    """The state of an account; the later in this list, the more it forbids."""

    OPEN = "open"
    DEACTIVATED = "deactivated"
    """Closed: nothing is sent but what is marked `after_closing` (I4)."""
    ERASED = "erased"
    """Nothing readable is left (I6)."""

    @property
    def rank(self) -> int:
        """Grows with what it forbids."""
        return _RANKS[self]

    @property
    def closed(self) -> bool:
        """Whether it stops service mail too."""
        return self is not AccountState.OPEN


_RANKS = {state: rank for rank, state in enumerate(AccountState)}


@dataclass(frozen=True, slots=True)
class Contact:
    """The person behind one or more addresses.

    `addresses` are those that can be read, or that the request names. `version` grows with
    every write; 0 is a contact that is not stored yet. The account and the restriction are
    independent: closing and reopening never touch the restriction (docs/decisions/0059).
    """

    id: UUID
    account: AccountState = AccountState.OPEN
    locale: str | None = None
    """BCP 47."""
    external_ids: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: frozenset[Address] = frozenset()
    version: int = 0
    restricted_at: datetime | None = None
    """Since when the person limits the use of their data (UTC), if they do (GDPR art. 18)."""


@dataclass(frozen=True, slots=True)
class ContactRef:
    """A contact as a request names it: by exactly one of these."""

    id: UUID | None = None
    external_id: str | None = field(default=None, repr=False)
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class ContactUpdate:
    """What a sender knows of one person; what is not given stays as it is."""

    external_id: str | None = field(default=None, repr=False)
    locale: str | None = None
    addresses: tuple[Address, ...] = ()
