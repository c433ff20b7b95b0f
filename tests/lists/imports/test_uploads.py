"""Imports by API: the file in the database, the work step by step by anyone who is free."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from preference_center.core.errors import ImportConflict, InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.lists import store as lists_store
from preference_center.lists.imports import uploads
from preference_center.lists.imports.apply import ImportBudget, Throttle, start_undo
from preference_center.lists.imports.uploads import (
    continue_import,
    receive_upload,
)
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.store import (
    UPLOAD_RETENTION,
    Import,
    ImportState,
    change_state,
    claim_import,
    delete_expired_parts,
    delete_parts,
    get_import,
    insert_import,
    list_due_imports,
    list_part_sizes,
    load_part,
)
from tests.clock import Clock
from tests.lists.imports.importing import AT_ONCE, books, events, instructions_for, planned

OPT_OUTS = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")

LISTED = instructions_for(
    "generic-list", ("list", ALL_MARKETING), only="opt-outs", group_column="-"
)

pytestmark = pytest.mark.usefixtures("in_force")


def entered(instructions: ImportInstructions = OPT_OUTS) -> UUID:
    import_id, now = services().new_id(), services().now()
    run_in_transaction(
        lambda c: insert_import(
            c,
            import_id,
            state=ImportState.AWAITING_FILE,
            actor="key:crm",
            name="",
            instructions=instructions.to_json(),
            now=now,
        )
    )
    return import_id


def now_as(import_id: UUID) -> Import:
    return run_in_transaction(lambda c: get_import(c, import_id))


def confirm(import_id: UUID) -> None:
    assert run_in_transaction(
        lambda c: change_state(
            c, import_id, {ImportState.PLANNED}, ImportState.APPLYING, services().now()
        )
    )


def one_chunk(size: int = 3) -> ImportBudget:
    steps = count()
    return ImportBudget(
        sleep=lambda _: None,
        throttle=Throttle(chunk_size=size),
        should_stop=lambda: next(steps) > 0,
    )


def lines(number: int) -> bytes:
    return b"".join(b"person-%d@example.com\n" % n for n in range(number))


def people(number: int, note: str = "") -> bytes:
    rows = [{"address": f"person-{n}@example.com", "note": note} for n in range(number)]
    return json.dumps(rows).encode()


def test_a_file_is_planned_applied_and_undone_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "CHUNK_SIZE", 3)
    import_id = entered()
    receive_upload(import_id, [lines(7)[:50], lines(7)[50:], b"nobody\n"])
    seen = []
    for _ in range(20):
        found = now_as(import_id)
        seen.append((found.state.value, found.position, found.undone_count))
        if found.state is ImportState.PLANNED:
            assert found.planned_stats["refused"] == 1
            assert [refusal["line"] for refusal in found.rejected_rows] == [8]
            confirm(import_id)
        elif found.state is ImportState.APPLIED:
            start_undo(import_id, "key:crm")
        elif found.state is ImportState.UNDONE:
            break
        continue_import(import_id, one_chunk())

    assert ("uploaded", 3, 0) in seen
    assert ("applying", 3, 0) in seen
    assert ("undoing", 8, 3) in seen
    assert len(events("kind = 'opted_out'")) == len(events("kind = 'retracted'")) == 7


def test_the_plan_of_an_upload_is_that_of_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(lines(5))
    import_id = entered()
    receive_upload(import_id, [lines(5)])
    continue_import(import_id, AT_ONCE)

    made, _ = planned(path, OPT_OUTS)
    found = now_as(import_id)
    assert found.plan == made.id
    assert made.stats.to_json().items() <= dict(found.planned_stats).items()


def test_nothing_of_the_file_can_be_read_in_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # I6, and a file that is applied is gone
    monkeypatch.setattr(lists_store, "PART_BYTES", 8_000)
    import_id = entered()
    receive_upload(import_id, [lines(500)])
    contents = run_in_transaction(
        lambda c: c.execute("SELECT content FROM list_import_part").fetchall()
    )
    assert len(contents) == 2
    assert not any(b"example" in content for (content,) in contents)

    continue_import(import_id, AT_ONCE)
    confirm(import_id)
    continue_import(import_id, AT_ONCE)
    assert len(events()) == 500
    assert run_in_transaction(lambda c: list_part_sizes(c, import_id, 0)) == []


def test_a_group_without_a_scope_makes_it_unusable_until_it_is_named() -> None:
    import_id = entered(instructions_for("addresses", only="opt-outs"))
    receive_upload(import_id, [lines(2)])
    continue_import(import_id, AT_ONCE)
    found = now_as(import_id)
    assert found.state is ImportState.UNUSABLE
    assert '"list"' in found.problem
    assert "--" not in found.problem  # nobody who uses the API has options
    assert found.planned_stats["groups"] == [
        {"meaning": "opt_out", "group": "list", "count": 2, "unmapped": True}
    ]

    run_in_transaction(lambda c: uploads.replace_instructions(c, import_id, OPT_OUTS))
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.PLANNED


def test_one_whose_preset_is_gone_fails_with_the_reason_and_can_be_changed() -> None:
    import_id = entered()
    receive_upload(import_id, [lines(2)])
    with_preset_of_plugin = OPT_OUTS.to_json() | {"preset": "pigeon-contacts"}
    run_in_transaction(
        lambda c: lists_store.update_import(
            c, import_id, {"instructions": Jsonb(with_preset_of_plugin)}
        )
    )
    continue_import(import_id, AT_ONCE)
    found = now_as(import_id)
    assert (found.state, found.plan) == (ImportState.UNUSABLE, "")
    assert "no such preset" in found.problem
    run_in_transaction(lambda c: uploads.replace_instructions(c, import_id, OPT_OUTS))
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.PLANNED


def test_a_damaged_gzip_file_is_refused_and_can_be_sent_again() -> None:
    import_id = entered()
    with pytest.raises(InvalidInput, match="gzip file is damaged or cut short"):
        receive_upload(import_id, [gzip.compress(lines(2))[:-4]])
    assert now_as(import_id).state is ImportState.AWAITING_FILE

    receive_upload(import_id, [gzip.compress(lines(2))])
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.PLANNED


def test_a_gzip_file_is_kept_unpacked_so_that_it_is_read_on_and_not_again() -> None:
    import_id, content = entered(), lines(2)
    packed = gzip.compress(content)
    found = receive_upload(import_id, [packed[:1], packed[1:7], packed[7:]])
    assert found.digest == sha256(packed).digest()
    assert found.size_bytes == len(content)
    assert run_in_transaction(lambda c: load_part(c, import_id, 0)) == content


def test_a_damaged_document_is_refused_and_can_be_sent_again() -> None:
    import_id, document = entered(LISTED), people(3)
    with pytest.raises(InvalidInput, match="damaged after its row 3"):
        receive_upload(import_id, [document[:-1]])
    assert now_as(import_id).state is ImportState.AWAITING_FILE

    receive_upload(import_id, [document])
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.PLANNED


def test_a_tick_reads_no_more_of_a_document_the_further_it_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists_store, "PART_BYTES", 10_000)
    monkeypatch.setattr(uploads, "CHUNK_SIZE", 30)
    read, numbers = load_part, list[int]()

    def counted(connection: Connection, import_id: UUID, number: int) -> bytes:
        numbers.append(number)
        return read(connection, import_id, number)

    monkeypatch.setattr(lists_store, "load_part", counted)
    import_id, document = entered(LISTED), people(300, note="x" * 2_000)
    found = receive_upload(import_id, [document])
    assert found.digest == sha256(document).digest()
    ticks: dict[ImportState, list[int]] = {ImportState.UPLOADED: [], ImportState.APPLYING: []}
    while (found := now_as(import_id)).state is not ImportState.APPLIED:
        if found.state is ImportState.PLANNED:
            confirm(import_id)
            continue
        numbers.clear()
        continue_import(import_id, one_chunk(30))
        ticks[found.state].append(len(numbers))

    assert len(events("kind = 'opted_out'")) == 300
    for parts in ticks.values():
        assert len(parts) >= 10
        # 30 rows are in 8 parts at most, and the first part has what kind of file it is.
        assert max(parts) <= 9


def test_a_process_that_another_overtook_stops_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen while it applied a file; the other finished, so the file is gone."""
    monkeypatch.setattr(lists_store, "PART_BYTES", 100)
    import_id = entered()
    receive_upload(import_id, [lines(40)])
    continue_import(import_id, AT_ONCE)
    confirm(import_id)
    read = load_part

    def overtaken(connection: Connection, import_id: UUID, number: int) -> bytes:
        if number == 3:
            delete_parts(connection, import_id)
        return read(connection, import_id, number)

    monkeypatch.setattr(lists_store, "load_part", overtaken)
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.APPLYING


def test_a_process_that_another_overtook_before_it_read_stops_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_id = entered()
    receive_upload(import_id, [lines(4)])
    continue_import(import_id, AT_ONCE)
    confirm(import_id)
    list_sizes = list_part_sizes

    def overtaken(connection: Connection, import_id: UUID, size: int) -> list[int]:
        delete_parts(connection, import_id)
        return list_sizes(connection, import_id, size)

    monkeypatch.setattr(lists_store, "list_part_sizes", overtaken)
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).state is ImportState.APPLYING


def test_an_empty_upload_is_refused_with_the_reason() -> None:
    import_id = entered()
    receive_upload(import_id, [])
    continue_import(import_id, AT_ONCE)
    assert "empty" in (now_as(import_id).problem or "")


def test_an_upload_in_utf16_is_applied_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK_SIZE", 3)
    import_id, content = entered(), lines(7).decode().replace("\n", "\r").encode("utf-16")
    receive_upload(import_id, [content[:9], content[9:]])
    while now_as(import_id).state is ImportState.UPLOADED:
        continue_import(import_id, one_chunk(3))
    confirm(import_id)
    while now_as(import_id).state is ImportState.APPLYING:
        continue_import(import_id, one_chunk(3))
    assert len(events("kind = 'opted_out'")) == 7


def test_a_refusal_names_the_row_of_a_document() -> None:
    import_id = entered(LISTED)
    receive_upload(import_id, [b'[{"address": "a@example.com"},\n\n{"address": "nobody"}, 3]'])
    continue_import(import_id, AT_ONCE)
    assert [refusal["line"] for refusal in now_as(import_id).rejected_rows] == [2, 3]


def test_an_upload_that_breaks_off_can_be_sent_again() -> None:
    import_id = entered()

    def broken() -> Iterator[bytes]:
        yield lines(3)
        raise OSError("the client went away")

    with pytest.raises(OSError, match="went away"):
        receive_upload(import_id, broken())
    assert now_as(import_id).state is ImportState.AWAITING_FILE

    receive_upload(import_id, [lines(2)])
    continue_import(import_id, AT_ONCE)
    assert now_as(import_id).planned_stats["rows"] == 2


def test_the_file_of_an_import_that_is_applied_stays_as_it_is() -> None:
    import_id = entered()
    receive_upload(import_id, [lines(3)])
    continue_import(import_id, AT_ONCE)
    confirm(import_id)

    with pytest.raises(ImportConflict, match="can't be replaced"):
        receive_upload(import_id, [lines(9)])


def test_two_workers_do_not_do_one_import(clock: Clock) -> None:
    import_id = entered()
    receive_upload(import_id, [lines(3)])
    continue_import(import_id, AT_ONCE)
    confirm(import_id)
    run_in_transaction(lambda c: claim_import(c, import_id, UUID(int=5), clock()))
    assert run_in_transaction(lambda c: list_due_imports(c, clock())) == []
    continue_import(import_id, AT_ONCE)
    assert books() == []

    clock.advance(timedelta(seconds=61))  # the other one died
    assert run_in_transaction(lambda c: list_due_imports(c, clock())) == [import_id]
    continue_import(import_id, AT_ONCE)
    assert len(events()) == 3


def test_files_that_nobody_applies_are_forgotten(clock: Clock) -> None:
    import_id = entered()
    receive_upload(import_id, [lines(3)])
    continue_import(import_id, AT_ONCE)
    clock.advance(UPLOAD_RETENTION + timedelta(minutes=1))

    assert run_in_transaction(lambda c: delete_expired_parts(c, clock() - UPLOAD_RETENTION)) == 1
    assert now_as(import_id).state is ImportState.AWAITING_FILE
