"""Whom a statement in a mail is about, how that is proved, and when staff must decide.

Anybody can write a bounce or a complaint that names somebody else, but nobody can forge a token
of ours (see `inbound.mail_attribution`). So a token in a returned mail proves its recipient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from preference_center.core.addresses import Address
from preference_center.inbound.rules import MailKind, ReviewReason

LINK, TOKEN, SIGNED, NONE = "link", "token", "dkim", "none"
"""Kinds of proof, as in the evidence of events."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The address that a statement is about, and the kind of proof."""

    address: Address
    proof: str


@dataclass(frozen=True, slots=True)
class MailTokens:
    """The tokens of a mail: distinct addresses in links, a digest prefix for each mailto token."""

    addresses: Sequence[Address]
    prefixes: Sequence[bytes]
    has_links: bool


def attribute_statement(
    reported: Sequence[Address],
    tokens: MailTokens,
    digest_prefixes: Callable[[Address], Collection[bytes]],
    find_by_prefix: Callable[[bytes], Address | None],
    *,
    is_only_recipient: bool,
) -> Attribution | None:
    """The address that a statement is about: the token's, or, without proof, the reported one.

    `reported` are the addresses that the statement names. `is_only_recipient` is whether the
    report is about one recipient only: then a token decides, even against the reported name,
    which is a forwarding address, or forged. None if the address can't be determined.
    """
    for address in reported:
        if address in tokens.addresses:
            return Attribution(address, LINK)
        if not set(tokens.prefixes).isdisjoint(digest_prefixes(address)):
            return Attribution(address, TOKEN)
    if is_only_recipient and len(tokens.addresses) == 1:
        return Attribution(tokens.addresses[0], LINK)
    if is_only_recipient and not tokens.has_links and len(tokens.prefixes) == 1:
        known = find_by_prefix(tokens.prefixes[0])
        return Attribution(known, TOKEN) if known else None
    return Attribution(reported[0], NONE) if reported else None


def review_reason(
    kind: MailKind,
    attribution: Attribution | None,
    *,
    for_replies: bool,
    trusts_reports: bool,
    is_ours: Callable[[Address], bool],
) -> ReviewReason | None:
    """Why staff must decide about a statement in a mail of this kind; None if they need not.

    `for_replies`: it was sent to a mailbox for replies. `trusts_reports`: reports without proof
    are accepted there. `is_ours`: whether marketing is sent from an address, or mail to us at it.
    """
    if kind is MailKind.REPLY:
        if not for_replies:
            return ReviewReason.WRONG_MAILBOX
        return None if attribution else ReviewReason.UNCLEAR
    if attribution is None or (
        attribution.proof in {NONE, SIGNED} and is_ours(attribution.address)
    ):
        return ReviewReason.NO_RECIPIENT
    is_proved = attribution.proof != NONE
    return None if trusts_reports or is_proved else ReviewReason.UNPROVEN
