"""The dry run of an import reads the whole file, looks up what is new, and writes nothing.

`evaluate_chunk` finds which rows are new. Plan and apply share it, so that they agree.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import Change, counts_at
from preference_center.decisions.rules import find_denial
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.presets import RowMeaning
from preference_center.integrations.registry import get_preset
from preference_center.ledger.rules import clamp_to_now
from preference_center.ledger.store.lookup import load_facts
from preference_center.lists import store
from preference_center.lists.imports.matches import ImportMatch, MatchQuery, find_matches
from preference_center.lists.imports.read import NamedColumns, ResumePoint, read_rows
from preference_center.lists.imports.sources import ImportSource, open_unpacked
from preference_center.lists.rules.instructions import (
    ImportInstructions,
    ImportStats,
    ScopeMap,
    missing_scopes_error,
)
from preference_center.lists.rules.rows import DateQuestion, FileRow
from preference_center.lists.rules.translator import (
    UNPROVEN,
    RowChange,
    RowRefusal,
    RowTranslator,
    TranslatedRow,
    event_id_range,
)
from preference_center.lists.store import Import


def stored_instructions(found: Import) -> ImportInstructions:
    """How the file of this import is read. Raises InvalidInput if its preset no longer exists."""
    stored = found.instructions
    preset = get_preset(stored["preset"])
    parsed = ImportInstructions.parse(stored, preset, ScopeMap(stored["scopes"]))
    assert parsed  # its parsers raise
    return parsed


def build_instructions(
    given: Mapping[str, Any], scopes: ScopeMap, collect: Callable[..., Any]
) -> ImportInstructions | None:
    """What a person states about a file: see `ImportInstructions.parse`.

    What can't be applied as it is, `collect` notes for the field `only`.
    """
    preset = collect("preset", get_preset, given.get("preset") or "")
    parsed = ImportInstructions.parse(given, preset, scopes, collect)
    if preset is None or parsed is None:
        return None
    if parsed.received_at:
        now = services().now()
        received = collect("received_at", clamp_to_now, parsed.received_at, now)
        parsed = replace(parsed, received_at=received)
    collect("only", parsed.check)
    return parsed


@dataclass(frozen=True, slots=True)
class ChunkEvaluation:
    """The result for a chunk of rows."""

    stats: ImportStats
    changes: Sequence[Change]
    depends_on: frozenset[UUID]
    refusals: Sequence[RowRefusal]
    unmapped: Counter[tuple[RowMeaning, str]]
    groups: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)
    unreadable_dates: Sequence[tuple[int, str]] = ()


def evaluate_chunk(translator: RowTranslator, rows: Iterable[FileRow]) -> ChunkEvaluation:
    """Translate rows of an import, and compare them with the ledger. Raises Unavailable."""
    translated = [translator.translate(row) for row in rows]
    entries = [entry for each in translated for entry in each.changes]
    found = _find_matches(translator, entries)
    known = {n for n, entry in enumerate(entries) if _is_already_present(entry, found.get(n))}
    present = [entry for n, entry in enumerate(entries) if n in known]
    new = [entry for n, entry in enumerate(entries) if n not in known]
    return ChunkEvaluation(
        stats=_count(translator, translated, new, present),
        changes=[entry.change for entry in new],
        depends_on=frozenset(each for n in known if (each := found[n].import_id)),
        refusals=[refusal for each in translated for refusal in each.refusals],
        unmapped=Counter(group for each in translated for group in each.unmapped),
        groups=Counter(group for each in translated for group in each.groups),
        unreadable_dates=[date for each in translated for date in each.unreadable_dates],
    )


def _find_matches(
    translator: RowTranslator, changes: Sequence[RowChange]
) -> dict[int, ImportMatch]:
    keys = services().keys
    queries = [
        MatchQuery(
            digest=keys.exact_digest(entry.change.address),
            channel=entry.change.address.channel,
            scope=entry.change.scope,
            received_at=entry.change.received_at,
            is_opt_in=entry.meaning is RowMeaning.SUBSCRIPTION,
        )
        for entry in changes
    ]
    if not queries:
        return {}
    return run_in_transaction(
        lambda connection: find_matches(
            connection,
            queries,
            own_event_range=event_id_range(translator.import_id, translator.started_at),
            undoing_imports=store.list_undoing(connection),
            now=services().now(),
        )
    )


def _count(
    translator: RowTranslator,
    translated: Sequence[TranslatedRow],
    new: Sequence[RowChange],
    present: Sequence[RowChange],
) -> ImportStats:
    return ImportStats(
        rows=len(translated),
        without_data=sum(each.is_empty for each in translated),
        excluded=sum(each.excluded for each in translated),
        refused=sum(len(each.refusals) for each in translated),
        undated=sum(
            not entry.has_date and entry.meaning is not RowMeaning.SUBSCRIPTION for entry in new
        ),
        without_country_code=sum(not entry.has_country_code for entry in new),
        other_readings=sum(entry.is_other_reading for entry in new),
        without_evidence=sum(entry.change.evidence.get("proof") == UNPROVEN for entry in new),
        still_suppressed=_count_still_suppressed(new, translator.started_at),
        new=Counter((entry.meaning, entry.change.scope) for entry in new),
        already_present=Counter((entry.meaning, entry.change.scope) for entry in present),
    )


def _count_still_suppressed(new: Sequence[RowChange], now: datetime) -> int:
    """How many new subscriptions an active opt-out outweighs, of any form (I9)."""
    asked = [
        (entry.change.address, entry.change.scope)
        for entry in new
        if entry.meaning is RowMeaning.SUBSCRIPTION and isinstance(entry.change.address, Address)
    ]
    facts = load_facts([address for address, _ in asked]) if asked else []
    return sum(
        find_denial(scope, found, now) is not None
        for (_, scope), found in zip(asked, facts, strict=True)
    )


def _is_already_present(row_change: RowChange, match: ImportMatch | None) -> bool:
    change = row_change.change
    # Undated opt-outs count from now on, and would be new each time the list is imported.
    moment: datetime | None = counts_at(change.kind, change.occurred_at, change.received_at)
    if not row_change.has_date and row_change.meaning is not RowMeaning.SUBSCRIPTION:
        moment = None
    return match is not None and match.is_redundant(moment)


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
    region = context.settings.phone_region
    translator = RowTranslator(
        instructions, catalogue, context.new_id(), context.now(), "plan", region
    )
    findings, unread = PlanStats(), tuple[str, ...]()
    columns = NamedColumns(instructions)
    with open_unpacked(source) as stream:
        for chunk in batched(read_rows(stream, instructions, ResumePoint()), CHUNK_SIZE):
            evaluation = evaluate_chunk(translator, chunk)
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
