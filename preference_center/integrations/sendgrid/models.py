"""A marketing contact of SendGrid as searches and exports list it, and the cursors of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import Field

from preference_center.integrations.base import runtime

CONTACTS_PATH = "/v3/marketing/contacts"


class SendGridContact(runtime.LenientModel):
    """One contact."""

    email: str = ""
    """Missing where a contact is known by its phone number, or by an id of the company's."""
    custom_fields: dict[str, object] = Field(default_factory=dict)


def to_snapshot(contact: SendGridContact, field: str | None) -> runtime.ContactSnapshot:
    """The contact as a listing shows it; its link is in the custom field `field`."""
    link = None if field is None else str(contact.custom_fields.get(field) or "")
    return runtime.ContactSnapshot(contact.email, link=link)


class SearchSpan(NamedTuple):
    """Contacts changed after `since` and up to `until` (seconds since 1970), with such ids."""

    since: int
    until: int
    id_prefix: str = ""


@dataclass(frozen=True, slots=True)
class SearchCursor:
    """Spans still to be searched, the next one last; what comes after `until` is for later."""

    until: int
    spans: tuple[SearchSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportCursor:
    """An export that was begun, and what of it was read. Times are seconds since 1970."""

    export: str
    until: int
    """When the pass began: the export has all contacts that were there then."""
    begun: int
    attempt: int = 1
    file: int = 0
    row: int = 0
