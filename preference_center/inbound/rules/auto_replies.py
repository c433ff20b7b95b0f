"""Mails that no person has just written: they never opt anybody out (RULES A12).

Some declare it by a field or subject that only software sets (RFC 3834); these are ignored.
Others only resemble them, with fields that mailing lists, ticket systems or vacation programs
set. A person may have written those, so an objection in one is queued for review.
"""

from __future__ import annotations

import re

from preference_center.core.mime import ParsedMail
from preference_center.inbound.rules.auto_reply_phrases import (
    AUTO_REPLY_PHRASES,
    OUT_OF_OFFICE_SUBJECTS,
    SYSTEM_SUBJECTS,
    compile_phrases,
)
from preference_center.inbound.rules.objections.text import normalize_text, tokenize

_AUTO_REPLY_FIELDS = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-AutoReply-From",
    "X-Mail-Autoreply",
    "X-Vacation",
    "X-FC-MachineGenerated",
)
_AUTO_PRECEDENCES = {"auto_reply", "auto-reply", "autoreply", "bulk", "junk"}
_LOOP_FIELDS = ("X-Loop", "X-Auto-Response-Suppress", "X-BeenThere", "X-Mailing-List")
"""Fields that software sets to prevent loops, and that lists add to forwarded mail."""
_AWAY_SUBJECT = compile_phrases(OUT_OF_OFFICE_SUBJECTS)
_SYSTEM_SUBJECT = compile_phrases(SYSTEM_SUBJECTS)
_AUTO_REPLY_TEXT = compile_phrases(AUTO_REPLY_PHRASES)
_AGGREGATE_REPORT_SUBJECT = re.compile(r"report domain:", re.IGNORECASE)
# "[Acme #48113]", "(#48113)": how ticket systems recognize their own.
_TICKET_SUBJECT = re.compile(
    r"\[[^\[\]\n]{0,30}#\s?[A-Z-]{0,8}\d+\]|\(#\s?\d+\)|\[[A-Z]{2,6}-\d{2,}\]"
)
_NULL_SENDER = re.compile(r"<?\s*>?")
_SYSTEM_LOCAL_PART = re.compile(
    r"""^(?:no[-_.]?reply\w*|do[-_.]?not[-_.]?reply\w*|listserv|majordomo|mailman|sympa|ezmlm
    |auto-?(?:reply|responder|respond)|vacation|notifications?|bounces?|nobody|root|mailer|www-data)$
    | -(?:bounces|request|owner|noreply)$ | ^owner-""",
    re.VERBOSE,
)
_MAIL_SYSTEM_SENDER = re.compile(
    r"\b(?:mailer[ -]?daemon|postmaster|mail-?daemon|mdaemon|mail deliver(?:y|er)? (?:sub)?system"
    r"|microsoftexchange[0-9a-f]{32})\b",  # what Exchange sends its own reports as
    re.IGNORECASE,
)
_RECEIPT_REPORT_TYPES = {"disposition-notification", "tlsrpt", "smtp-tls-reporting"}
_MAX_CHARACTERS = 3000
"""Characters of the written text that are searched."""


def is_automatic(mail: ParsedMail) -> bool:
    """Whether software wrote it: an auto-reply or a receipt (RFC 3834 2).

    Apple Mail sets the same field on an opt-out that its user has just requested, and marks it.
    """
    if is_apple_mail_unsubscribe(mail):
        return False
    submitted = mail.field("Auto-Submitted").partition(";")[0].partition("(")[0].strip().lower()
    return (
        submitted not in {"", "no"}
        or mail.report_type in _RECEIPT_REPORT_TYPES
        or any(name in mail.message for name in _AUTO_REPLY_FIELDS)
        or mail.field("Precedence").strip().lower() in _AUTO_PRECEDENCES
        or _AWAY_SUBJECT.match(tokenize(normalize_text(mail.field("Subject")))) is not None
        or _AGGREGATE_REPORT_SUBJECT.match(mail.field("Subject").strip()) is not None
        or has_null_sender(mail)
    )


def may_be_automatic(mail: ParsedMail, own_text: str, sender: str = "") -> bool:
    """Whether a list, a ticket system or the like may have written or forwarded it.

    `own_text` is the text of the mail without quotations, `sender` the address in From.
    """
    return (
        any(name.lower().startswith("list-") for name in mail.message)
        or any(name in mail.message for name in _LOOP_FIELDS)
        or mail.field("Precedence").strip().lower() == "list"
        or bool(mail.report_type)
        or _SYSTEM_LOCAL_PART.search(sender.rpartition("@")[0].lower()) is not None
        or _TICKET_SUBJECT.search(mail.field("Subject")) is not None
        or _SYSTEM_SUBJECT.fullmatch(tokenize(normalize_text(mail.field("Subject")))) is not None
        or _AUTO_REPLY_TEXT.search(tokenize(normalize_text(own_text[:_MAX_CHARACTERS]))) is not None
    )


def is_apple_mail_unsubscribe(mail: ParsedMail) -> bool:
    """Whether a person has pressed "Unsubscribe" in Apple Mail (CLIENTS)."""
    return mail.field("X-Apple-Unsubscribe").strip().lower() == "true"


def has_null_sender(mail: ParsedMail) -> bool:
    """Whether its envelope sender is empty, as it is for reports (RFC 5321 4.5.5)."""
    return "Return-Path" in mail.message and (
        _NULL_SENDER.fullmatch(mail.field("Return-Path").strip()) is not None
    )


def is_from_mail_system(mail: ParsedMail) -> bool:
    """Whether it declares that a mail system wrote it."""
    return (
        _MAIL_SYSTEM_SENDER.search(mail.field("From")) is not None
        or "X-Failed-Recipients" in mail.message
    )
