"""What mails and text messages state: replies, bounces, complaints, keywords. Pure.

`interpret.interpret_mail` takes the beginning of a raw mail and returns values: who opted out,
who complained, whose mail bounced, or why a person must review it. It verifies nothing: whether
a report is about a mail of ours, and to whom that was sent, is for the caller to establish.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preference_center.core.bounces import Bounce
from preference_center.inbound.rules.rights_words import WrittenByPerson


class StatementKind(StrEnum):
    """What a mail states about one recipient."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    BOUNCED = "bounced"


class MailKind(StrEnum):
    """The kind of a mail."""

    REPLY = "reply"
    """A person's own words."""
    DELIVERY_REPORT = "delivery_report"
    FEEDBACK_REPORT = "feedback_report"
    """What a mail provider sends when its user presses the spam button."""
    AUTO_REPLY = "automatic"
    """An auto-reply, a receipt or an aggregate report: it expresses no request."""


class ReviewReason(StrEnum):
    """Why a person must review a mail."""

    UNCLEAR = "unclear"
    """A person wrote, and the request is not clear."""
    HAS_FURTHER_REQUEST = "further_request"
    """A person objected, which is recorded, and wrote something else that must be read."""
    WRONG_MAILBOX = "wrong_mailbox"
    """A person wrote to a mailbox for reports."""
    NO_RECIPIENT = "no_recipient"
    """A report that hides or omits its recipient, and contains no token of ours."""
    UNPROVEN = "unproven"
    """A report without proof that it is about a mail of ours."""
    UNKNOWN_REPORT_TYPE = "unknown_report_type"
    """A report of an unknown type."""
    TRUNCATED = "truncated"
    """A report longer than what is read of it: it may be about more recipients."""
    TOO_COMPLEX = "too_complex"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class MailStatement:
    """One statement about one recipient.

    `recipients` are the names of that one recipient as reported, the likeliest first; empty if
    the report hides it. They may be forged, and may not be addresses at all.
    """

    kind: StatementKind
    recipients: tuple[str, ...] = ()
    bounce: Bounce | None = None


@dataclass(frozen=True, slots=True)
class MailInterpretation:
    """The meaning of a mail. Without statements and `review_reason` nothing is to be done.

    `token_text` is text that may contain a token of ours: the returned mail, or the quoted one.
    """

    kind: MailKind
    statements: tuple[MailStatement, ...] = ()
    review_reason: ReviewReason | None = None
    token_text: str = ""
    written: WrittenByPerson | None = None
    """What a person wrote; None if software may have."""
