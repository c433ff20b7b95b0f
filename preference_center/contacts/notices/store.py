"""Store whom an announcement is for, each person once, and the outbox of its webhook batches.

Recipients are selected page by page, and handed over. The queue of the outbox is the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.contacts.notices.rules import NoticeChannel, Reach, Recipient, StoredAddress
from preference_center.core.addresses import Channel
from preference_center.core.keys import Keys
from preference_center.infra.company_webhooks import ClaimedRow, Outbox
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import digest_context
from preference_center.ledger.store.lookup import load_facts_by_id

# The address that a person has corrected one to, and not corrected back or undone since.
_MOVED_TO = """
SELECT move.to_address_id FROM address_move move
WHERE move.from_address_id = {id} AND move.undone_at IS NULL AND NOT EXISTS (
    SELECT FROM address_move back WHERE back.to_address_id = move.from_address_id
        AND back.undone_at IS NULL AND back.moved_at > move.moved_at OFFSET 0)
ORDER BY move.moved_at DESC LIMIT 1
"""


_WITH_CONTACTS = f"""
member AS (
    SELECT id FROM page
    UNION
    SELECT address_id FROM (SELECT address_id FROM contact_address WHERE contact_id = ANY(ARRAY(
        SELECT contact_id FROM contact_address WHERE address_id = ANY(ARRAY(SELECT id FROM page))))
        OFFSET 0) AS of_contact
)
SELECT a.id, a.channel, a.ciphertext IS NOT NULL, a.erased_at IS NOT NULL,
    EXISTS ({_MOVED_TO.format(id="a.id")} OFFSET 0), linked.contact_id, (SELECT max(id) FROM page)
FROM address a LEFT JOIN LATERAL (
    SELECT contact_id FROM contact_address WHERE address_id = a.id OFFSET 0) AS linked ON true
WHERE a.id = ANY(ARRAY(SELECT id FROM member))
"""  # noqa: S608 - constants
"""OFFSET 0 and arrays avoid a full scan by a plan that was made while the table was small."""


_SELECT_PAGE = f"""
WITH page AS (SELECT id FROM address WHERE id > %(after)s ORDER BY id LIMIT %(limit)s),
{_WITH_CONTACTS}"""  # noqa: S608 - constants


_SELECT_NAMED = f"""
WITH page AS (SELECT id FROM address WHERE digest = ANY(%(digests)s) AND channel = %(channel)s),
{_WITH_CONTACTS}"""  # noqa: S608 - constants


# Each person once, however often they are selected: by their address, and by their contact.
_INSERT = """
INSERT INTO policy_notice (version, address_id, contact_id, reach, selected_at)
SELECT %(version)s, given.address_id, given.contact_id, given.reach, %(now)s
FROM unnest(%(addresses)s::bigint[], %(contacts)s::uuid[], %(reaches)s::text[])
    WITH ORDINALITY AS given (address_id, contact_id, reach, place)
ORDER BY given.place ON CONFLICT DO NOTHING RETURNING address_id
"""


# A contact whose address was corrected since is informed at the new one. Where there is no contact
# the new one is a person of its own, whom a later run selects, and nothing is sent to the old one.
_SELECT_NOTICES = f"""
SELECT n.seq, n.address_id, a.id, n.contact_id,
    CASE WHEN a.id = n.address_id AND moved IS NOT NULL THEN 'digest_only' ELSE n.reach END,
    a.channel, a.digest,
    CASE WHEN a.id = n.address_id AND moved IS NOT NULL THEN NULL ELSE a.ciphertext END,
    c.locale, n.noticed_at, n.via
FROM (SELECT * FROM policy_notice WHERE version = %(version)s AND seq > %(after)s
    AND seq <= %(through)s ORDER BY seq LIMIT %(limit)s) AS n
LEFT JOIN LATERAL ({_MOVED_TO.format(id="n.address_id")}) AS moved ON true
JOIN address a ON a.id = CASE WHEN n.contact_id IS NOT NULL AND moved IS NOT NULL
    THEN moved.to_address_id ELSE n.address_id END
LEFT JOIN LATERAL (SELECT locale FROM contact WHERE id = n.contact_id OFFSET 0) AS c ON true
ORDER BY n.seq
"""  # noqa: S608 - constants


MAX_SEQ = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AddressPage:
    """Addresses of one page and of their contacts; `last_id` is None after the last page."""

    addresses: Sequence[StoredAddress]
    last_id: int | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A version that is announced, and how far its recipients are selected."""

    version: str
    begun_at: datetime
    last_address_id: int
    selected_at: datetime | None


@dataclass(frozen=True, slots=True)
class PolicyNotice:
    """One person to inform, selected at `address_id`, now at `current_id`.

    `address` is that of `current_id`; None where only a digest is stored.
    """

    seq: int
    address_id: int
    current_id: int
    contact: UUID | None
    reach: Reach
    channel: Channel
    address: str | None = field(repr=False)
    language: str | None
    noticed_at: datetime | None
    via: str | None


def load_page(connection: Connection, after: int, limit: int) -> AddressPage:
    """The next `limit` addresses by id, with what decides about them."""
    rows = connection.execute(_SELECT_PAGE, {"after": after, "limit": limit}).fetchall()
    return AddressPage(_stored_addresses(connection, rows), rows[0][6] if rows else None)


def load_named(
    connection: Connection, digests: Collection[bytes], channel: Channel
) -> list[StoredAddress]:
    """The addresses with exactly these digests (I9), and all others of their contacts."""
    given = {"digests": list(digests), "channel": channel.value}
    return _stored_addresses(connection, connection.execute(_SELECT_NAMED, given).fetchall())


def _stored_addresses(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[StoredAddress]:
    facts = load_facts_by_id(connection, [row[0] for row in rows])
    return [
        StoredAddress(
            address_id,
            Channel(channel),
            readable,
            erased,
            moved,
            contact,
            facts.get(address_id, ()),
        )
        for address_id, channel, readable, erased, moved, contact, _ in rows
    ]


def max_address_id(connection: Connection) -> int:
    """The highest id of an address; 0 if there is none."""
    row = connection.execute("SELECT COALESCE(max(id), 0) FROM address").fetchone()
    assert row
    return int(row[0])


def begin_announcement(connection: Connection, version: str, now: datetime) -> Announcement:
    """The announcement, locked until the transaction ends; begun if there is none."""
    connection.execute(
        """INSERT INTO policy_announcement (version, begun_at) VALUES (%s, %s)
        ON CONFLICT DO NOTHING""",
        (version, now),
    )
    row = connection.execute(
        """SELECT version, begun_at, last_address_id, selected_at FROM policy_announcement
        WHERE version = %s FOR UPDATE""",
        (version,),
    ).fetchone()
    assert row
    return Announcement(*row)


def list_announcements(connection: Connection) -> list[Announcement]:
    """All, the newest first."""
    rows = connection.execute(
        """SELECT version, begun_at, last_address_id, selected_at FROM policy_announcement
        ORDER BY begun_at DESC, version"""
    )
    return [Announcement(*row) for row in rows]


def insert_notices(
    connection: Connection, version: str, recipients: Sequence[Recipient], now: datetime
) -> list[Recipient]:
    """Insert them; returns those that are new: who has a notice of this version gets no other."""
    rows = connection.execute(
        _INSERT,
        {
            "version": version,
            "addresses": [each.address_id for each in recipients],
            "contacts": [each.contact for each in recipients],
            "reaches": [each.reach.value for each in recipients],
            "now": now,
        },
    )
    new = {address_id for (address_id,) in rows}
    return [each for each in recipients if each.address_id in new]


def advance_announcement(
    connection: Connection, version: str, last_id: int | None, now: datetime
) -> None:
    """Go on after this address; None: all were looked at, and the next run begins again."""
    connection.execute(
        """UPDATE policy_announcement SET last_address_id = COALESCE(%(last)s, 0),
            selected_at = CASE WHEN %(last)s::bigint IS NULL THEN %(now)s ELSE selected_at END
        WHERE version = %(version)s""",
        {"last": last_id, "now": now, "version": version},
    )


def list_notices(
    connection: Connection,
    keys: Keys,
    version: str,
    *,
    after: int = 0,
    through: int = MAX_SEQ,
    limit: int,
) -> list[PolicyNotice]:
    """The next notices after a `seq`, in the order in which they were selected."""
    rows = connection.execute(
        _SELECT_NOTICES, {"version": version, "after": after, "through": through, "limit": limit}
    ).fetchall()
    return [_notice(row, keys) for row in rows]


def _notice(row: Sequence[Any], keys: Keys) -> PolicyNotice:
    seq, selected_id, current_id, contact, reach, channel, digest, ciphertext, *rest = row
    address = ciphertext and keys.open(ciphertext, context=digest_context(digest))
    return PolicyNotice(
        seq, selected_id, current_id, contact, Reach(reach), Channel(channel), address, *rest
    )


def mark_noticed(
    connection: Connection,
    version: str,
    address_ids: Collection[int],
    via: NoticeChannel,
    now: datetime,
) -> int:
    """Record that these were handed to the sender; returns how many were not before."""
    return connection.execute(
        """UPDATE policy_notice SET noticed_at = %s, via = %s
        WHERE version = %s AND address_id = ANY(%s) AND noticed_at IS NULL""",
        (now, via.value, version, list(address_ids)),
    ).rowcount


def count_notices(connection: Connection, version: str) -> Mapping[tuple[Reach, str | None], int]:
    """How many notices by reach and by how they were handed over (None: not yet)."""
    rows = connection.execute(
        """SELECT reach, via, count(*) FROM policy_notice WHERE version = %s
        GROUP BY reach, via ORDER BY reach, via""",
        (version,),
    )
    return {(Reach(reach), via): count for reach, via, count in rows}


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """Of which version an address, or its contact, was informed."""

    address_id: int
    version: str
    reach: Reach
    selected_at: datetime
    noticed_at: datetime | None
    via: str | None


def list_notices_of(connection: Connection, ids: Collection[int]) -> list[NoticeRecord]:
    """The notices to these addresses, or to another address of their contact, the oldest first."""
    rows = connection.execute(
        """SELECT address_id, version, reach, selected_at, noticed_at, via FROM policy_notice
        WHERE address_id = ANY(%(ids)s) OR contact_id = ANY(ARRAY(
            SELECT contact_id FROM contact_address WHERE address_id = ANY(%(ids)s)))
        ORDER BY selected_at, version""",
        {"ids": list(ids)},
    )
    return [
        NoticeRecord(address_id, version, Reach(reach), *rest)
        for address_id, version, reach, *rest in rows
    ]


@dataclass(frozen=True, slots=True)
class ClaimedBatch(ClaimedRow):
    """The notices of a range of `seq`."""

    version: str
    first_seq: int
    last_seq: int


OUTBOX = Outbox("policy_webhook", ClaimedBatch)


def insert_batch(
    connection: Connection, batch_id: UUID, version: str, seqs: Sequence[int], now: datetime
) -> None:
    """Queue the notices from the first to the last of `seqs`."""
    connection.execute(
        """INSERT INTO policy_webhook (id, version, first_seq, last_seq, created_at, next_at)
        VALUES (%s, %s, %s, %s, %s, %s)""",
        (batch_id, version, seqs[0], seqs[-1], now, now),
    )


def last_queued_seq(connection: Connection, version: str) -> int:
    """The last notice of this version that is in a batch; 0 if none is."""
    row = connection.execute(
        "SELECT COALESCE(max(last_seq), 0) FROM policy_webhook WHERE version = %s", (version,)
    ).fetchone()
    assert row
    return int(row[0])


def next_batch_seqs(connection: Connection, version: str, after: int, limit: int) -> list[int]:
    """The `seq` of the next notices after one, at most `limit`."""
    rows = connection.execute(
        """SELECT seq FROM policy_notice WHERE version = %s AND seq > %s
        ORDER BY seq LIMIT %s""",
        (version, after, limit),
    )
    return [seq for (seq,) in rows]
