"""Mails that a person has to look at: their beginning, sealed, until somebody decides.

Once that is done nothing of the mail is left, and a while later not even that it came. If
nobody looks, the content goes after KEPT all the same (I6), but the row stays and is shown:
that somebody wrote is never lost.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.keys import Keys
from preference_center.storage.db.database import Connection

HEAD = 64 * 1024
"""Octets of a mail that are kept."""
KEPT = timedelta(days=30)
"""How long the content is kept, and how long it can be seen that a mail was settled."""


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail that waits. `size` is that of the whole mail, if it was received as a whole."""

    id: UUID
    door: str
    why: str
    size: int
    received_at: datetime
    has_content: bool = True


def keep(connection: Connection, keys: Keys, mail: KeptMail, mark: bytes, head: bytes) -> None:
    """Store a mail, once."""
    connection.execute(
        """INSERT INTO kept_mail (id, mark, door, why, size, head, received_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (mark) DO NOTHING""",
        (
            mail.id,
            mark,
            mail.door,
            mail.why,
            mail.size,
            _sealed(keys, mail.id, head),
            mail.received_at,
        ),
    )


def waiting(connection: Connection, limit: int) -> Sequence[KeptMail]:
    """Those that nobody has decided on, the one that has waited longest first."""
    rows = connection.execute(
        """SELECT id, door, why, size, received_at, head IS NOT NULL FROM kept_mail
        WHERE settled_at IS NULL ORDER BY received_at, id LIMIT %s""",
        (limit,),
    )
    return [KeptMail(*row) for row in rows]


def waiting_count(connection: Connection) -> int:
    """How many wait for a person's decision (to 1,000)."""
    row = connection.execute(
        "SELECT count(*) FROM (SELECT FROM kept_mail WHERE settled_at IS NULL LIMIT 1000) AS found"
    ).fetchone()
    assert row
    return int(row[0])


def by_id(connection: Connection, keys: Keys, number: UUID) -> tuple[KeptMail, bytes] | None:
    """One that waits, and its beginning (empty after KEPT); None if none has this id."""
    row = connection.execute(
        """SELECT id, door, why, size, received_at, head FROM kept_mail
        WHERE id = %s AND settled_at IS NULL""",
        (number,),
    ).fetchone()
    if row is None:
        return None
    sealed = row[5]
    mail = KeptMail(number, row[1], row[2], row[3], row[4], sealed is not None)
    return mail, b"" if sealed is None else _opened(keys, number, sealed)


def settle(connection: Connection, number: UUID, outcome: str, now: datetime) -> bool:
    """Somebody has decided: forget the content. False if somebody had done so before."""
    done = connection.execute(
        """UPDATE kept_mail SET settled_at = %s, outcome = %s, head = NULL
        WHERE id = %s AND settled_at IS NULL""",
        (now, outcome, number),
    )
    return done.rowcount > 0


def forget(connection: Connection, now: datetime) -> None:
    """Delete what is older than it is kept."""
    connection.execute("DELETE FROM kept_mail WHERE settled_at < %s", (now - KEPT,))
    connection.execute(
        "UPDATE kept_mail SET head = NULL WHERE received_at < %s AND head IS NOT NULL",
        (now - KEPT,),
    )


def _sealed(keys: Keys, number: UUID, head: bytes) -> bytes:
    text = base64.b64encode(zlib.compress(head[:HEAD])).decode()
    return keys.seal(text, context=_context(number))


def _opened(keys: Keys, number: UUID, sealed: bytes) -> bytes:
    return zlib.decompress(base64.b64decode(keys.open(sealed, context=_context(number))))


def _context(number: UUID) -> bytes:
    return b"kept_mail " + number.bytes
