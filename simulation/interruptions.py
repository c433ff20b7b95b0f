"""Histories in which the database goes away, or digests are brought to a new key."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from simulation.acts import HOUR, MINUTE, Act, Options, soon
from simulation.people import ALL, TOPICS, first_forms_of

AWAY = 0.25
"""In how many histories the database goes away."""
ROTATED = 0.2
"""In how many a key for digests is added."""
STEPS = 30
"""How many transactions a rotation has, about."""
_CLICKS = ("one_click", "one_click", "one_click", "page", "mailed")


def away(random: Random, options: Options) -> Iterator[Act]:
    """The database goes away once or twice, by itself or from under a worker.

    Meanwhile people opt out. Once it is back, and perhaps before all of that is recorded, some opt
    in, or do it again, and somebody uploads a list of them.
    """
    if random.random() >= AWAY:
        return
    end = options.hours * HOUR
    for number in range(random.choice([1, 1, 2])):
        at = random.randrange(end * 3 // 4)
        length = random.choice([20 * MINUTE, 2 * HOUR, 6 * HOUR])
        if random.random() < 0.5:
            yield Act(at, "database_away", number=length)
        else:
            job, step = random.choice(["fresh", "sync", ""]), random.choice([1, 2, 3, 4, 6, 9])
            yield Act(at, "database_lost", form=step, scope=job, number=length)
        yield from _clicks(random, at, length, 2000 + 100 * number, options)


def _clicks(random: Random, at: int, length: int, first: int, options: Options) -> Iterator[Act]:
    end, back, clicked = options.hours * HOUR, at + length, []
    for number in range(first, first + max(4, options.people // 10)):
        who = random.randrange(options.people)
        own = who, random.randrange(len(first_forms_of(who)))
        pressed, scope = at + random.randrange(length), random.choice([ALL, *TOPICS])
        clicked.append(own)
        yield Act(min(pressed, end), random.choice(_CLICKS), *own, scope, number)
        if random.random() < 0.2:  # the same again, at another host or at the same
            again = number + random.choice([1, 3])
            yield Act(min(pressed + 1, end), "one_click", *own, scope, again)
        if random.random() < 0.5:
            asked = back + random.randrange(5 * HOUR)
            topic = scope if random.random() < 0.7 else random.choice([ALL, *TOPICS])
            yield Act(min(asked, end), "opt_in", *own, topic, number)
        if random.random() < 0.2:
            what = random.choice(["erase", "move", "pause", "close"])
            new = ((who, len(first_forms_of(who))),) if what == "move" else ()
            scope = "marketing" if what == "erase" else scope
            yield Act(soon(random, back, end), what, *own, scope, number, new)
    listed, many = random.randrange(at, back + 4 * HOUR), tuple(dict.fromkeys(clicked))
    scope, only = random.choice([ALL, *TOPICS]), random.randrange(2)
    yield Act(min(listed, end), "import", form=only, scope=scope, number=first, many=many)
    if random.random() < 0.5:
        yield Act(soon(random, listed, end), "undo_import", number=first)


def rotating(random: Random, options: Options) -> Iterator[Act]:
    """Somebody rotates the digests; that is killed or freezes, and is begun again later."""
    if random.random() >= ROTATED:
        return
    end = options.hours * HOUR
    at = random.randrange(max(1, end // 2))
    for _ in range(random.randrange(1, 4)):
        how, length = random.choice(["killed", "frozen"]), random.choice([HOUR, 5 * HOUR])
        yield Act(at, "rotate", form=random.randrange(1, STEPS), scope=how, number=length)
        at = min(at + random.randrange(10 * MINUTE, 9 * HOUR), end)
    yield Act(at, "rotate")
