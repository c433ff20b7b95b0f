"""Who sent the mail that came back and who received it, as far as its header says so.

Reports in a form of a system's own name both, and the Message-ID, and the reader of the
report. Only a recipient of the returned mail may be reported as one whose mail failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

from preference_center.domain.mail.address_fields import addresses_in
from preference_center.domain.mail.mime import Opened, header_of, values_of

_SENT_TO = ("to", "cc", "bcc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
_SENT_BY = ("from", "sender", "reply-to", "return-path", "x-envelope-from", "errors-to")
_SENT_BY_AND_ID = (*_SENT_BY, "message-id", "list-unsubscribe")
_OF_THE_REPORT = (*_SENT_BY, *_SENT_TO[:5], "message-id", "in-reply-to", "references")
# How a server notes the one recipient that it had (RFC 5321 4.4).
_FOR = re.compile(r"\bfor\s+<([^<>\s]{3,320})>")


@dataclass(frozen=True, slots=True)
class Parties:
    """Addresses in lower case; both are empty where the report gives no header back."""

    recipients: frozenset[str]
    others: frozenset[str]
    """Who sent it, its Message-ID, and who reads the report."""

    def are_others(self, address: str) -> bool:
        """Whether it is certainly no recipient: the sender, an id, the reader of the report."""
        name = address.casefold()
        return name in self.others and name not in self.recipients

    def were_mailed(self, address: str) -> bool:
        """Whether the returned mail was sent to it; if that is not stated, whether it may be."""
        if self.recipients:
            return address.casefold() in self.recipients
        return not self.are_others(address)


def parties(mail: Opened, returned: str) -> Parties:
    """Those of the mail `returned` in the report `mail`."""
    header = header_of(returned)
    recipients = _addresses(header, _SENT_TO) | _addresses(mail.message, ["x-failed-recipients"])
    for value in values_of(header, "received"):
        recipients |= {found.casefold() for found in _FOR.findall(value)}
    others = _addresses(header, _SENT_BY_AND_ID) | _addresses(mail.message, _OF_THE_REPORT)
    return Parties(frozenset(recipients), frozenset(others))


def _addresses(header: Message, fields: Iterable[str]) -> set[str]:
    values = values_of(header, *fields)
    return {address.casefold() for address in addresses_in(values) if "@" in address}
