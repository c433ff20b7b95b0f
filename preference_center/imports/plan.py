"""The dry run: reads the whole file, asks the ledger what is new, and writes nothing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
from preference_center.imports.evaluate import Judge, Judged
from preference_center.imports.read_rows import Start, records
from preference_center.imports.sources import Source, unpacked

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


@dataclass(slots=True)
class Findings:
    """What planning has found so far."""

    tally: Tally = field(default_factory=Tally)
    groups: Counter[tuple[Meaning, str]] = field(default_factory=Counter)
    unmapped: Counter[tuple[Meaning, str]] = field(default_factory=Counter)

    def add(self, judged: Judged) -> None:
        """Count a chunk in. Raises InvalidInput if its groups can't be groups."""
        self.tally.add(judged.tally)
        self.groups.update(judged.groups)
        self.unmapped.update(judged.unmapped)
        if len(self.groups) > _MAX_GROUPS:
            raise InvalidInput(
                f"the file names more than {_MAX_GROUPS:,} groups: is that column one?"
            )

    def check(self, catalogue: Catalogue) -> None:
        """Raises InvalidInput unless all of it can be applied."""
        if self.unmapped:
            topics = [key for key, topic in catalogue.topics.items() if not topic.retired]
            raise missing_scopes(self.unmapped, topics)
        if not self.tally.rows:
            raise InvalidInput("the file holds no row that this preset could read")

    def to_json(self) -> dict[str, Any]:
        """As it is stored between two steps."""
        groups = [
            {
                "says": meaning.value,
                "group": group,
                "count": count,
                "unmapped": (meaning, group) in self.unmapped,
            }
            for (meaning, group), count in sorted(self.groups.items())
        ]
        return {**self.tally.to_json(), "groups": groups}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Findings:
        """What `to_json` wrote; nothing from nothing."""
        found = cls(Tally.from_json(stored))
        for each in stored.get("groups", ()):
            key = (Meaning(each["says"]), each["group"])
            found.groups[key] = each["count"]
            if each["unmapped"]:
                found.unmapped[key] = each["count"]
        return found


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
    context = services()
    judge = Judge(
        instructions,
        catalogue,
        import_id=context.new_id(),
        begun_at=context.now(),
        actor="plan",
    )
    findings = Findings()
    with unpacked(source) as stream:
        for chunk in chunks(records(stream, instructions, Start()), CHUNK):
            judged = judge.judge(chunk)
            findings.add(judged)
            for refusal in judged.refusals:
                refused(refusal)
            progress(chunk[-1])
    findings.check(catalogue)
    unused = instructions.scopes.unused(group for _, group in findings.groups)
    name = instructions.plan(digest)
    return Plan(name, digest, source.octets, findings.tally, tuple(unused))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
