"""When the scheduler looks and workers work: often while something can be done, else seldom.

Time jumps to whatever is due next. What the service would do every few minutes though
there is nothing to find (probe a tool that is down, read a list that did not change) it does
more seldom here, as if the workers were busy elsewhere; never less than it could need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from preference_center.destinations.store import listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.inbound.bursts import flag_bursts
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.infra.job_queue import SYNC, SYNC_FRESH, VERIFY
from simulation.crew import Crew, Redis
from simulation.ground import Clock
from simulation.people import START
from simulation.tools import Tool
from workers.scheduler import tick

PROBES = 0.2
"""How often a tool that is down is tried where the service might: each try is like the last."""
AT_TIMES = 0.03
"""How often a list is read though nothing has changed in it."""
SELDOM = timedelta(hours=3)
OFTEN = timedelta(minutes=30)
FIRST = timedelta(seconds=30)
READ_EVERY, READ_OFTEN = timedelta(hours=6), timedelta(hours=2)
"""How often it is read back at most; and in the end, when all is to be found out."""
TIDY_EVERY, TIDY_FROM = timedelta(hours=6), START + timedelta(hours=12)
"""Retention runs with it, once a day: so it does some time before a history of two days ends."""
SWEEP_EVERY, SWEEP_OFTEN = timedelta(hours=20), timedelta(hours=6)
"""The same of all its contacts."""
NEVER = datetime.min.replace(tzinfo=UTC)
QUICKLY = 0.15
"""How often workers are free at once, and not some time within the hour."""

_DUE = """
SELECT min(GREATEST(s.next_at, d.retry_at)), min(s.verify_at),
    (SELECT min(next_at) FROM (SELECT next_at FROM webhook_inbox
        UNION ALL SELECT next_at FROM erasure_task) AS waiting),
    count(*) FILTER (WHERE d.name = ANY(%s) AND s.next_at <= %s),
    ARRAY(SELECT DISTINCT destination_id FROM sync_state WHERE verify_at <= %s),
    ARRAY(SELECT DISTINCT destination_id FROM sync_state WHERE next_at <= %s OR lease IS NOT NULL)
FROM sync_state s JOIN destination d ON d.id = s.destination_id
WHERE s.next_at IS NOT NULL AND d.status = 'active'
"""


@dataclass(slots=True)
class Looks:
    """The scheduler and the workers, run together at `next_at`."""

    redis: Redis
    crew: Crew
    tools: Mapping[str, Tool]
    clock: Clock
    next_at: datetime = START
    thorough: bool = False
    """Whether nothing is skipped."""
    lists_at_work: bool = False
    _gap: timedelta = FIRST
    _left: int = 0
    """How many rows were due, after the last look, at tools that are up."""
    purge: Callable[[], None] = lambda: None
    """Called when what is past its time is to be deleted."""
    _tidy_at: datetime = TIDY_FROM
    _read_at: dict[int, datetime] = field(default_factory=dict)
    _behind: Collection[int] = ()
    """Tools that could not be read back in time: they are at every look until they are."""
    _swept_at: dict[int, datetime] = field(default_factory=dict)
    done_since: dict[str, datetime] = field(default_factory=dict)
    """When the last look began that left nothing to be pushed to a tool, and held no row of it."""

    def soon(self) -> None:
        """Something has happened: look before long."""
        random = services().random
        wait = timedelta(seconds=random.uniform(1, 90 if random.random() < QUICKLY else 3600))
        self._gap = FIRST
        self.next_at = min(self.next_at, self.clock() + wait)

    def look(self) -> None:
        """The scheduler's tick, and all the jobs that it, or a nudge, has put into Redis."""
        begun = self.clock()
        tick()
        self._tidy()
        jobs = list(self.redis.jobs.items())
        self.redis.jobs.clear()
        services().random.shuffle(jobs)  # else a tool that fails each push would never be read
        for name, (job, args) in jobs:
            if not self._is_vain(job, args):
                self.crew.do(name, job, args)
        self._plan(begun)

    def _tidy(self) -> None:
        """What nothing waits for."""
        if self.clock() >= self._tidy_at:
            self._tidy_at = self.clock() + TIDY_EVERY
            flag_bursts(self.clock())
            self.purge()

    def _is_vain(self, job: str, args: tuple[int | str, ...]) -> bool:
        """Whether its outcome would be that of the last time."""
        if job not in {SYNC_FRESH, SYNC, VERIFY}:
            return False
        tool = self.tools[f"tool-{int(args[0]) - 1}"]
        is_down = tool.good_since is None and not self.thorough
        if is_down and services().random.random() > PROBES:
            return True
        return job == VERIFY and self._is_idle(int(args[0]), str(args[1]))

    def _is_idle(self, number: int, part: str) -> bool:
        """Whether reading would find nothing that it did not find last time."""
        tool = self.tools[f"tool-{number - 1}"]
        chance = services().random.random()
        if part == ListingKind.READ:
            every = READ_OFTEN if self.thorough else READ_EVERY
            was_read = self.clock() - self._read_at.get(number, NEVER) < every
            if was_read and number not in self._behind:
                return True
            self._read_at[number] = self.clock()
            return False
        whole = ListingKind.SCAN if not tool.profile.by_change else ListingKind.SWEEP
        if part == whole and not self._was_swept(number, whole):
            return False
        if part == ListingKind.SWEEP:
            return True
        size = len(tool.opt_out_events) if part == ListingKind.PULL else len(tool.log)
        return tool.listed.get(part) == size and not self.thorough and chance > AT_TIMES

    def _was_swept(self, number: int, part: ListingKind) -> bool:
        """Whether all contacts were listed of late."""
        every = SWEEP_OFTEN if self.thorough else SWEEP_EVERY
        if self.clock() - self._swept_at.get(number, NEVER) < every:
            return True
        for listing in run_autocommit(lambda c: listings.list_progress(c, number)):
            if listing.kind is part and listing.finished_at and not listing.in_progress:
                self._swept_at[number] = listing.finished_at
        return self.clock() - self._swept_at.get(number, NEVER) < every

    def _plan(self, begun: datetime) -> None:
        good = [name for name, tool in self.tools.items() if tool.up_since is not None]
        now = self.clock()
        given = good, now, now - READ_EVERY, now
        rows = run_autocommit(lambda c: c.execute(_DUE, given).fetchall())
        row_at, verify_at, posted_at, left, self._behind, unfinished = rows[0]
        done = self.tools.keys() - {f"tool-{number - 1}" for number in unfinished}
        self.done_since |= dict.fromkeys(done, begun)
        if verify_at is not None:
            verify_at = max(verify_at, self.clock() + READ_EVERY)
        due = min(filter(None, (row_at, verify_at, posted_at)), default=None)
        if self.lists_at_work or self._behind:
            due = now
        if due is None:
            self._gap = SELDOM
        if left and left != self._left:  # the tool takes some, if not all at once: go on
            self._gap = FIRST
        self._left = left
        self._gap = min(self._gap * 4, OFTEN if left or self._behind else SELDOM)
        self.next_at = min(max(due or now, now + self._gap), now + SELDOM)
