"""Limit the use of a person's data by request: as far as identity was proven, and no further.

Control of one address restricts exactly this one (docs/rights.md, Identity); of a contact that has
no other, the contact, so that addresses which it gains are restricted too. Suppression matches
every form of the mailbox in any case (I9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from preference_center import contacts
from preference_center.contacts import InTransaction, WrittenContact
from preference_center.contacts.rules.account import (
    build_restriction_change,
    build_unrestriction_change,
    is_restricted,
)
from preference_center.contacts.rules.contact import Contact, ContactRef
from preference_center.core.addresses import Address
from preference_center.core.events import Change, ScopeFact
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.rules.model import IdentityLevel
from preference_center.rights.rules.request import RightsRequest

_BuildChange = Callable[[Address, Sequence[ScopeFact]], Change]


def restrict_named(
    request: RightsRequest,
    refs: Sequence[ContactRef],
    origin: RequestOrigin,
    in_transaction: InTransaction,
) -> None:
    """Restrict whom an open request names. Raises InvalidRows and Unavailable."""
    only = _only_named(request, refs)
    if only is None:
        named = [(ref, request.received_at) for ref in refs]
        contacts.restrict_contacts(named, origin, in_transaction)
        return

    def build(address: Address, _: Sequence[ScopeFact]) -> Change:
        return build_restriction_change(services().new_id(), address, origin, request.received_at)

    _record(only, build, in_transaction, restricts=True)


def unrestrict_named(
    request: RightsRequest,
    refs: Sequence[ContactRef],
    proof: ConsentEvidence,
    origin: RequestOrigin,
    in_transaction: InTransaction,
) -> None:
    """End the restriction of whom an open request names.

    The contact's own stays where only one of its addresses was proven. Raises InvalidRows,
    InvalidInput where the restriction is newer than the request, and Unavailable.
    """
    only = _only_named(request, refs)
    if only is None:
        contacts.unrestrict_contacts([(ref, proof) for ref in refs], origin, in_transaction)
        return

    def build(address: Address, facts: Sequence[ScopeFact]) -> Change:
        return build_unrestriction_change(services().new_id(), address, proof, origin, facts)

    _record(only, build, in_transaction, restricts=False)


def _only_named(
    request: RightsRequest, refs: Sequence[ContactRef]
) -> dict[Address, Contact] | None:
    """The addresses to which the request is limited, with their contacts; None: their contacts."""
    if request.level >= IdentityLevel.CONTACT:
        return None
    named = [ref.address for ref in refs if ref.address is not None]
    contact_set = contacts.load_contacts(refs)
    owners = {each: owner for each in named if (owner := contact_set.owner(each))}
    has_others = any(owner.addresses - set(named) for owner in owners.values())
    return owners if has_others else None


def _record(
    only: dict[Address, Contact],
    build: _BuildChange,
    in_transaction: InTransaction,
    *,
    restricts: bool,
) -> None:
    """Write what changes of these addresses. A repeat meanwhile changes nothing (I7)."""
    ordered = sorted(only, key=lambda address: (address.channel, address.exact))
    found = zip(ordered, load_exact_facts(ordered), strict=True)
    changes = [build(each, facts) for each, facts in found if is_restricted(facts) is not restricts]
    written = [WrittenContact(each, is_changed=bool(changes)) for each in set(only.values())]
    if changes:
        record(changes, lambda connection, _: in_transaction(connection, written))
    else:
        run_in_transaction(lambda connection: in_transaction(connection, written))
