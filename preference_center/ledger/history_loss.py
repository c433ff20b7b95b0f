"""Notice that the database has lost events that were committed, and shut the answers then (I1, I2).

A restored backup, or a standby that lagged when it was promoted, lacks the opt-outs that came
later, and nothing in it says so. So each process remembers, outside of the database, the newest
events that it has seen there: in memory, and next to the spool for the process that starts after
it. Events are never deleted (I8): in another epoch (`ledger.watermarks`), and after a start, the
database must still have them. If not, that is stored in the database itself, so that every process
answers nothing and somebody is alerted, until a person says that the opt-outs are back.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from flask import current_app

from preference_center.core.errors import InvalidInput, ReplayPending, Unavailable
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.files import atomic_write
from preference_center.ledger.restore_gate import Finding, RestoreGate
from preference_center.ledger.watermarks import CURRENT_EPOCH_SQL

log = structlog.get_logger()


EXTENSION_KEY = "preference_center.history_loss"


FILE_NAME = "newest_event.json"


LOST = (
    "this database was restored, and lacks events that were recorded since its backup: bring back"
    " the opt-outs, then run `flask ledger accept-restore` (docs/backup.md)"
)


SILENT = "the database does not say whether it has all events"


_MAX_RECORDED = 100


_LOAD = f"""
SELECT {CURRENT_EPOCH_SQL},
    EXISTS (SELECT FROM history_loss WHERE accepted_at IS NULL),
    (SELECT max(accepted_at) FROM history_loss)
"""  # noqa: S608 - a constant
"""Not from `event`, which somebody may have locked: decisions do not read it, either."""


_HAS_LOST = """SELECT EXISTS (SELECT FROM unnest(%s::uuid[]) AS given (id)
    WHERE NOT EXISTS (SELECT FROM event WHERE event.id = given.id))"""


_LOAD_NEWEST = f"""
SELECT {CURRENT_EPOCH_SQL}, (SELECT id FROM event ORDER BY seq DESC LIMIT 1)
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event that the database had at `at`, in `epoch`; None if that had ended."""

    id: UUID
    epoch: str | None
    at: datetime


@dataclass(slots=True)
class _Memory:
    """What this process knows. `recorded`: the last events that it has recorded, and when."""

    gate: RestoreGate
    newest: KnownEvent | None = None
    folder: Path | None = None
    recorded: deque[tuple[UUID, datetime]] = field(
        default_factory=lambda: deque(maxlen=_MAX_RECORDED)
    )

    def list_known(self, since: datetime | None) -> list[UUID]:
        """Events that this process has seen after `since`; all of them without it."""
        known = [*self.recorded, *([(self.newest.id, self.newest.at)] if self.newest else [])]
        return [event for event, at in known if since is None or at > since]


def find_history_loss(epoch: str | None = None) -> str | None:
    """Why nothing may be answered that was read in `epoch`; None if no event is missing.

    Raises Unavailable. See `RestoreGate` for how often it looks.
    """
    return _memory().gate.find_problem(services().now(), epoch)


def require_no_loss(epoch: str | None = None) -> None:
    """Raise ReplayPending while the database lacks events that it had."""
    problem = find_history_loss(epoch)
    if problem:
        raise ReplayPending(problem)


def remember_in(folder: Path) -> None:
    """Go on from what an earlier process has kept in `folder`, and keep it there from now on."""
    memory = _memory()
    memory.folder, memory.newest = folder, memory.newest or _read_file(folder)


def remember_recorded(events: Sequence[UUID]) -> None:
    """This process has committed these: the last one stands for all of them."""
    if events:
        _memory().recorded.append((events[-1], services().now()))


def accept_losses(connection: Connection, actor: str) -> bool:
    """Answer again, also where a process finds out later that something is missing from before.

    Returns whether any process had found that so far.
    """
    now = services().now()
    values = {"now": now, "actor": actor}
    updated = connection.execute(
        """UPDATE history_loss SET accepted_at = %(now)s, accepted_by = %(actor)s
        WHERE accepted_at IS NULL""",
        values,
    ).rowcount
    if not updated:
        connection.execute(
            """INSERT INTO history_loss (found_at, accepted_at, accepted_by)
            VALUES (%(now)s, %(now)s, %(actor)s)""",
            values,
        )
    audit.insert_audit_entry(connection, now, actor, "ledger.restore_accepted", {})
    return updated > 0


def is_loss_open(connection: Connection) -> bool:
    """Whether any process has found that events are missing, and nobody has accepted it."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM history_loss WHERE accepted_at IS NULL)"
    ).fetchone()
    return bool(row and row[0])


def _memory() -> _Memory:
    found: _Memory | None = current_app.extensions.get(EXTENSION_KEY)
    return found or current_app.extensions.setdefault(
        EXTENSION_KEY, _Memory(RestoreGate(_check, SILENT, "history_lost"))
    )


def _check() -> Finding:
    memory, now = _memory(), services().now()
    epoch, is_open, accepted_at = _load(_LOAD)
    if is_open:
        return Finding(LOST, epoch)
    known = memory.newest
    # Within an epoch nothing is lost.
    if known is None or epoch is None or known.epoch != epoch:
        # What was lost before a person accepted it may be missing.
        (has_lost,) = _load(_HAS_LOST, memory.list_known(since=accepted_at))
        if has_lost:
            run_in_transaction(lambda connection: _insert_loss(connection, now))
            return Finding(LOST, epoch)
    with suppress(Unavailable):  # `event` may be locked: what was known before stays known
        _remember_newest(memory, epoch, now)
    return Finding(None, epoch)


def _load(query: str, *given: object) -> tuple[Any, ...]:
    row = run_in_transaction(
        lambda connection: connection.execute(query.encode(), given).fetchone()
    )
    assert row  # of no table
    return row


def _remember_newest(memory: _Memory, epoch: str | None, now: datetime) -> None:
    current, newest = _load(_LOAD_NEWEST)
    if newest is None or current != epoch:
        return
    known = memory.newest
    if known is None or (newest, epoch) != (known.id, known.epoch):
        memory.newest = KnownEvent(newest, epoch, now)
        if memory.folder is not None:
            _write_file(memory.folder, memory.newest)


def _insert_loss(connection: Connection, now: datetime) -> None:
    connection.execute("INSERT INTO history_loss (found_at) VALUES (%s)", (now,))


def _read_file(folder: Path) -> KnownEvent | None:
    try:
        kept = json.loads((folder / FILE_NAME).read_bytes())
        # Another start of the database may be the one that has lost it: the epoch is not kept.
        return KnownEvent(UUID(kept["event"]), None, datetime.fromisoformat(kept["at"]))
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError) as error:
        log.warning("spool_unreadable", file=FILE_NAME, error=type(error).__name__)
        return None


def _write_file(folder: Path, known: KnownEvent) -> None:
    content = json.dumps({"event": str(known.id), "at": known.at.isoformat()})
    try:
        with atomic_write(folder / FILE_NAME) as file:
            file.write(content.encode())
    except (InvalidInput, OSError) as error:
        log.warning("spool_unwritable", file=FILE_NAME, error=type(error).__name__)
