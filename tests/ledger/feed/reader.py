"""A reader of the feed, and writers that commit when the test lets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from dev.processes import wait_until
from preference_center.core.events import Change, ScopeState
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.feed import changes
from preference_center.ledger.feed.changes import FeedPage, FeedScopeStatus
from preference_center.ledger.feed.cursors import LedgerSnapshot
from preference_center.ledger.watermarks import Watermark

if TYPE_CHECKING:
    from flask import Flask

Copy = dict[tuple[int, str], ScopeState]


def page(after: Watermark | None = None, limit: int = 100) -> FeedPage:
    return run_in_transaction(
        lambda connection: changes.list_changes(connection, services().keys, after, limit)
    )


@dataclass(slots=True)
class Reader:
    """A reader that follows the feed and keeps the events."""

    after: Watermark | None = None
    seen: list[UUID] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    copy: Copy = field(default_factory=dict)
    last: FeedPage | None = None

    def start(self) -> None:
        """Take a snapshot."""
        first, *rows = changes.iter_snapshot(services().keys)
        assert isinstance(first, LedgerSnapshot)
        self.after = first.watermark
        for row in rows:
            assert isinstance(row, FeedScopeStatus)
            self._keep(row)

    def poll(self, limit: int = 100) -> FeedPage:
        self.last = page(self.after, limit)
        for entry in self.last.entries:
            self.seen.append(entry.event.id)
            self.places.append(entry.event.seq)
            self._keep(entry.scope_status)
        self.after = self.last.next_watermark
        return self.last

    def poll_until(self, events: int, limit: int = 100) -> None:
        """Others' transactions on this server may hold us back for a moment."""

        def enough() -> bool:
            self.poll(limit)
            return len(self.seen) >= events

        assert wait_until(enough, seconds=30)

    def catch_up(self) -> None:
        """Until nothing is left to tell."""

        def done() -> bool:
            page = self.poll()
            return not page.has_more and page.lag is None

        assert wait_until(done, seconds=30)

    def _keep(self, row: FeedScopeStatus) -> None:
        key = (row.address_id, row.scope)
        self.copy.pop(key, None)
        if row.state != ScopeState():
            self.copy[key] = row.state


@contextmanager
def held_open(app: Flask, change: Change) -> Iterator[None]:
    """`change` is appended, and not committed before the end of the block."""
    appended, release = Signal(), Signal()

    def wait(connection: Connection, recorded: RecordResult) -> None:
        appended.set()
        release.wait(30)

    def work() -> None:
        with app.app_context():
            record([change], in_transaction=wait)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        assert appended.wait(30)
        yield
    finally:
        release.set()
        thread.join(30)
    assert not thread.is_alive()


@contextmanager
def writing_elsewhere(url: str) -> Iterator[int]:
    """A transaction that has written in the database of `url` and stays open; its pid."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        yield connection.info.backend_pid
        connection.rollback()
