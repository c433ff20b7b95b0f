"""The list of imports, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.errors import InvalidInput, UnknownImport
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.infra.db.transactions import run_autocommit
from preference_center.lists.console.words import (
    MEANING_TITLES,
    STATE_KINDS,
    STATE_TITLES,
    warnings_of,
    without_addresses,
)
from preference_center.lists.imports.instructions import stored_instructions
from preference_center.lists.imports.plan import PlanStats
from preference_center.lists.imports.uploads import REPLACEABLE_STATES
from preference_center.lists.rules.scopes import LEAVE_OUT
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.store import import_jobs
from preference_center.lists.store.import_jobs import UNFINISHED_STATES, Import, ImportState
from preference_center.web.console.frame import render_page

IMPORTS_PER_PAGE = 50
REFUSALS_SHOWN = 100

_PERCENT = 100


@dataclass(frozen=True, slots=True)
class MappedGroup:
    """A group of the file, with the scope that is stated for it, if one is."""

    group: str
    meaning: str
    count: int
    scope: str


def imports() -> ResponseReturnValue:
    """The imports, the newest first."""
    before = request.args.get("before", type=UUID)
    found = run_autocommit(
        lambda connection: import_jobs.list_newest_imports(connection, IMPORTS_PER_PAGE + 1, before)
    )
    shown = found[:IMPORTS_PER_PAGE]
    older = url_for("console.imports", before=shown[-1].id) if len(found) > len(shown) else ""
    return _page(
        "list",
        imports=shown,
        older=older,
        is_live=any(each.state in UNFINISHED_STATES for each in shown),
        new_counts={each.id: ImportStats.from_json(each.stats).total_new for each in shown},
        percents={each.id: percent_done(each) for each in shown},
    )


def import_page(
    import_id: UUID, *, problem: str = "", status: int = HTTPStatus.OK
) -> ResponseReturnValue:
    """One import: what it would do or did, and what can be done with it."""
    found = load_import(import_id)
    plan = PlanStats.from_json(found.planned_stats)
    stats = ImportStats.from_json(found.stats) if found.stats else plan.stats
    return _page(
        "import",
        status=status,
        problem=problem,
        found=found,
        stats=stats,
        percent=percent_done(found),
        is_live=found.state in UNFINISHED_STATES,
        is_replaceable=found.state in REPLACEABLE_STATES,
        warnings=warnings_of(stats) if found.state is not ImportState.UPLOADED else [],
        refusals=found.rejected_rows[:REFUSALS_SHOWN],
        groups=_mapped_groups(found, plan),
        is_mapping_missing=found.state is ImportState.UNUSABLE and bool(plan.unmapped),
        scopes=scope_choices(),
        date_patterns=plan.dates.patterns or [],
        without_addresses=without_addresses,
        resume_command=f"flask imports resume {found.id} FILE",
    )


def load_import(import_id: UUID) -> Import:
    """The import, or the request ends with 404."""
    try:
        return run_autocommit(lambda connection: import_jobs.get_import(connection, import_id))
    except UnknownImport:
        abort(HTTPStatus.NOT_FOUND)


def scope_choices() -> list[str]:
    """What a group can stand for."""
    topics = current_catalogue_or_empty().topics.values()
    return [*(t.key for t in topics if not t.retired), ALL_MARKETING, SHARING, LEAVE_OUT]


def percent_done(found: Import) -> int:
    """How far the work on an import is, from 0 to 100."""
    if found.state is ImportState.UNDOING:
        done, whole = found.undone_count, ImportStats.from_json(found.stats).total_new
    else:
        done, whole = found.bytes_done, found.size_bytes
    return min(_PERCENT, done * _PERCENT // whole) if whole else 0


def _mapped_groups(found: Import, plan: PlanStats) -> list[MappedGroup]:
    """The groups that were found, those without a scope first."""
    try:
        scopes = stored_instructions(found).scopes
    except InvalidInput:  # the preset is not there any more
        return []
    groups = [
        MappedGroup(group, str(MEANING_TITLES[meaning]), count, scopes.scope_of(group) or "")
        for (meaning, group), count in plan.groups.items()
    ]
    return sorted(groups, key=lambda each: (each.scope != "", -each.count))


def _page(template: str, **values: Any) -> ResponseReturnValue:
    return render_page(
        f"lists/{template}",
        state_titles=STATE_TITLES,
        state_kinds=STATE_KINDS,
        meaning_titles=MEANING_TITLES,
        **values,
    )
