"""Looks of the staff at a person's data: who, when and why. The person is shown them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.core.errors import InvalidInput

LOOK_LIFETIME = timedelta(minutes=60)
"""How long a recorded look opens the person's pages: a call and what is to be noted after it."""
_REFERENCE = re.compile(r"[A-Za-z0-9#/._-]{1,40}")


class AccessAction(StrEnum):
    """What somebody did to see a person's data."""

    PERSON_VIEWED = "person_viewed"
    """They searched for an address and were shown everything about it."""
    CONTACT_VIEWED = "contact_viewed"
    """They asked whose address it is, by a command that is gone: older looks have it."""
    MAIL_REVIEWED = "mail_reviewed"
    """They read a mail or a text whose meaning was not clear."""


class AccessReason(StrEnum):
    """Why somebody of the staff looked at a person's data."""

    CALLED = "called"
    WROTE = "wrote"
    """By letter, by email or in a chat."""
    IN_PERSON = "in_person"
    DATA_REQUEST = "data_request"
    """To answer a data-subject request."""
    COMPLAINT = "complaint"
    INVESTIGATION = "investigation"
    """To find out whether, and why, something went wrong."""
    AUTHORITY = "authority"
    """A supervisory authority or a court asked."""
    OWN_ADDRESS = "own_address"
    """They looked at their own data."""


@dataclass(frozen=True, slots=True)
class StaffAccess:
    """One look at the data of one person. `at` is in UTC.

    `reference` is the number of a ticket or a case, or empty. Raises InvalidInput if it could
    not be one: an address, above all.
    """

    id: UUID
    at: datetime
    actor: str
    action: AccessAction
    reason: AccessReason
    reference: str = ""

    def __post_init__(self) -> None:
        if self.reference and not _REFERENCE.fullmatch(self.reference):
            raise InvalidInput(
                "A reference is the number of a ticket or a case: up to 40 letters, digits and"
                " # / . _ - without spaces, and never an address."
            )


def actor_kind(actor: str) -> str:
    """The part of an actor before its first colon, which names no one: `cli` of `cli:ada`."""
    return actor.partition(":")[0]
