"""Ids of an import's events: derived from the import and the row, and contiguous.

So a row that is read again after a crash is the same event, events of an import are adjacent in
the index as those of live traffic are, and undo finds them by one range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from preference_center.core.events import uuid7

_IMPORT_BITS, _ROW_BITS, _STATEMENT_BITS = 26, 34, 14
"""Bits of import, row and statement number: together the 74 free bits of a UUID 7."""


def event_id_factory(import_id: UUID, started_at: datetime) -> Callable[[int, int], UUID]:
    """A function from row and statement number to the id of that event."""
    digest = hashlib.sha256(import_id.bytes).digest()
    mark = int.from_bytes(digest[:4]) >> (32 - _IMPORT_BITS) << (_ROW_BITS + _STATEMENT_BITS)
    return lambda row, number: uuid7(started_at, mark | row << _STATEMENT_BITS | number)


def event_id_range(import_id: UUID, started_at: datetime) -> tuple[UUID, UUID]:
    """The first and the last id that an event of this import can have."""
    make = event_id_factory(import_id, started_at)
    return make(0, 0), make((1 << _ROW_BITS) - 1, (1 << _STATEMENT_BITS) - 1)
