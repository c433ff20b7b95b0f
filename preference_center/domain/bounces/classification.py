"""What a bounce says, its text and its code weighed against each other (RULES F11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.bounces.diagnostic_phrases import Cause, cause_in

_MEANT = {
    Cause.NO_MAILBOX: "1.1",
    Cause.NO_DOMAIN: "1.2",
    Cause.OWNER_CHANGED: "7.17",
    Cause.INACTIVE: "2.1",
    Cause.FULL: "2.2",
    Cause.POLICY: "7.1",
    Cause.CONTENT: "6.0",
    Cause.PASSING: "4.0",
    Cause.ADDRESS: "1.0",
}
"""The code, less its class, that says what a text does (RFC 3463, 7293)."""

_CAUSES = {
    "1.0": Cause.ADDRESS,
    "1.1": Cause.NO_MAILBOX,
    "1.2": Cause.NO_DOMAIN,
    "1.3": Cause.NO_MAILBOX,
    "1.6": Cause.NO_MAILBOX,
    "1.7": Cause.POLICY,  # of the sender's address, as is x.1.8
    "1.8": Cause.POLICY,
    "1.10": Cause.NO_DOMAIN,
    "2.1": Cause.INACTIVE,
    "2.2": Cause.FULL,
    "2.3": Cause.CONTENT,
    "7.13": Cause.INACTIVE,
    "7.17": Cause.OWNER_CHANGED,
    "7.18": Cause.OWNER_CHANGED,
}
_SUBJECTS = {
    "1": Cause.ADDRESS,
    "3": Cause.PASSING,
    "4": Cause.PASSING,
    "5": Cause.PASSING,
    "6": Cause.CONTENT,
    "7": Cause.POLICY,
}

_OF_THE_ADDRESS = {Cause.NO_MAILBOX, Cause.NO_DOMAIN, Cause.ADDRESS}
"""Causes of codes that agree with a text which says that there is no such mailbox."""

_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -])")
# The command by its name, as most systems quote it, or in the words of qmail and of others.
_AT_RCPT = re.compile(
    r"\bRCPT[ _]TO\b|\bRCPT command|\bSMTP:RCPT\b|does not like recipient|rejected recipient <",
    re.IGNORECASE,
)
_DECISIVE = re.compile(
    r"delivery error: dd .{0,20}user does ?n[o't]{2} have|\b(?:LPN|OFR)\d{3}_416\b", re.IGNORECASE
)
"""Of an unknown user only, at whatever command: Yahoo's words, the codes of Orange and La Poste."""
_PASSED_ON = "5.1.351"
"""Exchange Online's, of a reply of another server that it passes on, whatever that was."""
_OF_MICROSOFT = {"5.4.1", "5.5.0"}
_UNAVAILABLE = re.compile(
    r"requested action not taken: mailbox unavailable(\W{0,3}\(-?\d+:\d+:-?\d+)?", re.IGNORECASE
)
"""RFC 5321 4.2.3 of 550; with numbers, as Outlook.com reports those it doesn't have."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a bounce comes to: a cause, and the enhanced status code that says just that.

    `code` is the reported one unless the text contradicts it; "" if nothing is known.
    """

    cause: Cause
    code: str = ""
    contradicted: bool = False
    """Whether the text said otherwise than the code that came with it."""


def classify(bounce: Bounce) -> Reading:
    """What `bounce` really says. A clear text goes before the code, an unclear one after it.

    Two things are asked of a text that says there is no such mailbox, since it would
    suppress at once: that something agrees with it (the code, the RCPT command that was
    refused, or the vendor's own verdict), and that nothing says it is passing. Else it is
    read as 5.1.0: a word against the address, to be counted. Servers that filter answer
    "user unknown" to whole mails they don't like.
    """
    code = _code(bounce)
    if code.startswith("2") or (not code and _reply(bounce).startswith("2")):
        return Reading(Cause.NONE, code)
    said = cause_in(bounce.text)
    if said is Cause.ADDRESS and _is_confirmed(bounce, code):
        return Reading(Cause.NO_MAILBOX, "5.1.1", code not in {"", "5.1.1"})
    if said is Cause.NO_MAILBOX:
        return _no_mailbox(bounce, code)
    if said is not None and (said is not Cause.ADDRESS or _says_nothing_of_it(code)):
        return _said(said, code, _reply(bounce))
    if bounce.permanent and _is_vague(code) and not code.startswith("4"):
        return Reading(Cause.NO_MAILBOX, "5.1.1")  # the vendor's word is all there is
    if bounce.permanent is False and _cause(code) is Cause.NO_MAILBOX:
        return Reading(Cause.ADDRESS, "5.1.0", contradicted=True)
    return Reading(_cause(code), code)


def _is_confirmed(bounce: Bounce, code: str) -> bool:
    """Whether a refusal of the address, for no stated reason, means that it is not there.

    The vendor may say so. A server that refuses RCPT in the very words of RFC 5321 means it;
    Microsoft's do, with codes that blame the network or the protocol: `_says_nothing_of_it`.
    """
    if bounce.permanent is not None:
        return (
            bounce.permanent
            and not code.startswith("4")
            and (not code or _says_nothing_of_it(code))
        )
    if _is_passing(bounce, code):
        return False
    standard = _UNAVAILABLE.search(" ".join(bounce.text.split()))
    if standard and _says_nothing_of_it(code):
        return standard[1] is not None or _is_at_rcpt(bounce)
    return code in _OF_MICROSOFT and _is_at_rcpt(bounce)


def _no_mailbox(bounce: Bounce, code: str) -> Reading:
    if (
        code.startswith("5")
        and not _is_vague(code)
        and code != _PASSED_ON
        and _cause(code) in _OF_THE_ADDRESS
    ):
        agreed = True
    else:
        # A server may be set to say 450 of users that it doesn't know, as Postfix is at
        # first; 4.1.1 in so many words is that.
        agreed = (
            code.partition(".")[2] == "1.1"
            or bounce.permanent is True
            or (_DECISIVE.search(bounce.text) is not None and not _is_passing(bounce, code))
            or (_is_at_rcpt(bounce) and not _is_passing(bounce, code))
        )
    if agreed and bounce.permanent is not False:
        return Reading(Cause.NO_MAILBOX, "5.1.1", code not in {"", "5.1.1"})
    if _is_passing(bounce, code):
        return Reading(_cause(code), code)
    if _is_vague(code) or _cause(code) in {Cause.NO_MAILBOX, Cause.ADDRESS}:
        return Reading(Cause.ADDRESS, "5.1.0", code not in {"", "5.1.0"})
    return Reading(_cause(code), code)


def _said(cause: Cause, code: str, reply: str) -> Reading:
    """What the text says, in the class of the code: what passes does not become final."""
    if code and _cause(code) is cause:
        return Reading(cause, code)
    status = "4" if (code or reply).startswith("4") else "5"
    return Reading(cause, f"{status}.{_MEANT[cause]}", bool(code) and not _is_vague(code))


def _code(bounce: Bounce) -> str:
    """The enhanced status code: the reported one, or a closer one that the text has."""
    found = _CODE.search(bounce.status)
    code = ".".join(found.groups()) if found else ""
    if _is_vague(code):
        found_in_text = (each for each in _CODE.finditer(bounce.text) if each[1] != "2")
        closer = (".".join(each.groups()) for each in found_in_text)
        return next((each for each in closer if not _is_vague(each)), code)
    return code


def _reply(bounce: Bounce) -> str:
    if bounce.reply:
        return bounce.reply.strip()
    found = _REPLY.search(bounce.text)
    return found.group(1) if found else ""


def _is_at_rcpt(bounce: Bounce) -> bool:
    return bounce.at_rcpt or _AT_RCPT.search(bounce.text) is not None


def _is_passing(bounce: Bounce, code: str) -> bool:
    return (code or _reply(bounce)).startswith("4")


def _is_vague(code: str) -> bool:
    """Whether a code says hardly more than that it failed."""
    return code.partition(".")[2] in {"", "0.0", "1.0", "5.0"}


def _says_nothing_of_it(code: str) -> bool:
    """Whether a code is vague, or blames the network or the protocol (5.4.1, 5.5.0).

    Exchange Online and Outlook.com give those with a recipient that they don't have, see
    https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online
    """
    return _is_vague(code) or code.split(".")[1] in {"4", "5"}


def _cause(code: str) -> Cause:
    _, _, rest = code.partition(".")
    return _CAUSES.get(rest) or _SUBJECTS.get(rest.partition(".")[0], Cause.UNKNOWN)
