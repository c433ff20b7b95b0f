"""Imports, as tests make them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.decisions.rules import decide
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset as by_name
from preference_center.ledger.store.lookup import load_facts
from preference_center.lists.imports.apply import (
    ImportBudget,
    apply_import,
    create_import,
    start_undo,
    undo_import,
)
from preference_center.lists.imports.plan import ImportPlan, plan_import
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.rules.instructions import (
    ImportInstructions,
    ImportStats,
    build_scope_map,
)
from preference_center.lists.rules.translator import RowRefusal
from tests.clock import START

AT_ONCE = ImportBudget(sleep=lambda _: None)


def instructions_for(preset: str, *scopes: tuple[str, str], **given: Any) -> ImportInstructions:
    """Instructions for a file of this preset."""
    only = given.pop("only", None)
    return ImportInstructions(
        by_name(preset),
        build_scope_map(scopes),
        meaning_filter=only and MeaningFilter(only),
        **given,
    )


def planned(path: Path, instructions: ImportInstructions) -> tuple[ImportPlan, list[RowRefusal]]:
    """The dry run and what it refused."""
    refusals: list[RowRefusal] = []
    made = plan_import(
        LocalFile(path), instructions, current_catalogue(), on_refusal=refusals.append
    )
    return made, refusals


def begun(path: Path, instructions: ImportInstructions) -> UUID:
    """Planned, and entered to be applied."""
    made, _ = planned(path, instructions)
    return create_import(
        LocalFile(path), instructions, name=path.name, actor="test", plan_id=made.id
    )


def imported(path: Path, instructions: ImportInstructions, work: ImportBudget = AT_ONCE) -> UUID:
    """Planned and applied."""
    import_id = begun(path, instructions)
    apply_import(import_id, LocalFile(path), work)
    return import_id


def taken_back(import_id: UUID, work: ImportBudget = AT_ONCE) -> None:
    """Undone."""
    start_undo(import_id, "test")
    undo_import(import_id, work, "test")


def stats_of(import_id: UUID) -> ImportStats:
    """What applying counted."""
    row = run_in_transaction(
        lambda c: c.execute("SELECT stats FROM list_import WHERE id = %s", (import_id,)).fetchone()
    )
    assert row
    return ImportStats.from_json(row[0])


def events(where: str = "true") -> list[tuple[Any, ...]]:
    """Kind and scope of the events, in the order they were appended."""
    query = f"SELECT kind, scope FROM event WHERE {where} ORDER BY seq"
    return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())


def books() -> list[tuple[Any, ...]]:
    """All state that decisions go by, without ids that differ from run to run."""
    query = b"""SELECT a.digest, s.scope, s.out_at, s.reason, s.lift_at, s.active, c.at
        FROM address a LEFT JOIN suppression s ON s.address_id = a.id
        LEFT JOIN consent c ON c.address_id = a.id AND c.topic = s.scope
        ORDER BY a.digest, s.scope"""
    return run_in_transaction(lambda c: c.execute(query).fetchall())


def listed(path: Path, count: int, first: int = 0) -> Path:
    """A plain list of so many addresses."""
    path.write_text("".join(f"person-{n}@example.com\n" for n in range(first, first + count)))
    return path


def email(name: str) -> Address:
    """The address of this name."""
    return parse_address(f"{name}@example.com", Channel.EMAIL)


def change(kind: EventKind, who: Address, scope: str, at: datetime) -> Change:
    """What somebody said at `at`."""
    return Change(uuid4(), kind, who, scope, at, at, "test", "test")


def allows(who: Address, message: str) -> bool:
    """Whether this message may be sent."""
    catalogue = current_catalogue()
    found = catalogue.message_type(message)
    topic = catalogue.topic(found.topic or "")
    (facts,) = load_facts([who])
    return decide(found, topic, facts, START).allow
