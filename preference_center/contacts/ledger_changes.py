"""What changes of contacts add to the ledger of their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from preference_center.contacts.batch import BatchResult
from preference_center.contacts.rules.account_closure import (
    build_closure_changes,
    build_reopening_change,
    closure_changes_decisions,
)
from preference_center.contacts.rules.contact_set import ContactSet
from preference_center.contacts.rules.contacts import Contact
from preference_center.contacts.rules.restriction import (
    UnrestrictionProof,
    build_restriction_change,
    build_unrestriction_change,
    is_ended_by,
    is_restricted,
)
from preference_center.core.addresses import Address
from preference_center.core.events import Change
from preference_center.infra.context import services
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import ScopeFacts, load_exact_facts, load_facts


def closing_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> Iterator[Change]:
    """What the closing of accounts adds to the ledger, for every address of theirs (I4)."""
    new_id = services().new_id
    for contact, address in contact_set.newly_closed():
        at = result.closed_at.get(contact.id, origin.now)
        yield from build_closure_changes((new_id(), new_id()), address, origin, at)
    again = [
        (contact, address)
        for contact in result.already_closed.values()
        for address in _sorted(contact)
    ]
    facts = load_facts([address for _, address in again]) if again else []
    for (contact, address), known in zip(again, facts, strict=True):
        at = result.closed_at[contact.id]
        if closure_changes_decisions(known, at):
            yield from build_closure_changes((new_id(), new_id()), address, origin, at)


def reopening_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> list[Change]:
    """The same for reopened accounts; errors of proofs are collected."""
    changes: list[Change] = []
    reopened = [*contact_set.newly_reopened()]
    facts = load_exact_facts([address for _, address in reopened]) if reopened else []
    for (contact, address), known in zip(reopened, facts, strict=True):
        row, proof = result.proofs[contact.id]
        if result.errors and result.errors[-1].row == row:
            continue  # one error is enough, however many addresses the contact has
        with result.collect_errors(row, "evidence"):
            changes.append(
                build_reopening_change(services().new_id(), address, proof, origin, known)
            )
    return changes


def restriction_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> Iterator[Change]:
    """A restriction of each address of restricted contacts that has none yet.

    Of contacts that a row restricts, and of addresses that a restricted contact gains.
    """
    affected = {address: contact for contact, address in contact_set.newly_restricted()}
    for contact_id in result.restricted_at:
        contact = contact_set.contacts[contact_id]
        if contact.restricted_at is not None:
            affected |= dict.fromkeys(contact.addresses, contact)
    for address, facts in _load_exact(affected):
        if not is_restricted(facts):
            at = result.restricted_at.get(affected[address].id, origin.now)
            yield build_restriction_change(services().new_id(), address, origin, at)


def unrestriction_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> list[Change]:
    """The end of each restriction of the contacts that rows name; errors are collected."""
    changes: list[Change] = []
    affected = {
        address: proof
        for contact_id, proof in result.unrestricted.items()
        for address in contact_set.contacts[contact_id].addresses
    }
    for address, facts in _load_exact(affected):
        row, proof = affected[address]
        if not is_ended_by(proof, facts) or (result.errors and result.errors[-1].row == row):
            continue
        with result.collect_errors(row, proof_field(proof)):
            changes.append(
                build_unrestriction_change(services().new_id(), address, proof, origin, facts)
            )
            result.ended_restrictions.add(row)
    return changes


def proof_field(proof: UnrestrictionProof) -> str:
    """The field of a row that has this proof."""
    return "evidence" if isinstance(proof, ConsentEvidence) else "notice_sent_at"


def _load_exact(addresses: Iterable[Address]) -> list[tuple[Address, ScopeFacts]]:
    """The facts of exactly these addresses, in the order of the ledger's locks."""
    ordered = sorted(addresses, key=lambda address: (address.channel, address.exact))
    return [*zip(ordered, load_exact_facts(ordered) if ordered else [], strict=True)]


def _sorted(contact: Contact) -> list[Address]:
    return sorted(contact.addresses, key=lambda address: (address.channel, address.exact))
