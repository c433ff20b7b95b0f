"""Mails that no person has just written: they never opt anybody out (RULES A12).

Some say so by a field or a subject that only machines set (RFC 3834); nothing is done about
those. Others only look so: by what a list, a ticket system or a vacation program writes. A person
might have written them, so an objection in one is neither recorded nor dropped.
"""

from __future__ import annotations

import re

from preference_center.domain.mail.auto_reply_phrases import AWAY, HANDLED, NOBODY, phrases
from preference_center.domain.mail.mime import Opened
from preference_center.domain.mail.objections.text import plain, words_of

_PRESENT = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-AutoReply-From",
    "X-Mail-Autoreply",
    "X-Vacation",
    "X-FC-MachineGenerated",
)
_PRECEDENCE = {"auto_reply", "auto-reply", "autoreply", "bulk", "junk"}
_ALSO_OF_LISTS = ("X-Loop", "X-Auto-Response-Suppress", "X-BeenThere", "X-Mailing-List")
"""Fields that programs set against loops, and lists on what people write through them."""
_AWAY = phrases(AWAY)
_HANDLED = phrases(HANDLED)
_NOBODY_WRITES = phrases(NOBODY)
_REPORT = re.compile(r"report domain:", re.IGNORECASE)
# "[Acme #48113]", "(#48113)": how ticket systems recognize their own.
_TICKET = re.compile(r"\[[^\[\]\n]{0,30}#\s?[A-Z-]{0,8}\d+\]|\(#\s?\d+\)|\[[A-Z]{2,6}-\d{2,}\]")
_SENT_BY_NOBODY = re.compile(r"<?\s*>?")
_NO_PERSON = re.compile(
    r"""^(?:no[-_.]?reply\w*|do[-_.]?not[-_.]?reply\w*|listserv|majordomo|mailman|sympa|ezmlm
    |auto-?(?:reply|responder|respond)|vacation|notifications?|bounces?|nobody|root|mailer|www-data)$
    | -(?:bounces|request|owner|noreply)$ | ^owner-""",
    re.VERBOSE,
)
_DAEMON = re.compile(
    r"\b(?:mailer[ -]?daemon|postmaster|mail-?daemon|mdaemon|mail deliver(?:y|er)? (?:sub)?system"
    r"|microsoftexchange[0-9a-f]{32})\b",  # what Exchange sends its own reports as
    re.IGNORECASE,
)
_RECEIPTS = {"disposition-notification", "tlsrpt", "smtp-tls-reporting"}
_MUCH = 3000
"""Characters of what was written that are searched."""


def is_automatic(mail: Opened) -> bool:
    """Whether a machine wrote it: a vacation notice or a receipt (RFC 3834 2).

    Apple Mail says so of an opt-out that its user has just pressed, too, and marks it.
    """
    if pressed_in_apple_mail(mail):
        return False
    submitted = mail.field("Auto-Submitted").partition(";")[0].partition("(")[0].strip().lower()
    return (
        submitted not in {"", "no"}
        or mail.report_type in _RECEIPTS
        or any(name in mail.message for name in _PRESENT)
        or mail.field("Precedence").strip().lower() in _PRECEDENCE
        or _AWAY.match(words_of(plain(mail.field("Subject")))) is not None
        or _REPORT.match(mail.field("Subject").strip()) is not None
        or has_null_sender(mail)
    )


def may_be_automatic(mail: Opened, own: str, sender: str = "") -> bool:
    """Whether a list, a ticket system or the like may have written it, or passed it on.

    `own` are the words of the mail without what it quotes, `sender` is the address it is from.
    """
    return (
        any(name.lower().startswith("list-") for name in mail.message)
        or any(name in mail.message for name in _ALSO_OF_LISTS)
        or mail.field("Precedence").strip().lower() == "list"
        or bool(mail.report_type)
        or _NO_PERSON.search(sender.rpartition("@")[0].lower()) is not None
        or _TICKET.search(mail.field("Subject")) is not None
        or _HANDLED.fullmatch(words_of(plain(mail.field("Subject")))) is not None
        or _NOBODY_WRITES.search(words_of(plain(own[:_MUCH]))) is not None
    )


def pressed_in_apple_mail(mail: Opened) -> bool:
    """Whether a person has pressed "Unsubscribe" in Apple Mail (CLIENTS)."""
    return mail.field("X-Apple-Unsubscribe").strip().lower() == "true"


def has_null_sender(mail: Opened) -> bool:
    """Whether its envelope named no sender, as those of reports do (RFC 5321 4.5.5)."""
    return "Return-Path" in mail.message and (
        _SENT_BY_NOBODY.fullmatch(mail.field("Return-Path").strip()) is not None
    )


def from_a_daemon(mail: Opened) -> bool:
    """Whether a mail system wrote it, by its own word."""
    return _DAEMON.search(mail.field("From")) is not None or "X-Failed-Recipients" in mail.message
