"""Roles state what the company's staff may do in the console: whatever no role allows is denied.

A `StaffAccess` records that staff looked at a person's data: who, when and why. The person is
shown it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.core.errors import InvalidInput

_NAME_FORMAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Role(StrEnum):
    """What somebody is on staff for; a person may have several."""

    SUPPORT = "support"
    """Serves people who call or write."""
    COMPLIANCE = "compliance"
    """Decides on data-subject requests, and shows that promises are kept."""
    OPERATOR = "operator"
    """Runs the service: destinations, senders, imports."""
    ADMIN = "admin"
    """Says who is on staff, and what the catalogue declares."""


class Permission(StrEnum):
    """What a page of the console shows or does."""

    VIEW_PEOPLE = "view-people"
    """Look at what is held about one person, with a recorded reason."""
    CHANGE_PEOPLE = "change-people"
    """Record what a person said, and send them a link."""
    REVIEW = "review"
    """Mails, bursts and opt-outs that wait for a person's decision."""
    VIEW_REQUESTS = "view-requests"
    HANDLE_REQUESTS = "handle-requests"
    """Open data-subject requests, and take their steps."""
    DECIDE_REQUESTS = "decide-requests"
    """Refuse, extend and fulfil them, and place holds."""
    VIEW_WINDOW = "view-window"
    """How far every destination is."""
    MANAGE_DESTINATIONS = "manage-destinations"
    VIEW_CATALOGUE = "view-catalogue"
    APPLY_CATALOGUE = "apply-catalogue"
    VIEW_SENDERS = "view-senders"
    MANAGE_SENDERS = "manage-senders"
    """Create and revoke keys."""
    IMPORT = "import"
    """Import lists, and undo imports."""
    VIEW_REPORTS = "view-reports"
    VIEW_AUDIT = "view-audit"
    """Who did what, and who looked at whose data."""
    MANAGE_STAFF = "manage-staff"
    """See and end everybody's sessions; see the accounts."""


_EVERYBODY = frozenset({Permission.VIEW_WINDOW, Permission.VIEW_CATALOGUE})


ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.SUPPORT: _EVERYBODY
    | {
        Permission.VIEW_PEOPLE,
        Permission.CHANGE_PEOPLE,
        Permission.REVIEW,
        Permission.VIEW_REQUESTS,
        Permission.HANDLE_REQUESTS,
    },
    Role.COMPLIANCE: _EVERYBODY
    | {
        Permission.VIEW_PEOPLE,
        Permission.REVIEW,
        Permission.VIEW_REQUESTS,
        Permission.HANDLE_REQUESTS,
        Permission.DECIDE_REQUESTS,
        Permission.VIEW_SENDERS,
        Permission.VIEW_REPORTS,
        Permission.VIEW_AUDIT,
    },
    Role.OPERATOR: _EVERYBODY
    | {
        Permission.MANAGE_DESTINATIONS,
        Permission.VIEW_SENDERS,
        Permission.MANAGE_SENDERS,
        Permission.IMPORT,
        Permission.VIEW_REPORTS,
    },
    Role.ADMIN: _EVERYBODY
    | {
        Permission.APPLY_CATALOGUE,
        Permission.VIEW_SENDERS,
        Permission.MANAGE_SENDERS,
        Permission.VIEW_REPORTS,
        Permission.VIEW_AUDIT,
        Permission.MANAGE_STAFF,
    },
}
"""No role has all of them: who decides who is on staff does not see people by that."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """What somebody with these roles may do."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


def parse_roles(names: Iterable[str]) -> frozenset[Role]:
    """The roles of these names. Raises InvalidInput for an unknown name, or for none."""
    try:
        roles = frozenset(Role(name) for name in names)
    except ValueError as error:
        raise InvalidInput(f"{error}: a role is one of {', '.join(Role)}") from None
    if not roles:
        raise InvalidInput(f"name at least one role: {', '.join(Role)}")
    return roles


def validate_staff_name(name: str) -> str:
    """The name of somebody on staff, as the audit shows it. Raises InvalidInput.

    Never an email address: the audit and logs hold none (I12).
    """
    if "@" in name:
        raise InvalidInput("a staff name is no email address: write ada or ada.lovelace")
    if not _NAME_FORMAT.fullmatch(name):
        raise InvalidInput(
            "a staff name has 1 to 64 letters, digits and ._- and begins with a letter or digit"
        )
    return name


LOOK_LIFETIME = timedelta(minutes=60)
"""How long a recorded look opens the person's pages: a call and what is to be noted after it."""


_REFERENCE = re.compile(r"[A-Za-z0-9#/._-]{1,40}")


class AccessAction(StrEnum):
    """What somebody did to see a person's data."""

    PERSON_VIEWED = "person_viewed"
    """They searched for an address and were shown everything about it, or asked by an API key."""
    CONTACT_VIEWED = "contact_viewed"
    """They asked whose address it is, by a command that is gone: older looks have it."""
    MAIL_REVIEWED = "mail_reviewed"
    """They read a mail or a text whose meaning was not clear."""


class AccessReason(StrEnum):
    """Why somebody of the staff, or a system of the company, looked at a person's data."""

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
    KEY_QUERY = "key_query"
    """One of the company's systems asked by its API key; no member of staff gives this reason."""


STAFF_REASONS = tuple(reason for reason in AccessReason if reason is not AccessReason.KEY_QUERY)
"""What a member of staff chooses from."""


@dataclass(frozen=True, slots=True)
class StaffAccess:
    """One look at the data of one person, by staff or by a key. `at` is in UTC.

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
