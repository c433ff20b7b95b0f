"""Contacts: who is behind which addresses, and whose account is closed.

Everything that names a person stands in bodies, never in a URL (I12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from preference_center import contacts
from preference_center.api.consent_evidence import proof_in
from preference_center.api.contact_models import (
    AddressShown,
    ContactAddress,
    ContactNamed,
    ContactProfile,
    ContactShown,
    ContactsToMerge,
    ContactToClose,
    ContactToReopen,
    ContactWritten,
)
from preference_center.api.endpoint import Call, operation, reply
from preference_center.api.parsing import Rows
from preference_center.api.problems import (
    TAKEN_ADDRESS,
    TAKEN_EXTERNAL_ID,
    UNKNOWN_CONTACT,
    UNUSABLE_ADDRESS,
    Faults,
)
from preference_center.contacts import Beside, Written
from preference_center.domain.addresses import Address, parse
from preference_center.domain.contacts import Named, Profile
from preference_center.domain.sender_requests import past
from preference_center.errors import InvalidInput, InvalidRows
from preference_center.extensions import services
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.db.database import Connection


@operation(
    "POST",
    "/contacts",
    KeyScope.WRITE,
    rows=ContactProfile,
    answer=ContactWritten,
    writes=True,
    refuses=(UNUSABLE_ADDRESS, TAKEN_ADDRESS, TAKEN_EXTERNAL_ID),
)
def post_contacts(call: Call, rows: Rows[ContactProfile]) -> Response:
    """These people exist, or are known better.

    A contact is found by its external id, else by its addresses; an address belongs to one
    contact at most. Opt-outs of an address that becomes known like this go to every tool.
    """
    faults = Faults()
    profiles = []
    for at, row in rows.pointed():
        addresses = [
            faults.attempt(f"{at}/addresses/{index}/address", _address, given)
            for index, given in enumerate(row.addresses)
        ]
        profiles.append(Profile(row.external_id, row.locale, tuple(filter(None, addresses))))
    faults.refuse_any()
    return _written(call, rows, lambda beside: contacts.upsert(profiles, call.origin, beside))


# Not GET: what names a person must not stand in a URL (I12).
@operation(
    "POST",
    "/contacts/query",
    KeyScope.READ,
    body=ContactNamed,
    answer=ContactShown,
    refuses=(UNUSABLE_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_query(_: Call, body: ContactNamed) -> Response:
    """Who is it?

    An address finds whom exactly this form of it belongs to.
    """
    named = _named(body)
    found = contacts.read([named]).find(named)
    addresses = sorted((address.channel, address.exact) for address in found.addresses)
    return reply(
        ContactShown(
            contact=found.id,
            state=found.state,
            locale=found.locale,
            external_ids=sorted(found.external_ids),
            addresses=[AddressShown(channel=channel, address=text) for channel, text in addresses],
        )
    )


@operation(
    "POST",
    "/contacts/deactivate",
    KeyScope.WRITE,
    rows=ContactToClose,
    answer=ContactWritten,
    writes=True,
    refuses=(UNUSABLE_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_deactivate(call: Call, rows: Rows[ContactToClose]) -> Response:
    """These people closed their accounts.

    Nothing is sent to any of their addresses from now on, but what may be sent
    `after_closing`; that holds for addresses that are linked later, too.
    """
    faults = Faults()
    wishes = []
    for at, row in rows.pointed():
        named = faults.attempt(f"{at}/address", _named, row)
        told_at = row.received_at or call.origin.now
        received_at = faults.attempt(f"{at}/received_at", past, told_at, call.origin.now)
        if named and received_at:
            wishes.append((named, received_at))
    faults.refuse_any()
    return _written(call, rows, lambda beside: contacts.deactivate(wishes, call.origin, beside))


@operation(
    "POST",
    "/contacts/reopen",
    KeyScope.LIFT,
    rows=ContactToReopen,
    answer=ContactWritten,
    writes=True,
    refuses=(UNUSABLE_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_reopen(call: Call, rows: Rows[ContactToReopen]) -> Response:
    """These people opened their accounts again, by an act of their own.

    Service mail flows again. Marketing stays off until the person asks for it.
    """
    faults = Faults()
    wishes = []
    for at, row in rows.pointed():
        named = faults.attempt(f"{at}/address", _named, row)
        proof = proof_in(faults, f"{at}/evidence", row.evidence, call.origin.now)
        if named and proof:
            wishes.append((named, proof))
    faults.refuse_any()
    return _written(call, rows, lambda beside: contacts.reopen(wishes, call.origin, beside))


@operation(
    "POST",
    "/contacts/merge",
    KeyScope.WRITE,
    rows=ContactsToMerge,
    answer=ContactWritten,
    writes=True,
    refuses=(UNUSABLE_ADDRESS, UNKNOWN_CONTACT),
)
def post_contacts_merge(call: Call, rows: Rows[ContactsToMerge]) -> Response:
    """Each two of these contacts are one person.

    The survivor has all names and addresses of both; if one of the accounts was closed, all
    of it is. A merge can't be undone.
    """
    faults = Faults()
    pairs = []
    for at, row in rows.pointed():
        gone = faults.attempt(f"{at}/merge/address", _named, row.merge)
        into = faults.attempt(f"{at}/into/address", _named, row.into)
        if gone and into:
            pairs.append((gone, into))
    faults.refuse_any()
    return _written(call, rows, lambda beside: contacts.merge(pairs, call.origin, beside))


def _written(
    call: Call, rows: Rows[Any], work: Callable[[Beside | None], list[Written]]
) -> Response:
    """Do the work and answer; in one transaction with what is kept for a repeat of it."""
    repeat = call.repeat
    kept: list[Response] = []

    def answer(written: Sequence[Written]) -> Response:
        told = [
            {"contact": str(each.contact.id), "state": each.contact.state, "recorded": each.news}
            for each in written
        ]
        return reply(rows.answer(told))

    def beside(connection: Connection, written: Sequence[Written]) -> None:
        if repeat:
            kept[:] = [answer(written)]
            repeat.keep(connection, kept[0])

    written: Sequence[Written] = ()
    try:
        written = work(beside if repeat else None)
    except InvalidRows as refused:
        _refuse(rows, refused)
    return kept[0] if kept else answer(written)


def _refuse(rows: Rows[Any], refused: InvalidRows) -> None:
    """Raises InvalidBody, with a pointer to every fault."""
    pointers = [at for at, _ in rows.pointed()]
    faults = Faults()
    for fault in refused.faults:
        pointer = pointers[fault.row] + (f"/{fault.field}" if fault.field else "")
        faults.attempt(pointer, _raise, fault.error)
    faults.refuse_any()


def _raise(error: InvalidInput) -> None:
    raise error


def _named(given: ContactNamed) -> Named:
    if given.address is None:
        return Named(given.contact, given.external_id)
    return Named(address=parse(given.address, given.channel, region=_region()))


def _address(given: ContactAddress) -> Address:
    return parse(given.address, given.channel, region=_region())


def _region() -> str:
    return services().settings.phone_region
