"""Read erasures with their tasks, and let people see and end the tasks that they do in tools.

`erase_again_in_tool` creates an erasure for an erased address that a tool shows again: it is
erased there once more (I6, I13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import UnknownErasure
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.rows import fetch_rows
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.erasure import store
from preference_center.rights.rules.requests import Extent


@dataclass(frozen=True, slots=True)
class ErasureTask:
    """One erasure at one tool."""

    erasure_id: UUID
    destination: str
    suppressed_at: datetime | None
    erased_at: datetime | None
    confirmed_at: datetime | None
    outcome: str
    """Empty while it is open; else a TaskOutcome."""
    by_hand_since: datetime | None
    reason: str
    done_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return not self.outcome


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure, and how far the tools are. `readable`: its address is still kept for them."""

    id: UUID
    extent: Extent
    request_id: UUID | None
    begun_at: datetime
    give_up_at: datetime
    finished_at: datetime | None
    readable: bool
    tasks: Sequence[ErasureTask] = ()


class DoneByHand(StrEnum):
    """What somebody did in a tool."""

    DELETED = "deleted"
    NOT_THERE = "not_there"
    """The tool did not have the person."""
    SUPPRESSED = "suppressed"
    """It can't delete: the person is on its own suppression list, which it keeps."""


@dataclass(frozen=True, slots=True)
class HandTask:
    """A task for a person. `address` is None once it was forgotten."""

    task: ErasureTask
    give_up_at: datetime
    address: str | None = field(repr=False)


_SELECT = """
SELECT id, extent, request_id, begun_at, give_up_at, finished_at, ciphertext IS NOT NULL AS readable
FROM erasure
"""
_TASK = ", ".join(f"t.{field.name}" for field in fields(ErasureTask))


def list_erasures(connection: Connection, limit: int, *, only_open: bool) -> list[Erasure]:
    """Erasures, the newest first."""
    which = """WHERE finished_at IS NULL OR NOT %(only_open)s
        ORDER BY begun_at DESC, id DESC LIMIT %(limit)s"""
    return _fetch(connection, which, {"limit": limit, "only_open": only_open})


def find_erasures(connection: Connection, ids: Sequence[UUID]) -> list[Erasure]:
    """The erasures with these ids, in order of them."""
    return _fetch(connection, "WHERE id = ANY(%(ids)s) ORDER BY id", {"ids": list(ids)})


def find_erasure(connection: Connection, erasure_id: UUID) -> Erasure | None:
    """The erasure with this id."""
    return next(iter(find_erasures(connection, [erasure_id])), None)


def list_erasures_of_request(connection: Connection, request_id: UUID) -> list[Erasure]:
    """The erasures that a request has brought about, with their tasks."""
    return _fetch(connection, "WHERE request_id = %(id)s ORDER BY id", {"id": request_id})


def systems_follow_until(connection: Connection, request_id: UUID) -> datetime | None:
    """By when the last connected tool has followed a request's erasures; None if all have."""
    erasures = list_erasures_of_request(connection, request_id)
    open_ones = [each for each in erasures if any(task.is_open for task in each.tasks)]
    return max((each.give_up_at for each in open_ones), default=None)


def _fetch(connection: Connection, which: str, given: Mapping[str, Any]) -> list[Erasure]:
    erasures = fetch_rows(connection, Erasure, f"{_SELECT} {which}", given)
    query = f"""SELECT {_TASK} FROM erasure_task t WHERE erasure_id = ANY(%(ids)s)
        ORDER BY erasure_id, destination"""  # noqa: S608 - constants
    found = fetch_rows(connection, ErasureTask, query, {"ids": [each.id for each in erasures]})
    tasks = {of: tuple(group) for of, group in groupby(found, key=lambda task: task.erasure_id)}
    return [
        replace(each, extent=Extent(each.extent), tasks=tasks.get(each.id, ())) for each in erasures
    ]


MAX_TASKS = 1_000
_HAND_TASKS = f"""
SELECT {_TASK}, e.give_up_at, a.digest, e.ciphertext
FROM erasure_task t JOIN erasure e ON e.id = t.erasure_id
LEFT JOIN address a ON a.id = e.address_id
WHERE t.by_hand_since IS NOT NULL AND t.outcome = ''
    AND (%(tool)s::text IS NULL OR t.destination = %(tool)s)
ORDER BY t.by_hand_since, t.erasure_id, t.destination LIMIT %(limit)s
"""  # noqa: S608 - constants
_END_BY_HAND = """
UPDATE erasure_task SET outcome = %(outcome)s, done_by = %(done_by)s,
    erased_at = COALESCE(erased_at, %(now)s), next_at = NULL, lease = NULL
WHERE erasure_id = %(id)s AND destination = %(destination)s AND outcome = ''
"""


def list_hand_tasks(
    actor: str, *, with_addresses: bool, destination: str | None = None, limit: int = MAX_TASKS
) -> list[HandTask]:
    """The tasks that wait for a person, of all tools or of one, the longest waiting first.

    `with_addresses` records an access; without it the caller must not show any.
    """
    context = services()

    def load(connection: Connection) -> list[HandTask]:
        rows = connection.execute(_HAND_TASKS, {"tool": destination, "limit": limit})
        found = [
            HandTask(
                ErasureTask(*task),
                give_up_at,
                None if sealed is None else context.keys.open(sealed, context=digest),
            )
            for *task, give_up_at, digest, sealed in rows
        ]
        if with_addresses and found:
            seen = sorted({str(each.task.erasure_id) for each in found if each.address})
            audit.insert_audit_entry(
                connection, context.now(), actor, "erasures.addresses_seen", {"erasures": seen}
            )
        return found

    return run_in_transaction(load)


def end_hand_task(
    erasure_id: UUID,
    destination: str,
    done_by: str,
    actor: str,
    how: DoneByHand = DoneByHand.DELETED,
) -> bool:
    """Record that `done_by` erased it in this tool; True if nothing is left to do elsewhere.

    Then the address is forgotten at once. Raises UnknownErasure if there is no such open task.
    """
    now = services().now()
    task = {"id": erasure_id, "destination": destination, "done_by": done_by, "now": now}

    def write(connection: Connection) -> bool:
        store.lock_erasure(connection, erasure_id)
        given = {**task, "outcome": TaskOutcome.BY_HAND}
        if not connection.execute(_END_BY_HAND, given).rowcount:
            raise UnknownErasure("there is no open task of this erasure at this tool")
        detail = {"erasure": str(erasure_id), "destination": destination, "done_by": done_by}
        detail["how"] = how.value
        audit.insert_audit_entry(connection, now, actor, "erasures.done_by_hand", detail)
        store.finish_erasures(connection, now, [erasure_id])
        found = find_erasure(connection, erasure_id)
        assert found
        return found.finished_at is not None

    return run_in_transaction(write)


@dataclass(frozen=True, slots=True)
class OpenErasures:
    """Tasks that wait for a person, and the earliest time at which an open one is forgotten."""

    by_hand: int
    forgotten_at: datetime | None


MAX_BY_HAND = 1_000


def count_open(connection: Connection) -> OpenErasures:
    """What is open, for alarms (tasks by hand are counted to MAX_BY_HAND)."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM (SELECT FROM erasure_task
                WHERE by_hand_since IS NOT NULL AND outcome = '' LIMIT %s) AS open),
            (SELECT min(give_up_at) FROM erasure WHERE ciphertext IS NOT NULL)""",
        (MAX_BY_HAND,),
    ).fetchone()
    assert row
    return OpenErasures(*row)


_ERASE_AGAIN = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(addresses)s::bigint[], %(sealed)s::bytea[])
        AS given (id, address_id, sealed)
), seen AS (
    SELECT given.*, newest.extent, under_way.id AS under_way
    FROM given JOIN address a ON a.id = given.address_id AND a.erased_at IS NOT NULL
    CROSS JOIN LATERAL (SELECT extent FROM erasure WHERE address_id = a.id
        ORDER BY begun_at DESC, id DESC LIMIT 1) AS newest
    LEFT JOIN LATERAL (SELECT id FROM erasure WHERE address_id = a.id
        AND ciphertext IS NOT NULL LIMIT 1) AS under_way ON true
    LEFT JOIN LATERAL (SELECT t.outcome, COALESCE(t.confirmed_at, t.erased_at) AS ended_at
        FROM erasure e JOIN erasure_task t ON t.erasure_id = e.id
        WHERE e.address_id = a.id AND t.destination_id = %(destination)s
        ORDER BY e.begun_at DESC, e.id DESC LIMIT 1) AS last ON true
    WHERE last.outcome IS NULL OR (last.outcome = ANY(%(over)s)
        AND (last.ended_at IS NULL OR last.ended_at <= %(shown_since)s))
), created AS (
    INSERT INTO erasure (id, address_id, extent, ciphertext, begun_at, give_up_at)
    SELECT id, address_id, extent, sealed, %(now)s, %(give_up)s FROM seen WHERE under_way IS NULL
    ON CONFLICT DO NOTHING
), opened AS (
    INSERT INTO erasure_task (erasure_id, destination_id, destination, next_at)
    SELECT COALESCE(seen.under_way, seen.id), d.id, d.name, %(now)s
    FROM seen JOIN destination d ON d.id = %(destination)s
    ON CONFLICT (erasure_id, destination_id) DO UPDATE SET outcome = '', suppressed_at = NULL,
        erased_at = NULL, confirmed_at = NULL, by_hand_since = NULL, reason = '', ack = '',
        job = '', attempts = 0, lease = NULL, next_at = EXCLUDED.next_at
)
INSERT INTO sync_state AS s (destination_id, address_id, wanted_version, due_at, next_at, bulk)
SELECT %(destination)s, seen.address_id,
    (SELECT max(seq) FROM event WHERE event.address_id = seen.address_id),
    %(now)s + %(window)s, %(now)s, false
FROM seen ORDER BY seen.address_id
ON CONFLICT (destination_id, address_id) DO UPDATE SET
    wanted_version = GREATEST(s.wanted_version + 1, EXCLUDED.wanted_version),
    due_at = LEAST(s.due_at, EXCLUDED.due_at), reflected_version = 0, verify_at = NULL,
    next_at = CASE WHEN s.lease IS NULL
        THEN LEAST(s.next_at, EXCLUDED.next_at) ELSE s.next_at END
RETURNING s.address_id
"""
"""Not where a task is open already, nor where its last one said that the tool holds nothing but
the suppression, or was done by hand: anyone who did it would be asked again at every scan.
"""


def erase_again_in_tool(
    connection: Connection, destination: int, seen: Mapping[int, tuple[UUID, bytes]], now: datetime
) -> set[int]:
    """Open the erasure of these addresses at this destination again; returns of which.

    `seen` has, per address id, the id that a new erasure gets, and the sealed address, which that
    keeps for at most 30 days. The tool is brought to suppress them first. Addresses that are not
    erased are skipped. A tool may show for a while what it has deleted.
    """
    if not seen:
        return set()
    store.lock_unfinished(connection, seen)
    given = {
        "ids": [erasure_id for erasure_id, _ in seen.values()],
        "addresses": list(seen),
        "sealed": [sealed for _, sealed in seen.values()],
        "destination": destination,
        "over": [TaskOutcome.ERASED, TaskOutcome.ABSENT, TaskOutcome.REPLACED],
        "shown_since": now - PROPAGATION_DELAY,
        "give_up": now + store.READABLE_FOR,
        "window": WINDOW,
        "now": now,
    }
    return {row[0] for row in connection.execute(_ERASE_AGAIN, given)}
