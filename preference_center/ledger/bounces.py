"""`evaluate_bounces` applies the company's policy, and counts bounces that do not suppress alone.

Bounces are counted per address, by keyed digest only.

Both entry points use this module: the mail receiver, and the ingestion of vendor events. A counted
bounce is committed before it is evaluated, so of two concurrent reports the later one sees both. A
caller that fails afterwards repeats all of it, and nothing is counted twice. The caller passes the
changes to `ledger.record`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.bounce_phrases import BounceCause
from preference_center.core.bounces import (
    BounceAction,
    BounceClassification,
    BounceReport,
    DeliverabilityPolicy,
    bounce_change,
    classify_bounce,
    evaluate_bounce,
)
from preference_center.core.events import Change
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction

_PURGE_LIMIT = 1000
"""More than one request inserts, so that expired ones can't accumulate."""


@dataclass(frozen=True, slots=True)
class CountedBounce:
    """One bounce: the exact digest of its address, its code, and the time (UTC)."""

    id: UUID
    digest: bytes
    code: str
    at: datetime


_INSERT = """
INSERT INTO counted_bounce (id, digest, code, at) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""


_SELECT = """
SELECT id, digest, code, at FROM counted_bounce
WHERE digest = ANY(%(digests)b::bytea[]) AND at > %(since)s
"""


_PURGE = """
DELETE FROM counted_bounce WHERE id = ANY(ARRAY(
    SELECT id FROM counted_bounce WHERE at <= %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
))
"""
"""An array, since a subquery of IN may be evaluated again for each row, and find more rows."""


def insert_bounces(
    connection: Connection, bounces: Sequence[CountedBounce], since: datetime
) -> None:
    """Store these, each once however often it is reported, and delete some older than `since`."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT,
            # All writers use the same order, to avoid deadlocks.
            [(b.id, b.digest, b.code, b.at) for b in sorted(bounces, key=lambda b: b.id)],
        )
    connection.execute(_PURGE, (since, _PURGE_LIMIT))


def list_bounces(
    connection: Connection, digests: Collection[bytes], since: datetime
) -> dict[bytes, list[CountedBounce]]:
    """The bounces after `since`, by the digest of their address."""
    found: defaultdict[bytes, list[CountedBounce]] = defaultdict(list)
    for row in connection.execute(_SELECT, {"digests": list(digests), "since": since}):
        bounce = CountedBounce(*row)
        found[bounce.digest].append(bounce)
    return found


log = structlog.get_logger()


OWNER_CHANGED = "bounces.owner_changed"
"""The audit's action for a bounce that reports another owner of the mailbox."""


@dataclass(frozen=True, slots=True)
class EvaluatedBounce:
    """A report, what the policy does about it, and the change to record, if any."""

    report: BounceReport
    action: BounceAction
    change: Change | None


def current_policy() -> DeliverabilityPolicy:
    """The catalogue's policy; RULES F10 while there is no catalogue."""
    return current_catalogue_or_empty().deliverability


def evaluate_bounces(
    reports: Sequence[BounceReport], now: datetime, *, store: bool = True
) -> list[EvaluatedBounce]:
    """Evaluate bounces in their order, and count those that do not suppress alone.

    With `store` false nothing is written, as for a dry run. Raises Unavailable when the
    database can't be reached.
    """
    policy = current_policy()
    classifications = [classify_bounce(report.bounce) for report in reports]
    counted = {
        report.id: _counted_bounce(report, classification)
        for report, classification in zip(reports, classifications, strict=True)
        if policy.threshold_for(classification.code).events > 1
    }
    earlier = _load_counted_bounces(
        list(counted.values()), now - policy.counting_window, store=store
    )
    evaluated = []
    for report, classification in zip(reports, classifications, strict=True):
        same_address = earlier.get(counted[report.id].digest, []) if report.id in counted else []
        times = _times_under_same_rule(policy, report.id, classification, same_address)
        action = evaluate_bounce(policy, classification, report.counts_at, times, now)
        evaluated.append(EvaluatedBounce(report, action, bounce_change(report, action)))
    if store:
        _record_owner_changes(evaluated, now)
    return evaluated


def _times_under_same_rule(
    policy: DeliverabilityPolicy,
    report_id: UUID,
    classification: BounceClassification,
    bounces: Sequence[CountedBounce],
) -> list[datetime]:
    """When the other bounces of the address that match the same rule of the policy came."""
    rule = policy.matching_code(classification.code)
    return [
        bounce.at
        for bounce in bounces
        if bounce.id != report_id and policy.matching_code(bounce.code) == rule
    ]


def _record_owner_changes(evaluated: Sequence[EvaluatedBounce], now: datetime) -> None:
    """Audit the mailboxes that have another owner now (RFC 7293), whose data staff may erase.

    Marketing stops by the bounce. Nothing is erased on the word of a mail server alone.
    """
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
    """Every counted bounce of these bounces' addresses, themselves included, by digest."""
    if not new_bounces:
        return {}
    if store:
        fresh = [bounce for bounce in new_bounces if bounce.at > since]
        run_in_transaction(lambda connection: insert_bounces(connection, fresh, since))
    # Read after that has been committed: else two concurrent reports would not see each other.
    digests = {bounce.digest for bounce in new_bounces}
    found = run_in_transaction(lambda connection: list_bounces(connection, digests, since))
    known = {bounce.id for each in found.values() for bounce in each}
    for bounce in new_bounces:
        if bounce.id not in known:
            found.setdefault(bounce.digest, []).append(bounce)
    return found


def _counted_bounce(report: BounceReport, classification: BounceClassification) -> CountedBounce:
    return CountedBounce(
        report.id,
        services().keys.exact_digest(report.address),
        classification.code,
        report.counts_at,
    )
