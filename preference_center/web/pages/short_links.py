"""What short links stand for: a row can be opened with its code alone (`core.links.tokens`).

Rows are never deleted: a link in a message opts out for ever (I7). They name nobody, before and
after an erasure (I6): neither an address nor a digest of one can be computed from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from preference_center.core.errors import InvalidLink
from preference_center.core.links.tokens import (
    INVALID_LINK_MESSAGE,
    lookup_value,
    new_code,
    open_content,
    seal_content,
)
from preference_center.infra.db.transactions import Connection

_INSERT = """
INSERT INTO short_link (lookup, content, created_at)
SELECT lookup, content, %(now)s
FROM unnest(%(lookups)s::bytea[], %(contents)s::bytea[]) AS given (lookup, content)
"""


def insert_short_links(connection: Connection, paths: Sequence[str], now: datetime) -> list[str]:
    """Store the paths of these pages, such as `u/TOKEN`; returns a new code for each."""
    codes = [new_code() for _ in paths]
    given = {
        "lookups": [*map(lookup_value, codes)],
        "contents": [seal_content(code, path) for code, path in zip(codes, paths, strict=True)],
        "now": now,
    }
    connection.execute(_INSERT, given)
    return codes


def find_path(connection: Connection, code: str) -> str:
    """The path that a code stands for. Raises InvalidLink for an unknown code."""
    row = connection.execute(
        "SELECT content FROM short_link WHERE lookup = %s", (lookup_value(code),)
    ).fetchone()
    if row is None:
        raise InvalidLink(INVALID_LINK_MESSAGE)
    return open_content(code, row[0])
