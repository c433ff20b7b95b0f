"""This module reads delivery reports and bounces: whose mail failed, with codes and texts.

A report has one outcome per recipient (RFC 3464; RFC 6533 for non-ASCII addresses). Only
`Action: failed` means that a mail was not delivered (RULES F9). `core.bounces` classifies the codes
and texts.

flufl.bounce recognizes bounces in no standard form, those of some forty mail systems: whose mail
bounced, and whether permanently. Their codes and texts are extracted here, so that they are
classified like those of any other bounce. Of unknown systems' formats, only what they clearly state
about the recipients of the mail is used.

`find_parties` reads sender and recipients of a returned mail, as far as its header names them. A
report in a system's own format names both, and the Message-ID, and the reader of the report. Only a
recipient of the returned mail may be reported as one whose mail failed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.bounces import Bounce, classify_bounce
from preference_center.core.mime import (
    ParsedMail,
    field_values,
    is_usable_address,
    parse_addresses,
    parse_header,
    parse_mime,
    parse_recipient_field,
    recipient_addresses,
    single_address,
    usable_addresses,
)
from preference_center.inbound.rules import MailStatement, StatementKind
from preference_center.inbound.rules.reports import (
    RETURNED_CONTENT_TYPES,
    FieldGroup,
    first_value,
    is_text_truncated,
    parse_fields,
    parse_recipient_groups,
    quotes_smtp_reply,
    report_text,
    text_about_recipient,
)

_RECIPIENT_FIELDS = (
    "to",
    "cc",
    "bcc",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
)


_SENDER_FIELDS = ("from", "sender", "reply-to", "return-path", "x-envelope-from", "errors-to")


_SENDER_AND_ID_FIELDS = (*_SENDER_FIELDS, "message-id", "list-unsubscribe")


_REPORT_FIELDS = (
    *_SENDER_FIELDS,
    *_RECIPIENT_FIELDS[:5],
    "message-id",
    "in-reply-to",
    "references",
)


# How a server records the only recipient that it had (RFC 5321 4.4).
_RECEIVED_FOR = re.compile(r"\bfor\s+<([^<>\s]{3,320})>")


@dataclass(frozen=True, slots=True)
class MailParties:
    """Addresses in lower case; both are empty if the report does not return a header."""

    recipients: frozenset[str]
    non_recipients: frozenset[str]
    """Who sent it, its Message-ID, and who reads the report."""

    def is_non_recipient(self, address: str) -> bool:
        """Whether it is certainly not a recipient: the sender, an id, the reader of the report."""
        name = address.casefold()
        return name in self.non_recipients and name not in self.recipients

    def may_be_recipient(self, address: str) -> bool:
        """Whether the returned mail was sent to it, or may have been if that is not stated."""
        if self.recipients:
            return address.casefold() in self.recipients
        return not self.is_non_recipient(address)


def find_parties(mail: ParsedMail, returned: str) -> MailParties:
    """The parties of the mail `returned` in the report `mail`."""
    header = parse_header(returned)
    recipients = _addresses(header, _RECIPIENT_FIELDS) | _addresses(
        mail.message, ["x-failed-recipients"]
    )
    for value in field_values(header, "received"):
        recipients |= {found.casefold() for found in _RECEIVED_FOR.findall(value)}
    others = _addresses(header, _SENDER_AND_ID_FIELDS) | _addresses(mail.message, _REPORT_FIELDS)
    return MailParties(frozenset(recipients), frozenset(others))


def _addresses(header: Message, fields: Iterable[str]) -> set[str]:
    values = field_values(header, *fields)
    return {address.casefold() for address in parse_addresses(values) if "@" in address}


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
        if _has_failed(group) and not _is_about_sender(group, involved):
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


def _is_about_sender(group: FieldGroup, parties: MailParties) -> bool:
    """Whether all addresses in its diagnosis are the sender's, whose address was refused then."""
    found = _ADDRESS_IN_TEXT.findall(first_value(group, "diagnostic-code"))
    return bool(found) and all(map(parties.is_non_recipient, found))


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
    is_bad_mailbox = _is_powermta_bad_mailbox(group, status)
    return Bounce(
        status=status,
        reply_code=reply[1] if reply else "",
        diagnostic=text,
        permanent=True if found_itself or is_bad_mailbox else None,
        bad_address=is_bad_mailbox,
        rejected_at_rcpt=at_rcpt,
    )


# Its logger would log input that it can't parse (I12).
logging.getLogger("flufl.bounce").disabled = True


# A warning by a system of unknown format: delivery continues (RULES F9).
_DELAY_WORDS = re.compile(
    r"\b(?:delay(?:ed)?|warning|still (?:being )?(?:try|retr|queue)|(?:will|shall) (?:be )?retr"
    r"|will (?:continue|keep)|no need to (?:resend|retry)|not (?:yet )?failed)",
    re.IGNORECASE,
)


# Addresses in prose, and lines that begin with one.
_ADDRESS_IN_TEXT = re.compile(
    r"(?<![^\s<>:;,\"()\[\]=])[^\s<>:;,\"()\[\]=@]{1,64}@[a-z0-9-][a-z0-9.-]{1,250}[a-z]"
)


_ADDRESS_AT_LINE_START = re.compile(
    rf"^[ \t]*<?({_ADDRESS_IN_TEXT.pattern})>?(?=[\s:]|$)", re.MULTILINE
)


def is_delay_notice(mail: ParsedMail) -> bool:
    """Whether it is only a warning: the system keeps trying (RULES F9)."""
    return any(_DELAY_WORDS.search(text) for text in (report_text(mail), mail.field("Subject")))


def parse_nonstandard_bounce(
    mail: ParsedMail, returned: str, *, from_mail_system: bool
) -> tuple[list[MailStatement], bool]:
    """Whose mail was not delivered, and whether the mail is about a delivery at all.

    A warning that delivery continues states nothing about anybody (RULES F9). `from_mail_system`
    is whether it declares that a mail system wrote it; free-form text of others is not read.
    """
    delayed, failed = _detect_failures(mail)
    involved = find_parties(mail, returned)
    failed = [address for address in failed if not involved.is_non_recipient(address)]
    if delayed or failed:
        return list(_known_format_statements(mail, failed, involved)), True
    stated = list(_unknown_format_statements(mail, involved)) if from_mail_system else []
    return stated, bool(stated)


def _known_format_statements(
    mail: ParsedMail, failed: list[str], parties: MailParties
) -> Iterator[MailStatement]:
    """One statement for each recipient whose mail failed.

    That is a recipient in the header of the returned mail, or one that begins a line of the
    report, as qmail and others list envelope recipients. Any other, and a masked one, is
    unknown: a token of ours identifies it, or a person does.
    """
    prose = report_text(mail)
    leading = {name.casefold() for name in _ADDRESS_AT_LINE_START.findall(prose.casefold())}
    for address in failed:
        text = text_about_recipient(prose, (address,), failed, is_only_recipient=len(failed) == 1)
        known = parties.may_be_recipient(address) or address.casefold() in leading
        names = usable_addresses((address,)) if known else ()
        yield MailStatement(StatementKind.BOUNCED, names, _bounce(text))


def _unknown_format_statements(mail: ParsedMail, parties: MailParties) -> Iterator[MailStatement]:
    """What a report of unknown format clearly states about the recipients of the mail."""
    prose = report_text(mail)
    if is_delay_notice(mail):
        return
    folded = prose.casefold()
    sent_to = sorted(usable_addresses(parties.recipients)) or _reported_addresses(folded, parties)
    named = [address for address in sent_to if address in folded]
    if not named and len(parties.recipients) == 1 and not _ADDRESS_IN_TEXT.search(folded):
        named = list(sent_to)  # "550 jane... User unknown": it can be about nobody else
    for address in named:
        text = text_about_recipient(prose, (address,), named, is_only_recipient=len(named) == 1)
        bounce = _bounce(text) if parties.recipients else Bounce(diagnostic=text)
        if find_cause(text) or (
            quotes_smtp_reply(text) and classify_bounce(bounce).cause is not BounceCause.UNKNOWN
        ):
            yield MailStatement(StatementKind.BOUNCED, (address,), bounce)


def _reported_addresses(prose: str, parties: MailParties) -> Sequence[str]:
    """Who is reported, where the returned mail does not name its recipients.

    Those that begin a line, or else the only address besides our own. It may be somebody else's,
    so a code or the refused command must confirm the text.
    """
    for pattern in (_ADDRESS_AT_LINE_START, _ADDRESS_IN_TEXT):
        found = usable_addresses(
            name for name in pattern.findall(prose) if not parties.is_non_recipient(name)
        )
        if found and (pattern is _ADDRESS_AT_LINE_START or len(found) == 1):
            return found
    return ()


def _bounce(text: str) -> Bounce:
    """The bounce that a text describes. "Failed" is not a reason: only the text may give one.

    "No such user" is the system's own finding unless it quotes another server's reply. That
    server may have refused the whole mail this way, as filters do; then the code or the refused
    command must confirm it.
    """
    own = find_cause(text) is BounceCause.NO_MAILBOX and not quotes_smtp_reply(text)
    return Bounce(diagnostic=text, permanent=True if own else None)


def _detect_failures(mail: ParsedMail) -> tuple[list[str], list[str]]:
    """Whose mail is delayed, and whose failed. The returned mail is hidden: it names others."""
    # Imported late: it has a module for each mail system, and few processes read a bounce.
    from flufl.bounce import all_failures  # noqa: PLC0415

    try:
        message = parse_mime(mail.excerpt)
        for part in message.walk():
            if (
                part.get_content_type().replace("text/x-message-", "message/")
                in RETURNED_CONTENT_TYPES
            ):
                part.set_payload("")
        delayed, failed = all_failures(message)
    except Exception:  # noqa: BLE001 - a detector that fails must not prevent other processing
        return [], []
    return _decode_addresses(delayed), _decode_addresses(failed)


def _decode_addresses(addresses: frozenset[bytes]) -> list[str]:
    return sorted(address.decode("ascii", "replace").strip() for address in addresses)
