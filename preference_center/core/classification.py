"""Classify a bounce by its text and its code, which may contradict each other (RULES F11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from preference_center.core.bounce import Bounce
from preference_center.core.bounce_phrases import BounceCause, find_cause

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
    filter reply "user unknown" to mails whose content they reject.
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
    if bounce.permanent and _is_vague(code) and not code.startswith("4"):
        # Only the vendor classifies it.
        return BounceClassification(BounceCause.NO_MAILBOX, "5.1.1")
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
