"""Requests relayed by a sender's system or by support.

These rules validate them and turn them into `Change`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from preference_center.catalogue import Catalogue, Topic
from preference_center.catalogue.rules.model import PRIVACY
from preference_center.core.addresses import Address, HashedAddress
from preference_center.core.errors import InvalidInput, UnknownTopic, WrongChannel
from preference_center.core.events import (
    ALL_MARKETING,
    CLOCK_TOLERANCE,
    EVERYTHING,
    SHARING,
    Change,
    EventKind,
)
from preference_center.ledger.rules.evidence_redaction import contains_address

EARLIEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Earlier times are taken for mistakes."""


class ReceivedVia(StrEnum):
    """How a request reached the company."""

    PHONE = "phone"
    POSTAL_MAIL = "postal_mail"
    REPLY = "reply"
    """A reply to one of our messages."""
    CERTIFIED_MAIL = "certified_mail"
    """Registered electronic mail, such as PEC."""
    IN_PERSON = "in_person"
    """Face to face."""
    CHAT = "chat"
    FORM = "form"
    """A form on a site of the company."""
    APP = "app"
    """The settings of an application."""


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """The entry point of a request, who relayed it, and when it reached us."""

    source: str
    actor: str
    now: datetime


@dataclass(frozen=True, slots=True)
class ConsentEvidence:
    """What shows that a person agreed: where, to which words, in which language (BCP 47).

    `policy` is the version of the privacy policy that was shown with them, such as
    `privacy/2027-01`; empty if that is not known.
    """

    source: str
    wording: str
    language: str
    occurred_at: datetime
    policy: str = ""

    def to_evidence(self, address: Address) -> dict[str, str]:
        """What the ledger stores of it, readable for ever.

        Raises InvalidInput if it names the person (I8).
        """
        if contains_address(f"{self.source}\n{self.wording}\n{self.language}", address):
            raise InvalidInput("the evidence holds the person's address: send it without")
        evidence = {"source": self.source, "wording": self.wording, "language": self.language}
        return evidence | ({"policy": self.policy} if self.policy else {})


def check_policy_shown(reference: str | None, catalogue: Catalogue, acted_at: datetime) -> str:
    """The version of the privacy policy, such as `privacy/2027-01`, that a consent states.

    Empty for None. Raises UnknownPolicyVersion, and InvalidInput for one that no consent of
    `acted_at` counts with: a later one in force then asks again.
    """
    if reference is None:
        return ""
    shown = catalogue.policy_version(reference.removeprefix(f"{PRIVACY}/"))
    asked_again = [
        each.version
        for each in catalogue.policy_versions
        if each.reconsent and shown.effective_at < each.effective_at <= acted_at
    ]
    if asked_again:
        raise InvalidInput(
            f"version {asked_again[-1]} of the privacy policy asks for a new consent: show that"
            " one, and ask again"
        )
    return shown.reference


def known_policy(reference: str, catalogue: Catalogue) -> str:
    """The version of the privacy policy that an opt-out states; empty if the catalogue has none.

    An opt-out is recorded whatever it states.
    """
    known = {each.reference for each in catalogue.policy_versions}
    return reference if reference in known else ""


def clamp_to_now(at: datetime, now: datetime) -> datetime:
    """`at` in UTC, never later than `now`.

    A clock ahead of ours by up to 15 minutes is corrected. Raises InvalidInput beyond
    that, and for a time before the year 2000.
    """
    if at < EARLIEST_TIME:
        raise InvalidInput("this time lies before the year 2000")
    if at > now + CLOCK_TOLERANCE:
        raise InvalidInput("this time lies in the future")
    return min(at.astimezone(UTC), now)


def topic_for_address(
    address: Address | HashedAddress, topic_key: str, catalogue: Catalogue
) -> Topic:
    """The topic, if it can reach this address. Raises UnknownTopic or WrongChannel."""
    topic = catalogue.topic(topic_key)
    if topic.channel is not address.channel:
        raise WrongChannel(
            f"the topic {topic.key} is sent by {topic.channel}, not by {address.channel}"
        )
    return topic


def validate_marketing_scope(
    address: Address | HashedAddress, scope: str, catalogue: Catalogue
) -> str:
    """`scope`, if one may opt out of it.

    That is all marketing, or any topic of the address's channel, retired ones too.
    Raises UnknownTopic or WrongChannel.
    """
    if scope == ALL_MARKETING:
        return scope
    if scope == EVERYTHING:
        raise UnknownTopic("nobody opts out of everything: an account is closed, see contacts")
    return topic_for_address(address, scope, catalogue).key


def validate_opt_out_scope(
    address: Address | HashedAddress, scope: str, catalogue: Catalogue
) -> str:
    """The same, or sale and sharing."""
    return scope if scope == SHARING else validate_marketing_scope(address, scope, catalogue)


def build_opt_out_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    scope: str,
    received_via: ReceivedVia,
    origin: RequestOrigin,
    *,
    received_at: datetime,
    occurred_at: datetime,
    policy: str = "",
) -> Change:
    """The person's opt-out, relayed. Times must have gone through `clamp_to_now`.

    `policy` is the version of the privacy policy that was shown, by `known_policy`.
    """
    return Change(
        id=id,
        kind=EventKind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=occurred_at,
        received_at=received_at,
        source=origin.source,
        actor=origin.actor,
        evidence={"via": received_via.value} | ({"policy": policy} if policy else {}),
        own_act=True,
    )


def build_consent_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    topic: Topic,
    consent_evidence: ConsentEvidence,
    origin: RequestOrigin,
    *,
    own_act: bool,
) -> Change:
    """The person's opt-in, relayed. Only their own recorded act lifts an opt-out (I5).

    Raises InvalidInput for a retired topic, where nothing is sent any more, and for
    evidence that names the person: it is kept readable for ever (I8).
    """
    if topic.retired:
        raise InvalidInput(f"the topic {topic.key} is retired: nobody can ask for it any more")
    kind = EventKind.OPTED_IN if own_act else EventKind.CONSENTED
    return build_proven_change(id, kind, address, topic.key, consent_evidence, origin)


def build_proven_change(
    id: UUID,  # noqa: A002 - as in `Change`
    kind: EventKind,
    address: Address,
    scope: str,
    consent_evidence: ConsentEvidence,
    origin: RequestOrigin,
) -> Change:
    """The person's act, relayed with evidence of it, from which it counts.

    Raises InvalidInput for evidence that names the person (I8).
    """
    return Change(
        id=id,
        kind=kind,
        address=address,
        scope=scope,
        occurred_at=consent_evidence.occurred_at,
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=consent_evidence.to_evidence(address),
    )
