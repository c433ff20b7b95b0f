"""Column types that several tables share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.types import UserDefinedType

TimestampTz = DateTime(timezone=True)
"""The type of every point in time: `timestamp with time zone`."""


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: a 64-bit transaction id, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type."""
        return "xid8"
