"""This module reads what a mail encloses: mails forwarded as attachments, and unreadable text.

A forward is a new mail of who forwards it (RFC 5322 3.6.6). A mail that it encloses
(message/rfc822, RFC 2046 5.2.1) was written by somebody else, whom nothing proves, or is the
forwarder's own earlier mail.
"""

from __future__ import annotations

from email.message import Message

from preference_center.core.mime import (
    MailTooComplex,
    ParsedMail,
    enclosed_contents,
    parse_addresses,
    parse_mail,
    usable_addresses,
)

_MAX_ENCLOSED = 5
"""Enclosed mails that are read."""


_UNREADABLE_TYPES = {
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
    "multipart/encrypted",
}
"""Types of text inside its signature, or encrypted (RFC 8551 3.2, RFC 1847 2.2)."""


def enclosed_mails(mail: ParsedMail) -> list[ParsedMail]:
    """The mails that a mail encloses; those that are too complex are left out."""
    found: list[ParsedMail] = []
    for content in enclosed_contents(mail)[:_MAX_ENCLOSED]:
        try:
            found.append(parse_mail(content))
        except MailTooComplex:
            continue
    return found


def only_sender(mail: ParsedMail) -> tuple[str, ...]:
    """The address in From; empty unless there is exactly one."""
    found = usable_addresses(parse_addresses([mail.field("From")]))
    return found if len(found) == 1 else ()


def is_same_sender(one: ParsedMail, other: ParsedMail) -> bool:
    """Whether both mails name the same address in From."""
    first, second = only_sender(one), only_sender(other)
    return bool(first) and [each.casefold() for each in first] == [
        each.casefold() for each in second
    ]


def own_subject(mail: ParsedMail, enclosed: list[ParsedMail]) -> str:
    """The subject; "" if it is that of an enclosed mail, as in `[Fwd: Offers]`."""
    subject = mail.field("Subject")
    end = subject.casefold().removesuffix("(fwd)").rstrip(" ])")
    for each in enclosed:
        copied = each.field("Subject").casefold().rstrip(" ])")
        before = end.removesuffix(copied).rstrip()
        if copied and end.endswith(copied) and (not before or before.endswith((":", "["))):
            return ""
    return subject


def answers_another_mail(mail: ParsedMail) -> bool:
    """Whether a person answered a mail, which a newsletter doesn't (RFC 5322 3.6.4, RFC 2369)."""
    return "List-Unsubscribe" not in mail.message and (
        "In-Reply-To" in mail.message or "References" in mail.message
    )


def has_unreadable_text(mail: ParsedMail) -> bool:
    """Whether a part holds text that can't be read here."""
    return any(_is_unreadable(part) for part in mail.message.walk())


def _is_unreadable(part: Message) -> bool:
    return part.get_content_type() in _UNREADABLE_TYPES
