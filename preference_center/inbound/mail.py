"""This module parses an incoming mail, and establishes what of it is proved.

Only the token in the recipient's local part decides (RULES A11): not the subject, not the body,
and not `Auto-Submitted`, which Apple Mail sets to `auto-replied` on the opt-outs that its users
request (CLIENTS). A mail to any other address opts nobody out, so that an auto-reply to a bounce
address doesn't (RULES A12).

`From` is never trusted as identification. But a token names its address by half of a keyed
digest, and an address in `From` with that digest *is* the address of the token, no matter who
wrote it there: nobody can find another one that matches. So it may reveal the readable form of
an address that was never stored, and nothing more.

Anybody can write a bounce or a complaint that names somebody else. But nobody can forge one of
our tokens, and every mail of ours contains one: in List-Unsubscribe, in its links, perhaps in
its Message-ID or its envelope sender. So a token in a returned mail proves its recipient,
whatever the report states; and anyone who has a token could have opted out with it anyway.

`has_trusted_signature` tells whether a report was signed by the provider that sends it: DKIM
(RFC 6376), by dkimpy. Decision 25 explains what that proves. A key is looked up only if the From
address is trusted by the company, and only in that address's own domain; other mail causes no
look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import TypeAlias

import structlog

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import LinkKeyProblem, Links
from preference_center.core.links.tokens import MailtoTokenData, restore_address
from preference_center.core.mime import MAIL_HEAD_BYTES, field_values, parse_addresses
from preference_center.inbound.rules import MailStatement
from preference_center.inbound.rules.text import Attribution, MailTokens, attribute_statement
from preference_center.infra import occurrences
from preference_center.infra.config_sections import Mailboxes, MailboxMatch
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.addresses import digest_prefixes, find_by_digest_prefix

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


_LOCAL_PART = re.compile(r"[A-Za-z2-7]{64}")


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

    The domain is ignored: the MTA decides on it, and may have rewritten it. One that is like ours
    is counted: its key may be missing.
    """
    local = recipient.strip().strip("<>").rpartition("@")[0].strip('"')
    try:
        return links.read_mailto_token(local)
    except InvalidLink:
        if _LOCAL_PART.fullmatch(local):
            occurrences.count_link_key_problem(LinkKeyProblem.MAILTO)
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


_LINK = re.compile(r"/(?:u|p|m|portal)/([A-Za-z0-9._~-]{24,2000})")


_TOKEN = re.compile(r"(?<![A-Za-z2-7])[A-Za-z2-7]{64}(?=@)")


_MAX_TOKENS = 20
"""Tokens that are tried."""


@dataclass(frozen=True, slots=True)
class LinkToken:
    """The address and scope in a token."""

    address: Address
    scope: str


@dataclass(frozen=True, slots=True)
class FoundTokens:
    """All tokens of ours in a mail: those of links, and those of mailto addresses."""

    links: tuple[LinkToken, ...] = ()
    references: tuple[MailtoTokenData, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses in the link tokens."""
        return tuple(dict.fromkeys(held.address for held in self.links))

    @property
    def topic(self) -> str | None:
        """The topic of the links, if all have the same one."""
        found = {held.scope for held in self.links}
        return found.pop() if len(found) == 1 and ALL_MARKETING not in found else None


def find_tokens(text: str, references: Sequence[MailtoTokenData] = ()) -> FoundTokens:
    """The tokens of ours in a text. Raises Unavailable if one can't be looked up."""
    flat = text.replace("=\n", "")  # quoted-printable breaks lines this way
    links = services().links
    held = [_parse_link_token(token) for token in _first_distinct(_LINK.findall(flat))]
    found = list(references)
    for token in _first_distinct(_TOKEN.findall(flat)):
        with suppress(InvalidLink):
            found.append(links.read_mailto_token(token))
    return FoundTokens(tuple(each for each in held if each), tuple(dict.fromkeys(found)))


def attribute(
    statement: MailStatement, tokens: FoundTokens, *, is_only_recipient: bool
) -> Attribution | None:
    """The address that `statement` is about: see `attribute_statement`."""
    prefixes = tuple(each.digest_prefix for each in tokens.references)
    return attribute_statement(
        list(_parse_addresses(statement.recipients)),
        MailTokens(tokens.addresses, prefixes, has_links=bool(tokens.links)),
        _prefixes,
        _find_by_prefix,
        is_only_recipient=is_only_recipient,
    )


def _parse_link_token(token: str) -> LinkToken | None:
    links, text = services().links, token.rstrip(".-~")
    try:
        link = links.read_token(text, services().now())
    except InvalidLink:
        with suppress(InvalidLink):
            return _only_email(LinkToken(links.address_of(text), ALL_MARKETING))
        return None
    return _only_email(LinkToken(link.address, link.scope))


def _only_email(token: LinkToken) -> LinkToken | None:
    return token if token.address.channel.rules.is_email else None


def _parse_addresses(recipients: Iterable[str]) -> Iterable[Address]:
    for text in recipients:
        with suppress(InvalidAddress):
            yield parse_address(text, Channel.EMAIL)


def _prefixes(address: Address) -> list[bytes]:
    return digest_prefixes(services().keys, address)


def _find_by_prefix(prefix: bytes) -> Address | None:
    """The address of a digest prefix, if it is stored readable."""
    exact = run_in_transaction(
        lambda connection: find_by_digest_prefix(connection, services().keys, [prefix])
    ).get(prefix)
    return restore_address(exact, Channel.EMAIL) if exact else None


def _first_distinct(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))[:_MAX_TOKENS]


def is_our_address(address: Address) -> bool:
    """Whether mail is sent from it, or to us at it: not an address that we send marketing to."""
    settings, catalogue = services().settings, current_catalogue_or_empty()
    brands = catalogue.brands.values()
    contacts = [catalogue.contact_details(brand).contact for brand in (None, *brands)]
    senders = [settings.mail_from, *(brand.sender for brand in brands)]
    senders += [contact.email for contact in contacts if contact]
    ours = {name.casefold() for name in parse_addresses([each for each in senders if each])}
    name = address.exact.casefold()
    domain = settings.unsubscribe_mail_domain
    return (
        name in ours
        or settings.mailboxes.match(name) is not None
        or (bool(domain) and name.endswith(f"@{domain}"))
    )


def is_our_text(text: str) -> bool:
    """The same for an address as it was written; False if it can't be read."""
    try:
        return is_our_address(parse_address(text, Channel.EMAIL))
    except InvalidAddress:
        return False


log = structlog.get_logger()


Resolver: TypeAlias = Callable[..., bytes | str | None]
"""`resolver(name, timeout=seconds)`: the TXT record of a DNS name; None if it has none."""


DNS_TIMEOUT = 5
"""Timeout of one key look-up."""


MAX_SIGNATURES = 3
"""Signatures of a mail that are verified."""


def has_trusted_signature(mail: bytes, senders: Collection[str], resolver: Resolver) -> bool:
    """Whether a whole mail is from one of `senders`, by a signature of that address's domain.

    `senders` are addresses, or domains as in `@example.com`, in lower case. The signature must
    cover From and the entire body, and its domain must be that of From or a parent of it
    (relaxed alignment, RFC 7489 3.1.1). False if a key is not available. Raises nothing.
    """
    try:
        header = BytesHeaderParser().parsebytes(mail)
        domain = _trusted_domain(header, senders)
        return domain is not None and _verify_signature(mail, header, domain, resolver)
    except Exception as error:  # noqa: BLE001 - what can't be verified proves nothing
        log.warning("signature_unverified", error=type(error).__name__)
        return False


def _trusted_domain(header: Message, senders: Collection[str]) -> str | None:
    """The domain of the only From address, if it is trusted."""
    fields = field_values(header, "From")
    found = parse_addresses(fields)
    if len(fields) != 1 or len(found) != 1:
        return None
    address = found[0].lower()
    domain = address.rpartition("@")[2]
    return domain if domain and {address, f"@{domain}"} & set(senders) else None


def _verify_signature(mail: bytes, header: Message, domain: str, resolver: Resolver) -> bool:
    import dkim  # noqa: PLC0415 - it and its resolver take memory in every process

    signatures = field_values(header, "DKIM-Signature")
    for number, text in enumerate(signatures[:MAX_SIGNATURES]):
        tags = dkim.util.parse_tag_value("".join(text.split()).encode("ascii", "replace"))
        signer = tags.get(b"d", b"").decode().lower().rstrip(".")
        aligned = domain == signer or domain.endswith(f".{signer}")
        # A partly signed body (l=) may be continued by anybody.
        if not aligned or "." not in signer or b"l" in tags:
            continue
        if dkim.DKIM(mail, timeout=DNS_TIMEOUT).verify(number, resolver):
            return True
    return False
