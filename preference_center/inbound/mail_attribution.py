"""What shows that a mail is about one of ours, and who that was sent to.

Anybody can write a bounce or a complaint that names a stranger. But nobody can make a token
of ours, and every mail of ours has one: in List-Unsubscribe, in its links, perhaps in its
Message-ID or its envelope sender. So a token in what came back tells whom it was sent to,
whatever the report says; and who has a token could have said no with it anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.mail import Saying
from preference_center.errors import InvalidAddress, InvalidLink
from preference_center.extensions import services
from preference_center.links import PREFIX_OCTETS, MailReference, recovered
from preference_center.storage.db.database import run
from preference_center.storage.ledger.addresses import known_by_prefix

LINK, TOKEN, SIGNED, NONE = "link", "token", "dkim", "none"
"""Kinds of proof, as events name them."""

_LINK = re.compile(r"/(?:u|p|m|portal)/([A-Za-z0-9._~-]{24,2000})")
_TOKEN = re.compile(r"(?<![A-Za-z2-7])[A-Za-z2-7]{64}(?=@)")
_MOST = 20
"""Tokens that are tried."""


@dataclass(frozen=True, slots=True)
class Held:
    """An address that a token names, and the scope it was made for."""

    address: Address
    scope: str


@dataclass(frozen=True, slots=True)
class Proof:
    """All tokens of ours that a mail holds: those of links, and those of mail addresses."""

    held: tuple[Held, ...] = ()
    references: tuple[MailReference, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Whom the links name."""
        return tuple(dict.fromkeys(held.address for held in self.held))

    @property
    def topic(self) -> str | None:
        """The one topic that the links are about, if it is one."""
        found = {held.scope for held in self.held}
        return found.pop() if len(found) == 1 and ALL_MARKETING not in found else None


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom a saying is about, and by which kind of proof."""

    address: Address
    proof: str


def proof_in(text: str, references: Sequence[MailReference] = ()) -> Proof:
    """The tokens of ours in a text. Raises Unavailable when one can't be looked up."""
    flat = text.replace("=\n", "")  # quoted-printable breaks lines so
    links = services().links
    held = [_held(token) for token in _first(_LINK.findall(flat))]
    found = list(references)
    for token in _first(_TOKEN.findall(flat)):
        with suppress(InvalidLink):
            found.append(links.read_mail_token(token))
    return Proof(tuple(each for each in held if each), tuple(dict.fromkeys(found)))


def whose(saying: Saying, proof: Proof, *, alone: bool) -> Whose | None:
    """Whom `saying` is about: who holds the token, or, without proof, who is reported.

    `alone` is whether the report is about one recipient only: then a token decides, also
    against the name reported, which is where the mail was forwarded to, or forged. None if
    nobody can be told.
    """
    reported = list(_parsed(saying.recipients))
    for address in reported:
        if address in proof.addresses:
            return Whose(address, LINK)
        if _prefix(address) in {each.digest_prefix for each in proof.references}:
            return Whose(address, TOKEN)
    if alone and len(proof.addresses) == 1:
        return Whose(proof.addresses[0], LINK)
    if alone and not proof.held and len(proof.references) == 1:
        known = _known(proof.references[0])
        return Whose(known, TOKEN) if known else None
    return Whose(reported[0], NONE) if reported else None


def _held(token: str) -> Held | None:
    links, text = services().links, token.rstrip(".-~")
    try:
        link = links.read(text, services().now())
    except InvalidLink:
        with suppress(InvalidLink):
            return _by_mail(Held(links.address_of(text), ALL_MARKETING))
        return None
    return _by_mail(Held(link.address, link.scope))


def _by_mail(held: Held) -> Held | None:
    return held if held.address.channel is Channel.EMAIL else None


def _parsed(recipients: Iterable[str]) -> Iterable[Address]:
    for text in recipients:
        with suppress(InvalidAddress):
            yield parse(text, Channel.EMAIL)


def _prefix(address: Address) -> bytes:
    return services().keys.exact(address)[:PREFIX_OCTETS]


def _known(reference: MailReference) -> Address | None:
    """The address that half a digest stands for, if it is stored readable."""
    keys, prefix = services().keys, reference.digest_prefix
    exact = run(lambda connection: known_by_prefix(connection, keys, [prefix])).get(prefix)
    return recovered(exact, Channel.EMAIL) if exact else None


def _first(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))[:_MOST]
