"""Build the changes that close, reopen, restrict or unrestrict one address (I4, I6).

A restriction limits the use of a person's data: GDPR art. 18. While it lasts the data is kept and
no marketing is sent; service mail is (I4). Only the person ends it, or the company after informing
them (art. 18(3)).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.addresses import Address, HashedAddress
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    Change,
    EventKind,
    ScopeFact,
)
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin, build_proven_change

_NO_EVIDENCE: Mapping[str, str] = {}


def build_closure_changes(
    event_ids: tuple[UUID, UUID],
    address: Address | HashedAddress,
    origin: RequestOrigin,
    received_at: datetime,
    *,
    kind: EventKind = EventKind.DEACTIVATED,
    evidence: Mapping[str, str] = _NO_EVIDENCE,
) -> tuple[Change, Change]:
    """The two suppressions of a closed account (DEACTIVATED or ERASED).

    One covers everything, the other all marketing. A reopening lifts the first alone, so that
    marketing stays off until the person asks for it themselves (I6).
    """
    over_everything, over_marketing = (
        Change(
            id=event,
            kind=kind,
            address=address,
            scope=scope,
            occurred_at=received_at,
            received_at=received_at,
            source=origin.source,
            actor=origin.actor,
            evidence=evidence,
        )
        for event, scope in zip(event_ids, (EVERYTHING, ALL_MARKETING), strict=True)
    )
    return over_everything, over_marketing


def closure_changes_decisions(facts: Sequence[ScopeFact], at: datetime) -> bool:
    """Whether closing the account again at `at` changes any decision (I5).

    It does if a form of the mailbox was opted in since the opt-out of all marketing that the
    closing made, and before `at`: marketing would go on there, or after a reopening.
    """
    outs = [
        f.state.opt_out.at
        for f in facts
        if f.exact and f.scope == ALL_MARKETING and f.state.opt_out
    ]
    lifts = [
        f.state.lift.at for f in facts if f.scope not in {EVERYTHING, RESTRICTION} and f.state.lift
    ]
    closed_at = max(outs, default=None)
    return any((closed_at is None or closed_at < lift) and lift < at for lift in lifts)


_CLOSED_LATER = "the account was closed then or later: only a newer act reopens it"


def closings(facts: Sequence[ScopeFact]) -> list[datetime]:
    """When the account of an address was closed, as the address itself tells."""
    return [
        fact.state.opt_out.at
        for fact in facts
        if fact.exact and fact.scope == EVERYTHING and fact.state.opt_out
    ]


def require_closed_by(facts_by_address: Iterable[Sequence[ScopeFact]], at: datetime) -> None:
    """Raise InvalidInput if the account of these addresses was closed after `at` (UTC).

    The earliest counts: an address that a closed account gains is closed only then.
    """
    found = [closing for facts in facts_by_address for closing in closings(facts)]
    if found and min(found) > at:
        raise InvalidInput(_CLOSED_LATER)


def build_reopening_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    consent_evidence: ConsentEvidence,
    origin: RequestOrigin,
    facts: Sequence[ScopeFact],
) -> Change:
    """The lift of *everything*, by the person's own recorded act; `facts` are those of now.

    Raises InvalidInput if the account was closed at or after that act, which then lifts
    nothing (I5), and for evidence that names the person (I8).
    """
    if any(at >= consent_evidence.occurred_at for at in closings(facts)):
        raise InvalidInput(_CLOSED_LATER)
    return build_proven_change(
        id, EventKind.REOPENED, address, EVERYTHING, consent_evidence, origin
    )


NOTICE_PERIOD = timedelta(days=7)
"""How long before its end the person has to be informed."""


@dataclass(frozen=True, slots=True)
class EndNotice:
    """That the person was informed of the end, and when (UTC)."""

    sent_at: datetime


@dataclass(frozen=True, slots=True)
class DismissedReport:
    """That what restricted the contact, a report of a minor, was found to be wrong.

    It ends what restricts an address since the report (UTC), and nothing from before.
    """

    request_id: UUID
    since: datetime


UnrestrictionProof = ConsentEvidence | EndNotice | DismissedReport
"""The person's own recorded act, the notice that they got before the end, or that its reason fell.
"""


def is_restricted(facts: Sequence[ScopeFact]) -> bool:
    """Whether exactly this form is restricted (I9)."""
    return any(f.exact and f.scope == RESTRICTION and f.state.is_suppressed for f in facts)


def is_ended_by(proof: UnrestrictionProof, facts: Sequence[ScopeFact]) -> bool:
    """Whether exactly this form is restricted, and by what `proof` is about."""
    if not isinstance(proof, DismissedReport):
        return is_restricted(facts)
    begun_at = _begun_at(facts)
    return is_restricted(facts) and begun_at is not None and begun_at >= proof.since


def build_restriction_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    origin: RequestOrigin,
    received_at: datetime,
) -> Change:
    """The suppression of a restricted address: all marketing, whatever the person opts in to."""
    return Change(
        id=id,
        kind=EventKind.RESTRICTED,
        address=address,
        scope=RESTRICTION,
        occurred_at=received_at,
        received_at=received_at,
        source=origin.source,
        actor=origin.actor,
    )


def build_unrestriction_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    proof: UnrestrictionProof,
    origin: RequestOrigin,
    facts: Sequence[ScopeFact],
) -> Change:
    """The end of the restriction of this address; `facts` are those of now.

    Opt-outs that were recorded before or meanwhile stay. Raises InvalidInput if the act is not
    newer than the restriction (I5), if the notice was sent less than NOTICE_PERIOD ago or before
    the restriction began, and for evidence that names the person (I8).
    """
    begun_at = _begun_at(facts)
    if isinstance(proof, ConsentEvidence):
        if begun_at is not None and begun_at >= proof.occurred_at:
            raise InvalidInput("the restriction began then or later: only a newer act ends it")
        return build_proven_change(id, EventKind.UNRESTRICTED, address, RESTRICTION, proof, origin)
    if isinstance(proof, DismissedReport):
        return _ending_change(id, address, origin, {"dismissed_report": str(proof.request_id)})
    if origin.now - proof.sent_at < NOTICE_PERIOD:
        raise InvalidInput(
            f"inform the person, and end the restriction {NOTICE_PERIOD.days} days later at the"
            " earliest"
        )
    if begun_at is not None and begun_at > proof.sent_at:
        raise InvalidInput("the restriction began after that notice: send another one")
    return _ending_change(id, address, origin, {"notice_sent_at": proof.sent_at.isoformat()})


def _ending_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    origin: RequestOrigin,
    evidence: Mapping[str, str],
) -> Change:
    """The end of a restriction by the company, as of now."""
    return Change(
        id=id,
        kind=EventKind.UNRESTRICTED,
        address=address,
        scope=RESTRICTION,
        occurred_at=origin.now,
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=evidence,
    )


def _begun_at(facts: Sequence[ScopeFact]) -> datetime | None:
    """When exactly this form was restricted last."""
    own = (f.state.opt_out for f in facts if f.exact and f.scope == RESTRICTION)
    return max((restricted.at for restricted in own if restricted), default=None)
