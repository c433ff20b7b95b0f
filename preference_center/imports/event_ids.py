"""Ids of an import's events: they follow from the import and the row, and lie together.

So a row that is read again after a crash is the same event, events of an import stand side
by side in the index as those of live traffic do, and undo finds them by one range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from preference_center.ids import uuid7

_MARK, _ROW, _NUMBER = 26, 34, 14
"""Bits of import, row and what of the row: together the 74 of a UUID 7."""


def maker(import_id: UUID, begun_at: datetime) -> Callable[[int, int], UUID]:
    """A function from row and number to the id of that event."""
    digest = hashlib.sha256(import_id.bytes).digest()
    mark = int.from_bytes(digest[:4]) >> (32 - _MARK) << (_ROW + _NUMBER)
    return lambda row, number: uuid7(begun_at, mark | row << _NUMBER | number)


def id_range(import_id: UUID, begun_at: datetime) -> tuple[UUID, UUID]:
    """The first and the last id that an event of this import can have."""
    make = maker(import_id, begun_at)
    return make(0, 0), make((1 << _ROW) - 1, (1 << _NUMBER) - 1)
