"""Remove what is past its retention, by the catalogue or DEFAULT_RETENTION.

Evidence, acknowledgements and audit entries are deleted, addresses and closed accounts are erased
like at a person's own request. What somebody limits the use of, what is under a hold and what an
open request is about is left alone (GDPR art. 17(3), 18(2)).

Each kind is walked once a day in windows of rows, so that no step holds anything up; every window
is a transaction, so a run can be killed anywhere and goes on where it was. Kinds take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from preference_center.catalogue import DEFAULT_RETENTION, RetainedData, RetentionRule
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.rules.contact import AccountState
from preference_center.core.events import ALL_MARKETING, EVERYTHING, RESTRICTION
from preference_center.infra.db.rows import insert_row
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import KINDS_MAY_MATCH
from preference_center.rights.erasure.erase import erase_addresses
from preference_center.rights.holds import IN_FORCE
from preference_center.rights.rules.requests import Extent


# OFFSET 0 avoids a full scan by a plan that was made while the table was small.
def _exempt(address: str) -> str:
    """A condition: whether the address of this column must be left alone."""
    return f"""(EXISTS (SELECT FROM hold WHERE hold.address_id = {address} AND {IN_FORCE} OFFSET 0)
        OR EXISTS (SELECT FROM suppression r WHERE r.address_id = {address}
            AND r.scope = '{RESTRICTION}' AND r.active OFFSET 0)
        OR (SELECT x.digest FROM address x WHERE x.id = {address}) IN (
            SELECT unnest(q.subject_digests) FROM rights_request q WHERE q.closed_at IS NULL))"""  # noqa: S608 - constants


def _is_used(address: str) -> str:
    """A condition: whether a form of this column's mailbox was opted in since all marketing ended.

    An erasure would outrank that opt-in with its own, newer opt-out (I5).
    """
    return f"""EXISTS (
        WITH given AS (SELECT {address} AS id)
        SELECT FROM given JOIN suppression s ON s.address_id = given.id
        JOIN address_key a ON a.address_id = given.id
        JOIN address_key b
            ON b.digest = a.digest AND b.channel = a.channel AND {KINDS_MAY_MATCH} <> 0
        JOIN suppression n ON n.address_id = b.address_id
        WHERE s.scope = '{ALL_MARKETING}' AND n.lift_at > s.out_at AND NOT n.active
            AND n.scope NOT IN ('{EVERYTHING}', '{RESTRICTION}')
            AND NOT EXISTS (SELECT FROM suppression c WHERE c.address_id = n.address_id
                AND c.scope = '{EVERYTHING}' AND c.active) OFFSET 0)"""  # noqa: S608 - constants


_EVIDENCE = f"""
SELECT e.seq AS number, e.id AS item FROM event e
WHERE e.seq > %(after)s AND e.seq <= %(up_to)s AND e.recorded_at < %(before)s
    AND EXISTS (SELECT FROM event_evidence v WHERE v.event_id = e.id OFFSET 0)
    AND EXISTS (SELECT FROM event n WHERE n.address_id = e.address_id AND n.scope = e.scope
        AND n.seq > e.seq AND n.recorded_at < %(before)s OFFSET 0)
    AND NOT EXISTS (SELECT FROM suppression s WHERE s.address_id = e.address_id
        AND s.scope = e.scope AND e.id IN (s.out_event, s.lift_event, s.pause_event) OFFSET 0)
    AND NOT EXISTS (SELECT FROM consent c WHERE c.address_id = e.address_id
        AND c.topic = e.scope AND c.event = e.id OFFSET 0)
    AND NOT {_exempt("e.address_id")}
"""  # noqa: S608 - constants
"""Of events that a newer one of their scope has replaced: what is in force stays proven."""


_DELIVERIES = f"""
SELECT d.id AS number, d.id AS item FROM delivery d
WHERE d.id > %(after)s AND d.id <= %(up_to)s AND d.at < %(before)s
    AND EXISTS (SELECT FROM delivery_ack a WHERE a.delivery_id = d.id OFFSET 0)
    AND NOT {_exempt("d.address_id")}
"""  # noqa: S608 - constants


_ADDRESSES = f"""
SELECT a.id AS number, a.id AS item FROM address a
WHERE a.id > %(after)s AND a.id <= %(up_to)s
    AND a.ciphertext IS NOT NULL
    AND EXISTS (SELECT FROM suppression s WHERE s.address_id = a.id
        AND s.scope = '{ALL_MARKETING}' AND s.active OFFSET 0)
    AND NOT EXISTS (SELECT FROM contact_address c WHERE c.address_id = a.id OFFSET 0)
    AND NOT EXISTS (SELECT FROM event e WHERE e.address_id = a.id
        AND e.recorded_at >= %(before)s OFFSET 0)
    AND NOT {_exempt("a.id")} AND NOT {_is_used("a.id")}
"""  # noqa: S608 - constants


_ACCOUNTS = f"""
SELECT ca.address_id AS number, ca.address_id AS item FROM contact_address ca
WHERE ca.address_id > %(after)s AND ca.address_id <= %(up_to)s
    AND EXISTS (SELECT FROM contact c WHERE c.id = ca.contact_id
        AND c.account = '{AccountState.DEACTIVATED}' OFFSET 0)
    AND NOT EXISTS (SELECT FROM contact_address o WHERE o.contact_id = ca.contact_id
        AND (EXISTS (SELECT FROM suppression s WHERE s.address_id = o.address_id
            AND s.scope = '{EVERYTHING}' AND s.out_at >= %(before)s OFFSET 0)
            OR {_exempt("o.address_id")} OR {_is_used("o.address_id")}) OFFSET 0)
"""  # noqa: S608 - constants
"""The addresses of accounts that were closed before; all of an account or none."""


_AUDIT = """
SELECT id AS number, id AS item FROM audit
WHERE id > %(after)s AND id <= %(up_to)s AND at < %(before)s
"""


_BROWSER_CONSENTS = """
SELECT c.seq AS number, c.id AS item FROM browser_consent c
WHERE c.seq > %(after)s AND c.seq <= %(up_to)s
    AND (c.expires_at < %(before)s OR EXISTS (SELECT FROM browser_consent n
        WHERE n.previous = c.id AND n.decided_at < %(before)s))
"""


_DELETE_AUDIT = """
WITH given AS (SELECT unnest(%s::bigint[]) AS id), looks AS (
    DELETE FROM person_access USING given WHERE person_access.audit_id = given.id
)
DELETE FROM audit USING given WHERE audit.id = given.id
"""


@dataclass(frozen=True, slots=True)
class _KindRules:
    """What follows from a kind of data: the rows that a run looks at, and what it does with them.

    Their numbers have gaps: a new epoch skips a great many.
    """

    numbers: str
    expired: str
    delete: str = ""
    erase: Extent | None = None
    """How far what has expired is erased, here and in tools; None if it is deleted here."""


def _rules_of(kind: RetainedData) -> _KindRules:
    match kind:
        case RetainedData.EVIDENCE:
            delete = "DELETE FROM event_evidence WHERE event_id = ANY(%s)"
            return _KindRules("SELECT seq AS number FROM event", _EVIDENCE, delete)
        case RetainedData.DELIVERIES:
            delete = "DELETE FROM delivery_ack WHERE delivery_id = ANY(%s)"
            return _KindRules("SELECT id AS number FROM delivery", _DELIVERIES, delete)
        case RetainedData.SUPPRESSED_ADDRESSES:
            rows = "SELECT id AS number FROM address"
            return _KindRules(rows, _ADDRESSES, erase=Extent.MARKETING)
        case RetainedData.CLOSED_ACCOUNTS:
            rows = "SELECT address_id AS number FROM contact_address"
            return _KindRules(rows, _ACCOUNTS, erase=Extent.ACCOUNT)
        case RetainedData.AUDIT:
            return _KindRules("SELECT id AS number FROM audit", _AUDIT, _DELETE_AUDIT)
        case RetainedData.BROWSER_CONSENTS:
            delete = "DELETE FROM browser_consent WHERE id = ANY(%s)"
            return _KindRules(
                "SELECT seq AS number FROM browser_consent", _BROWSER_CONSENTS, delete
            )
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """How far the run of one kind is: what is up to `position` was looked at."""

    kind: RetainedData
    position: int
    removed: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """A rule at a moment, from `apply_rules` alone: plans and runs remove the same by it."""

    kind: RetainedData
    ground: str
    before: datetime
    """What is older than this (UTC) is past its retention; what is exactly as old is not."""
    now: datetime


def retention_rules() -> dict[RetainedData, RetentionRule]:
    """The rules that apply: those of the catalogue, and DEFAULT_RETENTION where it has none."""
    rules = current_catalogue_or_empty().retention
    missing = {kind: rule for kind, rule in DEFAULT_RETENTION.items() if kind not in rules}
    return {**rules, **missing}


def apply_rules(now: datetime) -> list[AppliedRule]:
    """The rules that apply at `now`, with their grounds in English where they have it."""
    localize = current_catalogue_or_empty().localize
    return [
        AppliedRule(kind, localize(rule.ground, "en"), now - rule.duration, now)
        for kind, rule in retention_rules().items()
    ]


def window_end(connection: Connection, kind: RetainedData, *, after: int, rows: int) -> int | None:
    """The number of the last of the next `rows` rows; None after the last one."""
    query = f"""SELECT max(number) FROM (
        SELECT * FROM ({_rules_of(kind).numbers}) AS all_rows WHERE number > %s
        ORDER BY number LIMIT %s) AS next_rows"""  # noqa: S608 - constants
    row = connection.execute(query.encode(), (after, rows)).fetchone()
    return row[0] if row else None


def find_expired(connection: Connection, rule: AppliedRule, *, after: int, up_to: int) -> list[Any]:
    """The expired items whose number is above `after` and at most `up_to`.

    Ids of events, deliveries, addresses, audit entries or choices about cookies, by kind.
    """
    given = {"before": rule.before, "now": rule.now, "after": after, "up_to": up_to}
    return [row[1] for row in connection.execute(_rules_of(rule.kind).expired.encode(), given)]


def delete_expired(connection: Connection, kind: RetainedData, items: list[Any]) -> int:
    """Delete items of a kind that is deleted, not erased; returns how many were there."""
    return connection.execute(_rules_of(kind).delete.encode(), (items,)).rowcount


_RUN = "SELECT kind, position, removed, started_at, finished_at FROM retention_run WHERE kind = %s"


def load_run(
    connection: Connection, kind: RetainedData, *, lock: bool = False
) -> RetentionRun | None:
    """The run of a kind that is under way, or the last one; `lock` it until the end."""
    query = f"{_RUN} FOR UPDATE" if lock else _RUN
    row = connection.execute(query.encode(), (kind,)).fetchone()
    return RetentionRun(kind, *row[1:]) if row else None


def save_run(connection: Connection, run: RetentionRun) -> None:
    """Store how far a run is."""
    replaced = """(kind) DO UPDATE SET position = EXCLUDED.position,
        removed = EXCLUDED.removed, started_at = EXCLUDED.started_at,
        finished_at = EXCLUDED.finished_at"""
    insert_row(connection, "retention_run", asdict(run), replaced)


WINDOW = 5_000
"""How many rows one transaction looks at."""


RUN_INTERVAL = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedRemoval:
    """What one rule would remove now: `items` are ids of its kind of data."""

    rule: AppliedRule
    items: tuple[Any, ...]


def plan_retention(
    now: datetime, progress: Callable[[RetainedData, int], None] | None = None
) -> Iterator[PlannedRemoval]:
    """What each rule would remove at `now`; changes nothing.

    `progress(kind, rows)` is called after each window with how many rows were looked at, at
    most. Raises Unavailable.
    """
    for rule in apply_rules(now):
        items: list[Any] = []
        position, windows = 0, 0
        while (found := _find_next(rule, position)) is not None:
            position, expired = found
            items += expired
            windows += 1
            if progress:
                progress(rule.kind, windows * WINDOW)
        yield PlannedRemoval(rule, tuple(items))


def is_retention_due(connection: Connection, now: datetime) -> bool:
    """Whether a run of any kind is under way, or begins now."""
    return any(_due_run(load_run(connection, kind), kind, now) for kind in retention_rules())


def run_retention(now: datetime, stop: Callable[[], bool] = lambda: False) -> int:
    """Remove what is past its retention, until nothing is left or `stop()`; returns how many items.

    `stop` is asked after each round, in which every kind that is due has one window: so none waits
    for a long one, however little time a run is given. A kind is walked again a day after its last
    run began. Raises Unavailable; what was removed stays removed.
    """
    removed = 0
    due = apply_rules(now)
    while due and not stop():
        steps = [(rule, _run_window(rule)) for rule in due]
        removed += sum(step or 0 for _, step in steps)
        due = [rule for rule, step in steps if step is not None]
    return removed


def _run_window(rule: AppliedRule) -> int | None:
    """Remove what the next window of a run holds; None if no run is due."""
    kind, now = rule.kind, rule.now
    extent = _rules_of(kind).erase

    def step(connection: Connection) -> tuple[RetentionRun, list[Any]] | None:
        run = _due_run(load_run(connection, kind, lock=True), kind, now)
        if run is None:
            return None
        found = _next_window(connection, rule, run.position)
        position, items = found or (run.position, [])
        moved = replace(
            run,
            position=position,
            removed=run.removed + len(items),
            finished_at=None if found else now,
        )
        if extent is None:
            delete_expired(connection, kind, items)
            save_run(connection, moved)
        return moved, items

    found = run_in_transaction(step)
    if found is None:
        return None
    run, items = found
    if extent is not None:
        # Erased before the position is stored: a run that is killed finds them again, or gone.
        erase_addresses(items, extent, origin=RequestOrigin("retention", "retention", now))
        run_in_transaction(lambda connection: save_run(connection, run))
    return len(items)


def _due_run(last: RetentionRun | None, kind: RetainedData, now: datetime) -> RetentionRun | None:
    if last is not None and last.finished_at is None:
        return last
    if last is not None and now - last.started_at < RUN_INTERVAL:
        return None
    return RetentionRun(kind, position=0, removed=0, started_at=now, finished_at=None)


def _find_next(rule: AppliedRule, after: int) -> tuple[int, list[Any]] | None:
    return run_in_transaction(lambda connection: _next_window(connection, rule, after))


def _next_window(
    connection: Connection, rule: AppliedRule, after: int
) -> tuple[int, list[Any]] | None:
    """Where the next window ends, and what of it has expired; None after the last row."""
    up_to = window_end(connection, rule.kind, after=after, rows=WINDOW)
    if up_to is None:
        return None
    return up_to, find_expired(connection, rule, after=after, up_to=up_to)


def retained_addresses(planned: PlannedRemoval) -> list[int]:
    """The ids of the addresses that a plan concerns; none for evidence, deliveries and audit."""
    return list(planned.items) if _rules_of(planned.rule.kind).erase else []
