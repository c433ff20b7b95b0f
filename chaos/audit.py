"""The audit: what people did and the responses they got, against the database and every tool.

Shares no rule with the service: a person whose last opt-out was answered is off, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.people import Person
from chaos.spool import TORN
from preference_center.ledger import history_loss
from preference_center.ledger.spool import recorder
from preference_center.ledger.spool.folder import DAMAGED_SUFFIX

SHOWN = 10
"""How many addresses a line names."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is when all is calm. Addresses are those of `people`, else `?`."""

    opt_outs: Mapping[str, int]
    """How many events each address has that are opt-outs."""
    strange: Sequence[str]
    """Events that no person's act explains."""
    suppressed: set[str]
    """Whose suppression is active in the database."""
    denied: set[str]
    """Who may not be sent marketing, as a sender's requests about everybody and others show."""
    tools: Mapping[str, set[str]]
    """By name of the tool, who is off there."""
    states: Mapping[str, int]
    """How many destinations each address has a sync state for."""
    unproven: set[str]
    """Who is off at a tool without a delivery that records its confirmation."""
    unsettled: int
    """Sync states that are not done."""


def faults(people: Sequence[Person], found: Found) -> Iterator[str]:
    """Everything that does not balance, a line each; nothing when all does."""
    known = {person.address for person in people}
    off = {person.address for person in people if person.off is True}
    on = {person.address for person in people if person.off is False}
    for person in people:
        count = found.opt_outs.get(person.address, 0)
        if not person.least <= count <= person.most:
            yield (
                f"{person.address} has {count} opt-outs in the ledger: "
                f"{person.least} were answered with a 2xx, {person.most} were sent"
            )
    yield from found.strange
    yield from _named("not in the database, though answered with a 2xx", off - found.suppressed)
    yield from _named("suppressed in the database, though back", found.suppressed & on)
    yield from _named("suppressed in the database, and never came", found.suppressed - known)
    yield from _named("allowed, though suppressed", found.suppressed - found.denied)
    yield from _named("denied, though not suppressed", found.denied - found.suppressed)
    for tool, held in found.tools.items():
        yield from _named(f"not off at {tool}", found.suppressed - held)
        yield from _named(f"off at {tool}, and nowhere else", held - found.suppressed)
    acted = {address for address, count in found.opt_outs.items() if count}
    every = len(found.tools)
    wrong = {a for a in acted if found.states.get(a, 0) != every} | (set(found.states) - acted)
    yield from _named(f"with other than {every} sync states", wrong)
    yield from _named("off at a tool without a delivery that proves it", found.unproven)
    if found.unsettled:
        yield f"{found.unsettled} sync states are not settled"


def _named(what: str, addresses: set[str]) -> Iterator[str]:
    if addresses:
        names = sorted(addresses)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"


def left_behind(spool: Path) -> Iterator[str]:
    """What the spool still holds when all is calm: no opt-out, but files with a torn record."""
    kept = {recorder.FILE_NAME, history_loss.FILE_NAME}
    for file in sorted(spool.iterdir()):
        if file.name in kept or (file.suffix == DAMAGED_SUFFIX and TORN in file.read_bytes()):
            continue
        if size := file.stat().st_size:
            yield f"the spool is not empty: {size} bytes in {file.name}"
