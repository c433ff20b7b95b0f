"""The dry run: reads the whole file, looks up what is new, and writes nothing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from preference_center.catalogue import Catalogue
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.integrations.base.presets import RowMeaning
from preference_center.lists.imports.evaluate import ChunkEvaluation, ChunkEvaluator
from preference_center.lists.imports.imports_read_rows import ResumePoint, read_rows
from preference_center.lists.imports.named_columns import NamedColumns
from preference_center.lists.imports.sources import ImportSource, open_unpacked
from preference_center.lists.rules.date_formats import DateQuestion
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.rules.row_statements import FileRow
from preference_center.lists.rules.scopes import missing_scopes_error
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.rules.translator import RowRefusal

T = TypeVar("T")

CHUNK_SIZE = 2_000
DATE_QUESTION = "dates"
"""The member of stored counts that has the dates which can't be read."""
_MAX_GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What applying would do. `id` identifies these instructions for this very file."""

    id: str
    digest: bytes
    size: int
    stats: ImportStats
    unused_groups: tuple[str, ...]
    """Groups of the scope map that the file does not have."""
    unread_columns: tuple[str, ...]
    """Columns of the file that the preset does not read: a date may be among them."""


@dataclass(slots=True)
class PlanStats:
    """What planning has found so far."""

    stats: ImportStats = field(default_factory=ImportStats)
    groups: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)
    unmapped: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)
    dates: DateQuestion = field(default_factory=DateQuestion)

    def add(self, evaluation: ChunkEvaluation) -> None:
        """Add the counts of a chunk. Raises InvalidInput if its groups can't be groups."""
        self.stats.add(evaluation.stats)
        self.groups.update(evaluation.groups)
        self.unmapped.update(evaluation.unmapped)
        self.dates.add(evaluation.unreadable_dates)
        if len(self.groups) > _MAX_GROUPS:
            raise InvalidInput(
                f"the file names more than {_MAX_GROUPS:,} groups: is that column one?"
            )

    def validate(self, catalogue: Catalogue) -> None:
        """Raises InvalidInput unless all of it can be applied."""
        if self.unmapped:
            topics = [key for key, topic in catalogue.topics.items() if not topic.retired]
            raise missing_scopes_error(self.unmapped, topics)
        if self.dates.count:
            raise self.dates.error()
        if not self.stats.rows:
            raise InvalidInput("the file contains no row that this preset can read")

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored between two steps."""
        groups = [
            {
                "meaning": meaning.value,
                "group": group,
                "count": count,
                "unmapped": (meaning, group) in self.unmapped,
            }
            for (meaning, group), count in sorted(self.groups.items())
        ]
        asked = {DATE_QUESTION: self.dates.to_json()} if self.dates.count else {}
        return {**self.stats.to_json(), "groups": groups, **asked}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PlanStats:
        """Parse the output of `to_json`; empty input gives empty stats."""
        found = cls(
            ImportStats.from_json(stored), dates=DateQuestion.from_json(stored.get(DATE_QUESTION))
        )
        for each in stored.get("groups", ()):
            key = (RowMeaning(each["meaning"]), each["group"])
            found.groups[key] = each["count"]
            if each["unmapped"]:
                found.unmapped[key] = each["count"]
        return found


def plan_import(
    source: ImportSource,
    instructions: ImportInstructions,
    catalogue: Catalogue,
    *,
    on_refusal: Callable[[RowRefusal], None],
    on_progress: Callable[[FileRow], None] = lambda _: None,
) -> ImportPlan:
    """Plan; calls `on_refusal` for every refusal in the order of the file.

    Raises InvalidInput if the file can't be imported with these instructions: it is damaged or
    of another preset, or groups have no scope (the message lists them all).
    """
    instructions.check()
    instructions.scopes.validate(catalogue)
    digest = source.digest()
    context = services()
    evaluator = ChunkEvaluator(
        instructions,
        catalogue,
        import_id=context.new_id(),
        started_at=context.now(),
        actor="plan",
    )
    findings, unread = PlanStats(), tuple[str, ...]()
    columns = NamedColumns(instructions)
    with open_unpacked(source) as stream:
        for chunk in batched(read_rows(stream, instructions, ResumePoint()), CHUNK_SIZE):
            evaluation = evaluator.evaluate(chunk)
            findings.add(evaluation)
            unread = unread or columns.list_unread(chunk[0].column_names)
            for refusal in evaluation.refusals:
                on_refusal(refusal)
            on_progress(chunk[-1])
    findings.validate(catalogue)
    unused = instructions.scopes.unused_groups(group for _, group in findings.groups)
    name = instructions.plan_id(digest)
    return ImportPlan(name, digest, source.size, findings.stats, tuple(unused), unread)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
