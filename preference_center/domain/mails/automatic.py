"""Mails that no person has just written: they never opt anybody out (RULES A12)."""

from __future__ import annotations

import re

from preference_center.domain.mails.parts import Opened

_PRESENT = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-AutoReply-From",
    "X-Mail-Autoreply",
    "X-Vacation",
    "X-FC-MachineGenerated",
)
_PRECEDENCE = {"auto_reply", "auto-reply", "bulk", "junk"}
_AWAY = re.compile(
    r"""^(?:(?:auto(?:matic|mated)?[ -]?(?:reply|response|answer)|out\ of\ (?:the\ )?office
        |on\ (?:vacation|holiday|leave)|away\ (?:from|until)|i\ am\ away
        |risposta\ automatica|fuori\ (?:sede|ufficio)|assenza|assente
        |abwesenheit(?:snotiz)?|automatische\ (?:antwort|abwesenheit)|nicht\ im\ b[u\u00fc]ro
        |r[e\u00e9]ponse\ automatique|absen(?:t|ce)
        |respuesta\ autom[a\u00e1]tica|fuera\ de\ (?:la\ )?oficina
        |resposta\ autom[a\u00e1]tica|automatisch\ antwoord|afwezig)\b|report\ domain:)""",
    re.VERBOSE | re.IGNORECASE,
)
_SENT_BY_NOBODY = re.compile(r"<?\s*>?")
_DAEMON = re.compile(
    r"\b(?:mailer[ -]?daemon|postmaster|mail-?daemon|mdaemon|mail deliver(?:y|er)? (?:sub)?system"
    r"|microsoftexchange[0-9a-f]{32})\b",  # what Exchange sends its own reports as
    re.IGNORECASE,
)
_RECEIPTS = {"disposition-notification", "tlsrpt", "smtp-tls-reporting"}


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
        or _AWAY.match(mail.field("Subject").strip()) is not None
        or has_null_sender(mail)
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
