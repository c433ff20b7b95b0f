"""Parse an incoming mail: its tokens, its mailboxes, and its possible senders. Pure.

Only the token in the recipient's local part decides (RULES A11): not the subject, not the body,
and not `Auto-Submitted`, which Apple Mail sets to `auto-replied` on the opt-outs that its users
request (CLIENTS). A mail to any other address opts nobody out, so that an auto-reply to a bounce
address doesn't (RULES A12).

`From` is never trusted as identification. But a token names its address by half of a keyed
digest, and an address in `From` with that digest *is* the address of the token, no matter who
wrote it there: nobody can find another one that matches. So it may reveal the readable form of
an address that was never stored, and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink
from preference_center.core.links import Links
from preference_center.core.links.tokens import MailtoTokenData
from preference_center.core.mime import MAIL_HEAD_BYTES, field_values, parse_addresses
from preference_center.infra.config_sections import Mailboxes, MailboxMatch

NO_MAILBOXES = Mailboxes()

# Fields that name the recipient when there is no envelope. The first three are written by
# MTAs: Postfix and qmail, Postfix, Exim.
_RECIPIENT_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_SENDER_FIELDS = ("From", "Sender", "Reply-To", "Return-Path")
# What may be a token with its @, even in a malformed field.
_TOKEN_ADDRESS = re.compile(r"(?<![A-Za-z2-7])[A-Za-z2-7]{64}@[A-Za-z0-9.-]{0,253}")
_ADDRESS = re.compile(r'[^\s<>"(),:;@]{1,128}@[A-Za-z0-9.-]{1,253}')
_MAX_RECIPIENT_FIELD = 20_000  # characters
_MAX_SENDER_FIELD = 2000  # characters
_MAX_SENDERS = 8


@dataclass(frozen=True, slots=True)
class MailboxRecipient:
    """The mailbox that a mail was sent to, and the token in its address, if any.

    Such a token identifies the recipient of the original mail, but is not an opt-out by itself:
    bounces and auto-replies arrive here too (RULES A12).
    """

    mailbox: MailboxMatch
    reference: MailtoTokenData | None


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A mail to us. `claimed_senders` may have written it: see above."""

    references: tuple[MailtoTokenData, ...]
    claimed_senders: tuple[Address, ...]
    mailboxes: tuple[MailboxRecipient, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether any of its recipients is."""
        return bool(self.references or self.mailboxes)


def parse_mail_token(links: Links, recipient: str) -> MailtoTokenData | None:
    """The token in the local part of a recipient's address; None unless it is one of ours.

    The domain is ignored: the MTA decides on it, and may have rewritten it.
    """
    local = recipient.strip().strip("<>").rpartition("@")[0].strip('"')
    try:
        return links.read_mailto_token(local)
    except InvalidLink:
        return None


def is_our_recipient(links: Links, mailboxes: Mailboxes, recipient: str) -> bool:
    """Whether mail for this recipient is for us."""
    return mailboxes.match(recipient) is not None or parse_mail_token(links, recipient) is not None


def parse_inbound_mail(
    links: Links,
    head: bytes,
    recipients: Sequence[str] | None,
    sender: str = "",
    mailboxes: Mailboxes = NO_MAILBOXES,
) -> InboundMail:
    """Parse a mail, of which `head` must contain the header, with CRLF or LF.

    `recipients` and `sender` are the envelope's. If there is no envelope (a maildir, a pipe),
    `recipients` is None and the header fields that name the recipient are used.
    """
    header = _header(head[:MAIL_HEAD_BYTES])
    if recipients is None:
        recipients = list(_recipients_in_header(header, mailboxes))
    entries = {recipient: mailboxes.match(recipient) for recipient in recipients}
    at_mailboxes = dict.fromkeys(
        MailboxRecipient(entry, parse_mail_token(links, recipient))
        for recipient, entry in entries.items()
        if entry is not None
    )
    found = (parse_mail_token(links, name) for name, entry in entries.items() if entry is None)
    references = dict.fromkeys(reference for reference in found if reference is not None)
    return InboundMail(
        tuple(references), tuple(_claimed_senders(header, sender)), tuple(at_mailboxes)
    )


def _header(head: bytes) -> Message:
    """The header; a header that can't be parsed may still name a token of ours."""
    try:
        return BytesHeaderParser().parsebytes(head)
    except Exception:  # noqa: BLE001 - hostile bytes: they may contain an opt-out
        header = Message()
        header["To"] = " ".join(head.partition(b"\n\n")[0].decode("latin-1").split())
        return header


def _recipients_in_header(header: Message, mailboxes: Mailboxes) -> Iterator[str]:
    """Recipients in the header that may be ours."""
    for value in field_values(header, *_RECIPIENT_FIELDS):
        yield from (found[0] for found in _TOKEN_ADDRESS.finditer(value))
        if mailboxes != NO_MAILBOXES:
            for found in _ADDRESS.finditer(value[:_MAX_RECIPIENT_FIELD]):
                if mailboxes.match(found[0]):
                    yield found[0]


def _claimed_senders(header: Message, sender: str) -> Iterator[Address]:
    values = [value[:_MAX_SENDER_FIELD] for value in field_values(header, *_SENDER_FIELDS)]
    claimed = dict.fromkeys([sender, *parse_addresses(values)])
    for address in islice(claimed, _MAX_SENDERS):
        with suppress(InvalidAddress):
            yield parse_address(address, Channel.EMAIL)
