"""What a person asked of somebody else: of a sender's system, or of support.

The caller passes on what it heard; these rules say what of it may become a `Change`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue, Topic
from preference_center.domain.events import ALL_MARKETING, CLOCK_TRUST, EVERYTHING, Change, Kind
from preference_center.domain.evidence_redaction import names
from preference_center.domain.hashed_addresses import Hashed
from preference_center.errors import InvalidInput, UnknownTopic, WrongChannel

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing that is still owed happened before; an earlier time is a mistake."""


class Via(StrEnum):
    """How a request reached the company."""

    PHONE = "phone"
    LETTER = "letter"
    REPLY = "reply"
    """An answer to one of our messages."""
    CERTIFIED_MAIL = "certified_mail"
    """Registered electronic mail, such as PEC."""
    COUNTER = "counter"
    """Said in person."""
    CHAT = "chat"
    FORM = "form"
    """A form on a site of the company."""
    APP = "app"
    """The settings of an application."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which door a request came through, who passed it on, and when we got it."""

    source: str
    actor: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a person agreed: where, to which words, in which language (BCP 47)."""

    source: str
    wording: str
    language: str
    occurred_at: datetime

    def evidence(self, address: Address) -> dict[str, str]:
        """What the ledger keeps of it, readable for ever.

        Raises InvalidInput if it names the person (I8).
        """
        if names(f"{self.source}\n{self.wording}\n{self.language}", address):
            raise InvalidInput("the evidence holds the person's address: send it without")
        return {"source": self.source, "wording": self.wording, "language": self.language}


def past(moment: datetime, now: datetime) -> datetime:
    """`moment` in UTC, never later than `now`.

    A clock ahead of ours by up to 15 minutes is put right. Raises InvalidInput beyond
    that, and for a time before the year 2000.
    """
    if moment < EARLIEST:
        raise InvalidInput("this time lies before the year 2000")
    if moment > now + CLOCK_TRUST:
        raise InvalidInput("this time lies in the future")
    return min(moment.astimezone(UTC), now)


def topic_for(address: Address | Hashed, key: str, catalogue: Catalogue) -> Topic:
    """The topic, if it can reach this address. Raises UnknownTopic or WrongChannel."""
    topic = catalogue.topic(key)
    if topic.channel is not address.channel:
        raise WrongChannel(
            f"the topic {topic.key} is sent by {topic.channel}, not by {address.channel}"
        )
    return topic


def marketing_scope(address: Address | Hashed, scope: str, catalogue: Catalogue) -> str:
    """`scope`, if one may opt out of it.

    That is all marketing, or any topic of the address's channel, retired ones too.
    Raises UnknownTopic or WrongChannel.
    """
    if scope == ALL_MARKETING:
        return scope
    if scope == EVERYTHING:
        raise UnknownTopic("nobody opts out of everything: an account is closed, see contacts")
    return topic_for(address, scope, catalogue).key


def opt_out(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    scope: str,
    via: Via,
    origin: Origin,
    *,
    received_at: datetime,
    occurred_at: datetime,
) -> Change:
    """The person's "no", passed on. Times must have gone through `past`."""
    return Change(
        id=id,
        kind=Kind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=occurred_at,
        received_at=received_at,
        source=origin.source,
        actor=origin.actor,
        evidence={"via": via.value},
        once=True,
    )


def consent(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    topic: Topic,
    proof: Proof,
    origin: Origin,
    *,
    own_act: bool,
) -> Change:
    """The person's "yes", passed on. Only their own recorded act lifts a "no" (I5).

    Raises InvalidInput for a retired topic, where nothing is sent any more, and for a
    proof that names the person: evidence is kept readable for ever (I8).
    """
    if topic.retired:
        raise InvalidInput(f"the topic {topic.key} is retired: nobody can ask for it any more")
    return Change(
        id=id,
        kind=Kind.OPTED_IN if own_act else Kind.CONSENTED,
        address=address,
        scope=topic.key,
        occurred_at=proof.occurred_at,
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=proof.evidence(address),
    )
