"""What a history is made of: acts, each at its time, and the size of a run."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulation.people import ALL, CLUB, NEWS, OFFERS

HOUR, MINUTE = 3600, 60
SCOPES = [ALL, ALL, NEWS, NEWS, OFFERS, OFFERS, CLUB]
"""What people's acts are about."""


@dataclass(frozen=True, slots=True)
class Options:
    """The size of a run."""

    hours: int = 72
    people: int = 200
    tools: int = 5
    acts: int = 100
    """How much people do, at most as often as there are people; with more, histories are dense."""
    burst: int = 0
    """How many people opt out in one minute."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody does, or that goes wrong, `at` so many seconds from the start."""

    at: int
    what: str
    who: int = -1
    """A person, or the number of a tool."""
    form: int = 0
    scope: str = ""
    number: int = 0
    """Seconds, a count, or the act's own number, as `what` needs it."""
    many: tuple[tuple[int, int], ...] = ()
    """People and their forms, of lists."""

    def __str__(self) -> str:
        """One line of a history."""
        hours, rest = divmod(self.at, HOUR)
        when = f"+{hours:02}:{rest // 60:02}:{rest % 60:02}"
        named = "" if self.who < 0 else f" {self.who}.{self.form}"
        parts = [self.scope, str(self.number or "")]
        parts += [f"[{', '.join(f'{who}.{form}' for who, form in self.many)}]" if self.many else ""]
        return " ".join(filter(None, [f"{when} {self.what}{named}", *parts]))


GAPS = (5, 90, 20 * MINUTE, HOUR, 9 * HOUR)


def soon(random: Random, at: int, end: int) -> int:
    """Some time after `at`, in seconds from the start; `end` at the latest."""
    return min(at + random.choice(GAPS) + random.randrange(HOUR), end)
