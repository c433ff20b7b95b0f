"""The changes that limit the use of a person's data and end that, for one address.

GDPR art. 18. While it lasts the data is kept and no marketing is sent; service mail is (I4). Only
the person ends it, or the company after informing them (art. 18(3)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import RESTRICTION, Change, EventKind, ScopeFact
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin, build_proven_change

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
