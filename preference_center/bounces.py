"""Bounces become changes by the company's policy, counted if one alone is not enough.

The one way for every door: the mail receiver, and what takes in tools' news. What is counted
is committed before it is judged, so of two reports at once the later one sees both; a door
that fails after that does all of it again, and counts nothing twice. The caller hands the
changes to `ledger.record`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from preference_center.domain.addresses import Address
from preference_center.domain.bounces import (
    BounceAction,
    BounceActionKind,
    BounceCause,
    BounceClassification,
    DeliverabilityPolicy,
    classify_bounce,
    evaluate_bounce,
)
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.events import UNDELIVERABLE, Change, EventKind
from preference_center.errors import CatalogueError
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.mail import counted_bounces
from preference_center.storage.mail.counted_bounces import CountedBounce

log = structlog.get_logger()

OWNER_CHANGED = "bounces.owner_changed"
"""The action in the audit of a bounce that says that a mailbox has another owner now."""


@dataclass(frozen=True, slots=True)
class BounceReport:
    """One bounce of one address.

    `id` becomes that of the event; it is the same whenever the same bounce is told again.
    `at` is when it bounced, `received_at` when we were told (both UTC). `evidence` must hold
    nothing personal (I8); what was read out of the bounce is added to it.
    """

    id: UUID
    address: Address
    bounce: Bounce
    bounced_at: datetime
    received_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluatedBounce:
    """A report, what the policy makes of it, and the change to be recorded, if any."""

    report: BounceReport
    action: BounceAction
    change: Change | None


def current_policy() -> DeliverabilityPolicy:
    """The policy in force: that of the catalogue, or RULES F10 while there is none."""
    try:
        return current_catalogue().deliverability
    except CatalogueError:
        return DeliverabilityPolicy()


def evaluate_bounces(
    reports: Sequence[BounceReport], *, store: bool = True
) -> list[EvaluatedBounce]:
    """Judge bounces, in their order; those that are counted are so from now on.

    With `keep` false nothing is written, as for a dry run. Raises Unavailable when the
    database can't be reached.
    """
    in_force, now = current_policy(), services().now()
    readings = [classify_bounce(report.bounce) for report in reports]
    counted = {
        report.id: _counted_bounce(report, reading)
        for report, reading in zip(reports, readings, strict=True)
        if in_force.threshold_for(reading.code).events > 1
    }
    earlier = _load_counted_bounces(
        list(counted.values()), now - in_force.counting_window, store=store
    )
    judged = []
    for report, reading in zip(reports, readings, strict=True):
        rule, others = in_force.matching_code(reading.code), []
        if report.id in counted:
            others = earlier.get(counted[report.id].digest, [])
        same = [
            b.at for b in others if b.id != report.id and in_force.matching_code(b.code) == rule
        ]
        verdict = evaluate_bounce(in_force, reading, _bounced_at(report), same, now)
        judged.append(EvaluatedBounce(report, verdict, _to_change(report, verdict)))
    if store:
        _record_owner_changes(judged)
    return judged


def _record_owner_changes(evaluated: Sequence[EvaluatedBounce]) -> None:
    """Note whose mailbox is somebody else's now (RFC 7293): their data is for a person to erase.

    Marketing stops by the bounce. Nothing is erased on a mail server's word alone.
    """
    now = services().now()
    changed = [
        each.report
        for each in evaluated
        if each.change and each.action.classification.cause is BounceCause.OWNER_CHANGED
    ]

    def append_audit_records(connection: Connection) -> None:
        for report in changed:
            audit.insert_audit_entry(
                connection, now, report.actor, OWNER_CHANGED, {"event": str(report.id)}
            )

    if changed:
        run_in_transaction(append_audit_records)
        log.warning("owner_changed", bounces=[str(report.id) for report in changed])


def _load_counted_bounces(
    new_bounces: Sequence[CountedBounce], since: datetime, *, store: bool
) -> dict[bytes, list[CountedBounce]]:
    """All that is counted of the addresses of `given`, these included, stored or not."""
    if not new_bounces:
        return {}
    if store:
        fresh = [bounce for bounce in new_bounces if bounce.at > since]
        run_in_transaction(
            lambda connection: counted_bounces.insert_bounces(connection, fresh, since)
        )
    # Only once that is committed: else two at once would not see each other.
    digests = {bounce.digest for bounce in new_bounces}
    found = run_in_transaction(
        lambda connection: counted_bounces.list_bounces(connection, digests, since)
    )
    known = {bounce.id for each in found.values() for bounce in each}
    for bounce in new_bounces:
        if bounce.id not in known:
            found.setdefault(bounce.digest, []).append(bounce)
    return found


def _counted_bounce(report: BounceReport, reading: BounceClassification) -> CountedBounce:
    return CountedBounce(
        report.id, services().keys.exact_digest(report.address), reading.code, _bounced_at(report)
    )


def _bounced_at(report: BounceReport) -> datetime:
    return min(report.bounced_at, report.received_at)


def _to_change(report: BounceReport, action: BounceAction) -> Change | None:
    """For good a bounce; for now a pause of what can't be delivered, which ends by itself."""
    if action.kind not in {BounceActionKind.SUPPRESS, BounceActionKind.SUPPRESS_TEMPORARILY}:
        return None
    reading = action.classification
    evidence = {**report.evidence, "cause": reading.cause.value, "status": reading.code}
    if reading.contradicts_code and report.bounce.status:
        evidence["status_given"] = report.bounce.status[:40]
    return Change(
        id=report.id,
        kind=EventKind.PAUSED if action.until else EventKind.BOUNCED,
        address=report.address,
        scope=UNDELIVERABLE,
        occurred_at=_bounced_at(report),
        received_at=report.received_at,
        source=report.source,
        actor=report.actor,
        evidence=evidence,
        until=action.until,
    )
