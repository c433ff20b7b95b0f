"""Imports by API: the file in the database, the work step by step by whoever is free."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.imports import Instructions
from preference_center.errors import ImportMoved, InvalidInput
from preference_center.extensions import services
from preference_center.imports import uploads
from preference_center.imports.budget import Work
from preference_center.imports.throttle import Pace
from preference_center.imports.undo import begin_undo
from preference_center.imports.uploads import KEPT, go_on, receive
from preference_center.storage.db.database import Connection, run
from preference_center.storage.imports import import_jobs, plans, uploaded_parts
from preference_center.storage.imports.import_jobs import Import, State
from tests.clock import Clock
from tests.imports.importing import AT_ONCE, books, events, planned, saying

OPT_OUTS = saying("addresses", ("list", ALL_MARKETING), only="opt-outs")

LISTED = saying("generic-list", ("list", ALL_MARKETING), only="opt-outs")

pytestmark = pytest.mark.usefixtures("in_force")


def entered(instructions: Instructions = OPT_OUTS) -> UUID:
    import_id, now = services().new_id(), services().now()
    run(
        lambda c: import_jobs.add(
            c,
            import_id,
            state=State.AWAITING_FILE,
            actor="key:crm",
            name="",
            instructions=instructions.to_json(),
            now=now,
        )
    )
    return import_id


def now_as(import_id: UUID) -> Import:
    return run(lambda c: import_jobs.by_id(c, import_id))


def confirm(import_id: UUID) -> None:
    assert run(
        lambda c: import_jobs.move(c, import_id, {State.PLANNED}, State.APPLYING, services().now())
    )


def one_chunk(size: int = 3) -> Work:
    steps = count()
    return Work(pause=lambda _: None, pace=Pace(size=size), stop=lambda: next(steps) > 0)


def lines(number: int) -> bytes:
    return b"".join(b"person-%d@example.com\n" % n for n in range(number))


def people(number: int, note: str = "") -> bytes:
    rows = [{"address": f"person-{n}@example.com", "note": note} for n in range(number)]
    return json.dumps(rows).encode()


def test_a_file_is_planned_applied_and_undone_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "CHUNK", 3)
    import_id = entered()
    receive(import_id, [lines(7)[:50], lines(7)[50:], b"nobody\n"])
    seen = []
    for _ in range(20):
        found = now_as(import_id)
        seen.append((found.state.value, found.position, found.undone))
        if found.state is State.PLANNED:
            assert found.planned["refused"] == 1
            assert [refusal["line"] for refusal in found.refusals] == [8]
            confirm(import_id)
        elif found.state is State.APPLIED:
            begin_undo(import_id, "key:crm")
        elif found.state is State.UNDONE:
            break
        go_on(import_id, one_chunk())

    assert ("uploaded", 3, 0) in seen
    assert ("applying", 3, 0) in seen
    assert ("undoing", 8, 3) in seen
    assert len(events("kind = 'opted_out'")) == len(events("kind = 'retracted'")) == 7


def test_the_plan_of_an_upload_is_that_of_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(lines(5))
    import_id = entered()
    receive(import_id, [lines(5)])
    go_on(import_id, AT_ONCE)

    made, _ = planned(path, OPT_OUTS)
    found = now_as(import_id)
    assert found.plan == made.name
    assert made.tally.to_json().items() <= dict(found.planned).items()


def test_nothing_of_the_file_can_be_read_in_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # I6, and a file that is applied is gone
    monkeypatch.setattr(uploaded_parts, "PART", 8_000)
    import_id = entered()
    receive(import_id, [lines(500)])
    contents = run(lambda c: c.execute("SELECT content FROM list_import_part").fetchall())
    assert len(contents) == 2
    assert not any(b"example" in content for (content,) in contents)

    go_on(import_id, AT_ONCE)
    confirm(import_id)
    go_on(import_id, AT_ONCE)
    assert len(events()) == 500
    assert run(lambda c: uploaded_parts.sizes(c, import_id)) == []


def test_a_group_without_a_scope_makes_it_unusable_until_it_is_named() -> None:
    import_id = entered(saying("addresses", only="opt-outs"))
    receive(import_id, [lines(2)])
    go_on(import_id, AT_ONCE)
    found = now_as(import_id)
    assert found.state is State.UNUSABLE
    assert '"list"' in found.problem
    assert "--" not in found.problem  # nobody who uses the API has options
    assert found.planned["groups"] == [
        {"says": "opt_out", "group": "list", "count": 2, "unmapped": True}
    ]

    run(lambda c: plans.plan_anew(c, import_id, State.UPLOADED, OPT_OUTS.to_json()))
    go_on(import_id, AT_ONCE)
    assert now_as(import_id).state is State.PLANNED


def test_a_damaged_gzip_file_is_refused_and_can_be_sent_again() -> None:
    import_id = entered()
    with pytest.raises(InvalidInput, match="gzip file is damaged or cut short"):
        receive(import_id, [gzip.compress(lines(2))[:-4]])
    assert now_as(import_id).state is State.AWAITING_FILE

    receive(import_id, [gzip.compress(lines(2))])
    go_on(import_id, AT_ONCE)
    assert now_as(import_id).state is State.PLANNED


def test_a_gzip_file_is_kept_unpacked_so_that_it_is_read_on_and_not_again() -> None:
    import_id, content = entered(), lines(2)
    packed = gzip.compress(content)
    found = receive(import_id, [packed[:1], packed[1:7], packed[7:]])
    assert found.digest == sha256(packed).digest()
    assert found.octets == len(content)
    assert run(lambda c: uploaded_parts.read(c, import_id, 0)) == content


def test_a_damaged_document_is_refused_and_can_be_sent_again() -> None:
    import_id, document = entered(LISTED), people(3)
    with pytest.raises(InvalidInput, match="damaged after its row 3"):
        receive(import_id, [document[:-1]])
    assert now_as(import_id).state is State.AWAITING_FILE

    receive(import_id, [document])
    go_on(import_id, AT_ONCE)
    assert now_as(import_id).state is State.PLANNED


def test_a_tick_reads_no_more_of_a_document_the_further_it_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploaded_parts, "PART", 10_000)
    monkeypatch.setattr(uploads, "CHUNK", 30)
    read, numbers = uploaded_parts.read, list[int]()

    def counted(connection: Connection, import_id: UUID, number: int) -> bytes:
        numbers.append(number)
        return read(connection, import_id, number)

    monkeypatch.setattr(uploaded_parts, "read", counted)
    import_id, document = entered(LISTED), people(300, note="x" * 2_000)
    found = receive(import_id, [document])
    assert found.digest == sha256(document).digest()
    ticks: dict[State, list[int]] = {State.UPLOADED: [], State.APPLYING: []}
    while (found := now_as(import_id)).state is not State.APPLIED:
        if found.state is State.PLANNED:
            confirm(import_id)
            continue
        numbers.clear()
        go_on(import_id, one_chunk(30))
        ticks[found.state].append(len(numbers))

    assert len(events("kind = 'opted_out'")) == 300
    for parts in ticks.values():
        assert len(parts) >= 10
        # 30 rows are in 8 parts at most, and the first part says what kind of file it is.
        assert max(parts) <= 9


def test_a_process_that_another_overtook_stops_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen while it applied a file; the other finished, so the file is gone."""
    monkeypatch.setattr(uploaded_parts, "PART", 100)
    import_id = entered()
    receive(import_id, [lines(40)])
    go_on(import_id, AT_ONCE)
    confirm(import_id)
    read = uploaded_parts.read

    def overtaken(connection: Connection, import_id: UUID, number: int) -> bytes:
        if number == 3:
            uploaded_parts.forget(connection, import_id)
        return read(connection, import_id, number)

    monkeypatch.setattr(uploaded_parts, "read", overtaken)
    go_on(import_id, AT_ONCE)
    assert now_as(import_id).state is State.APPLYING


def test_a_refusal_names_the_row_of_a_document() -> None:
    import_id = entered(LISTED)
    receive(import_id, [b'[{"address": "a@example.com"},\n\n{"address": "nobody"}, 3]'])
    go_on(import_id, AT_ONCE)
    assert [refusal["line"] for refusal in now_as(import_id).refusals] == [2, 3]


def test_an_upload_that_breaks_off_can_be_sent_again() -> None:
    import_id = entered()

    def broken() -> object:
        yield lines(3)
        raise OSError("the client went away")

    with pytest.raises(OSError, match="went away"):
        receive(import_id, broken())  # type: ignore[arg-type]
    assert now_as(import_id).state is State.AWAITING_FILE

    receive(import_id, [lines(2)])
    go_on(import_id, AT_ONCE)
    assert now_as(import_id).planned["rows"] == 2


def test_the_file_of_an_import_that_is_applied_stays_as_it_is() -> None:
    import_id = entered()
    receive(import_id, [lines(3)])
    go_on(import_id, AT_ONCE)
    confirm(import_id)

    with pytest.raises(ImportMoved, match="can't be replaced"):
        receive(import_id, [lines(9)])


def test_two_workers_do_not_do_one_import(clock: Clock) -> None:
    import_id = entered()
    receive(import_id, [lines(3)])
    go_on(import_id, AT_ONCE)
    confirm(import_id)
    until = clock() + timedelta(seconds=60)
    run(lambda c: import_jobs.take(c, import_id, UUID(int=5), now=clock(), until=until))
    assert run(lambda c: import_jobs.due(c, clock())) == []
    go_on(import_id, AT_ONCE)
    assert books() == []

    clock.advance(timedelta(seconds=61))  # the other one died
    assert run(lambda c: import_jobs.due(c, clock())) == [import_id]
    go_on(import_id, AT_ONCE)
    assert len(events()) == 3


def test_files_that_nobody_applies_are_forgotten(clock: Clock) -> None:
    import_id = entered()
    receive(import_id, [lines(3)])
    go_on(import_id, AT_ONCE)
    clock.advance(KEPT + timedelta(minutes=1))

    assert run(lambda c: uploaded_parts.expire(c, clock() - KEPT)) == 1
    assert now_as(import_id).state is State.AWAITING_FILE
