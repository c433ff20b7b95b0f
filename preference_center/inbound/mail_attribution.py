"""Proof that a mail is about one of ours, and to whom that was sent.

Anybody can write a bounce or a complaint that names somebody else. But nobody can forge one of
our tokens, and every mail of ours contains one: in List-Unsubscribe, in its links, perhaps in
its Message-ID or its envelope sender. So a token in a returned mail proves its recipient,
whatever the report states; and anyone who has a token could have opted out with it anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import MailtoTokenData, restore_address
from preference_center.inbound.rules import MailStatement
from preference_center.inbound.rules.attribution import Attribution, MailTokens, attribute_statement
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.addresses import digest_prefixes, find_by_digest_prefix

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
    return token if token.address.channel is Channel.EMAIL else None


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
