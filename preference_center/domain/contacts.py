"""Contacts: which addresses and external ids are one person, and what may be done to them.

A `ContactSet` holds the contacts that a request names, as they are stored. Operations change
it row by row, so that a later row of one request sees what an earlier one did. In the end the
difference is written; `newly_closed` and `newly_reopened` list what the ledger must record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    UnknownContact,
)

MAX_ADDRESSES = 100
"""Of one contact. One with more is no person but an error in the sender's data."""


class ContactState(StrEnum):
    """The state of a contact; the later in this list, the more restrictive."""

    ACTIVE = "active"
    RESTRICTED = "restricted"
    """Kept, and used for nothing else (GDPR art. 18)."""
    DEACTIVATED = "deactivated"
    """The account is closed: nothing is sent but what is marked `after_closing` (I4)."""
    ERASED = "erased"
    """Nothing readable is left (I6)."""

    @property
    def rank(self) -> int:
        """Grows with what it forbids."""
        return _RANKS[self]

    @property
    def closed(self) -> bool:
        """Whether it stops service mail too."""
        return self in {ContactState.DEACTIVATED, ContactState.ERASED}


_RANKS = {state: rank for rank, state in enumerate(ContactState)}


@dataclass(frozen=True, slots=True)
class Contact:
    """The person behind one or more addresses.

    `addresses` are those that can be read, or that the request names. `version` grows with
    every write; 0 is a contact that is not stored yet.
    """

    id: UUID
    state: ContactState = ContactState.ACTIVE
    locale: str | None = None
    """BCP 47."""
    external_ids: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: frozenset[Address] = frozenset()
    version: int = 0


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


@dataclass(slots=True)
class ContactSet:
    """The contacts of one request. `merged_into`: a contact that was merged -> the other one."""

    contacts: dict[UUID, Contact]
    merged_into: dict[UUID, UUID] = field(default_factory=dict)
    stored: dict[UUID, Contact] = field(init=False)
    _by_external_id: dict[str, UUID] = field(init=False, default_factory=dict, repr=False)
    _by_address: dict[Address, UUID] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.stored = dict(self.contacts)
        for contact in self.contacts.values():
            self._index(contact)

    @classmethod
    def from_contacts(
        cls, contacts: Iterable[Contact], merged_into: dict[UUID, UUID] | None = None
    ) -> ContactSet:
        """A set of these contacts."""
        return cls({contact.id: contact for contact in contacts}, merged_into or {})

    def find(self, ref: ContactRef) -> Contact:
        """The contact; the survivor, if it was merged. Raises UnknownContact."""
        found = ref.id and self._survivor(ref.id)
        if ref.external_id is not None:
            found = self._by_external_id.get(ref.external_id)
        elif ref.address is not None:
            found = self._by_address.get(ref.address)
        contact = self.contacts.get(found) if found else None
        if contact is None:
            raise UnknownContact("there is no such contact")
        return contact

    def owner(self, address: Address) -> Contact | None:
        """The contact that has this address, or None."""
        found = self._by_address.get(address)
        return self.contacts[found] if found else None

    def upsert(self, update: ContactUpdate, new_id: UUID) -> Contact:
        """Store an update in the contact it belongs to, else in a new one.

        An erased contact stays as it is: nothing about it may be kept (I6). Raises
        AddressConflict when an address is another contact's and ExternalIdConflict when
        the addresses belong to one with an external id of its own: both need an explicit
        merge. Raises InvalidInput beyond MAX_ADDRESSES.
        """
        contact = self._find_match(update) or Contact(new_id)
        if contact.state is ContactState.ERASED:
            return contact
        ids = {update.external_id} if update.external_id is not None else set()
        written = replace(
            contact,
            locale=update.locale or contact.locale,
            external_ids=contact.external_ids | ids,
            addresses=contact.addresses.union(update.addresses),
        )
        if len(written.addresses) > MAX_ADDRESSES:
            raise InvalidInput(f"a contact has up to {MAX_ADDRESSES} addresses")
        return self._store(written)

    def _find_match(self, update: ContactUpdate) -> Contact | None:
        known = self._by_external_id.get(update.external_id or "")
        contact = self.contacts[known] if known else None
        for index, address in enumerate(update.addresses):
            owner = self.owner(address)
            if owner is None or owner is contact:
                continue
            if contact is not None:
                raise AddressConflict(index)
            contact = owner
        if contact and update.external_id is not None and known is None and contact.external_ids:
            raise ExternalIdConflict
        return contact

    def deactivate(self, contact: Contact) -> Contact:
        """Close the account, unless it is closed already."""
        if contact.state.closed:
            return contact
        return self._store(replace(contact, state=ContactState.DEACTIVATED))

    def reopen(self, contact: Contact) -> Contact:
        """Open a closed account; nothing if it is open. Raises InvalidInput for other states."""
        if contact.state is ContactState.ACTIVE:
            return contact
        if contact.state is not ContactState.DEACTIVATED:
            raise InvalidInput(f"the contact is {contact.state}: only a closed account is reopened")
        return self._store(replace(contact, state=ContactState.ACTIVE))

    def merge(self, absorbed: Contact, survivor_contact: Contact) -> Contact:
        """Make one contact of two; the survivor has the more restrictive of both states.

        The survivor's locale wins. Raises InvalidInput if one of them was erased, and
        beyond MAX_ADDRESSES.
        """
        if absorbed.id == survivor_contact.id:
            return survivor_contact
        if ContactState.ERASED in {absorbed.state, survivor_contact.state}:
            raise InvalidInput("one of the two was erased: nothing of it is left to merge")
        survivor = replace(
            survivor_contact,
            state=max(absorbed.state, survivor_contact.state, key=lambda state: state.rank),
            locale=survivor_contact.locale or absorbed.locale,
            external_ids=survivor_contact.external_ids | absorbed.external_ids,
            addresses=survivor_contact.addresses | absorbed.addresses,
        )
        if len(survivor.addresses) > MAX_ADDRESSES:
            raise InvalidInput(f"a contact has up to {MAX_ADDRESSES} addresses")
        del self.contacts[absorbed.id]
        self.merged_into[absorbed.id] = survivor_contact.id
        return self._store(survivor)

    def changed_contacts(self) -> list[Contact]:
        """The contacts that differ from the stored ones, in the order of locking: by id."""
        survivors = set(self.survivors_by_id().values())
        differing = [
            contact
            for contact in self.contacts.values()
            if contact != self.stored.get(contact.id) or contact.id in survivors
        ]
        return sorted(differing, key=lambda contact: contact.id)

    def survivors_by_id(self) -> dict[UUID, UUID]:
        """Each contact that this set has merged, and its survivor."""
        return {old: self._survivor(old) for old in self.merged_into if old in self.stored}

    def new_addresses(self) -> list[Address]:
        """The addresses that were no contact's before."""
        known = {a for contact in self.stored.values() for a in contact.addresses}
        found = (a for contact in self.changed_contacts() for a in contact.addresses - known)
        return sorted(found, key=_sort_key)

    def newly_closed(self) -> Iterator[tuple[Contact, Address]]:
        """The addresses of closed accounts that were not of one before: to be suppressed."""
        yield from self._state_changes(closed=True)

    def newly_reopened(self) -> Iterator[tuple[Contact, Address]]:
        """The addresses of accounts that are open again."""
        yield from self._state_changes(closed=False)

    def _state_changes(self, *, closed: bool) -> Iterator[tuple[Contact, Address]]:
        was = {a: c.state.closed for c in self.stored.values() for a in c.addresses}
        for contact in self.changed_contacts():
            if contact.state.closed is closed:
                turned = (a for a in contact.addresses if was.get(a, False) is not closed)
                yield from ((contact, a) for a in sorted(turned, key=_sort_key))

    def _survivor(self, contact_id: UUID) -> UUID:
        while contact_id in self.merged_into:
            contact_id = self.merged_into[contact_id]
        return contact_id

    def _store(self, contact: Contact) -> Contact:
        self.contacts[contact.id] = contact
        self._index(contact)
        return contact

    def _index(self, contact: Contact) -> None:
        self._by_external_id.update(dict.fromkeys(contact.external_ids, contact.id))
        self._by_address.update(dict.fromkeys(contact.addresses, contact.id))


def _sort_key(address: Address) -> tuple[str, str]:
    return address.channel, address.exact
