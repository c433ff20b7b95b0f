"""Saving changes of the records of several people, and what came of each person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from preference_center.integrations.base import runtime
from preference_center.integrations.salesforce.client import MAX_COLLECTION_SIZE, RecordChange
from preference_center.integrations.salesforce.models import SalesforceRecord, SaveResult

# The next push will succeed: locks are released, and a merged record is no longer found.
_TEMPORARY_RECORD_ERRORS = frozenset(
    {
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "REQUEST_LIMIT_EXCEEDED",
        "SERVER_UNAVAILABLE",
        "UNABLE_TO_LOCK_ROW",
    }
)
ChangesByEmail: TypeAlias = Mapping[str, Sequence[RecordChange]]
Item: TypeAlias = runtime.TargetChange | runtime.FieldItem | runtime.EraseItem


def find_changes(
    records: Mapping[str, Sequence[SalesforceRecord]],
    desired_fields: Mapping[str, Mapping[str, Any]],
) -> ChangesByEmail:
    """Casefolded address -> what differs in its records from the desired fields."""
    return {
        email: [
            RecordChange(record, differing)
            for record in rows
            if (differing := _differing(record, desired_fields[email]))
        ]
        for email, rows in records.items()
        if rows
    }


def _differing(record: SalesforceRecord, desired: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in desired.items() if record.fields.get(name) != value}


def save_changes(
    save: Callable[[Sequence[RecordChange]], Sequence[SaveResult]],
    items: Iterable[Item],
    changes: ChangesByEmail,
) -> runtime.Outcomes:
    """Save the changes of each casefolded address, 200 records a request.

    ABSENT for an address without an entry in `changes`.
    """
    refs = defaultdict[str, tuple[int, ...]](tuple)
    for item in items:
        refs[item.address.casefold()] += (item.ref,)
    outcomes: dict[int, runtime.PushOutcome] = {}
    pending = list[tuple[RecordChange, tuple[int, ...]]]()
    for email, refs_of_email in refs.items():
        outcome = runtime.reflected() if email in changes else runtime.absent("no record")
        outcomes |= dict.fromkeys(refs_of_email, outcome)
        pending += [(change, refs_of_email) for change in changes.get(email, ())]
    # A request may switch between the object types ten times at most.
    pending.sort(key=lambda change: change[0].record.object_type)
    steps = [
        runtime.PushStep(
            tuple(dict.fromkeys(ref for _, refs_of_email in part for ref in refs_of_email)),
            partial(_save, save, part),
        )
        for part in runtime.chunked(pending, MAX_COLLECTION_SIZE)
    ]
    return outcomes | runtime.run_steps((), steps)


def _save(
    save: Callable[[Sequence[RecordChange]], Sequence[SaveResult]],
    changes: Sequence[tuple[RecordChange, tuple[int, ...]]],
) -> runtime.Outcomes:
    outcomes: dict[int, runtime.PushOutcome] = {}
    results = save([change for change, _ in changes])
    for (_, refs), result in zip(changes, results, strict=True):
        outcome = _to_outcome(result)
        for ref in refs:
            outcomes[ref] = runtime.worst(outcomes.get(ref, outcome), outcome)
    return outcomes


def _to_outcome(result: SaveResult) -> runtime.PushOutcome:
    if result.success:
        return runtime.reflected("saved")
    codes = sorted({error.status_code for error in result.errors})
    if not codes or not _TEMPORARY_RECORD_ERRORS.isdisjoint(codes):
        return runtime.retry_later(" ".join(codes))
    return runtime.refused(" ".join(codes))
