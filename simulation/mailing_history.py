"""What follows from the mail and the texts that people are sent, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from simulation.acts import HOUR, Act, Options, soon
from simulation.people import ALERTS, ALL, CLUB, FLASH, OFFERS, TOPICS, first_forms_of

_SINCE_BOUNCE = ["one_click", "page", "opt_in", "opt_in", "pause", "bounce", "restrict", "move"]
"""What people, and tools, do while a mailbox is disabled."""

_TEXTED = ["text_stop", "text_stop", "text_again", "text_start", "text_opt_in", "text_opt_in"]
_BY_EMAIL = ["one_click", "page", "opt_in", "phone", "named", "close"]
"""What people do who are texted, too: none of it is about their number."""


def bouncing(random: Random, options: Options) -> Iterator[Act]:
    """The mail to some bounces on one day, on two days, or on three."""
    end = options.hours * HOUR
    for number in range(700, 700 + max(3, options.people // 15)):
        who = random.randrange(options.people)
        own = who, random.randrange(len(first_forms_of(who)))
        at = random.randrange(max(1, end * 2 // 3))
        for _ in range(random.choice([1, 2, 2, 3])):
            yield Act(at, "soft_bounce", *own, number=number)
            for what in random.sample(_SINCE_BOUNCE, random.randrange(3)):
                scope, later = random.choice([ALL, *TOPICS]), soon(random, at, end)
                many = ((who, len(first_forms_of(who))),) if what == "move" else ()
                yield Act(later, what, *own, scope, number, many)
            at = min(at + random.randrange(12 * HOUR, 30 * HOUR), end)


def choosing(random: Random, options: Options) -> Iterator[Act]:
    """Some choose how often, with one form of theirs or several, and are erased or return."""
    end = options.hours * HOUR
    for number in range(800, 800 + max(3, options.people // 15)):
        who, at = random.randrange(options.people), random.randrange(max(1, end // 2))
        for _ in range(random.randrange(1, 4)):
            own = who, random.randrange(len(first_forms_of(who)))
            yield Act(at, "frequency", *own, OFFERS, random.randrange(3))
            if random.random() < 0.3:
                yield Act(at := soon(random, at, end), "erase", *own, "marketing", number)
                yield Act(at := soon(random, at, end), "comes_back", *own, number=number)
            at = soon(random, at, end)


def texting(random: Random, options: Options) -> Iterator[Act]:
    """Some text STOP, or ask for texts, and do the same or the opposite by email meanwhile."""
    end = options.hours * HOUR
    for number in range(1000, 1000 + max(3, options.people // 15)):
        who, at = random.randrange(options.people), random.randrange(end)
        for what in ["text_stop", *random.sample(_TEXTED, 4)]:
            yield Act(at, what, who, scope=random.choice([ALL, FLASH, ALERTS]), number=number)
            if random.random() < 0.5:
                form = random.randrange(len(first_forms_of(who)))
                by_email, scope = random.choice(_BY_EMAIL), random.choice([ALL, *TOPICS])
                yield Act(soon(random, at, end), by_email, who, form, scope, number)
            at = min(at + random.choice([5, HOUR]) + random.randrange(HOUR), end)


def announcing(random: Random, options: Options) -> Iterator[Act]:
    """A new privacy policy asks for consents again, which some give before its day, some since."""
    end = options.hours * HOUR
    for number in range(random.randrange(1, 4)):
        yield Act(random.randrange(end), "announce", number=random.randrange(1, 9), form=number)
    for number in range(1200, 1200 + max(3, options.people // 15)):
        who = random.randrange(options.people)
        own = who, random.randrange(len(first_forms_of(who)))
        at = max(0, end - random.randrange(12 * HOUR))
        yield Act(random.randrange(end), "opt_in", *own, CLUB, number)
        if random.random() < 0.5:
            yield Act(at, "opt_in", *own, CLUB, number)
        if random.random() < 0.3:  # a sender reports one of before late
            yield Act(at, "opt_in_dated", *own, CLUB, random.randrange(40 * HOUR))
