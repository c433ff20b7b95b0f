"""Select who is informed of a new version of the privacy policy: everyone active, each once.

The marketing choices of a person make no difference: the notice is a service message (I4). A
contact counts once, at the best of its addresses; an address of no contact counts if it made a
choice here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.catalogue import MessageType
from preference_center.core.addresses import Channel
from preference_center.core.events import UNDELIVERABLE, ScopeFact
from preference_center.decisions.rules import Decision, DecisionRule, decide


class Reach(StrEnum):
    """Whether a message can reach a person, the best first."""

    REACHABLE = "reachable"
    BOUNCED = "bounced"
    """Mail to every address of theirs came back."""
    PHONE_ONLY = "phone_only"
    """Nothing but a number for calls is known."""
    DIGEST_ONLY = "digest_only"
    """Only a digest of the address is stored, to which nothing can be sent."""


class NoticeChannel(StrEnum):
    """How the notices left this service."""

    STREAM = "stream"
    CSV = "csv"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class StoredAddress:
    """What is stored of one address; `contact` is that of its contact, if it has one.

    `moved`: its person has corrected it to another one, where they are informed.
    """

    id: int
    channel: Channel
    readable: bool
    erased: bool
    moved: bool
    contact: UUID | None
    facts: Sequence[ScopeFact]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to inform, at one address."""

    address_id: int
    contact: UUID | None
    reach: Reach


_CHANNELS = tuple(Channel)
_REACHES = tuple(Reach)


def select_recipients(
    addresses: Collection[StoredAddress],
    after: int,
    message_type: MessageType,
    now: datetime,
    *,
    named: bool = False,
) -> list[Recipient]:
    """The recipients whose lowest address id is above `after`, in the order of that id.

    `addresses` are those of a page and all others of their contacts: each person is selected on
    exactly one page. `named`: the company knows that it concerns them, whatever they chose.
    """
    people: dict[UUID | int, list[StoredAddress]] = {}
    for address in sorted(addresses, key=lambda each: each.id):
        people.setdefault(address.contact or address.id, []).append(address)
    found = (
        _select(members, message_type, now, named=named)
        for members in people.values()
        if members[0].id > after
    )
    return [recipient for recipient in found if recipient]


def notice_decision(
    message_type: MessageType, facts: Sequence[ScopeFact], now: datetime
) -> Decision:
    """Whether the notice may go to an address with these facts."""
    return decide(message_type, None, facts, now)


def _select(
    addresses: Sequence[StoredAddress], message_type: MessageType, now: datetime, *, named: bool
) -> Recipient | None:
    """The best address of one person; None if they are closed, erased or made no choice."""
    found = [
        Recipient(each.id, each.contact, reach)
        for each in addresses
        if (reach := _reach(each, message_type, now, named=named)) is not None
    ]
    channels = {each.id: _CHANNELS.index(each.channel) for each in addresses}
    return min(
        found,
        key=lambda each: (_REACHES.index(each.reach), channels[each.address_id], each.address_id),
        default=None,
    )


def _reach(
    address: StoredAddress, message_type: MessageType, now: datetime, *, named: bool
) -> Reach | None:
    if (
        address.erased
        or address.moved
        or (address.contact is None and not named and not _has_chosen(address.facts))
    ):
        return None
    decision = notice_decision(message_type, address.facts, now)
    if not decision.allow:
        return None
    if not address.readable:
        return Reach.DIGEST_ONLY
    if not address.channel.rules.can_be_written_to:
        return Reach.PHONE_ONLY
    return Reach.BOUNCED if decision.advisory == DecisionRule.BOUNCED else Reach.REACHABLE


def _has_chosen(facts: Sequence[ScopeFact]) -> bool:
    """Whether a choice of exactly this address is stored: a bounce is none."""
    return any(fact.exact and fact.scope != UNDELIVERABLE for fact in facts)
