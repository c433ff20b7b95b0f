"""The erasure journal: a restored database erases again before it answers (I6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.core.errors import (
    ConfigError,
    InvalidInput,
    JournalUnavailable,
    KeyMismatch,
    ReplayPending,
)
from preference_center.infra import audit
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from preference_center.rights.erasure import erase as erase_module
from preference_center.rights.erasure import journal
from preference_center.rights.erasure import store as erasure_store
from preference_center.rights.erasure.erase import replay, tidy_erasures
from preference_center.rights.erasure.journal import (
    load_status,
    open_files,
    read_entries,
    require_replayed,
)
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
    """`app` with a journal, as each process is that starts now."""
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(folder)})
    app.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    app.extensions.pop(journal.EXTENSION_KEY, None)
    with app.app_context():
        yield
    app.extensions[EXTENSION_NAME] = wired
    app.extensions.pop(journal.EXTENSION_KEY, None)


def restore(people: bool = True) -> None:  # noqa: FBT001, FBT002
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
    return [(each.number, each.extent) for each in read_entries(open_files(str(folder)), 0)]


def test_an_erasure_is_in_the_journal_before_it_is_answered(folder: Path) -> None:
    store(ADA, NUMBER)
    erase()
    erase(GRACE, extent=Extent.MARKETING)
    assert entries(folder) == [
        (1, Extent.ACCOUNT),
        (2, Extent.ACCOUNT),
        (3, Extent.MARKETING),
    ]


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
    assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0]


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
    assert not status.needs_replay
    assert client.get("/v1/changes").status_code == 401


def test_a_restored_database_refuses_the_api_and_takes_opt_outs(
    client: FlaskClient, app: Flask
) -> None:
    store()
    erase()
    restore()
    app.extensions.pop(journal.EXTENSION_KEY, None)  # a process that starts after the restore
    response = client.get("/v1/changes")
    assert response.status_code == 503
    assert response.get_json()["type"].endswith("/problems/erasures-not-replayed")
    assert "flask erasures replay" in response.get_json()["detail"]
    record([change(9, address=ADA)])  # I1


def test_a_running_process_notices_that_its_database_was_restored(clock: Clock) -> None:
    store()
    erase()
    require_replayed()
    restore()
    clock.now += journal.CHECK_INTERVAL
    with pytest.raises(ReplayPending):
        require_replayed()


def test_nothing_is_erased_before_the_replay(app: Flask) -> None:
    """A new erasure would take the number of one that is missing."""
    store()
    erase()
    restore()
    app.extensions.pop(journal.EXTENSION_KEY, None)
    with pytest.raises(ReplayPending):
        erase(GRACE)


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
    clock.now += journal.CHECK_INTERVAL
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

    def stop(_: int) -> None:
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
    clock.now += journal.CHECK_INTERVAL
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
    [path] = folder.iterdir()
    path.write_text(path.read_text().replace('"account"', '"marketing"'))
    restore()
    with pytest.raises(InvalidInput, match="line 1 was altered"):
        replay()


def test_a_journal_of_other_keys_is_refused(folder: Path) -> None:
    from preference_center.rights.erasure.journal import write_entries

    store()
    erase()
    [entry] = read_entries(open_files(str(folder)), 0)
    write_entries(open_files(str(folder)), [replace(entry, key_id="lost")])
    restore()
    with pytest.raises(KeyMismatch, match="lost"):
        replay()


def test_an_unreadable_journal_refuses_nothing(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    require_replayed()


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
    (journal, "lock_unwritten"),
    (journal, "write_entries"),
    (journal, "mark_written"),
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
