"""Two acts at once, as far as doing one at a time can show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from preference_center.infra.context import services
from preference_center.infra.db.connections import is_database_down
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.addresses import load_readable
from simulation.acts import Act
from simulation.entry_points import EntryPoints
from simulation.filtering import FilteringSender
from simulation.follower import Follower
from simulation.people import ALL, START, TOPICS, Form, forms_of

SOON = 80
"""Seconds within which somebody changes their mind: some before the lease expires, some after."""

REGRETS = 0.5
"""How often they take back one of their opt-outs; else they do either, about any scope."""
AMID = 0.02
"""How often somebody does while a worker holds their row that nothing befalls."""
_HELD = "SELECT address_id FROM sync_state WHERE lease IS NOT NULL"
_DUE = "SELECT address_id FROM sync_state WHERE next_at <= %(now)s ORDER BY address_id LIMIT 20"


@dataclass(slots=True)
class Overlaps:
    """Has people act while a transaction is open, or while a worker holds their row."""

    people: int
    forms: Mapping[str, Form]
    entry_points: EntryPoints
    follower: Follower
    filtering: FilteringSender
    trace: Callable[[str], None]
    do: Callable[[Act], None]

    def late(self, act: Act) -> str:
        """An opt-out is committed after a later act of another person, and a follower's read."""
        other = replace(act, what="opt_in", who=(act.who + 1) % self.people, form=0)

        def meanwhile() -> None:
            self.trace(str(other))
            self.do(other)
            self.follower.read()
            self.filtering.read()
            self.follower.older.append(Follower.of_snapshot())

        self.entry_points.late(forms_of(act.who)[act.form], act, meanwhile)
        return ""

    def struck(self, later: Callable[[datetime, str, Callable[[], None]], None]) -> None:
        """Somebody changes their mind whom a worker was pushing when it died or froze."""
        if is_database_down():  # a replay died before it found that the database is back
            return
        at = services().now() + timedelta(seconds=services().random.randrange(SOON))
        if act := self._again(at):
            later(at, str(act), lambda: self.do(act))

    def amid(self) -> set[int]:
        """Now and then, somebody changes their mind between the push and its settlement: who."""
        if services().random.random() < AMID and (act := self._again(services().now())):
            self.trace(str(act))
            self.do(act)
            return {act.who}
        return set()

    def before_claim(self) -> None:
        """The same just before a worker claims what to push: it must see that."""
        if services().random.random() < AMID and (act := self._again(services().now(), _DUE)):
            self.trace(str(act))
            self.do(act)

    def _again(self, at: datetime, which: str = _HELD) -> Act | None:
        random, held = services().random, run_in_transaction(lambda c: _whose(c, which, at))
        if not held:
            return None
        form = self.forms[random.choice(held)]
        number = forms_of(form.person).index(form)
        what, scope = random.choice(["one_click", "opt_in"]), random.choice([ALL, *TOPICS])
        off = [each for each in (ALL, *TOPICS) if self._is_off(form, each, at)]
        if off and random.random() < REGRETS:
            what, scope = "opt_in", random.choice(off)
        seconds = int((at - START).total_seconds())
        return Act(seconds, what, form.person, number, scope, random.randrange(1000))

    def _is_off(self, form: Form, scope: str, at: datetime) -> bool:
        return bool(self.entry_points.oracle.must_be_off(form, scope, at))


def _whose(connection: Connection, which: str, at: datetime) -> list[str]:
    """The readable addresses of these rows."""
    rows = connection.execute(which.encode(), {"now": at})
    found = load_readable(connection, services().keys, [row[0] for row in rows])
    return sorted(address for _, address in found.values())
