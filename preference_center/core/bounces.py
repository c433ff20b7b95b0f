"""A bounce states why a mail did not arrive; the company's policy decides what follows from it.

`classify_bounce` compares the bounce's text with its code, which may contradict each other (RULES
F11). `evaluate_bounce` applies the policy that the catalogue declares in `[deliverability]`: which
bounces suppress, for how long, and what a complaint stops (RULES F10 is the default). Both are
pure. `bounce_change` makes the change that records a bounce of one address; `ledger.bounces`
stores the bounces that are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, Change, EventKind


@dataclass(frozen=True, slots=True)
class Bounce:
    """One report about one recipient, in the words of a mail server or a vendor.

    `diagnostic` may quote an address: it is classified, and neither stored nor logged (I12).
    """

    status: str = ""
    """Enhanced status code, `5.1.1` (RFC 3463); "" if there is none."""
    reply_code: str = ""
    """SMTP reply code, `550` (RFC 5321)."""
    diagnostic: str = ""
    """The diagnostic text."""
    permanent: bool | None = None
    """Whether the vendor calls this failure permanent; None if it does not classify it."""
    bad_address: bool = False
    """Whether the vendor states that the address itself is bad, or that it is on its own list of
    such addresses."""
    rejected_at_rcpt: bool = False
    """Whether the recipient was refused, and not the mail (RFC 5321 3.3), where that is known."""


_CODE_BY_CAUSE = {
    BounceCause.NO_MAILBOX: "1.1",
    BounceCause.NO_DOMAIN: "1.2",
    BounceCause.OWNER_CHANGED: "7.17",
    BounceCause.INACTIVE: "2.1",
    BounceCause.FULL: "2.2",
    BounceCause.POLICY: "7.1",
    BounceCause.CONTENT: "6.0",
    BounceCause.TEMPORARY: "4.0",
    BounceCause.ADDRESS: "1.0",
}
"""The code, less its class, for the cause that a text states (RFC 3463, 7293)."""


_CAUSE_BY_CODE = {
    "1.0": BounceCause.ADDRESS,
    "1.1": BounceCause.NO_MAILBOX,
    "1.2": BounceCause.NO_DOMAIN,
    "1.3": BounceCause.NO_MAILBOX,
    "1.6": BounceCause.NO_MAILBOX,
    "1.7": BounceCause.POLICY,  # of the sender's address, as is x.1.8
    "1.8": BounceCause.POLICY,
    "1.10": BounceCause.NO_DOMAIN,
    "2.1": BounceCause.INACTIVE,
    "2.2": BounceCause.FULL,
    "2.3": BounceCause.CONTENT,
    "7.13": BounceCause.INACTIVE,
    "7.17": BounceCause.OWNER_CHANGED,
    "7.18": BounceCause.OWNER_CHANGED,
}


_CAUSE_BY_SUBJECT = {
    "1": BounceCause.ADDRESS,
    "3": BounceCause.TEMPORARY,
    "4": BounceCause.TEMPORARY,
    "5": BounceCause.TEMPORARY,
    "6": BounceCause.CONTENT,
    "7": BounceCause.POLICY,
}


_ADDRESS_CAUSES = {BounceCause.NO_MAILBOX, BounceCause.NO_DOMAIN, BounceCause.ADDRESS}
"""Causes of codes that confirm a text by which there is no such mailbox."""


_STATUS_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")


_REPLY_CODE = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -])")


# The command by its name, as most systems quote it, or in the words of qmail and of others.
_RCPT_COMMAND = re.compile(
    r"\bRCPT[ _]TO\b|\bRCPT command|\bSMTP:RCPT\b|does not like recipient|rejected recipient <",
    re.IGNORECASE,
)


_UNKNOWN_USER = re.compile(
    r"delivery error: dd .{0,20}user does ?n[o't]{2} have|\b(?:LPN|OFR)\d{3}_416\b", re.IGNORECASE
)
"""Of an unknown user only, at whatever command: Yahoo's text, the codes of Orange and La Poste."""


_RELAYED_CODE = "5.1.351"
"""Exchange Online's, of a reply of another server that it passes on, whatever that was."""


_MICROSOFT_CODES = {"5.4.1", "5.5.0"}


_MAILBOX_UNAVAILABLE = re.compile(
    r"requested action not taken: mailbox unavailable(\W{0,3}\(-?\d+:\d+:-?\d+)?", re.IGNORECASE
)
"""RFC 5321 4.2.3 of 550; with numbers, as Outlook.com reports those it doesn't have."""


@dataclass(frozen=True, slots=True)
class BounceClassification:
    """The cause of a bounce, and the enhanced status code for it.

    `code` is the reported one unless the text contradicts it; "" if nothing is known.
    """

    cause: BounceCause
    code: str = ""
    contradicts_code: bool = False
    """Whether the text contradicts the code that came with it."""


def classify_bounce(bounce: Bounce) -> BounceClassification:
    """Classify `bounce`. A clear text precedes the code, an unclear one follows it.

    A text by which there is no such mailbox would suppress at once. So it must be confirmed
    (by the code, by the RCPT command that was refused, or by the vendor), and nothing may
    indicate that it is temporary. Else it is read as 5.1.0, which is counted: servers that
    filter reply "user unknown" to mails whose content they reject. So is a failure that the
    vendor only calls permanent, with or without words, which is about one mail: the server may have
    refused its sender or its content. Intercom and Klaviyo say so of their hard bounces
    (https://www.intercom.com/help/en/articles/1516-protect-your-workspace-from-high-bounce-rates,
    https://help.klaviyo.com/hc/en-us/articles/115005250408), Resend of every bounce
    (https://resend.com/docs/webhooks/emails/bounced).
    """
    code = _find_status_code(bounce)
    if code.startswith("2") or (not code and _find_reply_code(bounce).startswith("2")):
        return BounceClassification(BounceCause.DELIVERED, code)
    stated = find_cause(bounce.diagnostic)
    if stated is BounceCause.ADDRESS and _is_confirmed(bounce, code):
        return BounceClassification(BounceCause.NO_MAILBOX, "5.1.1", code not in {"", "5.1.1"})
    if stated is BounceCause.NO_MAILBOX:
        return _classify_no_mailbox(bounce, code)
    if stated is not None and (stated is not BounceCause.ADDRESS or _is_unrelated_to_address(code)):
        return _classify_from_text(stated, code, _find_reply_code(bounce))
    if _is_vague(code) and not code.startswith("4"):
        if bounce.bad_address:
            return BounceClassification(BounceCause.NO_MAILBOX, "5.1.1")
        if bounce.permanent:
            return BounceClassification(BounceCause.ADDRESS, "5.1.0", code not in {"", "5.1.0"})
    if bounce.permanent is False and _cause_of_code(code) is BounceCause.NO_MAILBOX:
        return BounceClassification(BounceCause.ADDRESS, "5.1.0", contradicts_code=True)
    return BounceClassification(_cause_of_code(code), code)


def _is_confirmed(bounce: Bounce, code: str) -> bool:
    """Whether a refusal of the address, for no stated reason, means that it is not there.

    The vendor may state it. A server that refuses RCPT with the text of RFC 5321 means it; so do
    Microsoft's, with codes that blame the network or the protocol: `_is_unrelated_to_address`.
    """
    if bounce.permanent is not None:
        return (
            bounce.permanent
            and not code.startswith("4")
            and (not code or _is_unrelated_to_address(code))
        )
    if _is_temporary(bounce, code):
        return False
    standard = _MAILBOX_UNAVAILABLE.search(" ".join(bounce.diagnostic.split()))
    if standard and _is_unrelated_to_address(code):
        return standard[1] is not None or _is_rejected_at_rcpt(bounce)
    return code in _MICROSOFT_CODES and _is_rejected_at_rcpt(bounce)


def _classify_no_mailbox(bounce: Bounce, code: str) -> BounceClassification:
    if (
        code.startswith("5")
        and not _is_vague(code)
        and code != _RELAYED_CODE
        and _cause_of_code(code) in _ADDRESS_CAUSES
    ):
        is_confirmed = True
    else:
        # A server may be configured to reply 450 for users that it doesn't know, as Postfix is
        # by default; a text with 4.1.1 is that.
        is_confirmed = (
            code.partition(".")[2] == "1.1"
            or bounce.permanent is True
            or (
                _UNKNOWN_USER.search(bounce.diagnostic) is not None
                and not _is_temporary(bounce, code)
            )
            or (_is_rejected_at_rcpt(bounce) and not _is_temporary(bounce, code))
        )
    if is_confirmed and bounce.permanent is not False:
        return BounceClassification(BounceCause.NO_MAILBOX, "5.1.1", code not in {"", "5.1.1"})
    if _is_temporary(bounce, code):
        return BounceClassification(_cause_of_code(code), code)
    if _is_vague(code) or _cause_of_code(code) in {BounceCause.NO_MAILBOX, BounceCause.ADDRESS}:
        return BounceClassification(BounceCause.ADDRESS, "5.1.0", code not in {"", "5.1.0"})
    return BounceClassification(_cause_of_code(code), code)


def _classify_from_text(cause: BounceCause, code: str, reply_code: str) -> BounceClassification:
    """The stated cause in the class of the code: a temporary failure stays temporary."""
    if code and _cause_of_code(code) is cause:
        return BounceClassification(cause, code)
    status = "4" if (code or reply_code).startswith("4") else "5"
    return BounceClassification(
        cause, f"{status}.{_CODE_BY_CAUSE[cause]}", bool(code) and not _is_vague(code)
    )


def _find_status_code(bounce: Bounce) -> str:
    """The enhanced status code: the reported one, or a more specific one in the text."""
    found = _STATUS_CODE.search(bounce.status)
    code = ".".join(found.groups()) if found else ""
    if _is_vague(code):
        found_in_text = (
            each for each in _STATUS_CODE.finditer(bounce.diagnostic) if each[1] != "2"
        )
        closer = (".".join(each.groups()) for each in found_in_text)
        return next((each for each in closer if not _is_vague(each)), code)
    return code


def _find_reply_code(bounce: Bounce) -> str:
    if bounce.reply_code:
        return bounce.reply_code.strip()
    found = _REPLY_CODE.search(bounce.diagnostic)
    return found.group(1) if found else ""


def _is_rejected_at_rcpt(bounce: Bounce) -> bool:
    return bounce.rejected_at_rcpt or _RCPT_COMMAND.search(bounce.diagnostic) is not None


def _is_temporary(bounce: Bounce, code: str) -> bool:
    return (code or _find_reply_code(bounce)).startswith("4")


def _is_vague(code: str) -> bool:
    """Whether a code states little more than that delivery failed."""
    return code.partition(".")[2] in {"", "0.0", "1.0", "5.0"}


def _is_unrelated_to_address(code: str) -> bool:
    """Whether a code is vague, or blames the network or the protocol (5.4.1, 5.5.0).

    Exchange Online and Outlook.com give those with a recipient that they don't have, see
    https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online
    """
    return _is_vague(code) or code.split(".")[1] in {"4", "5"}


def _cause_of_code(code: str) -> BounceCause:
    _, _, rest = code.partition(".")
    return _CAUSE_BY_CODE.get(rest) or _CAUSE_BY_SUBJECT.get(
        rest.partition(".")[0], BounceCause.UNKNOWN
    )


@dataclass(frozen=True, slots=True)
class BounceThreshold:
    """How many bounces of one kind suppress, and on how many days (UTC) they must come.

    If `temporary`, for a time; else permanently. With 0 events: never.
    """

    events: int
    days: int = 1
    temporary: bool = True

    def describe(self) -> str:
        """For the catalogue's commands."""
        if not self.events:
            return "never"
        if self == AT_ONCE:
            return "at once"
        days = f" on {self.days} days" if self.days > 1 else ""
        return f"{self.events} events{days}, for {'now' if self.temporary else 'good'}"


NEVER = BounceThreshold(0)


AT_ONCE = BounceThreshold(1, temporary=False)


_TWICE = BounceThreshold(2, days=2)


DEFAULT_THRESHOLDS: Mapping[str, BounceThreshold] = {
    "5.1.0": _TWICE,  # "user unknown" with nothing to confirm it: see `classify_bounce`
    "5.1.1": AT_ONCE,
    "5.1.2": _TWICE,
    "5.1.3": AT_ONCE,
    "5.1.6": AT_ONCE,
    "5.1.10": AT_ONCE,  # null MX (RFC 7505)
    "5.2.1": _TWICE,
    "5.7.17": AT_ONCE,  # the owner of the mailbox, or of the domain, has changed (RFC 7293)
    "5.7.18": AT_ONCE,
}
"""RULES F10. Whatever is not in here never suppresses: full mailboxes (5.2.2), mails that
are too big (5.2.3), systems, networks, protocols and contents (5.3.x to 5.6.x),
the sender's reputation (other 5.7.x), and whatever is temporary (4.x.x)."""


class ComplaintStops(StrEnum):
    """What a spam complaint stops."""

    ALL_MARKETING = "all_marketing"
    TOPIC = "topic"
    """The topic of that mail, where it is known; else all marketing."""


@dataclass(frozen=True, slots=True)
class DeliverabilityPolicy:
    """`[deliverability]` of the catalogue; a code precedes its wider forms, `5.3.x`."""

    thresholds: Mapping[str, BounceThreshold] = field(default_factory=lambda: DEFAULT_THRESHOLDS)
    temporary_duration: timedelta = timedelta(days=30)
    """How long a suppression by counted bounces lasts, from the last of them."""
    counting_window: timedelta = timedelta(days=90)
    """How long a bounce counts."""
    complaints_stop: ComplaintStops = ComplaintStops.ALL_MARKETING

    def matching_code(self, code: str) -> str | None:
        """The code or wider form whose threshold holds for `code`; None if there is none."""
        return next((each for each in _code_forms(code) if each in self.thresholds), None)

    def threshold_for(self, code: str) -> BounceThreshold:
        """When bounces with this code suppress."""
        rule = self.matching_code(code)
        return NEVER if rule is None else self.thresholds[rule]


class BounceActionKind(StrEnum):
    """What is done about a bounce."""

    SUPPRESS = "suppress"
    """Permanently: only a newer own opt-in ends it."""
    SUPPRESS_TEMPORARILY = "suppress_temporarily"
    COUNT = "count"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class BounceAction:
    """An action and the classification behind it; `until` ends a temporary suppression (UTC)."""

    kind: BounceActionKind
    classification: BounceClassification
    until: datetime | None = None


def evaluate_bounce(
    policy: DeliverabilityPolicy,
    classification: BounceClassification,
    bounced_at: datetime,
    earlier_bounces: Sequence[datetime],
    now: datetime,
) -> BounceAction:
    """What is done about a bounce at `bounced_at`.

    `earlier_bounces` are the times of other bounces of that address under the same rule of
    the policy, older than the counting window or not. A suppression that would have ended
    by `now` is not begun.
    """
    threshold = policy.threshold_for(classification.code)
    if not threshold.events:
        return BounceAction(BounceActionKind.IGNORE, classification)
    since = now - policy.counting_window
    counted = [bounced_at, *earlier_bounces]
    counted = [at for at in counted if at > since]
    days = {at.astimezone(UTC).date() for at in counted}
    reached = threshold.events == 1 or (
        len(counted) >= threshold.events and len(days) >= threshold.days
    )
    if not reached:
        return BounceAction(
            BounceActionKind.COUNT if bounced_at > since else BounceActionKind.IGNORE,
            classification,
        )
    if not threshold.temporary:
        return BounceAction(BounceActionKind.SUPPRESS, classification)
    until = bounced_at + policy.temporary_duration
    if until <= now:
        return BounceAction(
            BounceActionKind.COUNT if bounced_at > since else BounceActionKind.IGNORE,
            classification,
        )
    return BounceAction(BounceActionKind.SUPPRESS_TEMPORARILY, classification, until)


def complaint_scope(policy: DeliverabilityPolicy, topic: str | None) -> str:
    """What a complaint about a mail of this topic stops; `topic` is None if unknown."""
    if policy.complaints_stop is ComplaintStops.TOPIC and topic is not None:
        return topic
    return ALL_MARKETING


def _code_forms(code: str) -> Iterator[str]:
    """`5.3.4`, `5.3.x`, `5.x.x`."""
    status, _, rest = code.partition(".")
    subject = rest.partition(".")[0]
    if subject:
        yield code
        yield f"{status}.{subject}.x"
        yield f"{status}.x.x"


@dataclass(frozen=True, slots=True)
class BounceReport:
    """One bounce of one address.

    `id` becomes the event's id, and is the same whenever the same bounce is reported again.
    `bounced_at` is when the mail bounced, `received_at` when that was reported to us (both UTC).
    `evidence` must hold nothing personal (I8); what was read from the bounce is added to it.
    """

    id: UUID
    address: Address
    bounce: Bounce
    bounced_at: datetime
    received_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts_at(self) -> datetime:
        """The time that it is counted at: never later than its receipt."""
        return min(self.bounced_at, self.received_at)


def bounce_change(report: BounceReport, action: BounceAction) -> Change | None:
    """The change that records a bounce; None if it does not suppress.

    A permanent suppression is a bounce; a temporary one is a pause of the scope UNDELIVERABLE,
    which ends by itself.
    """
    match action.kind:
        case BounceActionKind.SUPPRESS:
            kind = EventKind.BOUNCED
        case BounceActionKind.SUPPRESS_TEMPORARILY:
            kind = EventKind.PAUSED
        case BounceActionKind.COUNT | BounceActionKind.IGNORE:
            return None
        case _:
            assert_never(action.kind)
    classification = action.classification
    evidence = {
        **report.evidence,
        "cause": classification.cause.value,
        "status": classification.code,
    }
    if classification.contradicts_code and report.bounce.status:
        evidence["status_given"] = report.bounce.status[:40]
    return Change(
        id=report.id,
        kind=kind,
        address=report.address,
        scope=UNDELIVERABLE,
        occurred_at=report.counts_at,
        received_at=report.received_at,
        source=report.source,
        actor=report.actor,
        evidence=evidence,
        until=action.until,
    )
