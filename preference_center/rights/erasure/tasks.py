"""Read erasures with their tasks, and let people see and end the tasks that they do in tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.core.errors import UnknownErasure
from preference_center.core.keys import Keys
from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.erasure import store
from preference_center.rights.rules.requests import Extent

_COLUMNS = """e.id, e.extent, e.request_id, e.begun_at, e.give_up_at, e.finished_at,
    e.ciphertext IS NOT NULL"""


_TASK_COLUMNS = """t.erasure_id, t.destination, t.suppressed_at, t.erased_at, t.confirmed_at,
    t.outcome, t.by_hand_since, t.reason, t.done_by"""


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


def list_erasures(connection: Connection, limit: int, *, only_open: bool) -> list[Erasure]:
    """Erasures, the newest first."""
    rows = connection.execute(
        f"""SELECT {_COLUMNS} FROM erasure e WHERE finished_at IS NULL OR NOT %(only_open)s
        ORDER BY begun_at DESC, id DESC LIMIT %(limit)s""",  # noqa: S608 - a constant
        {"limit": limit, "only_open": only_open},
    ).fetchall()
    return _with_tasks(connection, rows)


def find_erasures(connection: Connection, ids: Sequence[UUID]) -> list[Erasure]:
    """The erasures with these ids, in order of them."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM erasure e WHERE id = ANY(%s) ORDER BY id",  # noqa: S608 - a constant
        (list(ids),),
    ).fetchall()
    return _with_tasks(connection, rows)


def find_erasure(connection: Connection, erasure_id: UUID) -> Erasure | None:
    """The erasure with this id."""
    return next(iter(find_erasures(connection, [erasure_id])), None)


def list_erasures_of_request(connection: Connection, request_id: UUID) -> list[Erasure]:
    """The erasures that a request has brought about, with their tasks."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM erasure e WHERE request_id = %s ORDER BY id",  # noqa: S608 - a constant
        (request_id,),
    ).fetchall()
    return _with_tasks(connection, rows)


def systems_follow_until(connection: Connection, request_id: UUID) -> datetime | None:
    """By when the last connected tool has followed a request's erasures; None if all have."""
    return max(
        (
            erasure.give_up_at
            for erasure in list_erasures_of_request(connection, request_id)
            if any(not task.outcome for task in erasure.tasks)
        ),
        default=None,
    )


def fetch_hand_tasks(
    connection: Connection, keys: Keys, limit: int, destination: str | None = None
) -> list[HandTask]:
    """The tasks that wait for a person, the one that has waited longest first.

    Those of one tool, if `destination` names it.
    """
    rows = connection.execute(
        f"""SELECT {_TASK_COLUMNS}, e.give_up_at, a.digest, e.ciphertext
        FROM erasure_task t JOIN erasure e ON e.id = t.erasure_id
        LEFT JOIN address a ON a.id = e.address_id
        WHERE t.by_hand_since IS NOT NULL AND t.outcome = ''
            AND (%(tool)s::text IS NULL OR t.destination = %(tool)s)
        ORDER BY t.by_hand_since, t.erasure_id, t.destination LIMIT %(limit)s""",  # noqa: S608 - a constant
        {"tool": destination, "limit": limit},
    )
    return [
        HandTask(
            ErasureTask(*task),
            give_up_at,
            None if sealed is None else keys.open(sealed, context=digest),
        )
        for *task, give_up_at, digest, sealed in rows
    ]


def end_by_hand(
    connection: Connection, erasure_id: UUID, destination: str, done_by: str, now: datetime
) -> bool:
    """Record that a person has erased it in this tool; False if there is no such open task."""
    return (
        connection.execute(
            """UPDATE erasure_task SET outcome = %(outcome)s, done_by = %(done_by)s,
                erased_at = COALESCE(erased_at, %(now)s), next_at = NULL, lease = NULL
            WHERE erasure_id = %(id)s AND destination = %(destination)s AND outcome = ''""",
            {
                "outcome": TaskOutcome.BY_HAND,
                "done_by": done_by,
                "now": now,
                "id": erasure_id,
                "destination": destination,
            },
        ).rowcount
        > 0
    )


def _with_tasks(connection: Connection, rows: Sequence[Sequence[object]]) -> list[Erasure]:
    tasks: dict[UUID, list[ErasureTask]] = {}
    for row in connection.execute(
        f"""SELECT {_TASK_COLUMNS} FROM erasure_task t WHERE erasure_id = ANY(%s)
        ORDER BY erasure_id, destination""",  # noqa: S608 - a constant
        ([row[0] for row in rows],),
    ):
        tasks.setdefault(row[0], []).append(ErasureTask(*row))
    return [_to_erasure(*row, tasks) for row in rows]  # type: ignore[call-arg, arg-type]


def _to_erasure(
    id: UUID,  # noqa: A002 - a column
    extent: str,
    request_id: UUID | None,
    begun_at: datetime,
    give_up_at: datetime,
    finished_at: datetime | None,
    readable: bool,  # noqa: FBT001 - a column
    tasks: dict[UUID, list[ErasureTask]],
) -> Erasure:
    return Erasure(
        id,
        Extent(extent),
        request_id,
        begun_at,
        give_up_at,
        finished_at,
        readable,
        tuple(tasks.get(id, ())),
    )


MAX_TASKS = 1_000


def list_hand_tasks(
    actor: str, *, with_addresses: bool, destination: str | None = None, limit: int = MAX_TASKS
) -> list[HandTask]:
    """The tasks that wait for a person, of all tools or of one, the longest waiting first.

    With addresses, that somebody saw them is recorded; without, show none.
    """
    context = services()

    def load(connection: Connection) -> list[HandTask]:
        found = fetch_hand_tasks(connection, context.keys, limit, destination)
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

    def write(connection: Connection) -> bool:
        if not end_by_hand(connection, erasure_id, destination, done_by, now):
            raise UnknownErasure("there is no open task of this erasure at this tool")
        detail = {"erasure": str(erasure_id), "destination": destination, "done_by": done_by}
        detail["how"] = how.value
        audit.insert_audit_entry(connection, now, actor, "erasures.done_by_hand", detail)
        store.finish_erasures(connection, now, [erasure_id])
        found = find_erasure(connection, erasure_id)
        assert found
        return found.finished_at is not None

    return run_in_transaction(write)
