"""The erasure journal: a restored database erases again before it answers (I6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import (
    ConfigError,
    InvalidInput,
    JournalUnavailable,
    KeyMismatch,
    ReplayPending,
)
from preference_center.infra import audit
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import Connection, outlast_outage, run_in_transaction
from preference_center.ledger import history_loss, record, restore_gate
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.store.lookup import load_facts
from preference_center.rights.erasure import erase as erase_module
from preference_center.rights.erasure import journal, journal_store
from preference_center.rights.erasure import store as erasure_store
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.erasure.journal import (
    load_status,
    require_replayed,
    start_journal,
)
from preference_center.rights.erasure.journal_chain import read_entries
from preference_center.rights.erasure.journal_files import open_files
from preference_center.rights.erasure.replay import replay
from preference_center.rights.erasure.store import READABLE_FOR
from preference_center.rights.holds import place_hold
from preference_center.rights.rules.requests import Extent
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change
from tests.rights.erasing import (
    ADA,
    EXTERNAL_ID,
    GRACE,
    LOCALE,
    NUMBER,
    erase,
    origin,
    row,
    rows,
    store,
    tables_by_text,
    tables_with,
)
from tests.triggers import without_triggers

pytestmark = pytest.mark.owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(autouse=True)
def _context(app: Flask, folder: Path) -> Iterator[None]:
    """`app` with a journal that was begun, as each process is that starts now."""
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(folder)})
    app.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    app.extensions.pop(journal.EXTENSION_KEY, None)
    with app.app_context():
        start_journal()
        yield
    app.extensions[EXTENSION_NAME] = wired
    app.extensions.pop(journal.EXTENSION_KEY, None)


def restore(*, people: bool = True) -> None:
    """As if a backup had been restored that is from before every erasure."""
    tables = "erasure, erasure_task, erasure_journal, event, event_evidence, suppression, consent"
    tables += ", contact, contact_address, contact_external_id, address, address_key, sync_state"

    def empty(connection: Connection) -> None:
        with without_triggers(connection):
            connection.execute(f"TRUNCATE {tables}".encode())

    run_in_transaction(empty)
    if people:
        store(ADA, NUMBER)
        record([change(7, address=GRACE)])


def entries(folder: Path) -> list[tuple[int, Extent]]:
    return [(each.number, each.extent) for each in read_entries(open_files(str(folder)))]


def test_an_erasure_is_in_the_journal_before_it_is_answered(folder: Path) -> None:
    store(ADA, NUMBER)
    erase()
    erase(GRACE, extent=Extent.MARKETING)
    assert entries(folder) == [
        (1, Extent.ACCOUNT),
        (2, Extent.ACCOUNT),
        (3, Extent.MARKETING),
    ]


def test_so_is_one_of_addresses_that_are_given_by_their_ids(folder: Path) -> None:
    store()
    ids = run_in_transaction(lambda c: erasure_store.find_address_ids(c, services().keys, [ADA]))
    erase_module.erase_addresses(ids, Extent.MARKETING, origin=origin())
    assert entries(folder) == [(1, Extent.MARKETING)]


def test_the_journal_has_digests_only(folder: Path) -> None:  # I12
    store(ADA, NUMBER)
    erase()
    text = "".join(path.read_text() for path in folder.iterdir())
    assert services().keys.exact_digest(ADA).hex() in text
    for trace in ("ada@", NUMBER.exact, EXTERNAL_ID, LOCALE):
        assert trace not in text


def test_its_files_are_for_their_owner_only(folder: Path) -> None:
    store()
    erase()
    assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0, 0]


def test_what_was_not_written_is_an_error_and_is_written_later(folder: Path) -> None:
    store()
    folder.chmod(0)
    moved = folder.with_name("elsewhere")
    folder.rename(moved)
    with pytest.raises(JournalUnavailable, match="stays erased"):
        erase()
    assert tables_with("ada@example.com") == set()
    with pytest.raises(JournalUnavailable):
        erase()  # I7: a repeat finds it erased, and still not written
    moved.rename(folder)
    folder.chmod(0o700)
    tidy_erasures(services().now())
    assert entries(folder) == [(1, Extent.ACCOUNT)]


def test_a_repeat_after_a_failure_writes_it(folder: Path) -> None:
    store()
    moved = folder.with_name("elsewhere")
    folder.rename(moved)
    with pytest.raises(JournalUnavailable):
        erase()
    moved.rename(folder)
    erase()
    assert entries(folder) == [(1, Extent.ACCOUNT)]


def test_a_database_that_has_everything_is_open(client: FlaskClient) -> None:
    store()
    erase()
    require_replayed()
    status = load_status()
    assert status is not None
    assert status.problem is None
    assert client.get("/v1/changes").status_code == 401


def test_a_journal_that_answers_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # `outlast_outage`, by which streams go on, ends at ReplayPending
    monkeypatch.setattr(restore_gate, "_PATIENCE", 0.01)
    with journal._gate()._lock, pytest.raises(JournalUnavailable, match="does not answer"):
        require_replayed()
    outlast_outage(require_replayed, patience=0)


def test_a_restored_database_refuses_the_api_and_takes_opt_outs(
    client: FlaskClient, app: Flask
) -> None:
    store()
    erase()
    restore()
    for key in (journal.EXTENSION_KEY, history_loss.EXTENSION_KEY):
        app.extensions.pop(key, None)  # a process that starts after the restore
    with capture_logs() as logs:
        response = client.get("/v1/changes")
    assert [line["cause"] for line in logs if line["event"] == "unavailable"] == ["replay_pending"]
    assert response.status_code == 503
    assert response.get_json()["type"].endswith("/problems/erasures-not-replayed")
    assert "flask erasures replay" in response.get_json()["detail"]
    record([change(9, address=ADA)])  # I1


def test_a_running_process_notices_that_its_database_was_restored(clock: Clock) -> None:
    store()
    erase()
    require_replayed()
    restore()
    clock.now += CHECK_INTERVAL
    with pytest.raises(ReplayPending):
        require_replayed()


def test_an_erasure_of_a_restored_database_is_written_after_the_replay(
    app: Flask, folder: Path
) -> None:  # I6
    """It takes effect at once, and never the place of one that is missing."""
    store()
    erase()
    restore()
    app.extensions.pop(journal.EXTENSION_KEY, None)
    with pytest.raises(ReplayPending):
        erase(GRACE)
    assert tables_with("grace@example.com") == set()
    assert len(entries(folder)) == 1
    replay()
    assert tables_with("@example.com") == set()
    assert len(entries(folder)) == 2


def test_the_replay_erases_everybody_again(clock: Clock, folder: Path) -> None:  # I6
    store(ADA, NUMBER)
    erase()
    erase(GRACE, extent=Extent.MARKETING)
    restore()
    clock.now += timedelta(days=3)
    assert replay() == 3
    traces = ("ada@example.com", NUMBER.exact, EXTERNAL_ID, LOCALE, "grace@example.com")
    assert tables_by_text(*traces) == {trace: set() for trace in traces}
    assert rows("SELECT DISTINCT erased_at FROM address WHERE erased_at IS NOT NULL") == [(START,)]
    assert all(any(fact.state.opt_out for fact in facts) for facts in load_facts([ADA, GRACE]))
    clock.now += CHECK_INTERVAL
    require_replayed()
    assert [number for number, _ in entries(folder)] == [1, 2, 3]


def test_tools_have_thirty_days_from_the_replay(clock: Clock) -> None:
    """A restored tool has the person again, however long ago the erasure was."""
    store()
    erase()
    restore()
    add_destination("crm", NEWS)
    clock.now += READABLE_FOR + timedelta(days=1)
    replay()
    tidy_erasures(services().now())
    assert tables_with("ada@example.com") == {"erasure"}
    assert row("SELECT DISTINCT give_up_at FROM erasure") == (clock.now + READABLE_FOR,)


def test_a_replay_is_repeated_without_effect() -> None:  # I7
    store()
    erase()
    restore()
    assert replay() == 1
    events = row("SELECT count(*) FROM event")
    assert replay() == 0
    assert row("SELECT count(*) FROM event") == events


def test_a_replay_continues_where_it_was_interrupted() -> None:
    store()
    erase()
    erase(GRACE, extent=Extent.MARKETING)
    restore()

    def stop(number: int) -> None:
        if number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(stop)
    assert replay() == 1
    assert tables_with("@example.com") == set()


def test_new_erasures_are_numbered_after_the_replayed_ones(clock: Clock, folder: Path) -> None:
    store(ADA, NUMBER)
    erase()
    restore()
    replay()
    clock.now += CHECK_INTERVAL
    erase(GRACE)
    assert [number for number, _ in entries(folder)] == [1, 2, 3]


def test_a_person_whom_the_backup_does_not_know_stays_erased() -> None:
    """An import of the old list would bring them back otherwise."""
    store()
    erase()
    restore(people=False)
    replay()
    store()
    assert tables_with("ada@example.com") == set()


def test_a_hold_of_the_backup_does_not_stop_the_replay() -> None:
    """It had ended when the person was erased."""
    store()
    erase()
    restore()
    place_hold(ADA, "case-1", "claims in court", "counsel")
    replay()
    assert tables_with("ada@example.com") == set()


def test_a_line_that_was_altered_is_refused(folder: Path) -> None:
    store()
    erase()
    path = folder / "journal-000000000001.txt"
    path.write_text(path.read_text().replace('"account"', '"marketing"'))
    restore()
    with pytest.raises(InvalidInput, match="line 2 was altered"):
        replay()


def test_a_journal_of_other_keys_is_refused(folder: Path) -> None:
    store()
    erase()
    restore()
    found = journal.open_journal()
    assert found
    *_, last = found.after(None)
    [entry] = last.entries
    other = replace(entry, key_id="lost", erasure_id=services().new_id())
    assert found.create(last.head, [other], services().new_id())
    with pytest.raises(KeyMismatch, match="lost"):
        replay()
    assert len(entries(folder)) == 2


def make_old(folder: Path, *addresses: Address) -> None:
    """Have the journal as it was written before it was a chain, one entry a file."""
    for path in folder.iterdir():
        path.unlink()
    for number, address in enumerate(addresses, start=1):
        raw = {
            "number": number,
            "at": START.isoformat(),
            "extent": "account",
            "key": services().keys.digest_id,
            "channel": "email",
            "digest": services().keys.exact_digest(address).hex(),
            "contact": None,
        }
        text = json.dumps(raw)
        line = f"{hashlib.sha256(text.encode()).hexdigest()} {text}\n"
        (folder / f"erasures-{number:012d}-{number:012d}.txt").write_text(line)


def test_a_journal_of_before_is_replayed_and_goes_on_as_a_chain(
    folder: Path, clock: Clock
) -> None:  # I6
    store()
    make_old(folder, ADA, GRACE)
    restore()
    with pytest.raises(ReplayPending):
        require_replayed()
    assert replay() == 2
    assert tables_with("@example.com") == set()
    clock.now += CHECK_INTERVAL
    require_replayed()
    erase(NUMBER)
    clock.now += CHECK_INTERVAL
    require_replayed()
    restore()
    assert replay() == 7  # the old ones, and all in the chain, with both of the repeat
    assert tables_with("@example.com") == set()


def test_an_upgraded_database_replays_nothing_that_it_has_erased(
    folder: Path, clock: Clock
) -> None:
    """Somebody who came back meanwhile stays, and an entry that was overwritten is written."""
    store()
    erase()
    erase(GRACE)
    make_old(folder, ADA)
    run_in_transaction(
        lambda c: c.execute("UPDATE erasure_journal SET head = NULL, last_file = NULL")
    )
    assert replay() == 0
    clock.now += CHECK_INTERVAL
    require_replayed()
    digests = {entry.digest for entry in read_entries(open_files(str(folder)))}
    assert services().keys.exact_digest(GRACE) in digests


def test_erasures_of_several_processes_make_one_chain(app: Flask, folder: Path) -> None:  # I6
    people = [parse_address(f"person-{n}@example.com", Channel.EMAIL) for n in range(8)]
    record([], known_addresses=people)

    def work(address: Address) -> None:
        with app.app_context():
            erase(address)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, people))
    digests = [entry.digest for entry in read_entries(open_files(str(folder)))]
    assert sorted(filter(None, digests)) == sorted(map(services().keys.exact_digest, people))
    status = load_status()
    assert status
    assert (status.problem, status.unwritten) == (None, 0)


def test_a_file_that_another_process_is_writing_closes_nothing(app: Flask) -> None:
    """It is there before the database says so; its erasures were committed before it."""
    store()
    before = row("SELECT last_file, head FROM erasure_journal")
    erase()
    query = "UPDATE erasure_journal SET last_file = %s, head = %s"
    run_in_transaction(lambda c: c.execute(query, before))
    require_replayed()
    erase(GRACE)  # and is adopted by the next that writes
    status = load_status()
    assert status
    assert status.head
    assert (status.problem, status.head.number) == (None, 2)


def test_an_altered_journal_is_closed_and_no_fault_of_the_person_who_is_erased(
    folder: Path,
) -> None:  # I6
    store()
    erase()
    path = folder / "journal-000000000001.txt"
    path.write_text(path.read_text().replace('"account"', '"marketing"'))
    with pytest.raises(ReplayPending, match="altered"):
        require_replayed()
    with pytest.raises(JournalUnavailable, match="altered"):
        erase(GRACE)
    assert tables_with("grace@example.com") == set()


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        open_files("journal")


class Killed(BaseException):
    """As if the process had ended there."""


STEPS = [
    (erasure_store, "lock_accounts"),
    (erasure_store, "insert_erasures"),
    (erase_module, "erase_rows"),
    (erasure_store, "finish_erasures"),
    (audit, "insert_audit_entry"),
    (erasure_store, "number_entries"),
    (erase_module, "write_journal"),
    (journal_store, "lock_unwritten"),
    (journal, "write_entries"),
    (journal_store, "mark_written"),
]


@pytest.mark.parametrize("module, step", STEPS, ids=[step for _, step in STEPS])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_process_that_is_killed_leaves_all_or_nothing_and_a_repeat_ends_it(
    module: ModuleType, step: str, *, is_after: bool, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:  # I6
    store(ADA, NUMBER)
    traces = ("ada@example.com", EXTERNAL_ID, LOCALE)
    before = tables_by_text(*traces)
    real = getattr(module, step)

    def kill(*given: object, **named: object) -> None:
        if is_after:
            real(*given, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, step, kill)
        with pytest.raises(Killed):
            erase()
    left = tables_by_text(*traces)
    committed = row("SELECT count(*) FROM erasure") != (0,)
    assert left == (dict.fromkeys(before, set()) if committed else before)  # noqa: RUF024 - equal
    assert bool(rows("SELECT id FROM event")) is committed
    assert not entries(folder) or committed
    erase()
    assert tables_by_text(*traces) == {name: set() for name in traces}
    assert entries(folder) == [(1, Extent.ACCOUNT), (2, Extent.ACCOUNT)]
    assert row("SELECT count(*) FROM erasure") == (2,)
