"""What writing to Braze takes, by email address and by phone number alike.

It is asked which users it has before anything is written: it says "success" for others, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.batching import Step, send_halving
from preference_center.integrations.braze.client import OFF, ON, Workspace

_REFUSED = Outcome(Result.REFUSED, "400")
_ABSENT = Outcome(Result.ABSENT, "no user")
_UNREADABLE = Outcome(Result.LATER, "the answer can't be read")

Held = dict[int, frozenset[str] | None]
Change = Callable[[str, str, Sequence[str]], None]
"""Sets a topic to a state, OFF or ON, for up to 50 addresses."""


def steps_of(
    workspace: Workspace, by: str, batch: Sequence[Item], change: Change, *, ask: bool = True
) -> Iterator[Step]:
    """The requests of a push, opt-outs first, a topic at a time. `by` as in `Workspace.users`.

    `ask`: only users who are there are written.
    """
    there = [item for item in batch if item.off or item.lift]
    if ask:
        unfit = _unfit(workspace, by, there)
        yield Step(tuple(unfit), partial(dict[int, Outcome], unfit))
        there = [item for item in there if item.ref not in unfit]
    for state in (OFF, ON):
        wanted = [(item, item.off if state == OFF else item.lift) for item in there]
        for topic in sorted(set().union(*(topics for _, topics in wanted))):
            items = [item for item, topics in wanted if topic in topics]
            call = partial(_set, items, partial(change, topic, state))
            yield Step(tuple(item.ref for item in items), call)


def _set(items: Sequence[Item], change: Callable[[Sequence[str]], None]) -> Mapping[int, Outcome]:
    outcomes = {item.ref: _REFUSED for item in items}
    for part, _ in send_halving(items, lambda some: change([item.address for item in some])):
        outcomes |= {item.ref: Outcome(Result.REFLECTED, "success") for item in part}
    return outcomes


def held_by(workspace: Workspace, by: str, items: Sequence[Item]) -> tuple[Held, set[int]]:
    """Ref -> groups that are off, None if nobody has the address; and who can't be asked for.

    `by` as in `Workspace.users`. Who is in neither could not be read.
    """
    taken = send_halving(items, lambda some: workspace.users(by, [item.address for item in some]))
    held = {
        item.ref: found[item.address]
        for part, found in taken
        for item in part
        if item.address in found
    }
    return held, {item.ref for item in items} - {item.ref for part, _ in taken for item in part}


def _unfit(workspace: Workspace, by: str, items: Sequence[Item]) -> dict[int, Outcome]:
    """Ref -> why an address is not to be written, of those that are not."""
    if not items:
        return {}
    held, rejected = held_by(workspace, by, items)
    found = dict.fromkeys(rejected, _REFUSED)
    for item in items:
        if item.ref not in held.keys() | rejected:
            found[item.ref] = _UNREADABLE
        elif held.get(item.ref, frozenset()) is None:
            found[item.ref] = _ABSENT
    return found
