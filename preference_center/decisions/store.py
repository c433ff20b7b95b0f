"""A local filter holds digests of every email address that something may deny marketing to.

They cover more than decisions deny, never less: also those whose opt-out was lifted since, and
every form under which they are found (I9). A reader that has our digest keys and does not find an
address among them knows that no suppression applies to it. The filter has digests only, and only
their beginning.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime

from preference_center.core.addresses import NORM_VERSION
from preference_center.core.events import SHARING
from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.feed.cursors import open_ledger_snapshot
from preference_center.ledger.watermarks import Horizon, Watermark, ensure_followable, load_horizon

DIGEST_HEAD_BYTES = 8
"""Of each digest: enough that of a million addresses none is found by chance."""
BATCH_SIZE = 10_000

_HEADS = f"""SELECT substr(k.digest, 1, {DIGEST_HEAD_BYTES}) FROM address_key k
WHERE k.channel = 'email' AND k.kind <> 0"""  # noqa: S608 - a constant
_MAY_DENY = f"""EXISTS (SELECT FROM suppression s WHERE s.address_id = k.address_id
    AND s.scope <> '{SHARING}' AND (s.out_at IS NOT NULL OR s.pause_until > %(now)s))"""
# Few: each waits until its address becomes known or somebody has dismissed it, and counts till
# then. They are no events, so each reading has them all.
_PENDING = f"SELECT substr(digest_prefix, 1, {DIGEST_HEAD_BYTES}) FROM pending_mail_opt_out"  # noqa: S608
_SELECT_ALL = f"{_HEADS} AND {_MAY_DENY} UNION ALL {_PENDING}"
_SELECT_SINCE = f"""{_HEADS} AND k.address_id = ANY(ARRAY(
    SELECT e.address_id FROM event e WHERE e.xid >= %(xid)s::xid8 AND e.seq > %(floor)s
    UNION SELECT a.id FROM address a WHERE a.widened_xid >= %(xid)s::xid8)) AND {_MAY_DENY}
UNION ALL {_PENDING}"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class DigestsInfo:
    """What a reader must know of the digests that follow."""

    watermark: Watermark
    """Where to continue from: everything recorded before it is included."""
    fingerprints: Mapping[str, str]
    """Of the digest keys with which they were made, the oldest first."""
    norm_version: int
    matches_md5: bool
    """Whether some addresses are known by an MD5 only: look up the `md5_keys`, too."""


def iter_all_digests(keys: Keys, now: datetime) -> Generator[DigestsInfo | list[bytes]]:
    """First the information, then the heads of all digests, in batches and no order.

    All as of one point in time. Raises Unavailable, also if it is read too slowly. Holds a
    connection until it is exhausted or closed.
    """
    with open_ledger_snapshot() as snapshot:
        yield _load_info(snapshot.connection, keys, snapshot.horizon)
        with snapshot.connection.cursor("digests", binary=True) as cursor:
            cursor.execute(_SELECT_ALL.encode(), {"now": now})
            while rows := cursor.fetchmany(BATCH_SIZE):
                yield [row[0] for row in rows]


def load_digests_since(
    keys: Keys, after: Watermark, now: datetime
) -> tuple[DigestsInfo, list[bytes]]:
    """The same of every address with an event, or another digest, from `after` on.

    Whatever is committed when this is called is included, so some are listed again. Raises
    StaleWatermark if the database is on another timeline, and Unavailable.
    """

    def load(connection: Connection) -> tuple[DigestsInfo, list[bytes]]:
        horizon = load_horizon(connection)
        ensure_followable(after, horizon)
        info = _load_info(connection, keys, horizon)
        given = {"xid": str(after.xid), "floor": horizon.timeline.floor, "now": now}
        rows = connection.execute(_SELECT_SINCE.encode(), given, binary=True)
        return info, [row[0] for row in rows]

    return run_in_transaction(load)


def _load_info(connection: Connection, keys: Keys, horizon: Horizon) -> DigestsInfo:
    row = connection.execute("SELECT EXISTS (SELECT FROM md5_matching WHERE id = 1)").fetchone()
    assert row
    in_use = [f"digest:{name}" for name, _ in keys.digest_chain[: keys.digest_length]]
    fingerprints = keys.fingerprints()
    return DigestsInfo(
        horizon.watermark, {name: fingerprints[name] for name in in_use}, NORM_VERSION, row[0]
    )
