"""The dry run: reads the whole file, asks the ledger what is new, and writes nothing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from preference_center.domain.catalogue import Catalogue
from preference_center.domain.imports import (
    Instructions,
    Meaning,
    Record,
    Refusal,
    Tally,
    missing_scopes,
)
from preference_center.errors import InvalidInput
from preference_center.extensions import services
from preference_center.importing.judging import Judge
from preference_center.importing.reading import Start, records
from preference_center.importing.sources import Source, unpacked

T = TypeVar("T")

CHUNK = 2_000
_MAX_GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying would do. `name` is of these instructions and this very file."""

    name: str
    digest: bytes
    octets: int
    tally: Tally
    unused: tuple[str, ...]
    """Groups of the scope map that the file does not have."""


def plan(
    source: Source,
    instructions: Instructions,
    catalogue: Catalogue,
    *,
    refused: Callable[[Refusal], None],
    progress: Callable[[Record], None] = lambda _: None,
) -> Plan:
    """Plan; tells `refused` of every refusal in the order of the file.

    Raises InvalidInput if the file can't be imported like this: it is damaged or of another
    preset, or a group has no scope (the message lists them all).
    """
    instructions.check()
    instructions.scopes.check(catalogue)
    digest = source.digest()
    now = services().now()
    judge = Judge(
        instructions, catalogue, import_id=services().new_id(), begun_at=now, actor="plan"
    )
    tally = Tally()
    unmapped: Counter[tuple[Meaning, str]] = Counter()
    groups: Counter[tuple[Meaning, str]] = Counter()
    with unpacked(source) as stream:
        for chunk in chunks(records(stream, instructions, Start()), CHUNK):
            judged = judge.judge(chunk)
            tally.add(judged.tally)
            unmapped.update(judged.unmapped)
            groups.update(judged.groups)
            for refusal in judged.refusals:
                refused(refusal)
            if len(groups) > _MAX_GROUPS:
                raise InvalidInput(
                    f"the file names more than {_MAX_GROUPS:,} groups: is that column one?"
                )
            progress(chunk[-1])
    if unmapped:
        topics = [key for key, topic in catalogue.topics.items() if not topic.retired]
        raise missing_scopes(unmapped, topics)
    if not tally.rows:
        raise InvalidInput("the file holds no row that this preset could read")
    unused = instructions.scopes.unused(group for _, group in groups)
    return Plan(instructions.plan(digest), digest, source.octets, tally, tuple(unused))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
