"""Sender and recipients of a returned mail, as far as its header names them.

A report in a system's own format names both, and the Message-ID, and the reader of the report.
Only a recipient of the returned mail may be reported as one whose mail failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

from preference_center.core.mime import ParsedMail, field_values, parse_addresses, parse_header

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
