"""Delivery reports: one outcome per recipient (RFC 3464; RFC 6533 for non-ASCII addresses).

Only `Action: failed` means that a mail was not delivered (RULES F9). This module finds codes and
texts; `core.bounces` classifies them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.bounces import Bounce
from preference_center.core.mime import (
    ParsedMail,
    is_usable_address,
    parse_header,
    parse_recipient_field,
    recipient_addresses,
    single_address,
)
from preference_center.inbound.rules import MailStatement, StatementKind
from preference_center.inbound.rules.mail_report_text import (
    is_text_truncated,
    quotes_smtp_reply,
    report_text,
    text_about_recipient,
)
from preference_center.inbound.rules.report_fields import (
    FieldGroup,
    first_value,
    parse_fields,
    parse_recipient_groups,
)
from preference_center.inbound.rules.report_parties import find_parties

DELIVERY_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")

# "error" is what OpenSMTPD writes.
_FAILED_ACTION = re.compile(r"\s*(?:fail|error)", re.IGNORECASE)
_ENHANCED_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})")
_REPLY_CODE = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -]|$)")
# How Postfix and Exim name the command that was refused, and Sendmail's transcript.
_RCPT_REFUSED = re.compile(
    r"(?:in\s+reply\s+to|after)\s+RCPT\s+TO|>>> RCPT TO:\s*<?([^>\s]*)", re.IGNORECASE
)


def is_delivery_report(mail: ParsedMail) -> bool:
    """Whether it has the part that makes it one, or declares that it should."""
    return bool(mail.texts_of_type(*DELIVERY_STATUS_TYPES)) or mail.report_type == "delivery-status"


def is_delay_report(mail: ParsedMail) -> bool:
    """Whether its machine-readable parts report no failure (RFC 3464 2.3.3)."""
    parts = [parse_fields(text) for text in mail.texts_of_type(*DELIVERY_STATUS_TYPES)]
    actions = [action for part in parts for action in part.get("action", [])]
    return bool(actions) and not any(map(_FAILED_ACTION.match, actions))


def is_truncated_report(mail: ParsedMail) -> bool:
    """Whether what is read of it ends before its machine-readable part."""
    if not mail.texts_of_type(*DELIVERY_STATUS_TYPES):
        return mail.is_truncated or is_text_truncated(mail)
    return mail.is_truncated and mail.text_parts[-1].content_type in DELIVERY_STATUS_TYPES


def recipient_fields(mail: ParsedMail) -> list[FieldGroup]:
    """The fields about each recipient; none if it only has the form of a report.

    A report whose parts can't be separated, because its boundary is wrong, is parsed as one text;
    so is a mail that is not a report by its form, since gateways convert reports to that.
    """
    texts = mail.texts_of_type(*DELIVERY_STATUS_TYPES)
    if not texts and mail.report_type == "delivery-status":
        texts = [leaf.text for leaf in mail.text_parts]
    elif not texts:
        texts = [report_text(mail)]
    return [group for text in texts for group in parse_recipient_groups(text)]


def parse_delivery_report(
    mail: ParsedMail, groups: Sequence[FieldGroup], returned: str
) -> Iterator[MailStatement]:
    """What it states about each recipient whom the mail did not reach."""
    prose = report_text(mail)
    alone = len(groups) == 1
    everybody = [name for group in groups for name in _reported_recipients(group)]
    involved = find_parties(mail, returned)
    for group in groups:
        if _has_failed(group):
            names = tuple(
                name for name in _reported_recipients(group) if not involved.is_non_recipient(name)
            )
            if not names and alone and not _has_masked_recipient(group):
                to = single_address(parse_header(returned), "to")
                names = (to,) if to else ()
            words = text_about_recipient(prose, names, everybody, is_only_recipient=alone)
            at_rcpt = _is_rcpt_refusal(words, names, alone=alone)
            if alone and first_value(group, "diagnostic-code"):
                # Some reports list in their prose everything that can go wrong.
                words = text_about_recipient(prose, names, is_only_recipient=False) or words
            yield MailStatement(
                StatementKind.BOUNCED, names, _parse_bounce(group, words, at_rcpt=at_rcpt)
            )


def _has_failed(group: FieldGroup) -> bool:
    """Whether its action, or without an action its status, means failure."""
    action = first_value(group, "action")
    return bool(_FAILED_ACTION.match(action)) or (
        not action and first_value(group, "status")[:2] == "5."
    )


def _reported_recipients(group: FieldGroup) -> tuple[str, ...]:
    names = recipient_addresses(
        first_value(group, "original-recipient"), first_value(group, "final-recipient")
    )
    actual = parse_recipient_field(first_value(group, "x-actual-recipient"))
    return names or ((actual,) if actual and is_usable_address(actual) else ())


def _has_masked_recipient(group: FieldGroup) -> bool:
    """Whether it names a recipient that can't be identified because it is masked."""
    return any(
        "@" in first_value(group, name) for name in ("original-recipient", "final-recipient")
    )


def _is_powermta_bad_mailbox(group: FieldGroup, status: str) -> bool:
    """Whether PowerMTA calls the mailbox bad, and the status does not contradict it.

    X-PowerMTA-BounceCategory, of the PowerMTA User's Guide, "Bounce categories".
    """
    category = first_value(group, "x-powermta-bouncecategory").strip().lower()
    return category == "bad-mailbox" and status in {"", "5.0.0", "5.1.0", "5.5.0"}


def _is_rcpt_refusal(text: str, names: Iterable[str], *, alone: bool) -> bool:
    """Whether the text about a recipient reports that the recipient itself was refused."""
    known = {"", *(name.casefold() for name in names)}
    refused = ((each[1] or "").casefold() for each in _RCPT_REFUSED.finditer(text))
    return any(alone or name in known for name in refused)


def _parse_bounce(group: FieldGroup, prose: str, *, at_rcpt: bool) -> Bounce:
    """The bounce that the report describes. Comments in fields do not count (RFC 5322).

    The prose for people comes second. It is used where a report has no better diagnosis: to
    confirm a code without text (Exim and OpenSMTPD explain in prose, and give 5.0.0 for
    everything), and where it mentions a full mailbox, since some servers use one code for all
    rejections (RULES F11). "Failed" without a recognized reason suppresses nobody.
    """
    diagnosis = first_value(group, "diagnostic-code").partition(";")
    text = (diagnosis[2] or diagnosis[0]).strip()
    found = _ENHANCED_STATUS.search(first_value(group, "status"))
    status = found[1] if found else ""
    cause = find_cause(prose)
    # What the reporting system found itself, without another server's reply, needs no confirmation.
    found_itself = not text and cause is BounceCause.NO_MAILBOX and not quotes_smtp_reply(prose)
    if not text or cause is BounceCause.FULL:
        text = f"{text}\n{prose}".strip()
    reply = _REPLY_CODE.search(text)
    return Bounce(
        status=status,
        reply_code=reply[1] if reply else "",
        diagnostic=text,
        permanent=True if found_itself or _is_powermta_bad_mailbox(group, status) else None,
        rejected_at_rcpt=at_rcpt,
    )
