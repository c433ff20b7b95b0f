"""Imports, as tests make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from preference_center.domain.imports import Instructions, Only, Refusal, Tally, scope_map
from preference_center.imports.apply import apply, begin
from preference_center.imports.budget import Work
from preference_center.imports.plan import Plan, plan
from preference_center.imports.sources import LocalFile
from preference_center.imports.undo import begin_undo, undo
from preference_center.integrations.import_presets import preset as by_name
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run

AT_ONCE = Work(pause=lambda _: None)


def saying(preset: str, *scopes: tuple[str, str], **given: Any) -> Instructions:
    """Instructions for a file of this preset."""
    only = given.pop("only", None)
    return Instructions(by_name(preset), scope_map(scopes), only=only and Only(only), **given)


def planned(path: Path, instructions: Instructions) -> tuple[Plan, list[Refusal]]:
    """The dry run and what it refused."""
    refusals: list[Refusal] = []
    made = plan(LocalFile(path), instructions, current_catalogue(), refused=refusals.append)
    return made, refusals


def begun(path: Path, instructions: Instructions) -> UUID:
    """Planned, and entered to be applied."""
    made, _ = planned(path, instructions)
    return begin(LocalFile(path), instructions, name=path.name, actor="test", plan=made.name)


def imported(path: Path, instructions: Instructions, work: Work = AT_ONCE) -> UUID:
    """Planned and applied."""
    import_id = begun(path, instructions)
    apply(import_id, LocalFile(path), work)
    return import_id


def taken_back(import_id: UUID, work: Work = AT_ONCE) -> None:
    """Undone."""
    begin_undo(import_id, "test")
    undo(import_id, work, "test")


def tally_of(import_id: UUID) -> Tally:
    """What applying counted."""
    row = run(
        lambda c: c.execute("SELECT tally FROM list_import WHERE id = %s", (import_id,)).fetchone()
    )
    assert row
    return Tally.from_json(row[0])


def events(where: str = "true") -> list[tuple[Any, ...]]:
    """Kind and scope of the events, in the order they were appended."""
    query = f"SELECT kind, scope FROM event WHERE {where} ORDER BY seq"
    return run(lambda c: c.execute(query.encode()).fetchall())


def books() -> list[tuple[Any, ...]]:
    """All state that decisions go by, without ids that differ from run to run."""
    query = b"""SELECT a.digest, s.scope, s.out_at, s.reason, s.lift_at, s.standing, c.at
        FROM address a LEFT JOIN suppression s ON s.address_id = a.id
        LEFT JOIN consent c ON c.address_id = a.id AND c.topic = s.scope
        ORDER BY a.digest, s.scope"""
    return run(lambda c: c.execute(query).fetchall())


def listed(path: Path, count: int, first: int = 0) -> Path:
    """A plain list of so many addresses."""
    path.write_text("".join(f"person-{n}@example.com\n" for n in range(first, first + count)))
    return path
