"""What may be done to contacts: the functions that entry points call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from preference_center.contacts.batch import BatchResult, WrittenContact
from preference_center.contacts.rules.contact_set import ContactSet
from preference_center.contacts.rules.contacts import Contact, ContactRef, ContactUpdate
from preference_center.contacts.rules.restriction import UnrestrictionProof
from preference_center.contacts.saving import InTransaction, apply_and_save
from preference_center.core.errors import UnknownContact
from preference_center.infra.context import services
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin


def upsert_contacts(
    profiles: Sequence[ContactUpdate],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Store what is known of each person; `is_changed` if the contact is new.

    An address that becomes readable is pushed to the tools if it is suppressed, and one of a
    closed account is suppressed too. Raises InvalidRows and Unavailable.
    """
    named = [ContactRef(external_id=p.external_id) for p in profiles if p.external_id is not None]
    named += [ContactRef(address=address) for p in profiles for address in p.addresses]

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, profile in enumerate(profiles):
            with result.collect_errors(index):
                contact = contact_set.upsert(profile, services().new_id())
                result.add(contact, is_changed=contact.id not in contact_set.stored)

    return apply_and_save(named, apply, origin, "contacts.upserted", in_transaction)


def deactivate_contacts(
    requests: Sequence[tuple[ContactRef, datetime]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Close each account as of when the request reached the company (UTC, not later than now).

    `is_changed` if it was open. An address without a contact gets one, so that an account can
    be closed by its address alone. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, received_at) in enumerate(requests):
            with result.collect_errors(index):
                contact = _find_or_create(contact_set, named)
                result.closed_at.setdefault(contact.id, received_at)
                if contact.account.closed:
                    result.already_closed[contact.id] = contact
                result.add(contact_set.deactivate(contact), is_changed=not contact.account.closed)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.deactivated", in_transaction
    )


def reopen_contacts(
    requests: Sequence[tuple[ContactRef, ConsentEvidence]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Open each closed account again, by the person's own act; marketing stays off (I6).

    `is_changed` if it was closed. Raises InvalidRows, also where the account was closed after
    that act, and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, proof) in enumerate(requests):
            with result.collect_errors(index):
                contact = contact_set.find(named)
                result.proofs.setdefault(contact.id, (index, proof))
                result.add(contact_set.reopen(contact), is_changed=contact.account.closed)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.reopened", in_transaction
    )


def restrict_contacts(
    requests: Sequence[tuple[ContactRef, datetime]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Limit the use of each contact's data as of when it was asked for (UTC, not later than now).

    No marketing to any of its addresses, also those that are linked later. `is_changed` if it was
    not limited. An address without a contact gets one. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, received_at) in enumerate(requests):
            with result.collect_errors(index):
                contact = _find_or_create(contact_set, named)
                result.restricted_at.setdefault(contact.id, received_at)
                restricted = contact_set.restrict(contact, received_at)
                result.add(restricted, is_changed=restricted != contact)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.restricted", in_transaction
    )


def unrestrict_contacts(
    requests: Sequence[tuple[ContactRef, UnrestrictionProof]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """End each restriction, by the person's own act or after a notice. Opt-outs stay.

    `is_changed` if the contact was restricted. Raises InvalidRows, also for an act or a notice
    from before the restriction and for a notice that is too new, and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, proof) in enumerate(requests):
            with result.collect_errors(index):
                contact = contact_set.find(named)
                result.unrestricted.setdefault(contact.id, (index, proof))
                unrestricted = contact_set.unrestrict(contact)
                result.add(unrestricted, is_changed=unrestricted != contact)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.unrestricted", in_transaction
    )


def merge_contacts(
    pairs: Sequence[tuple[ContactRef, ContactRef]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Make one contact of each two: the first is merged into the second.

    If one of them is closed, both are from now on. `is_changed` if they were two. This
    can't be undone: the audit records both ids. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (gone, into) in enumerate(pairs):
            found: list[Contact] = []
            for named, at in ((gone, "merge"), (into, "into")):
                with result.collect_errors(index, at):
                    found.append(contact_set.find(named))
            if len(found) == 2:  # noqa: PLR2004 - both of the pair
                with result.collect_errors(index):
                    result.add(contact_set.merge(*found), is_changed=found[0].id != found[1].id)

    return apply_and_save(
        [named for pair in pairs for named in pair],
        apply,
        origin,
        "contacts.merged",
        in_transaction,
    )


def _find_or_create(contact_set: ContactSet, ref: ContactRef) -> Contact:
    try:
        return contact_set.find(ref)
    except UnknownContact:
        if ref.address is None:
            raise
        # Of an erased address it keeps nothing readable, but that it is closed or restricted (I4).
        return contact_set.replace_erased(ref.address, services().new_id())
