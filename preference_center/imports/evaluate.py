"""What of some rows is new: asked by plan and by apply in the same words, so they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import standing_no
from preference_center.domain.events import Change, counts_at
from preference_center.domain.imports import (
    Entry,
    Instructions,
    Meaning,
    Reading,
    Record,
    Refusal,
    Tally,
    Translator,
)
from preference_center.domain.imports.subscription_evidence import UNPROVEN
from preference_center.extensions import services
from preference_center.imports.event_ids import id_range, maker
from preference_center.storage.db.database import run
from preference_center.storage.imports import import_jobs
from preference_center.storage.ledger.import_matches import Known, Probe, known
from preference_center.storage.ledger.suppression_lookup import facts_for


@dataclass(frozen=True, slots=True)
class Judged:
    """What a chunk of rows came to."""

    tally: Tally
    changes: Sequence[Change]
    leans_on: frozenset[UUID]
    refusals: Sequence[Refusal]
    unmapped: Counter[tuple[Meaning, str]]
    groups: Counter[tuple[Meaning, str]] = field(default_factory=Counter)


class Judge:
    """Reads rows of one import, and compares them with the ledger."""

    def __init__(
        self,
        instructions: Instructions,
        catalogue: Catalogue,
        *,
        import_id: UUID,
        begun_at: datetime,
        actor: str,
    ) -> None:
        self._own = id_range(import_id, begun_at)
        self._translator = Translator(
            instructions=instructions,
            catalogue=catalogue,
            import_id=import_id,
            event_id=maker(import_id, begun_at),
            begun_at=begun_at,
            actor=actor,
            region=services().settings.phone_region,
            zone=ZoneInfo(instructions.zone),
        )

    def judge(self, records: Sequence[Record]) -> Judged:
        """Raises Unavailable."""
        readings = [self._translator.read(record) for record in records]
        entries = [entry for reading in readings for entry in reading.entries]
        found = self._known(entries)
        fresh = [entry for n, entry in enumerate(entries) if not _covered(entry, found.get(n))]
        present = [entry for n, entry in enumerate(entries) if _covered(entry, found.get(n))]
        leans = {
            one.by_import for n, one in found.items() if one.by_import and _covered(entries[n], one)
        }
        refusals = [refusal for reading in readings for refusal in reading.refusals]
        return Judged(
            tally=self._tally(readings, fresh, present),
            changes=[entry.change for entry in fresh],
            leans_on=frozenset(leans),
            refusals=refusals,
            unmapped=Counter(group for reading in readings for group in reading.unmapped),
            groups=Counter(group for reading in readings for group in reading.groups),
        )

    def _known(self, entries: Sequence[Entry]) -> dict[int, Known]:
        keys = services().keys
        probes = [
            Probe(
                digest=keys.exact(entry.change.address),
                channel=entry.change.address.channel,
                scope=entry.change.scope,
                asks=entry.meaning is Meaning.SUBSCRIPTION,
            )
            for entry in entries
        ]
        if not probes:
            return {}
        return run(
            lambda connection: known(
                connection, probes, own=self._own, undoing=import_jobs.undoing(connection)
            )
        )

    def _tally(
        self, readings: Sequence[Reading], fresh: Sequence[Entry], present: Sequence[Entry]
    ) -> Tally:
        return Tally(
            rows=len(readings),
            silent=sum(reading.says_nothing for reading in readings),
            left_out=sum(reading.left_out for reading in readings),
            refused=sum(len(reading.refusals) for reading in readings),
            undated=sum(
                not entry.dated and entry.meaning is not Meaning.SUBSCRIPTION for entry in fresh
            ),
            unproven=sum(entry.change.evidence.get("proof") == UNPROVEN for entry in fresh),
            stays_off=self._stays_off(fresh),
            new=Counter((entry.meaning, entry.change.scope) for entry in fresh),
            present=Counter((entry.meaning, entry.change.scope) for entry in present),
        )

    def _stays_off(self, fresh: Sequence[Entry]) -> int:
        """How many new subscriptions meet a "no" that stands, of any form (I9)."""
        asked = [
            (entry.change.address, entry.change.scope)
            for entry in fresh
            if entry.meaning is Meaning.SUBSCRIPTION and isinstance(entry.change.address, Address)
        ]
        if not asked:
            return 0
        now = self._translator.begun_at
        facts = facts_for([address for address, _ in asked])
        return sum(
            standing_no(scope, found, now) is not None
            for (_, scope), found in zip(asked, facts, strict=True)
        )


def _covered(entry: Entry, one: Known | None) -> bool:
    change = entry.change
    # Undated noes count from now on, and would be news each time the list is imported.
    moment: datetime | None = counts_at(change.kind, change.occurred_at, change.received_at)
    if not entry.dated and entry.meaning is not Meaning.SUBSCRIPTION:
        moment = None
    return one is not None and one.covers(moment)


Progress = Callable[[int], None]
"""Told the octets of the file, or its rows, that are done since it was told last."""
