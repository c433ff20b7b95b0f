"""A data team that follows the ledger, as the readers of GET /v1/changes do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.events import REPEAT_INTERVAL, EventKind, ScopeState
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.feed import changes
from preference_center.ledger.feed.changes import FeedScopeStatus
from preference_center.ledger.watermarks import Watermark
from simulation.violation import Violation

PAGE = 20
A_MOMENT = 0.01
"""Seconds of real time after which to ask again, where another process is in the way."""


@dataclass(slots=True)
class Follower:
    """A copy of the state of every scope of every address, made of changes only."""

    after: Watermark | None = None
    delivered: set[UUID] = field(default_factory=set)
    copy: dict[tuple[int, str], ScopeState] = field(default_factory=dict)
    older: list[Follower] = field(default_factory=list)
    """Others, who began with a snapshot while somebody's transaction was open."""

    def read(self) -> bool:
        """Read page by page to the current end of the feed; return whether more is held back."""
        keys = services().keys
        while True:
            page = run_in_transaction(lambda c: changes.list_changes(c, keys, self.after, PAGE))
            for entry in page.entries:
                if entry.event.id in self.delivered:
                    raise Violation("the feed: an event is delivered twice")
                self.delivered.add(entry.event.id)
                self._keep(entry.scope_status)
                if entry.event.kind is EventKind.ERASED:
                    self._forget_choices(entry.event.address_id, entry.event.counts_at)
            self.after = page.next_watermark
            if not page.has_more:
                return page.lag is not None

    def compare(self) -> None:
        """In the end no event has been left out, and the copy is what a snapshot holds."""
        while self.read():
            time.sleep(A_MOMENT)
        rows = run_in_transaction(lambda c: c.execute("SELECT id FROM event").fetchall())
        if {row[0] for row in rows} != self.delivered:
            raise Violation(
                f"the feed: {len(rows) - len(self.delivered)} events are never delivered"
            )
        found = Follower.of_snapshot()
        if not self.holds(found):
            raise Violation("the feed: a copy made of changes is not what the snapshot holds")
        for older in self.older:
            while older.read():
                time.sleep(A_MOMENT)
            if not older.holds(found):
                raise Violation("the feed: an older snapshot, read on, is not what a new one holds")

    def holds(self, snapshot: Follower) -> bool:
        """Whether this copy has what the snapshot has."""
        return self.copy.keys() == snapshot.copy.keys() and all(
            _is_same(mine, snapshot.copy[place]) for place, mine in self.copy.items()
        )

    @classmethod
    def of_snapshot(cls) -> Follower:
        """One that begins with the state of now, as far as it is committed."""
        found = cls()
        for given in changes.iter_snapshot(services().keys):
            if isinstance(given, FeedScopeStatus):
                found._keep(given)
            else:
                found.after = given.watermark
        return found

    def _forget_choices(self, address_id: int, erased_at: datetime) -> None:
        """What a reader does who learns that somebody is erased: see docs/feed.md."""
        theirs = [(place, state) for place, state in self.copy.items() if place[0] == address_id]
        for (_, scope), state in theirs:
            self._store((address_id, scope), state.without_choices_before(erased_at))

    def _keep(self, status: FeedScopeStatus) -> None:
        self._store((status.address_id, status.scope), status.state)

    def _store(self, place: tuple[int, str], state: ScopeState) -> None:
        if state == ScopeState():  # everything about it has been retracted
            self.copy.pop(place, None)
        else:
            self.copy[place] = state


def _is_same(mine: ScopeState, theirs: ScopeState) -> bool:
    """Equal, but for the time of an own opt-out that was repeated since, which is no event."""
    mine_out, out = mine.opt_out, theirs.opt_out
    if not (mine_out and out and mine.own_act and mine_out.event == out.event):
        return mine == theirs
    is_repeat = timedelta(0) <= out.at - mine_out.at <= REPEAT_INTERVAL
    return is_repeat and replace(mine, opt_out=out) == theirs
