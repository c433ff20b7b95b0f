"""Mails that people and mail servers send us, and what they say: pure, no I/O, no clock.

`reading.read` takes the beginning of a raw mail and answers with values: who opted out, who
complained, whose mail bounced, or why a person has to look. It believes nothing: whether a
report is about a mail of ours, and who it was sent to, is for the caller to find out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.bounces.bounce import Bounce
from preference_center.errors import PreferenceCenterError

MAIL_HEAD_BYTES = 256 * 1024
"""How much of a mail is looked at, however long it is."""


class MailTooComplex(PreferenceCenterError):
    """The mail has more parts, or parts deeper inside each other, than any honest one."""


class StatementKind(StrEnum):
    """What somebody says in a mail."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    BOUNCED = "bounced"


class MailKind(StrEnum):
    """What kind of mail it is."""

    REPLY = "reply"
    """A person's own words."""
    DELIVERY_REPORT = "delivery_report"
    FEEDBACK_REPORT = "feedback_report"
    """What a mail provider makes of its spam button."""
    AUTO_REPLY = "automatic"
    """A vacation notice, a receipt, an aggregate report: nobody's wish."""


class ReviewReason(StrEnum):
    """Why a person has to look at a mail."""

    UNCLEAR = "unclear"
    """Somebody wrote, and what they want is not clear."""
    HAS_FURTHER_REQUEST = "further_request"
    """Somebody objected, which is recorded, and said something else that a person must read."""
    WRONG_MAILBOX = "wrong_mailbox"
    """Somebody wrote to an address for reports."""
    NO_RECIPIENT = "no_recipient"
    """A report that hides, or leaves out, whom it is about, and holds no token of ours."""
    UNPROVEN = "unproven"
    """A report that nothing shows to be about a mail of ours."""
    UNKNOWN_REPORT_TYPE = "unknown_report_type"
    """A report of a kind that is not known."""
    TRUNCATED = "truncated"
    """A report that goes on after what is read of it: who else is in it is not known."""
    TOO_COMPLEX = "too_complex"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class MailStatement:
    """One thing said about one recipient.

    `recipients` are the names of that one recipient as reported, the likeliest first; none
    if the report hides it. They may be forged, and may be no address at all.
    """

    kind: StatementKind
    recipients: tuple[str, ...] = ()
    bounce: Bounce | None = None


@dataclass(frozen=True, slots=True)
class MailInterpretation:
    """What a mail says. Neither sayings nor a `why`: there is nothing to do about it.

    `ours` is text that may hold a token of ours: the mail that came back, or the quoted one.
    """

    kind: MailKind
    statements: tuple[MailStatement, ...] = ()
    review_reason: ReviewReason | None = None
    token_text: str = ""
