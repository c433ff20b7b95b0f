"""Bounces in no standard form: flufl.bounce recognizes those of some forty mail systems.

It finds whose mail bounced, and whether permanently. The codes and texts are extracted here, so
that they are classified like those of any other bounce. Of unknown systems' formats, only what
they clearly state about the recipients of the mail is used.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence

from flufl.bounce import all_failures

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.bounces import Bounce, classify_bounce
from preference_center.core.mime import ParsedMail, parse_mime, usable_addresses
from preference_center.inbound.rules import MailStatement, StatementKind
from preference_center.inbound.rules.mail_report_text import (
    RETURNED_CONTENT_TYPES,
    quotes_smtp_reply,
    report_text,
    text_about_recipient,
)
from preference_center.inbound.rules.report_parties import MailParties, find_parties

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

    A warning that delivery continues states nothing about anybody (RULES F9). `by_a_system` is
    whether it declares that a mail system wrote it; free-form text of others is not read.
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
