"""One mail to us: which tokens and doors it was sent to, and who may have sent it. Pure.

The token in the recipient's local part decides, and nothing else does (RULES A11): not the
subject, not the body, and not `Auto-Submitted`, which Apple Mail sets to `auto-replied` on
the very opt-outs that its users press (CLIENTS). A mail to any other address opts nobody
out, so that a vacation reply to a bounce address doesn't (RULES A12).

`From` is never trusted to say who. But a token names its address by half of a keyed digest,
and an address in `From` with that very digest *is* the address of the token, whoever wrote
it there: nobody can make another one fit. So it may tell us the readable form of an address
that we have never stored, and no more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice

from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.mail import MAIL_HEAD_BYTES
from preference_center.domain.mail.address_fields import parse_addresses
from preference_center.domain.mail.mailboxes import Mailboxes, MailboxMatch
from preference_center.domain.mail.mime import field_values
from preference_center.errors import InvalidAddress, InvalidLink
from preference_center.links import Links, MailtoTokenData

NO_MAILBOXES = Mailboxes()

# What names the recipient when no envelope does. The first three are written by MTAs:
# Postfix and qmail, Postfix, Exim.
_RECIPIENT_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_SENDER_FIELDS = ("From", "Sender", "Reply-To", "Return-Path")
# What may be a token with its @, in a field however broken.
_TOKEN_ADDRESS = re.compile(r"(?<![A-Za-z2-7])[A-Za-z2-7]{64}@[A-Za-z0-9.-]{0,253}")
_ADDRESS = re.compile(r'[^\s<>"(),:;@]{1,128}@[A-Za-z0-9.-]{1,253}')
_MAX_RECIPIENT_FIELD = 20_000  # characters
_MAX_SENDER_FIELD = 2000  # characters
_MAX_SENDERS = 8


@dataclass(frozen=True, slots=True)
class MailboxRecipient:
    """An address set aside that a mail came to, and the token in it, if it has one.

    Such a token tells who was mailed, but by itself it is no opt-out: bounces and vacation
    notices come here too (RULES A12).
    """

    mailbox: MailboxMatch
    reference: MailtoTokenData | None


@dataclass(frozen=True, slots=True)
class InboundMail:
    """What a mail to us says. `writers` claim to have written it: see above."""

    references: tuple[MailtoTokenData, ...]
    claimed_senders: tuple[Address, ...]
    mailboxes: tuple[MailboxRecipient, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether any of its recipients is."""
        return bool(self.references or self.mailboxes)


def parse_mail_token(links: Links, recipient: str) -> MailtoTokenData | None:
    """What the local part of a recipient's address says; None unless it is a token of ours.

    The domain is not looked at: it is the MTA's business, which may have rewritten it.
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
    """Read a mail, of which `head` must hold the header, with CRLF or LF.

    `recipients` and `sender` are the envelope's. Where no envelope is known (a maildir, a
    pipe), `recipients` is None and the header fields that name the recipient are read.
    """
    header = _header(head[:MAIL_HEAD_BYTES])
    if recipients is None:
        recipients = list(_recipients_in_header(header, mailboxes))
    entries = {recipient: mailboxes.match(recipient) for recipient in recipients}
    at_doors = dict.fromkeys(
        MailboxRecipient(entry, parse_mail_token(links, recipient))
        for recipient, entry in entries.items()
        if entry is not None
    )
    found = (parse_mail_token(links, name) for name, entry in entries.items() if entry is None)
    references = dict.fromkeys(reference for reference in found if reference is not None)
    return InboundMail(tuple(references), tuple(_claimed_senders(header, sender)), tuple(at_doors))


def _header(head: bytes) -> Message:
    """The header; whatever it is that can't be parsed may still name a token of ours."""
    try:
        return BytesHeaderParser().parsebytes(head)
    except Exception:  # noqa: BLE001 - hostile bytes: an opt-out may stand in them
        header = Message()
        header["To"] = " ".join(head.partition(b"\n\n")[0].decode("latin-1").split())
        return header


def _recipients_in_header(header: Message, mailboxes: Mailboxes) -> Iterator[str]:
    """Recipients that the header names and that may be ours."""
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
