"""A marketing contact of SendGrid as searches and exports show it."""

from __future__ import annotations

from pydantic import Field

from preference_center.domain.sync.contract import ContactSnapshot
from preference_center.integrations.base.pydantic_types import LenientModel

CONTACTS_PATH = "/v3/marketing/contacts"


class SendGridContact(LenientModel):
    """One contact."""

    email: str = ""
    """Missing where a contact is known by its phone number, or by an id of the company's."""
    custom_fields: dict[str, object] = Field(default_factory=dict)


def to_snapshot(contact: SendGridContact, field: str | None) -> ContactSnapshot:
    """The contact as a listing shows it; its link is in the custom field `field`."""
    link = None if field is None else str(contact.custom_fields.get(field) or "")
    return ContactSnapshot(contact.email, link=link)
