"""Find one person: by what is exactly theirs, and with a recorded reason (I9)."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import words
from preference_center.contacts.rules.contact import Contact, ContactRef
from preference_center.contacts.store import load_contacts
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.channels import AddressSyntax
from preference_center.core.errors import InvalidInput, UnknownContact
from preference_center.core.events import parse_receipt_code
from preference_center.core.links.tokens import restore_address
from preference_center.core.staff import STAFF_REASONS
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.addresses import load_readable
from preference_center.ledger.store.events import list_events_between
from preference_center.web.console.frame import redirect_after_post, render_page
from preference_center.web.console.own_looks import list_recent_looks, open_look, record_look

_MAX_LENGTH = 320
"""Characters of an address; RFC 5321 4.5.3.1 allows fewer still."""


class _NotFound(Exception):
    """Nobody is found by this text; the message says why, in the language of the page."""


def people() -> ResponseReturnValue:
    """The form to find somebody (GET), or the look at them, which is recorded first (POST)."""
    if request.method != "POST":
        return _form()
    typed, reference = _field("who")[:_MAX_LENGTH], _field("reference")
    reason = next((each for each in STAFF_REASONS if each == _field("reason")), None)
    if reason is None:
        return _form(_("Choose why you look this person up."), typed, "", reference)
    try:
        address = run_in_transaction(lambda connection: _find_address(connection, typed))
        access_id = record_look(address, reason, reference)
    except _NotFound as problem:
        return _form(str(problem), typed, reason, reference)
    except InvalidInput:
        wrong = _(
            "A reference is the number of a ticket or a case: up to 40 letters, digits and"
            " # / . _ - without spaces, and never an address."
        )
        return _form(wrong, typed, reason, reference)
    return redirect_after_post(url_for("console.person", access_id=access_id))


def open_other_address(access_id: UUID) -> ResponseReturnValue:
    """Look at another address of the same person: one more recorded look."""
    look = open_look(access_id)
    others = run_in_transaction(lambda c: list_other_addresses(c, look.address))
    number = request.form.get("number", type=int)
    if number is None or not 0 <= number < len(others):
        abort(HTTPStatus.NOT_FOUND)
    opened = record_look(others[number], look.access.reason, look.access.reference)
    return redirect_after_post(url_for("console.person", access_id=opened))


def list_other_addresses(connection: Connection, address: Address) -> list[Address]:
    """The other readable addresses of the contact with exactly this address, in a fixed order."""
    contact = find_contact(connection, ContactRef(address=address))
    others = (contact.addresses if contact else frozenset()) - {address}
    return sorted(others, key=lambda each: (each.channel, each.exact))


def find_contact(connection: Connection, ref: ContactRef) -> Contact | None:
    """The contact that this names, if there is one."""
    try:
        return load_contacts(connection, services().keys, [ref]).find(ref)
    except UnknownContact:
        return None


def _find_address(connection: Connection, typed: str) -> Address:
    """The address by which this text finds somebody, known or not. Raises _NotFound."""
    if not typed:
        raise _NotFound(_("Enter an address, a phone number, a reference or an external id."))
    if "@" in typed:
        try:
            return parse_address(typed, Channel.EMAIL)
        except InvalidInput:
            wrong = _("This is no email address. Write it exactly as the person gave it.")
            raise _NotFound(wrong) from None
    return (
        _by_reference(connection, typed)
        or _by_number(connection, typed, must_be_known=True)
        or _by_external_id(connection, typed)
        or _by_number(connection, typed, must_be_known=False)
        or _fail(_("Nobody is known by this. Check it, or enter the email address."))
    )


def _fail(message: str) -> Address:
    raise _NotFound(message)


def _by_reference(connection: Connection, typed: str) -> Address | None:
    """The address of the event with the reference that a person's receipt shows."""
    try:
        first, last = parse_receipt_code(typed)
    except InvalidInput:
        return None
    events = list_events_between(connection, first, last)
    if not events:
        return None
    address_id = events[0].address_id
    readable = load_readable(connection, services().keys, {address_id})
    if address_id not in readable:
        return _fail(_("This person was erased: only a digest of the address is left."))
    channel, text = readable[address_id]
    return restore_address(text, channel)


def _by_number(connection: Connection, typed: str, *, must_be_known: bool) -> Address | None:
    """A phone number, on the channel on which it is known, else the first that is in use."""
    channels = [each for each in Channel if each.rules.syntax is AddressSyntax.PHONE_NUMBER]
    try:
        region = services().settings.phone_region
        numbers = [parse_address(typed, channel, region=region) for channel in channels]
    except InvalidInput:
        return None
    for number in numbers:
        digest = services().keys.exact_digest(number)
        if find_address_id(connection, digest, number.channel) is not None:
            return number
    if must_be_known:
        return None
    in_use = {topic.channel for topic in current_catalogue_or_empty().topics.values()}
    return next((number for number in numbers if number.channel in in_use), numbers[0])


def _by_external_id(connection: Connection, typed: str) -> Address | None:
    contact = find_contact(connection, ContactRef(external_id=typed))
    if contact is None:
        return None
    if not contact.addresses:
        return _fail(_("This person has no address that can be read any more."))
    return min(contact.addresses, key=lambda each: (not each.channel.rules.is_email, each.exact))


def _form(
    problem: str = "", typed: str = "", reason: str = "", reference: str = ""
) -> ResponseReturnValue:
    return render_page(
        "contacts/find",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        problem=problem,
        typed=typed,
        reason=reason,
        reference=reference,
        reasons=[
            ("", _("Choose a reason")),
            *((each, words.access_reasons()[each]) for each in STAFF_REASONS),
        ],
        recent=list_recent_looks(),
        reason_words=words.access_reasons(),
    )


def _field(name: str) -> str:
    return request.form.get(name, "").strip()
