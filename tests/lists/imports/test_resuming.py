"""An import goes on where it stopped, once, and in one process at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from preference_center.core.errors import ImportConflict
from preference_center.core.events import ALL_MARKETING
from preference_center.lists import store as lists_store
from preference_center.lists.imports.apply import ImportBudget, Throttle, apply_import
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.store import claim_import
from tests.clock import Clock
from tests.lists.imports.importing import (
    AT_ONCE,
    begun,
    events,
    imported,
    instructions_for,
    listed,
    stats_of,
    taken_back,
)

ALL = ("list", ALL_MARKETING)

pytestmark = pytest.mark.usefixtures("in_force")


def test_the_same_plan_is_not_applied_twice(tmp_path: Path) -> None:
    path, instructions = (
        listed(tmp_path / "list", 3),
        instructions_for("addresses", ALL, only="opt-outs"),
    )
    import_id = imported(path, instructions)
    with pytest.raises(ImportConflict, match=str(import_id)):
        begun(path, instructions)

    taken_back(import_id)
    assert stats_of(imported(path, instructions)).total_new == 3


def test_an_import_goes_on_where_it_stopped(tmp_path: Path, clock: Clock) -> None:
    path, instructions = (
        listed(tmp_path / "list", 10),
        instructions_for("addresses", ALL, only="opt-outs"),
    )
    import_id = begun(path, instructions)
    stops = iter((False, False, True))
    half = ImportBudget(
        sleep=lambda _: None, throttle=Throttle(chunk_size=3), should_stop=lambda: next(stops)
    )

    assert apply_import(import_id, LocalFile(path), half).position == 9
    assert len(events()) == 9
    apply_import(import_id, LocalFile(path), AT_ONCE)

    assert len(events()) == 10
    assert stats_of(import_id).total_new == 10


def test_a_file_that_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    path, instructions = (
        listed(tmp_path / "list", 3),
        instructions_for("addresses", ALL, only="opt-outs"),
    )
    import_id = begun(path, instructions)
    listed(path, 4)

    with pytest.raises(ImportConflict, match="changed"):
        apply_import(import_id, LocalFile(path), AT_ONCE)
    assert events() == []


def test_only_one_process_is_at_work_unless_the_other_is_put_out(tmp_path: Path) -> None:
    path, instructions = (
        listed(tmp_path / "list", 9),
        instructions_for("addresses", ALL, only="opt-outs"),
    )
    import_id = begun(path, instructions)

    def meanwhile(_: object) -> None:
        with pytest.raises(ImportConflict, match="another process"):
            apply_import(import_id, LocalFile(path), AT_ONCE)
        apply_import(import_id, LocalFile(path), AT_ONCE, ignore_lease=True)

    slow = ImportBudget(
        sleep=lambda _: None, throttle=Throttle(chunk_size=3), on_progress=meanwhile
    )
    with pytest.raises(ImportConflict, match="taken over"):
        apply_import(import_id, LocalFile(path), slow)

    assert len(events()) == 9
    assert stats_of(import_id).total_new == 9


def test_the_pace_never_goes_beyond_its_bounds() -> None:
    pace = Throttle(target_seconds=0.2, max_load=0.5, chunk_size=500)
    assert pace.next_pause(0.1) == pytest.approx(0.1)
    assert pace.chunk_size == 1000
    for _ in range(5):
        pace.next_pause(0.0)
    assert pace.chunk_size == 5_000
    pace.next_pause(60.0)
    assert pace.chunk_size == 100


def test_one_that_another_process_has_brought_to_its_end_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, instructions = (
        listed(tmp_path / "list", 3),
        instructions_for("addresses", ALL, only="opt-outs"),
    )
    import_id = begun(path, instructions)
    take = claim_import

    def late(*args: Any, **given: Any) -> bool:
        monkeypatch.setattr(lists_store, "claim_import", take)
        apply_import(import_id, LocalFile(path), AT_ONCE)
        return take(*args, **given)

    monkeypatch.setattr(lists_store, "claim_import", late)
    with pytest.raises(ImportConflict, match="nothing to continue"):
        apply_import(import_id, LocalFile(path), AT_ONCE)
    assert len(events()) == 3
