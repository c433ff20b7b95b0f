"""Inform the other addresses of a contact that its account was closed, and undo that.

Who proves one mailbox, or convinces support, closes the account for all addresses of the contact.
So each of the others is mailed a link that opens the account again for UNDO_PERIOD.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from preference_center import contacts
from preference_center.contacts import WrittenContact
from preference_center.contacts.choices import ACTOR
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import ExpiredLink, InvalidRows
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.rights import emails
from preference_center.rights.rules.changes import UNDO_PERIOD
from preference_center.rights.rules.lifecycle import RightsRequest

SOURCE = "rights_page"
"""The source of an account that is opened again by the link of a notice."""


def inform_other_addresses(
    connection: Connection, request: RightsRequest, written: Sequence[WrittenContact]
) -> None:
    """Queue the notices about the accounts that a request has closed just now."""
    for each in written:
        if each.is_changed:
            emails.insert_closing_notices(connection, request, each.contact)


def undo_closing(token: str, wording: str, language: str) -> None:
    """Open the account of a notice's link again; marketing stays off (I6). Safe to repeat.

    Raises InvalidLink; ExpiredLink after UNDO_PERIOD, and where the account is gone; Unavailable.
    """
    context = services()
    now = context.now()
    closed_at, data = context.links.open_form(FormPurpose.CLOSED_ACCOUNT, token, None, now)
    if now > closed_at + UNDO_PERIOD:
        raise ExpiredLink(f"a closing can be undone for {UNDO_PERIOD.days} days")
    proof = ConsentEvidence(SOURCE, wording, language, now)
    named = ContactRef(id=UUID(data["contact"]))
    try:
        contacts.reopen_contacts([(named, proof)], RequestOrigin(SOURCE, ACTOR, now))
    except InvalidRows:
        raise ExpiredLink("this account was deleted, or closed again") from None
