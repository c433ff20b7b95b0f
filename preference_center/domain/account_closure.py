"""Closing an account, and opening it again: what an address's ledger says of it (I4, I6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.decisions import Fact
from preference_center.domain.events import ALL_MARKETING, EVERYTHING, Change, Kind
from preference_center.domain.sender_requests import Origin, Proof
from preference_center.errors import InvalidInput

_NOTHING: Mapping[str, str] = {}


def closing(
    ids: tuple[UUID, UUID],
    address: Address,
    origin: Origin,
    received_at: datetime,
    *,
    kind: Kind = Kind.DEACTIVATED,
    evidence: Mapping[str, str] = _NOTHING,
) -> tuple[Change, Change]:
    """The two "no"s of an account that is closed (DEACTIVATED or ERASED).

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
        for event, scope in zip(ids, (EVERYTHING, ALL_MARKETING), strict=True)
    )
    return over_everything, over_marketing


def adds_to_closing(facts: Sequence[Fact], at: datetime) -> bool:
    """Whether closing the account again at `at` changes any decision (I5).

    It does if a form of the mailbox was opted in since the opt-out of all marketing that the
    closing made, and before `at`: marketing would go on there, or after a reopening.
    """
    outs = [f.state.out.at for f in facts if f.exact and f.scope == ALL_MARKETING and f.state.out]
    lifts = [f.state.lift.at for f in facts if f.scope != EVERYTHING and f.state.lift]
    closed_at = max(outs, default=None)
    return any((closed_at is None or closed_at < lift) and lift < at for lift in lifts)


def reopening(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    proof: Proof,
    origin: Origin,
    facts: Sequence[Fact],
) -> Change:
    """The lift of *everything*, by the person's own recorded act; `facts` are those of now.

    Raises InvalidInput if the account was closed at or after that act, which then lifts
    nothing (I5), and for a proof that names the person (I8).
    """
    for fact in facts:
        out = fact.state.out
        if fact.exact and fact.scope == EVERYTHING and out and out.at >= proof.occurred_at:
            raise InvalidInput("the account was closed then or later: only a newer act reopens it")
    return Change(
        id=id,
        kind=Kind.REOPENED,
        address=address,
        scope=EVERYTHING,
        occurred_at=proof.occurred_at,
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=proof.evidence(address),
    )
