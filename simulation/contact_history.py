"""What happens around corrected addresses and merged contacts, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from simulation.acts import HOUR, MINUTE, SCOPES, Act, Options, soon
from simulation.people import first_forms_of

_BEFORE_MOVE = ["named", "named", "one_click", "page", "phone", "pause", "opt_in", "opt_in",
                "close", "restrict"]  # fmt: skip
_SINCE_MOVE = ["gains", "gains", "one_click", "page", "opt_in", "opt_in", "pause", "named", "close",
               "reopen", "restrict", "unrestrict", "erase", "comes_back", "move", "undo_move",
               "undo_move", "in_tool", "mailed"]  # fmt: skip
"""What people who correct their address do before and since, at the old and at the new one."""
_BEFORE_MERGE = ["close", "restrict", "opt_in", "one_click", "move"]
_SINCE_MERGE = ["close", "reopen", "unrestrict", "opt_in", "erase", "undo_move", "undo_move",
                "one_click", "in_tool", "comes_back"]  # fmt: skip
"""What happens before and since two contacts of a person are merged."""


def moves(random: Random, acted: Sequence[Act], options: Options) -> Iterator[Act]:
    """Some correct their address, and act at the old and at the new one, before and since."""
    end = options.hours * HOUR
    for number in range(200, 200 + max(4, options.people // 10)):
        before = random.choice(acted)
        who, old = before.who, before.form
        forms = len(first_forms_of(who))  # the number of the new address
        new = random.choice([forms, forms, forms, (old + 1) % forms])
        if new == old:
            new = forms
        at = soon(random, before.at, end)
        move = Act(at, "move", who, old, number=number, many=((who, new),))
        yield move
        for what in random.sample(_BEFORE_MOVE, random.randrange(4)):
            form, scope = random.choice([old, old, new]), random.choice(SCOPES)
            yield Act(max(0, at - soon(random, 0, end)), what, who, form, scope, number)
        for what in random.sample(_SINCE_MOVE, random.randrange(6)):
            form, later = random.choice([old, new]), soon(random, at, end)
            if what == "move":
                yield replace(move, at=later, number=number + random.randrange(2))
            elif what == "gains":
                yield Act(later, what, random.randrange(options.tools), many=((who, form),))
            else:
                scope = random.choice(SCOPES if what != "erase" else ["marketing", "account"])
                yield Act(later, what, who, form, scope, number)


def merges(random: Random, options: Options) -> Iterator[Act]:
    """Some have two contacts of two forms, which a sender merges."""
    end = options.hours * HOUR
    several = [who for who in range(options.people) if len(first_forms_of(who)) > 1]
    for number in range(600, 600 + max(3, options.people // 15)):
        who = random.choice(several)
        gone, into = random.sample(range(len(first_forms_of(who))), 2)
        at = random.randrange(end)
        for form in (gone, into):
            yield Act(max(0, at - soon(random, 0, end)), "named", who, form, number=number)
        moved = ((who, len(first_forms_of(who))),)
        for before, what in [
            *((True, what) for what in random.sample(_BEFORE_MERGE, random.randrange(4))),
            *((False, what) for what in random.sample(_SINCE_MERGE, random.randrange(5))),
        ]:
            away = soon(random, 0, end)
            scope = random.choice(SCOPES if what != "erase" else ["marketing", "account"])
            yield Act(
                max(0, at - away) if before else min(at + away, end), what, who,
                random.choice([gone, into]), scope, number, moved if what == "move" else (),
            )  # fmt: skip
        yield Act(at, "merge", who, gone, number=number, many=((who, into),))


def moved_again(random: Random, options: Options) -> Iterator[Act]:
    """Some have no contact when they correct their address; a repeat links theirs of meanwhile.

    An undo unlinks it: what is done to the account of the old address is not done to the new one.
    """
    end = options.hours * HOUR
    for number in range(700, 700 + max(2, options.people // 30)):
        who = random.randrange(options.people)
        forms = len(first_forms_of(who))
        form, at = random.randrange(forms), random.randrange(max(1, end // 2))
        for what in ("move", "named", "move", "undo_move", random.choice(["close", "restrict"])):
            yield Act(
                at, what, who, form, number=number, many=((who, forms),) if what == "move" else ()
            )
            at = min(at + random.randrange(MINUTE, 3 * HOUR), end)
