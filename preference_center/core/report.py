"""A bounce of one address, and the change that records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.bounce import Bounce
from preference_center.core.events import UNDELIVERABLE, Change, EventKind
from preference_center.core.policy import BounceAction, BounceActionKind


@dataclass(frozen=True, slots=True)
class BounceReport:
    """One bounce of one address.

    `id` becomes the event's id, and is the same whenever the same bounce is reported again.
    `bounced_at` is when the mail bounced, `received_at` when that was reported to us (both UTC).
    `evidence` must hold nothing personal (I8); what was read from the bounce is added to it.
    """

    id: UUID
    address: Address
    bounce: Bounce
    bounced_at: datetime
    received_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts_at(self) -> datetime:
        """The time that it is counted at: never later than its receipt."""
        return min(self.bounced_at, self.received_at)


def bounce_change(report: BounceReport, action: BounceAction) -> Change | None:
    """The change that records a bounce; None if it does not suppress.

    A permanent suppression is a bounce; a temporary one is a pause of the scope UNDELIVERABLE,
    which ends by itself.
    """
    match action.kind:
        case BounceActionKind.SUPPRESS:
            kind = EventKind.BOUNCED
        case BounceActionKind.SUPPRESS_TEMPORARILY:
            kind = EventKind.PAUSED
        case BounceActionKind.COUNT | BounceActionKind.IGNORE:
            return None
        case _:
            assert_never(action.kind)
    classification = action.classification
    evidence = {
        **report.evidence,
        "cause": classification.cause.value,
        "status": classification.code,
    }
    if classification.contradicts_code and report.bounce.status:
        evidence["status_given"] = report.bounce.status[:40]
    return Change(
        id=report.id,
        kind=kind,
        address=report.address,
        scope=UNDELIVERABLE,
        occurred_at=report.counts_at,
        received_at=report.received_at,
        source=report.source,
        actor=report.actor,
        evidence=evidence,
        until=action.until,
    )
