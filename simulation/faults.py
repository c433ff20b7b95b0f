"""What goes wrong: tools that are down, forget or gain contacts, Redis, workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from simulation.acts import Act
from simulation.crew import Crew, Mishap, Redis
from simulation.people import forms_of
from simulation.tools import Tool

KINDS = frozenset(
    {
        "outage",
        "paused",
        "redis_flushed",
        "redis_away",
        "killed",
        "frozen",
        "frozen_dies",
        "frozen_asking",
        "gains",
        "forgets",
    }
)
RECORDED = frozenset({"paused"})
"""Those of them that the service's database has to know of."""

PUSH = " push"
"""How the step before a tool acts on a push ends: see `simulation.account`."""


@dataclass(slots=True)
class Faults:
    """Carries out acts of nobody."""

    tools: Mapping[str, Tool]
    redis: Redis
    crew: Crew
    later: Callable[[datetime, str, Callable[[], None]], None]
    put_off: Callable[[str, Callable[[], None]], bool]
    """Whether this has to wait for the database, and does."""

    def act(self, act: Act) -> str | None:
        """Do it and return the outcome for the trace, if there is one."""
        do: Callable[[Act], str | None] = getattr(self, f"_{act.what}")
        return do(act)

    def _gains(self, act: Act) -> str:
        tool = self._tool(act)
        if not tool.profile.capabilities.can_scan:
            return "can't be listed"
        for who, form in act.many:
            tool.gains(forms_of(who)[form].text)
        return tool.name

    def _forgets(self, act: Act) -> str:
        tool = self._tool(act)
        if not tool.profile.can_be_watched:
            return "never forgets"
        off = sorted(address for address, topics in tool.off.items() if topics)
        for address in tool.random.sample(off, min(act.number, len(off))):
            tool.turn_on(address, frozenset(tool.off[address]))
        return tool.name

    def _outage(self, act: Act) -> None:
        tool = self._tool(act)
        if tool.good_since is None:
            return
        tool.good_since = None
        self.later(
            self.crew.clock() + timedelta(seconds=act.number),
            f"{tool.name} is back",
            lambda: self._back(tool),
        )

    def _back(self, tool: Tool) -> None:
        tool.good_since = self.crew.clock()

    def _paused(self, act: Act) -> str | None:
        """Support has nothing more written to a tool, and later lets it be written to."""
        tool = self._tool(act)
        if tool.resumed_at is None:
            return "paused already"
        tool.resumed_at = None
        _set_status(tool, DestinationStatus.PAUSED)
        self.later(
            self.crew.clock() + timedelta(seconds=act.number),
            f"{tool.name} is resumed",
            lambda: self._resumed(tool),
        )
        return tool.name

    def _resumed(self, tool: Tool) -> None:
        if self.put_off(f"{tool.name} is resumed", lambda: self._resumed(tool)):
            return
        tool.resumed_at = self.crew.clock()
        _set_status(tool, DestinationStatus.ACTIVE)

    def _redis_flushed(self, _: Act) -> None:
        self.redis.jobs.clear()

    def _redis_away(self, act: Act) -> None:
        self.redis.jobs.clear()
        self.redis.away = True
        self.later(
            self.crew.clock() + timedelta(seconds=act.number), "redis is back", self._redis_back
        )

    def _redis_back(self) -> None:
        self.redis.away, self.redis.back_at = False, self.crew.clock()

    def _killed(self, act: Act) -> None:
        self.crew.mishaps.append(Mishap(act.what, act.form, act.number, act.scope))

    _frozen = _frozen_dies = _killed

    def _frozen_asking(self, act: Act) -> None:
        """It goes on with its request, also where another worker has leased the rows since."""
        asking = Mishap("frozen", act.form, act.number, act.scope, call=PUSH)
        self.crew.mishaps.append(asking)

    def _tool(self, act: Act) -> Tool:
        return self.tools[f"tool-{act.who % len(self.tools)}"]


def _set_status(tool: Tool, status: DestinationStatus) -> None:
    """As `destinations.set_up` does, but for the check of the tool's own settings."""

    def work(connection: Connection) -> None:
        number = destinations.get_by_name(connection, services().keys, tool.name).id
        destinations.set_status(connection, number, status, "by hand")

    run_in_transaction(work)
