"""The digests are brought to a new key while people act: nothing that anybody can see changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import exc

from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import run_autocommit
from preference_center.infra.keys.rotate_digests import load_digest_status, rotate_digests
from simulation.acts import Act
from simulation.checking import Checks
from simulation.crew import Crew, Mishap
from simulation.violation import Violation

ROTATE = "rotate"
_LEFT = """
SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attname ~ '^(next|previous)_(digest|ciphertext|domain_digest)$' AND NOT a.attisdropped
    AND c.relkind = 'r'
"""


class _Waits(BaseException):
    """Another run of the command holds the lock."""


@dataclass(slots=True)
class Rotations:
    """Runs of `flask keys rotate digests`: killed or frozen at a step, and begun again later."""

    crew: Crew
    checks: Checks
    people: int
    trace: Callable[[str], None]
    begun: bool = False

    def rotate(self, act: Act) -> str:
        """One run, cut off at the step `form` as `scope` says; without one, to its end."""
        self.begun = True
        if not act.form:
            return self._finish()
        mishap = Mishap(act.scope, act.form, act.number)
        work = self._run
        if act.scope == "killed":
            self.crew.cut_off(mishap, "the rotation", work)
        else:
            self.crew.freeze_in(mishap, "the rotation", work)
        self._nothing_has_changed()
        return f"cut off at step {act.form}"

    def end(self) -> None:
        """What has begun is brought to its end, by a person who looks at it."""
        if self.begun:
            self._finish()

    def _finish(self) -> str:
        self._run()
        self._nothing_has_changed()
        return "run to its end"

    def is_done(self) -> None:
        """All digests are those of the new key, and nothing of the old one is left."""
        if not self.begun:
            return
        status = load_digest_status()
        left = run_autocommit(lambda c: c.execute(_LEFT).fetchall())
        if status.in_use != status.configured or status.being_cleared or left:
            raise Violation(f"a rotation of digests is not done: {status}, {left}")

    def _run(self) -> None:
        try:
            rotate_digests(lambda _: None, _wait)
        except _Waits:
            self.trace("a rotation waits for another one")
        except (Unavailable, exc.OperationalError):  # that holds its lock lost its session
            self.trace("a rotation fails: the database was away")

    def _nothing_has_changed(self) -> None:
        self.checks.everything(range(self.people))


def _wait(_: float) -> None:
    """Nothing changes while one waits: it is started again later."""
    raise _Waits
