"""Tasks that people do in tools: see them, look at an address, and record that it is done."""

from __future__ import annotations

from uuid import UUID

from preference_center.core.errors import UnknownErasure
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.erasure import erasure_list
from preference_center.rights.erasure.erasure_list import DoneByHand, HandTask
from preference_center.rights.erasure.store import erasures

MAX_TASKS = 1_000


def list_hand_tasks(
    actor: str, *, with_addresses: bool, destination: str | None = None, limit: int = MAX_TASKS
) -> list[HandTask]:
    """The tasks that wait for a person, of all tools or of one, the longest waiting first.

    With addresses, that somebody saw them is recorded; without, show none.
    """
    context = services()

    def load(connection: Connection) -> list[HandTask]:
        found = erasure_list.fetch_hand_tasks(connection, context.keys, limit, destination)
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
        if not erasure_list.end_by_hand(connection, erasure_id, destination, done_by, now):
            raise UnknownErasure("there is no open task of this erasure at this tool")
        detail = {"erasure": str(erasure_id), "destination": destination, "done_by": done_by}
        detail["how"] = how.value
        audit.insert_audit_entry(connection, now, actor, "erasures.done_by_hand", detail)
        erasures.finish_erasures(connection, now, [erasure_id])
        found = erasure_list.find_erasure(connection, erasure_id)
        assert found
        return found.finished_at is not None

    return run_in_transaction(write)
