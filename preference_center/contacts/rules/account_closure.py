"""The changes that close an account and reopen it, for one address (I4, I6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
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
    for fact in facts:
        out = fact.state.opt_out
        if (
            fact.exact
            and fact.scope == EVERYTHING
            and out
            and out.at >= consent_evidence.occurred_at
        ):
            raise InvalidInput("the account was closed then or later: only a newer act reopens it")
    return build_proven_change(
        id, EventKind.REOPENED, address, EVERYTHING, consent_evidence, origin
    )
