"""Which rows are new. Shared by plan and apply, so that they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.events import Change, counts_at
from preference_center.decisions.rules import find_denial
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.presets import RowMeaning
from preference_center.ledger.store.lookup import load_facts
from preference_center.lists.imports.event_ids import event_id_factory, event_id_range
from preference_center.lists.imports.import_matches import ImportMatch, MatchQuery, find_matches
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.rules.row_statements import FileRow
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.rules.subscription_evidence import UNPROVEN
from preference_center.lists.rules.translator import (
    RowChange,
    RowRefusal,
    RowTranslator,
    TranslatedRow,
)
from preference_center.lists.store import import_jobs


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


class ChunkEvaluator:
    """Translates rows of one import, and compares them with the ledger."""

    def __init__(
        self,
        instructions: ImportInstructions,
        catalogue: Catalogue,
        *,
        import_id: UUID,
        started_at: datetime,
        actor: str,
    ) -> None:
        self._own = event_id_range(import_id, started_at)
        self._translator = RowTranslator(
            instructions=instructions,
            catalogue=catalogue,
            import_id=import_id,
            event_id=event_id_factory(import_id, started_at),
            started_at=started_at,
            actor=actor,
            region=services().settings.phone_region,
            zone=ZoneInfo(instructions.zone),
        )

    def evaluate(self, rows: Sequence[FileRow]) -> ChunkEvaluation:
        """Raises Unavailable."""
        readings = [self._translator.translate(record) for record in rows]
        entries = [entry for reading in readings for entry in reading.changes]
        found = self._find_matches(entries)
        fresh = [
            entry for n, entry in enumerate(entries) if not _is_already_present(entry, found.get(n))
        ]
        present = [
            entry for n, entry in enumerate(entries) if _is_already_present(entry, found.get(n))
        ]
        leans = {
            one.import_id
            for n, one in found.items()
            if one.import_id and _is_already_present(entries[n], one)
        }
        refusals = [refusal for reading in readings for refusal in reading.refusals]
        return ChunkEvaluation(
            stats=self._count(readings, fresh, present),
            changes=[entry.change for entry in fresh],
            depends_on=frozenset(leans),
            refusals=refusals,
            unmapped=Counter(group for reading in readings for group in reading.unmapped),
            groups=Counter(group for reading in readings for group in reading.groups),
            unreadable_dates=[date for reading in readings for date in reading.unreadable_dates],
        )

    def _find_matches(self, changes: Sequence[RowChange]) -> dict[int, ImportMatch]:
        keys = services().keys
        probes = [
            MatchQuery(
                digest=keys.exact_digest(entry.change.address),
                channel=entry.change.address.channel,
                scope=entry.change.scope,
                received_at=entry.change.received_at,
                is_opt_in=entry.meaning is RowMeaning.SUBSCRIPTION,
            )
            for entry in changes
        ]
        if not probes:
            return {}
        return run_in_transaction(
            lambda connection: find_matches(
                connection,
                probes,
                own_event_range=self._own,
                undoing_imports=import_jobs.list_undoing(connection),
                now=services().now(),
            )
        )

    def _count(
        self,
        translated: Sequence[TranslatedRow],
        new: Sequence[RowChange],
        already_present: Sequence[RowChange],
    ) -> ImportStats:
        return ImportStats(
            rows=len(translated),
            without_data=sum(reading.is_empty for reading in translated),
            excluded=sum(reading.excluded for reading in translated),
            refused=sum(len(reading.refusals) for reading in translated),
            undated=sum(
                not entry.has_date and entry.meaning is not RowMeaning.SUBSCRIPTION for entry in new
            ),
            without_country_code=sum(not entry.has_country_code for entry in new),
            without_evidence=sum(entry.change.evidence.get("proof") == UNPROVEN for entry in new),
            still_suppressed=self._count_still_suppressed(new),
            new=Counter((entry.meaning, entry.change.scope) for entry in new),
            already_present=Counter(
                (entry.meaning, entry.change.scope) for entry in already_present
            ),
        )

    def _count_still_suppressed(self, new: Sequence[RowChange]) -> int:
        """How many new subscriptions an active opt-out outweighs, of any form (I9)."""
        asked = [
            (entry.change.address, entry.change.scope)
            for entry in new
            if entry.meaning is RowMeaning.SUBSCRIPTION
            and isinstance(entry.change.address, Address)
        ]
        if not asked:
            return 0
        now = self._translator.started_at
        facts = load_facts([address for address, _ in asked])
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


ImportProgress = Callable[[int], None]
"""Called with the bytes of the file, or its rows, that are done since the last call."""
