"""What is reported late, erasures that end or are held, and requests that wait for proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from simulation.acts import HOUR, MINUTE, Act, Options, soon
from simulation.people import ALL, NEWS, OFFERS, TOPICS, first_forms_of

LATE = 0.6
"""How often an opt-in is reported after the person has opted out in a tool."""
BEHIND = 8 * HOUR
"""How long before that it was made at least: more than the hours by which a tool's dates may be
behind and are believed. If it were less, nobody could know which of the two was first."""
BEFORE = 40 * HOUR
COMPLAINING = 12
"""One of so many people complains in a tool, and has opted in with a sender that says so late."""
OVERTAKEN = 10
"""One of so many people opts out in a tool, and opts in with us before the tool has reported it."""
MEANWHILE = 2 * MINUTE
"""Within which they opt in: a report dated by a true clock is believed to be older (I5)."""

_ANSWERS = (
    ("confirm_identity",),
    ("forwarded", "one_click", "confirm_identity", "ask"),
    ("fail_identity", "forwarded", "opt_in", "confirm_identity"),
    ("fail_identity", "fail_identity", "fail_identity", "confirm_identity"),
    ("forwarded", "fail_identity", "erase"),
    ("hold", "confirm_identity", "end_hold"),
    (),
)
"""What becomes of a request whose identity is asked, and what people do meanwhile."""


def reported_late(random: Random, acts: Sequence[Act], options: Options) -> Iterator[Act]:
    """They opted in, opted out in a tool, and then the sender of a day ago reports the opt-in."""
    end = options.hours * HOUR
    for act in acts:
        if act.what in {"in_tool", "complaint"} and random.random() < LATE:
            scope = act.scope if act.what == "in_tool" else random.choice([ALL, *TOPICS])
            at, made = _reported(random, act.at, end), random.randrange(BEFORE)
            since = at - act.at + BEHIND + made
            yield Act(at, "opt_in_dated", act.who, act.form, scope, since)


def complained(random: Random, options: Options) -> Iterator[Act]:
    """They complain in a tool, and then a sender reports an opt-in of the day before.

    No list has the complaint with its true date: where the tool's clock shows years ago, or
    nothing, only the receipt tells that the opt-in was older.
    """
    end = options.hours * HOUR
    for number in range(1400, 1400 + max(4, options.people // COMPLAINING)):
        own, at = (random.randrange(options.people), 0), random.randrange(max(1, end // 2))
        yield Act(at, "complaint", *own, number=number)
        later, made = _reported(random, at, end), random.randrange(BEFORE)
        scope = random.choice([ALL, NEWS, OFFERS])
        yield Act(later, "opt_in_dated", *own, scope, later - at + BEHIND + made)


def overtaken(random: Random, options: Options) -> Iterator[Act]:
    """A topic is off in a tool; they opt out of all there, and at once in to the topic with us.

    The tool reports the opt-out afterwards: it is the older one, and the topic is not lifted there.
    """
    end = options.hours * HOUR
    for number in range(1500, 1500 + max(4, options.people // OVERTAKEN)):
        own, topic = (random.randrange(options.people), 0), random.choice([NEWS, OFFERS])
        at = random.randrange(max(1, end // 2))
        yield Act(at, "one_click", *own, topic, number)
        at = min(at + random.randrange(3 * HOUR, 12 * HOUR), end)
        yield Act(at, "in_tool", *own, ALL, number)
        at = min(at + random.randrange(5, MEANWHILE), end)
        yield Act(at, "opt_in", *own, topic, 1)  # a number without an opt-out of the same time


def again_while_down(random: Random, acts: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some opt out while a tool is down, and subscribe in a tool before it can be pushed to."""
    end = options.hours * HOUR
    for act in acts:
        if act.what != "outage":
            continue
        for number in range(600, 603):
            who, at = random.randrange(options.people), act.at + random.randrange(act.number)
            own = who, random.randrange(len(first_forms_of(who)))
            yield Act(min(at, end), "one_click", *own, random.choice([ALL, *TOPICS]), number)
            for again in (number, number + 1):
                later = min(at + random.randrange(MINUTE, HOUR), end)
                yield Act(later, "in_tool_again", *own, number=1000 * act.who + again)


def returning(random: Random, options: Options) -> Iterator[Act]:
    """Some who asked for something are erased and come back.

    Then a sender reports an opt-in of before, or they click and undo that: nothing that they
    chose before counts again. What they closed meanwhile is open again.
    """
    end = options.hours * HOUR
    for number in range(500, 500 + max(2, options.people // 20)):
        who = random.randrange(options.people)
        own = who, random.randrange(len(first_forms_of(who)))
        other = who, random.randrange(len(first_forms_of(who)))
        topic, first = random.choice(TOPICS), random.randrange(max(1, end // 2))
        erased = soon(random, first, end)
        back = soon(random, erased, end)
        yield Act(first, "opt_in", *own, topic, number)
        yield Act(erased, "erase", *own, random.choice(["marketing", "account"]), number)
        if random.random() < 0.5:  # a new account, which they close
            yield Act(random.randrange(erased, back + 1), "close", *own, number=number)
        if random.random() < 0.5:  # somebody else at their mailbox asks for mail, and they again
            asked = random.randrange(erased, back + 1)
            yield Act(asked, "opt_in", *other, random.choice(TOPICS), number)
            yield Act(soon(random, asked, back), "erase", *own, "marketing", number)
        yield Act(back, "comes_back", *own, number=number)
        if random.random() < 0.5:
            at = _reported(random, back, end)
            yield Act(at, "opt_in_dated", *own, topic, at - first + random.randrange(HOUR))
        if random.random() < 0.5:
            at = soon(random, back, end)
            yield Act(at, "page", *own, random.choice([ALL, *TOPICS]), number)
            yield Act(soon(random, at, end), "undo", *own, number=number)


def held(random: Random, options: Options) -> Iterator[Act]:
    """Some are under a legal hold when they want to be erased, and ask again once it has ended."""
    end = options.hours * HOUR
    for number in range(900, 900 + max(2, options.people // 20)):
        who, at = random.randrange(options.people), random.randrange(max(1, end // 2))
        own = who, random.randrange(len(first_forms_of(who)))
        yield Act(at, "hold", *own, number=number)
        for what in ("erase", "end_hold", "erase"):
            at = soon(random, at, end)
            if what != "end_hold" or number % 2:
                yield Act(at, what, *own, random.choice(["marketing", "account"]), number)


def asking(random: Random, options: Options) -> Iterator[Act]:
    """Some ask for what needs proof; it comes, does not suffice, is wrong, or does not come."""
    end = options.hours * HOUR
    for number in range(1100, 1100 + max(4, options.people // 12)):
        who, at = random.randrange(options.people), random.randrange(end)
        own = who, random.randrange(len(first_forms_of(who)))
        if random.random() < 0.5:  # there is something to end
            yield Act(max(0, at - soon(random, 0, end)), "restrict", *own, number=number)
        yield Act(at, "ask", *own, number=number)
        for what in random.choice(_ANSWERS):
            at = soon(random, at, end)
            scope = "marketing" if what == "erase" else random.choice([ALL, *TOPICS])
            yield Act(at, what, *own, scope, number)


def _reported(random: Random, at: int, end: int) -> int:
    """When a sender reports what it should have before: it does so once a day."""
    return min(at + random.randrange(HOUR, 24 * HOUR), end)
