"""Undo takes back what an import added, and nothing else (I5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ImportConflict, UnknownImport
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.lists.imports.apply import (
    ImportBudget,
    Throttle,
    apply_import,
    start_undo,
    undo_import,
)
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.imports.uploads import continue_import
from preference_center.lists.store import ImportState, list_due_imports
from tests.clock import Clock
from tests.ledger.oracle import Oracle
from tests.ledger.states import rows_of
from tests.lists.imports.importing import (
    AT_ONCE,
    begun,
    books,
    events,
    imported,
    instructions_for,
    listed,
    planned,
    stats_of,
    taken_back,
)

NEWS = "acme.news"
OPT_OUTS = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")
PEOPLE = [parse_address(f"person-{n}@example.com", Channel.EMAIL) for n in range(4)]

pytestmark = pytest.mark.usefixtures("in_force")


def click(number: int, kind: EventKind, scope: str, clock: Clock) -> Change:
    now = clock()
    own = kind is EventKind.OPTED_OUT
    return Change(uuid4(), kind, PEOPLE[number], scope, now, now, "test", "test", own_act=own)


def test_undo_leaves_the_books_as_they_were(tmp_path: Path, clock: Clock) -> None:
    record(
        [
            click(0, EventKind.OPTED_OUT, NEWS, clock),
            click(1, EventKind.OPTED_IN, ALL_MARKETING, clock),
        ]
    )
    before = books()
    clock.advance(timedelta(minutes=1))
    import_id = imported(listed(tmp_path / "list", 4), OPT_OUTS)
    taken_back(import_id)

    assert [row for row in books() if row[1] is not None] == before


def test_the_worker_goes_on_with_an_undo_whose_file_is_not_stored(
    tmp_path: Path, clock: Clock
) -> None:
    import_id = imported(listed(tmp_path / "list", 4), OPT_OUTS)
    assert run_in_transaction(lambda c: list_due_imports(c, clock())) == []
    start_undo(import_id, "staff:1")
    assert run_in_transaction(lambda c: list_due_imports(c, clock())) == [import_id]
    continue_import(import_id, AT_ONCE)
    assert len(events("kind = 'retracted'")) == 4
    assert run_in_transaction(lambda c: list_due_imports(c, clock())) == []


def test_what_people_did_since_stands(tmp_path: Path, clock: Clock) -> None:
    import_id = imported(listed(tmp_path / "list", 4), OPT_OUTS)
    clock.advance(timedelta(hours=1))
    record(
        [
            click(0, EventKind.OPTED_OUT, ALL_MARKETING, clock),
            click(1, EventKind.OPTED_OUT, NEWS, clock),
            click(2, EventKind.OPTED_IN, NEWS, clock),
        ]
    )
    taken_back(import_id)

    change = {who: {scope: row.reason for scope, row in rows_of(who).items()} for who in PEOPLE}
    assert change == {
        PEOPLE[0]: {ALL_MARKETING: "opted_out"},
        PEOPLE[1]: {NEWS: "opted_out"},
        PEOPLE[2]: {NEWS: None},
        PEOPLE[3]: {},
    }


KINDS = [EventKind.OPTED_OUT, EventKind.OPTED_IN]
ACTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(KINDS), st.sampled_from([NEWS, ALL_MARKETING])),
    max_size=5,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=ACTS, since=ACTS)
def test_an_undone_import_might_as_well_never_have_been(
    tmp_path: Path,
    clock: Clock,
    before: Sequence[tuple[int, EventKind, str]],
    since: Sequence[tuple[int, EventKind, str]],
) -> None:
    # The oracle knows nothing of the import; addresses of each example are its own.
    fresh = uuid4().hex
    people = [parse_address(f"{fresh}-{n}@example.com", Channel.EMAIL) for n in range(4)]
    path = tmp_path / fresh
    path.write_text("".join(f"{fresh}-{n}@example.com\n" for n in range(4)))
    history: list[Change] = []

    def act(acts: Sequence[tuple[int, EventKind, str]]) -> None:
        for number, kind, scope in acts:
            now = clock.advance(timedelta(minutes=20))
            change = Change(uuid4(), kind, people[number], scope, now, now, "test", "test")
            history.append(change)
            record([change])

    act(before)
    import_id = imported(path, OPT_OUTS)
    act(since)
    taken_back(import_id)

    oracle = Oracle(history, clock())
    assert [rows_of(who) for who in people] == [oracle.rows(who) for who in people]


def test_undo_goes_on_where_it_stopped_and_counts_once(tmp_path: Path) -> None:
    import_id = imported(listed(tmp_path / "list", 9), OPT_OUTS)
    start_undo(import_id, "test")
    stops = iter((False, True))
    half = ImportBudget(
        sleep=lambda _: None, throttle=Throttle(chunk_size=4), should_stop=lambda: next(stops)
    )

    assert undo_import(import_id, half, "test").undone_count == 4
    assert undo_import(import_id, AT_ONCE, "test").undone_count == 9
    assert len(events("kind = 'retracted'")) == 9


def test_undo_stops_an_import_that_is_still_being_applied(tmp_path: Path) -> None:
    path = listed(tmp_path / "list", 9)
    import_id = begun(path, OPT_OUTS)
    budget = ImportBudget(
        sleep=lambda _: None,
        throttle=Throttle(chunk_size=3),
        on_progress=lambda _: taken_back(import_id),
    )
    with pytest.raises(ImportConflict, match="being undone"):
        apply_import(import_id, LocalFile(path), budget)

    assert len(events("kind = 'retracted'")) == len(events("kind = 'opted_out'")) == 3


@pytest.mark.parametrize("state", ["twice", "unknown", "planned"])
def test_undo_that_can_t_be_gives_the_reason(tmp_path: Path, state: str) -> None:
    import_id = imported(listed(tmp_path / "list", 2), OPT_OUTS)
    if state == "twice":
        taken_back(import_id)
        with pytest.raises(ImportConflict, match="undone already"):
            start_undo(import_id, "test")
    elif state == "unknown":
        with pytest.raises(UnknownImport):
            start_undo(UUID(int=7), "test")
    else:
        run_in_transaction(lambda c: c.execute("UPDATE list_import SET state = 'planned'"))
        with pytest.raises(ImportConflict, match="nothing of it was applied"):
            start_undo(import_id, "test")


def test_an_import_that_another_one_leans_on_is_not_undone_under_it(tmp_path: Path) -> None:
    # I5: else people on both lists would lose the "no" that only the first one recorded
    first = imported(listed(tmp_path / "one", 3), OPT_OUTS)
    second = imported(listed(tmp_path / "two", 3, first=1), OPT_OUTS)
    assert stats_of(second).total_already_present == 2
    with pytest.raises(ImportConflict, match=str(second)):
        start_undo(first, "test")

    taken_back(second)
    taken_back(first)
    imported(tmp_path / "two", OPT_OUTS)
    assert [rows_of(who)[ALL_MARKETING].reason for who in PEOPLE[1:]] == ["opted_out"] * 3


def test_neither_is_one_that_an_import_under_way_leans_on(tmp_path: Path) -> None:
    # I5: the rows it has skipped are skipped, wherever it stopped, and until it is undone itself
    first = imported(listed(tmp_path / "one", 3), OPT_OUTS)
    path = listed(tmp_path / "two", 3, first=1)
    second = begun(path, OPT_OUTS)
    stops = iter((False, True))
    one_row = ImportBudget(
        sleep=lambda _: None, throttle=Throttle(chunk_size=1), should_stop=lambda: next(stops)
    )
    assert apply_import(second, LocalFile(path), one_row).state is ImportState.APPLYING
    with pytest.raises(ImportConflict, match=str(second)):
        start_undo(first, "test")

    start_undo(second, "test")
    with pytest.raises(ImportConflict, match=str(second)):
        start_undo(first, "test")
    undo_import(second, AT_ONCE, "test")
    taken_back(first)


def test_what_is_being_undone_does_not_count_as_there(tmp_path: Path) -> None:
    first = imported(listed(tmp_path / "one", 3), OPT_OUTS)
    start_undo(first, "test")
    made, _ = planned(listed(tmp_path / "two", 3, first=1), OPT_OUTS)

    assert (made.stats.total_new, made.stats.total_already_present) == (3, 0)


def test_rows_count_anew_if_what_they_lean_on_is_undone_while_they_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = imported(listed(tmp_path / "one", 3), OPT_OUTS)
    path = listed(tmp_path / "two", 3, first=1)
    second = begun(path, OPT_OUTS)
    from preference_center.lists.imports import apply as applying

    once = iter((True,))

    def late(*args: object, **given: object) -> object:
        if next(once, False):  # evaluated already, and not yet recorded
            start_undo(first, "test")
        return record(*args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(applying, "record", late)
    apply_import(second, LocalFile(path), AT_ONCE)
    undo_import(first, AT_ONCE, "test")

    assert stats_of(second).total_new == 3
    assert [rows_of(who)[ALL_MARKETING].reason for who in PEOPLE[1:]] == ["opted_out"] * 3


def test_destinations_hear_of_an_undo_as_of_everything_else(tmp_path: Path) -> None:
    from tests.ledger.changes import add_destination, waiting

    add_destination("mailer", NEWS)
    taken_back(imported(listed(tmp_path / "list", 1), OPT_OUTS))

    assert set(waiting(PEOPLE[0])) == {"mailer"}
