"""Define contacts: which addresses and external ids are one person, and what may be done to them.

A `ContactSet` holds the contacts that a request names, as they are stored. Operations change
it row by row, so that a later row of one request sees what an earlier one did. In the end the
difference is written; `newly_closed` and the like list what the ledger must record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    UnknownContact,
)

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


@dataclass(slots=True)
class ContactSet:
    """The contacts of one request. `merged_into`: a contact that was merged -> the other one.

    `erased` are those of the request's addresses that were erased (I6): whether the whole account
    was, or only its marketing.
    """

    contacts: dict[UUID, Contact]
    merged_into: dict[UUID, UUID] = field(default_factory=dict)
    erased: frozenset[Address] = frozenset()
    stored: dict[UUID, Contact] = field(init=False)
    _by_external_id: dict[str, UUID] = field(init=False, default_factory=dict, repr=False)
    _by_address: dict[Address, UUID] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.stored = dict(self.contacts)
        for contact in self.contacts.values():
            self._index(contact)

    @classmethod
    def from_contacts(
        cls,
        contacts: Iterable[Contact],
        merged_into: dict[UUID, UUID] | None = None,
        erased: frozenset[Address] = frozenset(),
    ) -> ContactSet:
        """A set of these contacts."""
        return cls({contact.id: contact for contact in contacts}, merged_into or {}, erased)

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

    def current(self, contact: Contact) -> Contact:
        """The contact as it is now, after all rows; itself if it is not to be stored (I6)."""
        return self.contacts.get(self._survivor(contact.id), contact)

    def owner(self, address: Address) -> Contact | None:
        """The contact that has this address, or None."""
        found = self._by_address.get(address)
        return self.contacts[found] if found else None

    def upsert(self, update: ContactUpdate, new_id: UUID) -> Contact:
        """Store an update in the contact it belongs to, else in a new one.

        An erased contact stays as it is: nothing about it may be kept (I6), nor of what is known
        by erased addresses only; an erased contact is returned for that. Its external id passes
        to the living contact that has one of the addresses; its addresses pass to nobody, see
        `replace_erased`. Raises AddressConflict when an address is another contact's and
        ExternalIdConflict when the addresses belong to one with an external id of its own: both
        need an explicit merge. Raises InvalidInput beyond MAX_ADDRESSES.
        """
        contact = self._find_match(update)
        if contact is None and self._names_erased_only(update):
            return self.owner(update.addresses[0]) or Contact(new_id, AccountState.ERASED)
        contact = contact or Contact(new_id)
        if _is_erased(contact):
            return contact
        ids = {update.external_id} if update.external_id is not None else set()
        owners = {address: self.owner(address) for address in update.addresses}
        erased = {a for a, owner in owners.items() if owner and _is_erased(owner)}
        written = replace(
            contact,
            locale=update.locale or contact.locale,
            external_ids=contact.external_ids | ids,
            addresses=contact.addresses.union(owners.keys() - erased - self.erased),
        )
        if len(written.addresses) > MAX_ADDRESSES:
            raise InvalidInput(f"a contact has up to {MAX_ADDRESSES} addresses")
        self._release_external_id(update.external_id, written)
        return self._store(written)

    def _names_erased_only(self, update: ContactUpdate) -> bool:
        return bool(update.addresses) and self.erased.issuperset(update.addresses)

    def _find_match(self, update: ContactUpdate) -> Contact | None:
        """The living contact that the update is about, else an erased one, else None."""
        named = self._by_external_id.get(update.external_id or "")
        contact = self.contacts[named] if named else None
        erased = contact if contact and _is_erased(contact) else None
        if erased:
            contact = None
        for index, address in enumerate(update.addresses):
            owner = self.owner(address)
            if owner is None or owner is contact:
                continue
            if _is_erased(owner):
                erased = erased or owner
                continue
            if address in self.erased:
                continue
            if contact is not None:
                raise AddressConflict(index)
            contact = owner
        if contact is None:
            return erased
        if update.external_id is not None and named != contact.id and contact.external_ids:
            raise ExternalIdConflict
        return contact

    def _release_external_id(self, external_id: str | None, by: Contact) -> None:
        """Take the id from the erased contact that had it."""
        owner = self._by_external_id.get(external_id or "")
        if external_id and owner and owner != by.id:
            previous = self.contacts[owner]
            ids = previous.external_ids - {external_id}
            self.contacts[owner] = replace(previous, external_ids=ids)

    def replace_erased(self, address: Address, new_id: UUID) -> Contact:
        """The contact of a person who was erased, and came back by their own act: a new one (I6).

        Only this address is theirs. What restricts it outlives the erasure, as an opt-out does.
        The contact that has the address stays if it was not erased; if it was closed since, it is
        open again, as service mail to the address is.
        """
        previous = self.owner(address)
        if previous is None:
            return self._store(Contact(new_id, addresses=frozenset({address})))
        if not _is_erased(previous):
            return self.reopen(previous)
        self.contacts[previous.id] = replace(previous, addresses=previous.addresses - {address})
        return self._store(
            Contact(new_id, addresses=frozenset({address}), restricted_at=previous.restricted_at)
        )

    def deactivate(self, contact: Contact) -> Contact:
        """Close the account, unless it is closed already."""
        if contact.account.closed:
            return contact
        return self._store(replace(contact, account=AccountState.DEACTIVATED))

    def reopen(self, contact: Contact) -> Contact:
        """Open a closed account; nothing if it is open. Raises InvalidInput if it was erased."""
        if contact.account is AccountState.OPEN:
            return contact
        if contact.account is not AccountState.DEACTIVATED:
            raise InvalidInput("the contact was erased: only a closed account is reopened")
        return self._store(replace(contact, account=AccountState.OPEN))

    def restrict(self, contact: Contact, at: datetime) -> Contact:
        """Limit the use of the contact's data, unless it is limited already or was erased."""
        if contact.restricted_at is not None or _is_erased(contact):
            return contact
        return self._store(replace(contact, restricted_at=at))

    def unrestrict(self, contact: Contact) -> Contact:
        """End that, if it is limited. The account stays open or closed."""
        if contact.restricted_at is None:
            return contact
        return self._store(replace(contact, restricted_at=None))

    def merge(self, absorbed: Contact, survivor_contact: Contact) -> Contact:
        """Make one contact of two; what one of them forbids, the survivor forbids.

        It is restricted since the earlier of both times. The survivor's locale wins. Raises
        InvalidInput if one of them was erased, or has nothing but an erased address, which is not
        linked to what says more about its person (I6), and beyond MAX_ADDRESSES.
        """
        if absorbed.id == survivor_contact.id:
            return survivor_contact
        if self._tells_nothing(absorbed) or self._tells_nothing(survivor_contact):
            raise InvalidInput("one of the two was erased: nothing of it is left to merge")
        accounts = (absorbed.account, survivor_contact.account)
        times = (absorbed.restricted_at, survivor_contact.restricted_at)
        survivor = replace(
            survivor_contact,
            account=max(accounts, key=lambda account: account.rank),
            restricted_at=min((at for at in times if at), default=None),
            locale=survivor_contact.locale or absorbed.locale,
            external_ids=survivor_contact.external_ids | absorbed.external_ids,
            addresses=survivor_contact.addresses | absorbed.addresses,
        )
        if len(survivor.addresses) > MAX_ADDRESSES:
            raise InvalidInput(f"a contact has up to {MAX_ADDRESSES} addresses")
        del self.contacts[absorbed.id]
        self.merged_into[absorbed.id] = survivor_contact.id
        return self._store(survivor)

    def _tells_nothing(self, contact: Contact) -> bool:
        """Whether it was erased, or is that of an erased address since: see `replace_erased`."""
        known = contact.locale, contact.external_ids, contact.addresses - self.erased
        return _is_erased(contact) or not any(known)

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
        """The addresses that were no living contact's before."""
        return sorted((address for address, _ in self.new_address_links()), key=_sort_key)

    def new_address_links(self) -> list[tuple[Address, UUID]]:
        """The same with the contacts that have them now."""
        known = {address for contact in self._stored_living() for address in contact.addresses}
        return [(a, c.id) for c in self._changed_living() for a in c.addresses - known]

    def new_external_ids(self) -> list[tuple[str, UUID]]:
        """The external ids that were no living contact's before, and their contacts."""
        known = {name for contact in self._stored_living() for name in contact.external_ids}
        return [(name, c.id) for c in self._changed_living() for name in c.external_ids - known]

    def _stored_living(self) -> Iterator[Contact]:
        return (contact for contact in self.stored.values() if not _is_erased(contact))

    def _changed_living(self) -> Iterator[Contact]:
        return (contact for contact in self.changed_contacts() if not _is_erased(contact))

    def newly_closed(self) -> Iterator[tuple[Contact, Address]]:
        """The addresses of closed accounts that were not of one before: to be suppressed."""
        yield from self._turned(lambda contact: contact.account.closed, into=True)

    def newly_reopened(self) -> Iterator[tuple[Contact, Address]]:
        """The addresses of accounts that are open again."""
        yield from self._turned(lambda contact: contact.account.closed, into=False)

    def newly_restricted(self) -> Iterator[tuple[Contact, Address]]:
        """The addresses of restricted contacts that were not of one before."""
        yield from self._turned(lambda contact: contact.restricted_at is not None, into=True)

    def _turned(
        self, state_of: Callable[[Contact], bool], *, into: bool
    ) -> Iterator[tuple[Contact, Address]]:
        """The addresses whose contact is `into` this state now and was not before."""
        was = {a: state_of(c) for c in self.stored.values() for a in c.addresses}
        for contact in self.changed_contacts():
            if state_of(contact) is into:
                turned = (a for a in contact.addresses if was.get(a, False) is not into)
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


def _is_erased(contact: Contact) -> bool:
    return contact.account is AccountState.ERASED


def _sort_key(address: Address) -> tuple[str, str]:
    return address.channel, address.exact
