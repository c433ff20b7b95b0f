"""These rules redact the evidence of events (I8), and turn relayed requests into `Change`s.

Nothing that names the person may stay readable in an event's evidence. Events are never updated or
deleted, so a name in their evidence would outlive an erasure (I6). Some of it is filled by others:
a sender's message id may be the address itself or, with some tools, a contact's id is the MD5 of
it. What names the person is replaced by a keyed digest: support can still find it, given the
original.

A sender's system or support relays requests; they are validated first. The person's own newer
opt-in, relayed with its evidence, lifts an opt-out (I5).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from urllib.parse import unquote
from uuid import UUID

from preference_center.catalogue import Catalogue, Topic
from preference_center.catalogue.rules.model import PRIVACY
from preference_center.core.addresses import Address, HashedAddress
from preference_center.core.channels import AddressSyntax
from preference_center.core.errors import InvalidInput, UnknownTopic, WrongChannel
from preference_center.core.events import (
    ALL_MARKETING,
    CLOCK_TOLERANCE,
    EVERYTHING,
    REPEAT_INTERVAL,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Change,
    EventKind,
    ScopeFact,
)

MESSAGE_ID = "message_id"
"""The field with a sender's own id: it needs no address in it, so it may name nobody at all."""


INTERNAL_FIELDS = frozenset(
    {
        "destination",
        "import",
        "issued_at",
        "issued_on",
        "key_id",
        "method",
        "move",
        "moved_event",
        "moved_source",
        "policy",
        "proof",
        "text_version",
    }
)
"""Fields that only we fill."""


FREE_TEXT = frozenset({"group", "note", "source", "wording"})
"""Fields with words of others, who may name anybody in them: they are stored sealed."""


_NATIONAL_DIGITS = 9
"""People write phone numbers with and without what comes before these last digits."""


_HEX = re.compile(r"[0-9a-f]{32}")


_PHONE_TEXT = re.compile(r"(?:tel:)?\+?[\d\s()./-]++")


_E164_DIGITS = range(7, 16)


_ALGORITHMS = ("md5", "sha1", "sha256")


def redact_evidence(
    evidence: Mapping[str, str],
    address: Address | HashedAddress,
    keyed_digest: Callable[[str], str],
) -> dict[str, str]:
    """The evidence of an act of `address`, with `mark` of each value that may not stay."""
    return {
        name: value
        if name in INTERNAL_FIELDS or _is_allowed(name, value, address)
        else keyed_digest(value)
        for name, value in evidence.items()
    }


def contains_address(text: str, address: Address | HashedAddress) -> bool:
    """Whether a text has the address in a usual form: plain, escaped, as in VERP, or hashed."""
    plain = unquote(text).casefold()
    if isinstance(address, HashedAddress):
        return address.digest.hex() in plain
    match address.channel.rules.syntax:
        case AddressSyntax.EMAIL:
            return _contains_email(text, plain, address)
        case AddressSyntax.PHONE_NUMBER:
            return _contains_number(plain, address)
        case _:
            assert_never(address.channel.rules.syntax)


def _contains_number(plain: str, address: Address) -> bool:
    digits = "".join(character for character in plain if character.isdigit())
    return address.exact[-_NATIONAL_DIGITS:] in digits or _contains_hash(plain, address)


def _contains_email(text: str, plain: str, address: Address) -> bool:
    if any(form in plain for form in address.forms()):
        return True
    local, _, domain = address.exact.rpartition("@")
    return (
        f"{local}={domain}" in plain
        or _contains_hash(plain, address)
        or _contains_base64(text, address)
    )


def is_opaque(text: str) -> bool:
    """Whether a text is neither an address nor a phone number, of whomever."""
    plain = unquote(text)
    if "@" in plain:
        return False
    digits = sum(character.isdigit() for character in plain)
    return digits not in _E164_DIGITS or not _PHONE_TEXT.fullmatch(plain)


def _is_allowed(name: str, value: str, address: Address | HashedAddress) -> bool:
    if name == MESSAGE_ID and not is_opaque(value):
        return False
    return not contains_address(value, address)


def _contains_hash(plain: str, address: Address) -> bool:
    if not _HEX.search(plain):
        return False
    forms = [form.encode() for form in address.forms()]
    return any(
        hashlib.new(name, form).hexdigest() in plain for name in _ALGORITHMS for form in forms
    )


def _contains_base64(text: str, address: Address) -> bool:
    plain = address.exact.encode()
    standard = base64.b64encode(plain).rstrip(b"=").decode()
    return standard in text or base64.urlsafe_b64encode(plain).rstrip(b"=").decode() in text


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
        if each.reconsent and shown.effective_at < each.effective_at and each.asked_at <= acted_at
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


_UNLIFTABLE_SCOPES = {
    RESTRICTION: "a restriction is ended, not lifted: see contacts",
    EVERYTHING: "a closed account is reopened, not lifted: see contacts",
    UNDELIVERABLE: "a bounce ends when the person opts in: lift a topic, or all_marketing",
}


def build_opt_in_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    scope: str,
    consent_evidence: ConsentEvidence,
    origin: RequestOrigin,
    catalogue: Catalogue,
) -> Change:
    """The person's opt-in to a topic, to all marketing, or to sale and sharing.

    It ends older opt-outs, complaints and pauses of its scope and, for what it covers, older
    bounces. A topic's overrides older wider ones for that topic; a wider one never lifts a
    topic's own. Raises UnknownTopic, WrongChannel, or InvalidInput for what can't be lifted
    like this and for evidence that names the person (I8).
    """
    if scope in _UNLIFTABLE_SCOPES:
        raise InvalidInput(_UNLIFTABLE_SCOPES[scope])
    if scope not in {ALL_MARKETING, SHARING}:
        topic = topic_for_address(address, scope, catalogue)
        return build_consent_change(id, address, topic, consent_evidence, origin, own_act=True)
    return build_proven_change(id, EventKind.OPTED_IN, address, scope, consent_evidence, origin)


def is_repeated_opt_in(change: Change, facts: Sequence[ScopeFact]) -> bool:
    """Whether it is the person's own opt-in of a scope, and stored already: it adds nothing (I7).

    It is stored if one that counts no earlier is stored, at most REPEAT_INTERVAL later. A later
    act is a separate one, and counts against opt-outs that may still arrive late (I5).
    """
    if change.kind is not EventKind.OPTED_IN:
        return False
    lifts = [fact.state.lift for fact in facts if fact.exact and fact.scope == change.scope]
    newest = max((each.at for each in lifts if each), default=None)
    return newest is not None and timedelta(0) <= newest - change.counts_at <= REPEAT_INTERVAL
