"""Reading all that stands, for export: one moment's state, a few thousand addresses at a time.

An address is told as it was given, never in its wider forms (I9). Of one that is known by
its digest only there is nothing to tell: not the address, nor a hash that others could use,
since all that is kept is keyed. Such addresses are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from preference_center.domain.addresses import Channel
from preference_center.domain.decisions import Decision, find_denial
from preference_center.domain.events import RESERVED_SCOPES, EventKind
from preference_center.domain.watermarks import Watermark
from preference_center.keys import Keys
from preference_center.storage.db.database import Connection
from preference_center.storage.db.read_snapshot import read_snapshot
from preference_center.storage.feed.watermarks import ensure_epoch, load_watermark
from preference_center.storage.ledger.suppression_lookup import load_facts_by_id

_FETCH_SIZE = 2_000

_SELECT_ADDRESSES = "SELECT id, channel, digest, ciphertext FROM address ORDER BY id"

_EVENT_COLUMNS = "e.id, e.kind, e.occurred_at, e.received_at, e.source, e.evidence"
_SELECT_ROWS = f"""
SELECT s.address_id, s.scope, NULL::timestamptz, {_EVENT_COLUMNS}
FROM suppression s JOIN event e ON e.id = s.out_event
WHERE s.address_id = ANY(%(ids)b) AND s.active AND (%(all_scopes)s OR s.scope = ANY(%(scopes)s))
UNION ALL
SELECT s.address_id, s.scope, s.pause_until, {_EVENT_COLUMNS}
FROM suppression s JOIN event e ON e.id = s.pause_event
WHERE s.address_id = ANY(%(ids)b) AND s.pause_until > %(now)s
    AND (%(all_scopes)s OR s.scope = ANY(%(scopes)s))
    AND (s.lift_at IS NULL OR s.pause_at >= s.lift_at)
UNION ALL
SELECT c.address_id, c.topic, NULL, {_EVENT_COLUMNS}
FROM consent c JOIN event e ON e.id = c.event
WHERE c.address_id = ANY(%(ids)b) AND %(subscriptions)s
    AND (%(all_scopes)s OR c.topic = ANY(%(scopes)s))
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class DeniedAddress:
    """An address that may not be sent `scope`; `address` is None where nobody can read it."""

    address: str | None
    scope: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One thing that stands for an address, and the event behind it.

    `kind` is that of the "no" or pause; CONSENTED or OPTED_IN for a subscription, which is
    told only while nothing newer is against it.
    """

    channel: Channel
    address: str | None
    scope: str
    kind: EventKind
    occurred_at: datetime
    received_at: datetime
    until: datetime | None
    event: str
    source: str
    evidence: dict[str, str]


@dataclass(frozen=True, slots=True)
class ExportSnapshot:
    """What is read in one transaction, all as of `watermark`."""

    connection: Connection
    keys: Keys
    now: datetime
    watermark: Watermark
    max_address_id: int
    """The largest address id: to tell how far it is."""

    def iter_denied(
        self, scopes: Sequence[str], on_progress: Callable[[int], None]
    ) -> Iterator[DeniedAddress]:
        """Everybody with an email address whom decisions deny these scopes by a "no" (I9).

        Also if it was said by another form of the mailbox: as the connected tools are told.
        """
        for rows in self._iter_addresses():
            facts = load_facts_by_id(self.connection, [row[0] for row in rows])
            for address_id, channel, digest, ciphertext in rows:
                if channel != Channel.EMAIL or address_id not in facts:
                    continue
                for scope in scopes:
                    no = find_denial(scope, facts[address_id], self.now)
                    if no:
                        yield DeniedAddress(self._decrypt(digest, ciphertext), scope, no)
            on_progress(rows[-1][0])

    def iter_rows(
        self, scopes: Collection[str], *, subscriptions: bool, on_progress: Callable[[int], None]
    ) -> Iterator[ExportRow]:
        """Each "no" and pause that stands, and each subscription.

        Of these scopes and what is wider than a topic; of all there are, if none is given.
        """
        asked = {
            "all_scopes": not scopes,
            "scopes": [*scopes, *RESERVED_SCOPES],
            "subscriptions": subscriptions,
            "now": self.now,
        }
        for rows in self._iter_addresses():
            owners = {row[0]: row[1:] for row in rows}
            found = self.connection.execute(_SELECT_ROWS, {"ids": list(owners)} | asked).fetchall()
            facts = load_facts_by_id(self.connection, list(owners)) if subscriptions else {}
            for address_id, scope, until, event, kind, *rest in found:
                is_no = until or EventKind(kind).suppresses
                if is_no or not find_denial(scope, facts[address_id], self.now):
                    channel, digest, ciphertext = owners[address_id]
                    text = self._decrypt(digest, ciphertext)
                    yield _to_export_row(channel, text, scope, until, event, EventKind(kind), rest)
            on_progress(rows[-1][0])

    def _iter_addresses(self) -> Iterator[list[tuple[Any, ...]]]:
        with self.connection.cursor("addresses", binary=True) as cursor:
            cursor.execute(_SELECT_ADDRESSES)
            while rows := cursor.fetchmany(_FETCH_SIZE):
                yield rows

    def _decrypt(self, digest: bytes, ciphertext: bytes | None) -> str | None:
        return None if ciphertext is None else self.keys.open(ciphertext, context=digest)


@contextmanager
def open_export_snapshot(keys: Keys, now: datetime) -> Iterator[ExportSnapshot]:
    """All as of one moment. Raises Unavailable; holds a connection until the block ends."""
    ensure_epoch()
    with read_snapshot() as connection:
        watermark = load_watermark(connection)
        row = connection.execute("SELECT COALESCE(max(id), 0) FROM address").fetchone()
        assert row  # an aggregate
        yield ExportSnapshot(connection, keys, now, watermark, row[0])


def _to_export_row(
    channel: str,
    address: str | None,
    scope: str,
    until: datetime | None,
    event: object,
    kind: EventKind,
    rest: Sequence[Any],
) -> ExportRow:
    occurred_at, received_at, source, evidence = rest
    return ExportRow(
        Channel(channel), address, scope, kind, occurred_at, received_at, until, str(event),
        source, evidence,
    )  # fmt: skip
