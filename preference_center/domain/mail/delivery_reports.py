"""Delivery reports: one fate per recipient (RFC 3464; RFC 6533 where addresses are not ASCII).

Only `Action: failed` says that a mail did not arrive (RULES F9). What a code and a text are
worth against each other is the judgement of `domain.deliverability`; here they are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from preference_center.domain.bounces import Cause
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.bounces.diagnostic_phrases import cause_in
from preference_center.domain.mail import Said, Saying
from preference_center.domain.mail.address_fields import is_usable, named, names_of, sole
from preference_center.domain.mail.mime import Opened, header_of
from preference_center.domain.mail.report_fields import Group, fields, first, recipient_groups
from preference_center.domain.mail.report_parties import parties
from preference_center.domain.mail.report_text import about, is_cut, prose_of, quotes_a_reply

STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")

# "error" is OpenSMTPD's word.
_FAILED = re.compile(r"\s*(?:fail|error)", re.IGNORECASE)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})")
_REPLY = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -]|$)")
# How Postfix and Exim tell at which command they were refused, and Sendmail's transcript.
_AT_RCPT = re.compile(
    r"(?:in\s+reply\s+to|after)\s+RCPT\s+TO|>>> RCPT TO:\s*<?([^>\s]*)", re.IGNORECASE
)


def is_delivery_report(mail: Opened) -> bool:
    """Whether it has the part that makes it one, or says that it should."""
    return bool(mail.of_kind(*STATUS_KINDS)) or mail.report_type == "delivery-status"


def is_delay(mail: Opened) -> bool:
    """Whether its parts for machines say of nobody that the mail failed (RFC 3464 2.3.3)."""
    parts = [fields(text) for text in mail.of_kind(*STATUS_KINDS)]
    actions = [action for part in parts for action in part.get("action", [])]
    return bool(actions) and not any(map(_FAILED.match, actions))


def ends_within(mail: Opened) -> bool:
    """Whether what is read of it ends before the part for machines does."""
    if not mail.of_kind(*STATUS_KINDS):
        return mail.is_cut or is_cut(mail)
    return mail.is_cut and mail.leaves[-1].kind in STATUS_KINDS


def groups_in(mail: Opened) -> list[Group]:
    """What it has about each recipient; nothing, if it has the form of a report only.

    Reports whose parts can't be told apart, for a broken boundary, are read as one text; of
    a mail that is no report by its form, the text is, which gateways make of one.
    """
    texts = mail.of_kind(*STATUS_KINDS)
    if not texts and mail.report_type == "delivery-status":
        texts = [leaf.text for leaf in mail.leaves]
    elif not texts:
        texts = [prose_of(mail)]
    return [group for text in texts for group in recipient_groups(text)]


def read_delivery_report(mail: Opened, groups: Sequence[Group], returned: str) -> Iterator[Saying]:
    """What it says of each recipient whom the mail did not reach."""
    prose = prose_of(mail)
    alone = len(groups) == 1
    everybody = [name for group in groups for name in _names(group)]
    involved = parties(mail, returned)
    for group in groups:
        if _has_failed(group):
            names = tuple(name for name in _names(group) if not involved.are_others(name))
            if not names and alone and not _names_somebody(group):
                to = sole(header_of(returned), "to")
                names = (to,) if to else ()
            words = about(prose, names, everybody, alone=alone)
            at_rcpt = _is_at_rcpt(words, names, alone=alone)
            if alone and first(group, "diagnostic-code"):
                # Some explain in their prose whatever can go wrong.
                words = about(prose, names, alone=False) or words
            yield Saying(Said.BOUNCED, names, _bounce(group, words, at_rcpt=at_rcpt))


def _has_failed(group: Group) -> bool:
    """Whether its action says so; the status, where it has no action."""
    action = first(group, "action")
    return bool(_FAILED.match(action)) or (not action and first(group, "status")[:2] == "5.")


def _names(group: Group) -> tuple[str, ...]:
    names = names_of(first(group, "original-recipient"), first(group, "final-recipient"))
    actual = named(first(group, "x-actual-recipient"))
    return names or ((actual,) if actual and is_usable(actual) else ())


def _names_somebody(group: Group) -> bool:
    """Whether it names a recipient who can't be told, as one that is masked."""
    return any("@" in first(group, name) for name in ("original-recipient", "final-recipient"))


def _is_called_bad(group: Group, status: str) -> bool:
    """Whether PowerMTA calls the mailbox bad, and the status says nothing else.

    X-PowerMTA-BounceCategory, of the PowerMTA User's Guide, "Bounce categories".
    """
    category = first(group, "x-powermta-bouncecategory").strip().lower()
    return category == "bad-mailbox" and status in {"", "5.0.0", "5.1.0", "5.5.0"}


def _is_at_rcpt(words: str, names: Iterable[str], *, alone: bool) -> bool:
    """Whether the words about a recipient say that it was refused itself."""
    known = {"", *(name.casefold() for name in names)}
    refused = ((each[1] or "").casefold() for each in _AT_RCPT.finditer(words))
    return any(alone or name in known for name in refused)


def _bounce(group: Group, prose: str, *, at_rcpt: bool) -> Bounce:
    """The report's words. What stands in a comment of a field counts for nothing (RFC 5322).

    The prose for people comes second. It is read where a report has no better diagnosis: to
    check a code that has no text (Exim and OpenSMTPD keep to prose, and give 5.0.0 to
    everything), and where it speaks of a full mailbox, since some servers have but one code
    for all that they reject (RULES F11). "Failed" without a reason that is understood
    suppresses nobody.
    """
    diagnosis = first(group, "diagnostic-code").partition(";")
    text = (diagnosis[2] or diagnosis[0]).strip()
    found = _STATUS.search(first(group, "status"))
    status = found[1] if found else ""
    cause = cause_in(prose)
    # What the reporting system found itself, of no reply of another, needs no agreement.
    found_itself = not text and cause is Cause.NO_MAILBOX and not quotes_a_reply(prose)
    if not text or cause is Cause.FULL:
        text = f"{text}\n{prose}".strip()
    reply = _REPLY.search(text)
    return Bounce(
        status=status,
        reply=reply[1] if reply else "",
        text=text,
        permanent=True if found_itself or _is_called_bad(group, status) else None,
        at_rcpt=at_rcpt,
    )
