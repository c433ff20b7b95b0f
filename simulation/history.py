"""What happens in a run, drawn from its seed before it begins: a list that can be cut down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from simulation.acts import GAPS, HOUR, MINUTE, SCOPES, Act, Options, soon
from simulation.contact_history import merges, moved_again, moves
from simulation.interruptions import away, rotating
from simulation.late_reports import (
    again_while_down,
    asking,
    complained,
    held,
    overtaken,
    reported_late,
    returning,
)
from simulation.mailing_history import announcing, bouncing, choosing, texting
from simulation.people import ALL, NEWS, OFFERS, SHARING, TOPICS, first_forms_of, forms_of

_PERSONAL = {
    "one_click": 30,
    "page": 8,
    "mailed": 5,
    "in_tool": 14,
    "opt_in": 16,
    "phone": 6,
    "pause": 5,
    "reads": 3,
    "complaint": 3,
    "bounce": 2,
    "in_tool_again": 3,
    "named": 8,
    "close": 3,
    "reopen": 4,
}
"""How often people do what."""
REGRETTED = 0.2
"""How many opt-ins are followed within seconds by an opt-out, at a host with another clock."""
PAUSED_AGAIN = 0.5
"""How many pauses are followed by one of the same or another form of the mailbox."""
CORRECTED = 0.5
"""How many pauses are followed within seconds by one of another length, at another host."""
CLOSED_AGAIN = 0.3
"""Of how many accounts that are closed the same is done again after an opt-in."""
_AFTERWARDS = ["gains", "gains", "import", "named", "one_click", "mailed", "reads", "erase",
               "comes_back", "comes_back", "opt_in"]  # fmt: skip
"""What may happen after an erasure: the world has old copies."""


def draw(seed: str, options: Options) -> list[Act]:
    """The history of this seed, in its order."""
    random = Random(f"{seed}/history")
    acts = [*_people(random, options), *_lists(random, options), *_faults(random, options)]
    acts += [*_burst(random, options), *_followed(random, options)]
    acts += _rights(Random(f"{seed}/rights"), options)
    acts += moves(Random(f"{seed}/moves"), _personal(acts), options)
    acts += _sharing(Random(f"{seed}/sharing"), _personal(acts), options)
    acts += _closed_again(Random(f"{seed}/closed again"), acts, options)
    acts += _regretted(Random(f"{seed}/regretted"), acts, options)
    acts += _corrected(Random(f"{seed}/corrected"), acts, options)
    acts += _frozen(Random(f"{seed}/frozen"), options)
    acts += [
        *reported_late(Random(f"{seed}/late reports"), acts, options),
        *again_while_down(Random(f"{seed}/again while down"), acts, options),
        *complained(Random(f"{seed}/complained"), options),
        *overtaken(Random(f"{seed}/overtaken"), options),
        *returning(Random(f"{seed}/returning"), options),
        *held(Random(f"{seed}/held"), options),
        *bouncing(Random(f"{seed}/bouncing"), options),
        *choosing(Random(f"{seed}/choosing"), options),
        *away(Random(f"{seed}/away"), options),
        *rotating(Random(f"{seed}/rotating"), options),
        *announcing(Random(f"{seed}/announcing"), options),
        *asking(Random(f"{seed}/asking"), options),
        *texting(Random(f"{seed}/texting"), options),
        *merges(Random(f"{seed}/merges"), options),
        *moved_again(Random(f"{seed}/moved again"), options),
    ]
    return sorted(acts, key=lambda act: (act.at, act.what, act.who, act.form))


def _personal(acts: Sequence[Act]) -> list[Act]:
    return [act for act in acts if act.what in _PERSONAL]


def _people(random: Random, options: Options) -> Iterator[Act]:
    """Acts come in clusters, as after a mailing."""
    end = options.hours * HOUR
    mailings = sorted(random.randrange(MINUTE, end) for _ in range(14))
    kinds, weights = list(_PERSONAL), list(_PERSONAL.values())
    busy = random.sample(range(options.people), max(1, options.people // 3))
    for number in range(min(options.people, 100) if options.acts == 100 else options.acts):
        at = min(random.choice(mailings) + int(random.expovariate(1 / 180)), end)
        who = random.choice(busy) if random.random() < 0.6 else random.randrange(options.people)
        form = random.randrange(len(first_forms_of(who))) if random.random() < 0.5 else 0
        what = random.choices(kinds, weights)[0]
        scope = random.choice(SCOPES)
        yield Act(at, what, who, form, scope, number)
        if what == "page" and random.random() < 0.5:
            yield Act(at + random.randrange(10, 20 * MINUTE), "undo", who, form, scope, number)
        if what in {"one_click", "mailed", "phone"} and random.random() < 0.3:
            yield Act(at + random.randrange(HOUR), "one_click", who, form, scope, number)
        if what == "one_click" and random.random() < 0.15:
            yield from _between(random, Act(at, what, who, form, scope, number))
        if what in {"in_tool", "one_click"} and random.random() < 0.3:
            again = at + random.choice(GAPS)
            yield Act(min(again, end), "opt_in", who, form, random.choice(TOPICS), number)


def _between(random: Random, first: Act) -> Iterator[Act]:
    """They repeat it, and a sender reports late an opt-in between the two."""
    gap = random.choice([8, 60, 14 * MINUTE])
    recorded_after = gap + random.choice([5, HOUR])
    yield replace(first, at=first.at + gap)
    yield replace(
        first, at=first.at + recorded_after, what="opt_in_dated", number=recorded_after - gap // 2
    )


def _closed_again(random: Random, acts: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some opt in though their account is closed, have it closed again, and later reopened.

    Only the second closing stops what they opted in to once the account is open. Drawn by a
    `random` of its own, so that it changes nothing else in a history.
    """
    end = options.hours * HOUR
    for act in acts:
        if act.what == "close" and random.random() < CLOSED_AGAIN:
            at, topic = act.at, random.choice(TOPICS)
            for what in ("opt_in", "close", "reopen"):
                at = min(at + random.randrange(MINUTE, HOUR), end)
                yield replace(act, at=at, what=what, scope=topic)


def _regretted(random: Random, acts: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some opt in and out again at once: the host that serves the second may be behind.

    And some pause what another form of theirs has paused, for longer or shorter.
    """
    end = options.hours * HOUR
    for act in acts:
        if act.what == "opt_in" and random.random() < REGRETTED:
            at = min(act.at + random.randrange(1, 6), end)
            yield replace(act, at=at, what="one_click", number=act.number + 1)
        if act.what == "pause" and random.random() < PAUSED_AGAIN:
            form = random.randrange(len(first_forms_of(act.who)))
            at = min(act.at + random.randrange(1, HOUR), end)
            yield replace(act, at=at, form=form, number=act.number + random.randrange(3))


def _corrected(random: Random, acts: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some press a pause of another length at once: by its host's clock it may be the older."""
    end = options.hours * HOUR
    for act in acts:
        if act.what == "pause" and random.random() < CORRECTED:
            at = min(act.at + random.randrange(1, 3), end)
            yield replace(act, at=at, number=act.number + random.randrange(1, 3))


def _lists(random: Random, options: Options) -> Iterator[Act]:
    end = options.hours * HOUR
    for number in range(random.randrange(1, 4)):
        at, scope = random.randrange(end), random.choice([ALL, NEWS, OFFERS])
        yield Act(
            at,
            "import",
            form=random.randrange(2),
            scope=scope,
            number=number,
            many=_some(random, options),
        )
        if random.random() < 0.7:
            undone = at + int(random.expovariate(1 / (6 * HOUR)))
            yield Act(min(undone, end), "undo_import", number=number)
    for _ in range(4):
        tool = random.randrange(options.tools)
        yield Act(random.randrange(end), "gains", tool, many=_some(random, options))


def _rights(random: Random, options: Options) -> Iterator[Act]:
    """Some are erased, and met by what old lists and tools still have; some limit, or come back."""
    end = options.hours * HOUR
    for number in range(max(4, options.people // 12)):
        who = random.randrange(options.people)
        form = random.randrange(len(first_forms_of(who))) if random.random() < 0.5 else 0
        at, own = random.randrange(end), (who, form)
        if random.random() < 0.4:
            yield Act(at, "restrict", *own, number=number)
            if random.random() < 0.8:
                yield Act(soon(random, at, end), "unrestrict", *own, number=number)
            continue
        yield Act(at, "erase", *own, random.choice(["marketing", "account"]), number)
        for what in random.sample(_AFTERWARDS, random.randrange(4)):
            scope = random.choice(SCOPES if what != "erase" else ["marketing", "account"])
            tool = random.randrange(options.tools)
            many = (own,) if what in {"gains", "import"} else ()
            named = (tool, 0) if what == "gains" else own if what != "import" else (-1, 1)
            number_of = number + 100 if what == "import" else number
            yield Act(soon(random, at, end), what, *named, scope, number_of, many)
    for _ in range(random.randrange(6)):
        step = min(1 + int(random.expovariate(1 / 3)), 12)
        yield Act(random.randrange(end), "killed", form=step, scope="erase", number=40)


def _sharing(random: Random, acted: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some say that nothing of theirs may be shared, by a button or by their browser, or agree."""
    end = options.hours * HOUR
    for number in range(400, 400 + max(4, options.people // 10)):
        other = random.choice(acted)
        form = random.choice([other.form, other.form, random.randrange(len(forms_of(other.who)))])
        at = max(0, other.at - soon(random, 0, end)) if random.random() < 0.5 else other.at
        for what in random.choices(["gpc", "gpc", "phone", "opt_in"], k=random.randrange(1, 5)):
            scope = random.choice(SCOPES) if what == "gpc" else SHARING
            at = soon(random, at, end)
            yield Act(at, what, other.who, form, scope, number)


def _some(random: Random, options: Options) -> tuple[tuple[int, int], ...]:
    people = random.sample(range(options.people), min(options.people, random.choice([3, 10, 20])))
    return tuple((who, random.randrange(len(first_forms_of(who)))) for who in people)


def _faults(random: Random, options: Options) -> Iterator[Act]:
    end = options.hours * HOUR
    for tool in range(options.tools):
        if random.random() < 0.5:
            length = int(min(random.expovariate(1 / (12 * HOUR)), 71 * HOUR))
            length = 71 * HOUR if random.random() < 0.2 else length
            yield Act(random.randrange(end), "outage", tool, number=max(length, MINUTE))
        if random.random() < 0.15:
            length = min(int(random.expovariate(1 / (12 * HOUR))), 71 * HOUR)
            yield Act(random.randrange(end), "paused", tool, number=max(length, MINUTE))
    for _ in range(random.randrange(4)):
        yield Act(random.randrange(end), "redis_flushed")
    if random.random() < 0.5:
        yield Act(random.randrange(end), "redis_away", number=random.randrange(MINUTE, 12 * HOUR))
    for _ in range(random.randrange(25)):
        what = random.choice(["killed", "killed", "frozen", "frozen", "frozen_dies"])
        length = random.choice([40, MINUTE, 3 * MINUTE, 20 * MINUTE, 5 * HOUR])
        step = min(1 + int(random.expovariate(1 / 4)), 20)
        job = random.choice(["", "fresh", "sync"])
        yield Act(random.randrange(end), what, form=step, scope=job, number=length)
    for _ in range(random.randrange(4)):
        tool = random.randrange(options.tools)
        yield Act(random.randrange(end), "forgets", tool, number=random.randrange(1, 6))


def _frozen(random: Random, options: Options) -> Iterator[Act]:
    """Workers freeze while they ask a tool; most go on after their rows were leased again."""
    for _ in range(random.randrange(2, 7)):
        length = random.choice([MINUTE, 20 * MINUTE, 2 * HOUR, 5 * HOUR])
        at, job = random.randrange(options.hours * HOUR), random.choice(["fresh", "sync"])
        yield Act(at, "frozen_asking", form=random.choice([1, 1, 2]), scope=job, number=length)


def _burst(random: Random, options: Options) -> Iterator[Act]:
    if options.burst:
        at = random.randrange(options.hours * HOUR // 2)
        for who in random.sample(range(options.people), options.burst):
            yield Act(
                at + random.randrange(MINUTE), "one_click", who, 0, random.choice(SCOPES), who
            )


def _followed(random: Random, options: Options) -> Iterator[Act]:
    """A data team reads on, also while somebody's transaction is open."""
    end = options.hours * HOUR
    for _ in range(10):
        yield Act(random.randrange(end), "follow")
    for number in range(random.randrange(1, 4)):
        who = random.randrange(options.people)
        form = random.randrange(len(first_forms_of(who)))
        yield Act(random.randrange(end), "late", who, form, random.choice(SCOPES), number)
