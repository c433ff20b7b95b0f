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
    Cause,
    Policy,
    Reading,
    Ruling,
    Verdict,
    classify,
    judge,
)
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.events import UNDELIVERABLE, Change, Kind
from preference_center.errors import CatalogueError
from preference_center.extensions import services
from preference_center.storage.access import audit
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.mail import counted_bounces
from preference_center.storage.mail.counted_bounces import Counted

log = structlog.get_logger()

OWNER_CHANGED = "bounces.owner_changed"
"""The action in the audit of a bounce that says that a mailbox has another owner now."""


@dataclass(frozen=True, slots=True)
class Report:
    """One bounce of one address.

    `id` becomes that of the event; it is the same whenever the same bounce is told again.
    `at` is when it bounced, `received_at` when we were told (both UTC). `evidence` must hold
    nothing personal (I8); what was read out of the bounce is added to it.
    """

    id: UUID
    address: Address
    bounce: Bounce
    at: datetime
    received_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """A report, what the policy makes of it, and the change to be recorded, if any."""

    report: Report
    verdict: Verdict
    change: Change | None


def policy() -> Policy:
    """The policy in force: that of the catalogue, or RULES F10 while there is none."""
    try:
        return current_catalogue().deliverability
    except CatalogueError:
        return Policy()


def bounced(reports: Sequence[Report], *, keep: bool = True) -> list[Judged]:
    """Judge bounces, in their order; those that are counted are so from now on.

    With `keep` false nothing is written, as for a dry run. Raises Unavailable when the
    database can't be reached.
    """
    in_force, now = policy(), services().now()
    readings = [classify(report.bounce) for report in reports]
    counted = {
        report.id: _counted(report, reading)
        for report, reading in zip(reports, readings, strict=True)
        if in_force.threshold(reading.code).events > 1
    }
    earlier = _earlier(list(counted.values()), now - in_force.counted_for, keep=keep)
    judged = []
    for report, reading in zip(reports, readings, strict=True):
        rule, others = in_force.rule_of(reading.code), []
        if report.id in counted:
            others = earlier.get(counted[report.id].digest, [])
        same = [b.at for b in others if b.id != report.id and in_force.rule_of(b.code) == rule]
        verdict = judge(in_force, reading, _at(report), same, now)
        judged.append(Judged(report, verdict, _change(report, verdict)))
    if keep:
        _point_out(judged)
    return judged


def _point_out(judged: Sequence[Judged]) -> None:
    """Note whose mailbox is somebody else's now (RFC 7293): their data is for a person to erase.

    Marketing stops by the bounce. Nothing is erased on a mail server's word alone.
    """
    now = services().now()
    changed = [
        each.report
        for each in judged
        if each.change and each.verdict.reading.cause is Cause.OWNER_CHANGED
    ]

    def work(connection: Connection) -> None:
        for report in changed:
            audit.append(connection, now, report.actor, OWNER_CHANGED, {"event": str(report.id)})

    if changed:
        run(work)
        log.warning("owner_changed", bounces=[str(report.id) for report in changed])


def _earlier(
    given: Sequence[Counted], since: datetime, *, keep: bool
) -> dict[bytes, list[Counted]]:
    """All that is counted of the addresses of `given`, these included, stored or not."""
    if not given:
        return {}
    if keep:
        fresh = [bounce for bounce in given if bounce.at > since]
        run(lambda connection: counted_bounces.keep(connection, fresh, since))
    # Only once that is committed: else two at once would not see each other.
    digests = {bounce.digest for bounce in given}
    found = run(lambda connection: counted_bounces.of(connection, digests, since))
    known = {bounce.id for each in found.values() for bounce in each}
    for bounce in given:
        if bounce.id not in known:
            found.setdefault(bounce.digest, []).append(bounce)
    return found


def _counted(report: Report, reading: Reading) -> Counted:
    return Counted(report.id, services().keys.exact(report.address), reading.code, _at(report))


def _at(report: Report) -> datetime:
    return min(report.at, report.received_at)


def _change(report: Report, verdict: Verdict) -> Change | None:
    """For good a bounce; for now a pause of what can't be delivered, which ends by itself."""
    if verdict.ruling not in {Ruling.SUPPRESS, Ruling.SUPPRESS_FOR_NOW}:
        return None
    reading = verdict.reading
    evidence = {**report.evidence, "cause": reading.cause.value, "status": reading.code}
    if reading.contradicted and report.bounce.status:
        evidence["status_given"] = report.bounce.status[:40]
    return Change(
        id=report.id,
        kind=Kind.PAUSED if verdict.until else Kind.BOUNCED,
        address=report.address,
        scope=UNDELIVERABLE,
        occurred_at=_at(report),
        received_at=report.received_at,
        source=report.source,
        actor=report.actor,
        evidence=evidence,
        until=verdict.until,
    )
