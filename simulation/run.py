"""One run: a history carried out, with workers and tools at work between its acts."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from flask.testing import FlaskClient

from preference_center.core.errors import Unavailable
from preference_center.destinations.connect import Lease
from preference_center.destinations.rules.states import Destination
from preference_center.integrations.base.contract import Connector, PushItem
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.rights.erasure.erase import tidy_erasures
from simulation import faults, outages
from simulation.account import Account
from simulation.accounts import Accounts
from simulation.acts import Act, Options
from simulation.asking import Requests
from simulation.bounces import Bounces
from simulation.checking import Checks
from simulation.comparing import Comparison
from simulation.corrections import Corrections
from simulation.crew import Crew, Mishap, Redis
from simulation.entry_points import EntryPoints
from simulation.faults import Faults
from simulation.filtering import FilteringSender
from simulation.follower import Follower
from simulation.frequencies import Frequencies
from simulation.ground import Clock, Ground
from simulation.holds import Holds
from simulation.identity import Identity
from simulation.inside import Inside
from simulation.lists import Lists
from simulation.looking import Looks
from simulation.making import Hooks, hosts, made
from simulation.merges import Merges
from simulation.oracle import OptOut, Oracle
from simulation.outages import Outages
from simulation.overlaps import Overlaps
from simulation.people import ALL, ASKED_AGAIN, EVER, START, Form, forms_of
from simulation.policies import Policies
from simulation.retention import Retention
from simulation.rights import Rights
from simulation.rotations import Rotations
from simulation.texts import Texts
from simulation.tools import Tool
from simulation.violation import Violation
from workers.scheduler import purge_expired

CHECK_EVERY = timedelta(hours=6)
SETTLING = timedelta(hours=120)
"""How long a tool may take after the last act, and after it last asked for a hundred hours."""
STRIDE = 17
"""Of so many people, whatever they did, one is asked about at each check."""
RESTORED = 3
"""How many are erased before a backup of before that is restored."""
ASKED = timedelta(hours=48)
"""How long after the end every tool has been read at the latest."""


class Claim(threading.local):
    """When the worker of this thread last claimed rows."""

    at: datetime = START


@dataclass(slots=True)
class Run:
    """One history on one ground. `trace` has what happened, the same for the same seed."""

    ground: Ground
    seed: str
    options: Options
    acts: Sequence[Act]
    trace: list[str] = field(default_factory=list)
    oracle: Oracle = field(default_factory=lambda: Oracle(asked_again=ASKED_AGAIN))
    tools: dict[str, Tool] = field(default_factory=dict)
    known: dict[Form, datetime] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)
    excused: Counter[str] = field(default_factory=Counter)
    """What was excused, and how often: also of a run that fails while it is set up."""
    _heap: list[tuple[datetime, int, str, Callable[[], None]]] = field(default_factory=list)
    _claim: Claim = field(default_factory=Claim)
    _watched: set[int] = field(default_factory=set)
    """Who has changed their mind while the worker that is at work pushed them."""
    _order: itertools.count[int] = field(default_factory=itertools.count)
    redis: Redis = field(init=False)
    crew: Crew = field(init=False)
    entry_points: EntryPoints = field(init=False)
    inside: Inside = field(init=False)
    lists: Lists = field(init=False)
    comparison: Comparison = field(init=False)
    checks: Checks = field(init=False)
    requests: Requests = field(init=False)
    looks: Looks = field(init=False)
    rights: Rights = field(init=False)
    holds: Holds = field(init=False)
    identity: Identity = field(init=False)
    policies: Policies = field(init=False)
    retention: Retention = field(init=False)
    corrections: Corrections = field(init=False)
    merges: Merges = field(init=False)
    bounces: Bounces = field(init=False)
    frequencies: Frequencies = field(init=False)
    texts: Texts = field(init=False)
    faults: Faults = field(init=False)
    outages: Outages = field(init=False)
    rotations: Rotations = field(init=False)
    overlaps: Overlaps = field(init=False)
    follower: Follower = field(default_factory=Follower)
    filtering: FilteringSender = field(init=False)

    @property
    def clock(self) -> Clock:
        """Simulated time."""
        return self.ground.clock

    def go(self) -> None:
        """Carry it out to its end. Raises Violation; `trace` then ends where it was."""
        with TemporaryDirectory(prefix="journal-") as folder:
            self._begin(folder)
            try:
                self._happen()
                self._settle()
            finally:
                self.crew.end()
                self.outages.end()
                self.ground.before_transaction = self.ground.before_claim = lambda: None

    # --- setting up

    def _begin(self, journal: str) -> None:
        self.ground.empty(self.seed, self._redis, journal)
        client = self.ground.app.test_client()
        self.crew = Crew(self.ground.app, self.clock, self._connect, self._freeze, self.note)
        self.ground.before_transaction = self._step
        self.ground.before_claim = self._before_claim
        self.entry_points = EntryPoints(
            client, self.oracle, self.clock, hosts(self.seed), self._know, self.accounts
        )
        self.lists = Lists(self.oracle, self._know)
        hooks = Hooks(self.later, self._step, self.note, self._asked, self._seems_off)
        self.tools |= made(self.seed, self.options, self.clock, hooks)
        forms = {
            form.text: form for person in range(self.options.people) for form in forms_of(person)
        }
        self.comparison = Comparison(
            self.oracle, self.tools, self.known, self.redis, forms, excused=self.excused
        )
        self.checks = Checks(self.oracle, self.comparison, self.known, self.ground.url)
        self.requests = Requests(self.oracle, forms, self.excused)
        self.holds = Holds(self._know, self.accounts)
        self.rights = Rights(
            self.clock, self.oracle, self.crew, self.tools, self._know, self.accounts, self.holds
        )
        self.identity = Identity(self.rights, self._know)
        self.policies = Policies(self.rights, self.known)
        self.retention = Retention(
            self.oracle, self.rights, self.known, self.checks.touched, self.identity.concerns
        )
        self.corrections = Corrections(
            self.clock, self.oracle, self.crew, self._know, self.accounts
        )
        self.merges = Merges(self.oracle, self._know, self.accounts)
        self.bounces = Bounces(self.oracle, self._know, self.accounts)
        self.frequencies = Frequencies(self.oracle, self._know, self.accounts)
        self.checks.frequencies = self.frequencies
        self.texts = Texts(client, self.entry_points)
        self.texts.add_destination()
        self.comparison.erased = self.accounts.erased
        self.comparison.returned = self.accounts.returned
        for tool in self.tools.values():
            tool.asked_to_erase = self.requests.check_erasure
        self.inside = Inside(self.clock, self.oracle, self.checks, self.tools, client)
        self.looks = Looks(self.redis, self.crew, self.tools, self.clock)
        self.looks.purge = self._purge
        self.comparison.done_since = self.looks.done_since
        self.redis.nudged = self._nudged
        self._interrupt(client, Path(journal))
        self.filtering = FilteringSender(forms)
        self.overlaps = Overlaps(
            self.options.people,
            forms,
            self.entry_points,
            self.follower,
            self.filtering,
            self.note,
            self._do,
        )
        self.crew.struck = lambda: self.overlaps.struck(self.later)
        self.follower.read()
        self.filtering.read()
        for act in self.acts:
            moment = START + timedelta(seconds=act.at)
            self.later(moment, str(act), partial(self._do, act))
        for hours in range(6, self.options.hours + 1, 6):
            self.later(START + timedelta(hours=hours), "check", self._check)

    def _interrupt(self, client: FlaskClient, folder: Path) -> None:
        """Have faults happen: of tools, workers, Redis and the database."""
        self.outages = Outages(
            self.ground,
            folder,
            client,
            self.crew,
            self.entry_points,
            self.checks,
            self.later,
            self.note,
        )
        self.crew.database_goes = self.outages.begin
        self.crew.is_database_away = lambda: self.outages.is_away
        for tool in self.tools.values():
            tool.is_refused = self.crew.is_database_away
        self.faults = Faults(self.tools, self.redis, self.crew, self.later, self.outages.put_off)
        self.rotations = Rotations(self.crew, self.checks, self.options.people, self.note)

    def _redis(self, clock: Clock) -> Redis:
        self.redis = Redis(clock)
        return self.redis

    def _check(self) -> None:
        """Everybody who did anything, and some who may have done nothing."""
        if self.outages.put_off("check", self._check):
            return
        some = range(int(self.clock().timestamp()) // 3600 % STRIDE, self.options.people, STRIDE)
        self.checks.everything(some)
        self.texts.check(sorted(self.texts.acted))
        self.policies.check()
        self.rights.check()

    # --- what others call

    def note(self, line: str) -> None:
        """Write it into the trace."""
        passed = self.clock() - START
        self.trace.append(f"{passed / timedelta(hours=1):8.3f} h  {line}")

    def later(self, at: datetime, what: str, do: Callable[[], None]) -> None:
        """Have it happen at that time."""
        heapq.heappush(self._heap, (at, next(self._order), what, do))

    def _know(self, form: Form, at: datetime) -> None:
        if form in self.rights.erased:  # whatever arrives about them is not stored
            return
        self.known[form] = min(self.known.get(form, at), at)

    def _connect(self, destination: Destination, lease: Lease) -> Connector:
        tool = self.tools[destination.name]
        return cast("Connector", Account(tool, lease, tool.profile.capabilities))

    def _nudged(self, destination: int) -> None:
        if not self.crew.busy:  # what a tool reports need not be pushed to it
            self.checks.nudged(destination)

    def _step(self, what: str = "") -> None:
        """What a push settles must leave its deadline to those who have opted out meanwhile."""
        self.crew.step(what)
        watched, self._watched = self._watched, set()  # not what this itself does
        if self.crew.is_database_away():
            return
        if what.endswith(" pushed") and self.crew.current is None:
            watched |= self.overlaps.amid()
        elif watched and self.crew.busy and self.crew.current is None:
            self.comparison.have_deadlines(watched)
        self._watched = watched if self.crew.busy else set()

    def _before_claim(self) -> None:
        if self.crew.current is None and not self.crew.dead and not self.crew.is_database_away():
            self.overlaps.before_claim()
        self._claim.at = self.clock()

    def _asked(self, tool: Tool, batch: Sequence[PushItem]) -> None:
        self.requests.check(tool, batch, self._claim.at)

    def _seems_off(self, address: str, topic: str) -> None:
        """From now on: the same look may find it in one tool, and push it to the others."""
        form, now = self.comparison.forms[address], self.clock()
        self.oracle.add_opt_out(OptOut(form, topic, now, EVER, now, sure=False))

    def _freeze(self, mishap: Mishap, thaw: Callable[[], None]) -> None:
        self.later(self.clock() + timedelta(seconds=mishap.seconds), "thaw", thaw)

    # --- time

    def _happen(self) -> None:
        while self._heap:
            at = self._heap[0][0]
            if self.looks.next_at < at:
                self.clock.reach(self.looks.next_at)
                self._look()
                continue
            at, _, what, do = heapq.heappop(self._heap)
            self.clock.reach(at)
            if what not in {"thaw", "check"}:
                self.note(what)
            do()
            if what != "check":
                self.looks.soon()

    def _look(self) -> None:
        try:
            self.looks.look()
        except* Unavailable:
            if self.outages.back_at is None:
                raise
            self.looks.next_at = self.outages.back_at
        else:
            self.looks.lists_at_work = self.lists.look()
            self.checks.learn()

    def _settle(self) -> None:
        """Everybody rests: before long, every tool agrees with every person."""
        self.note("everybody rests")
        self.rotations.end()
        self.looks.thorough = True
        rested = self.clock()
        asked = self.clock() + ASKED
        while True:
            self.looks.next_at = max(self.looks.next_at, self.clock())
            self.clock.reach(self.looks.next_at)
            self._look()
            while self._heap:  # what tools do late
                self._happen()
            found = self.comparison.at_rest() + self.rights.open_tasks()
            listening = self.checks.unrecorded() and self.clock() < asked
            if not found and not listening and not self.looks.lists_at_work:
                break
            waits = [at for tool in self.tools.values() for at in tool.put_off.values()]
            if self.clock() > max([rested, *waits]) + SETTLING:
                raise Violation("I3: in the end " + "; ".join(found[:5]))
            self.comparison.tools_in_time()
            self.checks.recorded_in_time()
        self.checks.everything(range(self.options.people))
        if unrecorded := self.checks.unrecorded():
            raise Violation(f"I13: {unrecorded[0]}")
        self.checks.count_unsure()
        self.follower.compare()
        self.filtering.read()
        self.note("every tool agrees with every person")
        self.rotations.is_done()
        self._forget()

    def _forget(self) -> None:
        """A backup is restored, and a month passes: nothing readable of the erased is left (I6)."""
        living = sorted(
            {
                form
                for form in self.known.keys() - self.rights.erased.keys() - self.rights.restricted
                if not self.holds.hold_any(self.accounts.of(form))
            },
            key=lambda form: form.text,
        )
        self.rights.restore(self.ground.url, living[:RESTORED])
        self.checks.touched(list(self.rights.erased))
        self.rights.check_for_good(self._purge)
        self.note("nothing readable is left of the erased")

    def _purge(self) -> None:
        tidy_erasures(self.clock())  # retention, once a day, comes after hundreds of these
        self.identity.run_clocks()
        self.retention.run()
        purge_expired(self.clock())

    # --- acts

    def _do(self, act: Act) -> None:
        self.clock.sleep(0.001)  # no two acts are at the very same time
        if self.outages.is_away and act.what not in faults.KINDS - faults.RECORDED:
            self._do_without_database(act)
            return
        if act.who >= 0 and act.what not in faults.KINDS:
            self.oracle.changed[act.who] = self.clock()
        if act.what in faults.KINDS:
            outcome = self.faults.act(act)
        else:
            own = getattr(self, f"_{act.what}", None)
            for others in (
                self.inside,
                self.rights,
                self.holds,
                self.corrections,
                self.merges,
                self.bounces,
                self.frequencies,
                self.outages,
                self.rotations,
                self.texts,
                self.identity,
                self.policies,
            ):
                own = own or getattr(others, act.what, None)
            outcome = own(act) if own else self.entry_points.act(act)
        if outcome:
            self.trace[-1] += f": {outcome}"
        if act.what not in faults.KINDS and act.who >= 0:
            self.checks.touched(forms_of(act.who))
            self.comparison.have_deadlines([act.who])
            self.texts.check([act.who])

    def _do_without_database(self, act: Act) -> None:
        """An opt-out is accepted all the same; people do anything else once it is back."""
        if act.what in outages.ACCEPTED:
            self.trace[-1] += f": {self.outages.accept(act)}"
        elif act.what not in outages.KINDS:
            self.outages.put_off(str(act), partial(self._do, act))

    def _import(self, act: Act) -> str:
        only = (
            MeaningFilter.SUBSCRIPTIONS if act.form and act.scope != ALL else MeaningFilter.OPT_OUTS
        )
        forms = [forms_of(who)[form] for who, form in act.many]
        return self.lists.upload(act.number, forms, act.scope, only)

    def _undo_import(self, act: Act) -> str:
        return self.lists.undo(act.number)

    def _late(self, act: Act) -> str:
        return self.overlaps.late(act)

    def _follow(self, _: Act) -> str:
        self.follower.read()
        self.filtering.read()
        return ""
