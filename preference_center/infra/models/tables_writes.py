"""What is written in a table: everything, unless a trigger of it rejects that (I8)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

_KEY = "writes"
APPEND_ONLY = {"info": {_KEY: ("INSERT",)}}
INSERT_OR_DELETE_ONLY = {"info": {_KEY: ("INSERT", "DELETE")}}
"""For `__table_args__`. Rows of the second may be erased, and nothing put in their place (I6)."""


def writes(table: Table) -> Sequence[str]:
    """The statements that write in it."""
    statements: Sequence[str] = table.info.get(_KEY, ("INSERT", "UPDATE", "DELETE"))
    return statements
