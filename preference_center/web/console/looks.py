"""A look of the staff, or of a key, at one person's data is recorded before anything is shown.

Each look has two rows: an audit entry, and
whose data it was. The audit holds nothing personal, so the address is here: sealed, and by its
digest for the file that shows the person who looked. Both rows live equally long.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from preference_center.core.addresses import Address, Channel
from preference_center.core.keys import Keys
from preference_center.core.links.tokens import restore_address
from preference_center.core.staff import LOOK_LIFETIME, AccessAction, AccessReason, StaffAccess
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.sealed_columns import person_access_context

_INSERT = """
WITH entry AS (
    INSERT INTO audit (at, actor, action, detail)
    VALUES (%(at)s, %(actor)s, %(action)s, %(detail)s) RETURNING id
)
INSERT INTO person_access (id, audit_id, at, actor, action, reason, reference, channel, digest,
    ciphertext)
SELECT %(id)s, entry.id, %(at)s, %(actor)s, %(action)s, %(reason)s, %(reference)s, %(channel)s,
    %(digest)s, %(ciphertext)s
FROM entry
"""


_SELECT = """SELECT id, at, actor, action, reason, reference, channel, digest, ciphertext
FROM person_access"""


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """A look, and the address whose data was shown."""

    access: StaffAccess
    address: Address


def insert_person_access(
    connection: Connection, keys: Keys, access: StaffAccess, address: Address
) -> None:
    """Record a look, with an audit entry that has its id."""
    connection.execute(
        _INSERT,
        {
            "id": access.id,
            "at": access.at,
            "actor": access.actor,
            "action": access.action,
            "reason": access.reason,
            "reference": access.reference,
            "detail": Jsonb({"access": str(access.id), "reason": access.reason}),
            "channel": address.channel,
            "digest": keys.exact_digest(address),
            "ciphertext": keys.seal(address.exact, context=person_access_context(access.id)),
        },
    )


def load_person_access(connection: Connection, keys: Keys, access_id: UUID) -> PersonAccess | None:
    """The look with this id; None if there is none, or its address is forgotten (I6)."""
    row = connection.execute(f"{_SELECT} WHERE id = %s", (access_id,)).fetchone()
    if row is None or row[-1] is None:
        return None
    text = keys.open(row[-1], context=person_access_context(access_id))
    return PersonAccess(_to_access(row), restore_address(text, Channel(row[6])))


def forget_addresses(connection: Connection, now: datetime) -> int:
    """Delete the addresses of looks that open no page any more; returns how many.

    So nobody's address comes back for long by a look after they were erased (I6). The digest stays,
    by which the person is shown the look.
    """
    return connection.execute(
        "UPDATE person_access SET ciphertext = NULL WHERE ciphertext IS NOT NULL AND at <= %s",
        (now - LOOK_LIFETIME,),
    ).rowcount


def list_person_accesses(connection: Connection, keys: Keys, address: Address) -> list[StaffAccess]:
    """Every look at the data of exactly this address, the oldest first (I9)."""
    whose = (address.channel.value, keys.exact_digest(address))
    return [access for _, access in list_accesses_of(connection, [whose])]


def list_accesses_of(
    connection: Connection, addresses: Collection[tuple[str, bytes]]
) -> list[tuple[tuple[str, bytes], StaffAccess]]:
    """The same for addresses by channel and exact digest; each look with whose data it showed."""
    rows = connection.execute(
        f"""{_SELECT} WHERE (channel, digest) IN (
            SELECT * FROM unnest(%(channels)s::text[], %(digests)s::bytea[]))
        ORDER BY audit_id""",  # noqa: S608 - a constant
        {
            "channels": [channel for channel, _ in addresses],
            "digests": [digest for _, digest in addresses],
        },
    )
    return [((row[6], bytes(row[7])), _to_access(row)) for row in rows]


def list_newest_accesses_of(
    connection: Connection,
    keys: Keys,
    address: Address,
    before: tuple[datetime, int],
    *,
    period: tuple[datetime, datetime] | None = None,
    limit: int,
) -> list[tuple[int, StaffAccess]]:
    """The last looks at exactly this address before a time and an audit id, the newest first.

    Each with its audit id.
    """
    since, until = period or (None, None)
    rows = connection.execute(
        """SELECT id, at, actor, action, reason, reference, audit_id FROM person_access
        WHERE digest = %(digest)s AND channel = %(channel)s
            AND (at, audit_id) < (%(before_at)s, %(before_id)s)
            AND (%(since)s::timestamptz IS NULL OR (at >= %(since)s AND at < %(until)s))
        ORDER BY at DESC, audit_id DESC LIMIT %(limit)s""",
        {
            "digest": keys.exact_digest(address),
            "channel": address.channel.value,
            "before_at": before[0],
            "before_id": before[1],
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    return [(row[-1], _to_access(row)) for row in rows]


def list_recent_accesses(
    connection: Connection, actor: str | None = None, *, limit: int
) -> list[StaffAccess]:
    """The last looks of this actor, or of all; the newest first."""
    rows = connection.execute(
        f"{_SELECT} WHERE %(actor)s::text IS NULL OR actor = %(actor)s"
        " ORDER BY audit_id DESC LIMIT %(limit)s",
        {"actor": actor, "limit": limit},
    )
    return [_to_access(row) for row in rows]


def _to_access(row: tuple[Any, ...]) -> StaffAccess:
    access_id, at, actor, action, reason, reference, *_ = row
    return StaffAccess(access_id, at, actor, AccessAction(action), AccessReason(reason), reference)


def record_key_look(actor: str, address: Address) -> None:
    """Record that a sender asked by its API key what is held about this address."""
    context = services()
    access = StaffAccess(
        context.new_id(),
        context.now(),
        actor,
        AccessAction.PERSON_VIEWED,
        AccessReason.KEY_QUERY,
    )
    run_in_transaction(lambda c: insert_person_access(c, context.keys, access, address))
