"""The events of the reference model, and which addresses they are about.

The model is written from the rules alone (I1 to I13, docs/architecture.md, docs/api.md), and
shares nothing with the ledger but the parsing of addresses: its purpose is to disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.core.addresses import Channel, parse_address

ALL_MARKETING = "all_marketing"
EVERYTHING = "everything"
RESTRICTION = "restriction"
SHARING = "sharing"
UNDELIVERABLE = "undeliverable"

TRUSTED_DELAY = timedelta(minutes=15)
"""So much later than its stated time an opt-out may count, if it was received later (I5)."""


@dataclass(frozen=True)
class Form:
    """One way of writing an address: canonical, with the group of its mailbox and its tag.

    `tag` is the form itself where it has a tag that may name another person, else None.
    """

    exact: str
    group: str
    tag: str | None


def form_of(text: str) -> Form:
    """The form of an email address, as it was written."""
    address = parse_address(text, Channel.EMAIL)
    tag = address.exact if address.base is not None else None
    return Form(address.exact, address.base or address.mailbox, tag)


def share_mailbox(first: Form, second: Form) -> bool:
    """I9: the same group, and not two different tags."""
    two_tags = first.tag is not None and second.tag is not None and first.tag != second.tag
    return first.group == second.group and not two_tags


class Kind(StrEnum):
    """What happened. CONTACT_KNOWN is no event of the ledger: a contact's address was sent."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    MOVED = "moved"
    OPTED_IN = "opted_in"
    PAUSED = "paused"
    BOUNCED = "bounced"
    DEACTIVATED = "deactivated"
    ERASED = "erased"
    REOPENED = "reopened"
    RESTRICTED = "restricted"
    UNRESTRICTED = "unrestricted"
    RETRACTED = "retracted"
    CONTACT_KNOWN = "contact_known"


@dataclass(frozen=True)
class Event:
    """One recorded event.

    `counts_at`: see `opt_out_counts_at` and `opt_in_counts_at`. `hashed`: this event came with
    the hash of the address only. `own`: the person's own act, which an opt-in of a list is not.
    `until`: the end of a pause, or of a bounce that suppresses for a time. `retracts`: ids.
    """

    id: str
    kind: Kind
    form: Form
    counts_at: datetime
    scope: str = ALL_MARKETING
    hashed: bool = False
    own: bool = False
    until: datetime | None = None
    retracts: frozenset[str] = frozenset()


def opt_out_counts_at(occurred_at: datetime | None, received_at: datetime) -> datetime:
    """I5: foreign clocks are not trusted.

    A date after the receipt is not plausible; with or without it the receipt is the latest.
    """
    if occurred_at is None:
        return received_at
    return min(received_at, occurred_at + TRUSTED_DELAY)


def opt_in_counts_at(
    occurred_at: datetime, recorded_at: datetime, rendered_at: datetime | None = None
) -> datetime:
    """I5: from when the form was rendered, else from the act; never from the future."""
    return min(rendered_at or occurred_at, occurred_at, recorded_at)
