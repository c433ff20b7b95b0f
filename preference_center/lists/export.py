"""This module writes active suppressions and subscriptions into files, as of one point in time.

An address is exported in its exact form, never in wider ones (I9). One that is known by its digest
only can't be exported, not even as a hash, since all stored digests are keyed. Such addresses are
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.events import RESERVED_SCOPES, EventKind
from preference_center.core.keys import Keys
from preference_center.decisions.rules import Decision, find_denial
from preference_center.ledger.feed.cursors import LedgerSnapshot, open_ledger_snapshot
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.store.events import open_evidence
from preference_center.ledger.store.lookup import load_facts_by_id

_FETCH_SIZE = 2_000


_SELECT_ADDRESSES = "SELECT id, channel, digest, ciphertext FROM address ORDER BY id"


_EVENT_COLUMNS = """e.id, e.kind, e.occurred_at, e.received_at, e.source,
    COALESCE(v.evidence, '{}'), v.sealed, COALESCE(e.frequency, '')"""


_SELECT_ROWS = f"""
SELECT s.address_id, s.scope, NULL::timestamptz, {_EVENT_COLUMNS}
FROM suppression s JOIN event e ON e.id = s.out_event
    LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE s.address_id = ANY(%(ids)b) AND s.active AND (%(all_scopes)s OR s.scope = ANY(%(scopes)s))
UNION ALL
SELECT s.address_id, s.scope, s.pause_until, {_EVENT_COLUMNS}
FROM suppression s JOIN event e ON e.id = s.pause_event
    LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE s.address_id = ANY(%(ids)b) AND s.pause_until > %(now)s
    AND (%(all_scopes)s OR s.scope = ANY(%(scopes)s))
    AND (s.lift_at IS NULL OR s.pause_at >= s.lift_at)
UNION ALL
SELECT c.address_id, c.topic, NULL, {_EVENT_COLUMNS}
FROM consent c JOIN event e ON e.id = c.event
    LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE c.address_id = ANY(%(ids)b) AND %(subscriptions)s
    AND (%(all_scopes)s OR c.topic = ANY(%(scopes)s))
UNION ALL
SELECT s.address_id, s.scope, NULL, {_EVENT_COLUMNS}
FROM suppression s JOIN event e ON e.id = s.frequency_event
    LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE s.address_id = ANY(%(ids)b) AND %(subscriptions)s
    AND (%(all_scopes)s OR s.scope = ANY(%(scopes)s))
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class DeniedAddress:
    """An address that may not be sent `scope`; `address` is None if it is not readable."""

    address: str | None
    scope: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One active suppression, pause, subscription or chosen frequency, and its event.

    `kind` is that of the suppression or pause; CONSENTED or OPTED_IN for a subscription. That and
    a chosen frequency are exported only while no opt-out denies the topic. `evidence` is empty if
    it was erased.
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
    frequency: str
    """The key that was chosen; empty for any other kind."""


@dataclass(frozen=True, slots=True)
class ExportSnapshot:
    """A transaction in which everything is read as of one point in time."""

    snapshot: LedgerSnapshot
    keys: Keys
    now: datetime
    max_address_id: int
    """The largest address id, to compute the progress."""

    def iter_denied(
        self, scopes: Sequence[str], on_progress: Callable[[int], None]
    ) -> Iterator[DeniedAddress]:
        """Every email address to which an opt-out denies one of these scopes.

        Also an opt-out of another form of the mailbox (I9), as for connected tools.
        """
        for rows in self._iter_addresses():
            facts = load_facts_by_id(self.snapshot.connection, [row[0] for row in rows])
            for address_id, channel, digest, ciphertext in rows:
                if not Channel(channel).rules.is_email or address_id not in facts:
                    continue
                for scope in scopes:
                    denial = find_denial(scope, facts[address_id], self.now)
                    if denial:
                        yield DeniedAddress(self._decrypt(digest, ciphertext), scope, denial)
            on_progress(rows[-1][0])

    def iter_rows(
        self, scopes: Collection[str], *, subscriptions: bool, on_progress: Callable[[int], None]
    ) -> Iterator[ExportRow]:
        """Each active suppression and pause; with `subscriptions` those and frequencies, too.

        Of these scopes and those wider than a topic; of all scopes if none is given.
        """
        given = {
            "all_scopes": not scopes,
            "scopes": [*scopes, *RESERVED_SCOPES],
            "subscriptions": subscriptions,
            "now": self.now,
        }
        for rows in self._iter_addresses():
            owners = {row[0]: row[1:] for row in rows}
            found = self.snapshot.connection.execute(
                _SELECT_ROWS, {"ids": list(owners)} | given
            ).fetchall()
            facts = (
                load_facts_by_id(self.snapshot.connection, list(owners)) if subscriptions else {}
            )
            for address_id, scope, until, event, kind, *rest in found:
                is_opt_out = until or EventKind(kind).suppresses
                if is_opt_out or not find_denial(scope, facts[address_id], self.now):
                    channel, digest, ciphertext = owners[address_id]
                    text = self._decrypt(digest, ciphertext)
                    yield self._to_row(channel, text, scope, until, event, EventKind(kind), rest)
            on_progress(rows[-1][0])

    def _iter_addresses(self) -> Iterator[list[tuple[Any, ...]]]:
        with self.snapshot.connection.cursor("addresses", binary=True) as cursor:
            cursor.execute(_SELECT_ADDRESSES)
            while rows := cursor.fetchmany(_FETCH_SIZE):
                yield rows

    def _to_row(
        self,
        channel: str,
        address: str | None,
        scope: str,
        until: datetime | None,
        event: UUID,
        kind: EventKind,
        rest: Sequence[Any],
    ) -> ExportRow:
        occurred_at, received_at, source, readable, sealed, frequency = rest
        evidence = open_evidence(self.keys, event, readable, sealed)
        return ExportRow(
            Channel(channel), address, scope, kind, occurred_at, received_at, until, str(event),
            source, evidence, frequency,
        )  # fmt: skip

    def _decrypt(self, digest: bytes, ciphertext: bytes | None) -> str | None:
        return None if ciphertext is None else self.keys.open(ciphertext, context=digest)


@contextmanager
def open_export_snapshot(keys: Keys, now: datetime) -> Iterator[ExportSnapshot]:
    """All as of one point in time. Holds a connection until the block ends.

    Raises Unavailable, and ReplayPending, also when the block ends, if the database lacks opt-outs
    or erasures since it was restored: what was read must then not be used.
    """
    require_complete_database()
    with open_ledger_snapshot() as snapshot:
        connection = snapshot.connection
        row = connection.execute("SELECT COALESCE(max(id), 0) FROM address").fetchone()
        assert row  # an aggregate
        yield ExportSnapshot(snapshot, keys, now, row[0])
        require_complete_database(snapshot.watermark.epoch)
