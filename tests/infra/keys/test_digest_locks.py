"""Which locks bringing digests to a new key takes: nobody waits long for it, and it for nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_hashed_address
from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys import digest_tables
from preference_center.infra.keys import rotate_digests as digests
from preference_center.infra.keys.rotate_digests import (
    DigestStatus,
    load_digest_status,
    rotate_digests,
)
from preference_center.ledger import record, recording
from preference_center.ledger.store import lookup
from preference_center.ledger.store.lookup import load_facts
from tests.infra.keys.processes import (
    FORM,
    GMAIL,
    GMAIL_FORM,
    denied,
    no_pause,
    process_with,
    put_contact,
    restart,
    rotate,
    silent,
    two_keys,
)
from tests.ledger.changes import JANE, change, id_of

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings


class Rotation:
    """A rotation by a thread of its own."""

    def __init__(self, app: Flask) -> None:
        self.pauses: list[float] = []
        self._failures: list[BaseException] = []
        self._app = app
        self._thread = Thread(target=self._work, daemon=True)
        self.start = self._thread.start

    def _work(self) -> None:
        try:
            with self._app.app_context():
                rotate_digests(silent, self.pauses.append)
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            self._failures.append(error)

    def end(self) -> None:
        """Wait until it is done. Raises what it raised."""
        self._thread.join(60)
        for error in self._failures:
            raise error

    def got_every_table_at_once(self) -> bool:
        """Whether no attempt failed."""
        return not self.pauses


def waits_for(settings: Settings, table: str, seconds: float = 0) -> Callable[[], bool]:
    """Whether a session has waited so long for this table, or for the lock of appends."""

    def found() -> bool:
        with psycopg.connect(settings.database_url) as connection:
            row = connection.execute(
                """SELECT FROM pg_locks WHERE NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (relation = to_regclass(%s) OR locktype = 'advisory')
                AND clock_timestamp() - waitstart >= make_interval(secs => %s)""",
                (table, seconds),
            ).fetchone()
        return row is not None

    return found


@pytest.mark.parametrize("step", ["hold_digest_length", "_append"])
def test_it_waits_for_an_opt_out_that_is_being_recorded(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Nobody would find it if it were stored with a digest of before the swap (I1).

    And if it had to wait for the rotation in turn, the attempt would fail.
    """
    restart(app)
    monkeypatch.setattr(digests, "TABLE_LOCK_TIMEOUT", 30.0)
    real, keys = getattr(recording, step), two_keys(one_key)
    with (
        process_with(one_key, digest_keys=keys) as rotating,
        process_with(one_key, digest_keys=keys),
    ):
        rotation, started = Rotation(rotating), list[bool]()

        def continue_when_it_waits(*given: Any, **named: Any) -> Any:
            if not started:
                started.append(True)
                rotation.start()
                assert wait_until(waits_for(one_key, "key_fingerprint"), 30)
            return real(*given, **named)

        monkeypatch.setattr(recording, step, continue_when_it_waits)
        record([change(1)])
        rotation.end()
        assert rotation.got_every_table_at_once()
        assert load_digest_status().in_use == 2
        assert denied(FORM)
        assert id_of(JANE) is not None


@pytest.mark.parametrize("at", ["by SHA-256", "by MD5"])
def test_who_made_digests_before_the_swap_and_asks_after_it_finds_the_opt_out(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:  # I2: frozen meanwhile, for longer than any pause
    md5 = hashlib.md5(FORM.exact.encode(), usedforsecurity=False).hexdigest()
    by_md5 = at == "by MD5"
    known = parse_hashed_address(md5, Channel.EMAIL) if by_md5 else JANE
    with app.app_context():
        record([change(1, address=known), change(2, address=GMAIL)])
    restart(app)
    real, keys = lookup._fetch_rows, two_keys(one_key)
    with (
        process_with(one_key, digest_keys=keys) as rotating,
        process_with(one_key, digest_keys=keys),
    ):
        rotation, asked = Rotation(rotating), count()

        def fetch_after_the_rotation(*given: Any) -> Any:
            if next(asked) == int(by_md5):  # the look-up by MD5 is the second
                rotation.start()
                rotation.end()
            return real(*given)

        monkeypatch.setattr(lookup, "_fetch_rows", fetch_after_the_rotation)
        assert load_facts([FORM])[0]
        assert load_digest_status().in_use == 2
        assert load_facts([GMAIL])[0]


def test_a_second_rotation_waits_for_the_first_and_has_nothing_to_do(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: it would delete the old digests while the first still swaps
    with app.app_context():
        record([change(1)])
    restart(app)
    keys, waited = two_keys(one_key), list[float]()
    real = digests._clear
    with (
        process_with(one_key, digest_keys=keys) as other,
        process_with(one_key, digest_keys=keys),
    ):
        second = Rotation(other)

        def clear_when_it_waits(*given: Any) -> None:
            if not waited:
                waited.append(0)
                second.start()
                assert wait_until(lambda: bool(second.pauses), 30)
            real(*given)

        monkeypatch.setattr(digests, "_clear", clear_when_it_waits)
        rotate_digests(silent, waited.append)
        second.end()
        assert load_digest_status() == digests.DigestStatus(2, 2, being_cleared=False)
        assert denied(FORM)


def test_a_long_reader_makes_it_wait_and_nobody_behind_it(
    app: Flask, one_key: Settings
) -> None:  # I2
    with app.app_context():
        record([change(1)])
    restart(app)
    with (
        process_with(one_key, digest_keys=two_keys(one_key)),
        psycopg.connect(one_key.database_url) as reader,
    ):
        reader.execute("SELECT count(*) FROM address")  # like a dump
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            assert denied(FORM)
            record([change(1 + len(pauses), address=GMAIL)])
            reader.rollback()

        rotate_digests(silent, pause)
        assert pauses == [digests.RETRY_DELAY]
        assert denied(GMAIL_FORM)


def test_nobody_waits_while_a_table_is_scanned_for_missing_digests(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: a table of millions of rows takes seconds
    restart(app)
    scanned = list[str]()
    real = digest_tables.swap_columns

    def swap(connection: Connection) -> None:
        def note(found: psycopg.errors.Diagnostic) -> None:
            scanned.append(found.message_primary or "")

        connection.add_notice_handler(note)
        connection.execute("SET LOCAL client_min_messages = debug1")
        real(connection)
        connection.execute("DO $$ BEGIN RAISE DEBUG 'at the end'; END $$")
        connection.execute("SET LOCAL client_min_messages = notice")
        connection.remove_notice_handler(note)

    monkeypatch.setattr(digests, "swap_columns", swap)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        record([change(1)])
        put_contact("c-1", JANE)
        rotate()
        nullable = """SELECT relname, attnotnull
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE attname = 'digest' AND relname IN ('address', 'contact_external_id')
            ORDER BY relname"""
        assert run_in_transaction(lambda c: c.execute(nullable.encode()).fetchall()) == [
            ("address", True),
            ("contact_external_id", True),
        ]
        keys = """SELECT conname, contype, convalidated FROM pg_constraint
            WHERE conrelid = 'contact_external_id'::regclass AND contype IN ('p', 'c')"""
        assert run_in_transaction(lambda c: c.execute(keys.encode()).fetchall()) == [
            ("contact_external_id_pkey", "p", True)
        ]
    assert scanned == ["at the end"]  # else 'verifying table "address"'


@pytest.mark.parametrize("step", ["load_keys", "swap_columns"], ids=["rows", "tables"])
def test_postgresql_ends_what_locks_for_one_that_is_frozen(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:  # I2: tests/faults freezes it
    with app.app_context():
        record([change(1)])
    restart(app)
    real, limits = getattr(digests, step), set[Any]()

    def note(connection: Connection, *given: Any) -> Any:
        limits.update(connection.execute("SHOW idle_in_transaction_session_timeout"))
        return real(connection, *given)

    monkeypatch.setattr(digests, step, note)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
    assert limits == {(f"{digests.IDLE_TIMEOUT:.0f}s",)}


@pytest.mark.parametrize("held", ["address_key", "contact_external_id"])
def test_it_keeps_nobody_from_a_table_while_it_waits_for_another(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """Writers take the tables in either order, and would wait for it in turn."""
    restart(app)
    monkeypatch.setattr(digests, "TABLE_LOCK_TIMEOUT", 30.0)
    with (
        process_with(one_key, digest_keys=two_keys(one_key)) as rotating,
        psycopg.connect(one_key.database_url) as writer,
    ):
        rotation = Rotation(rotating)
        writer.execute(f"LOCK TABLE {held} IN ROW EXCLUSIVE MODE".encode())
        rotation.start()
        assert wait_until(waits_for(one_key, held), 30)
        writer.execute("LOCK TABLE address IN ROW EXCLUSIVE MODE")
        writer.rollback()
        rotation.end()
    assert rotation.got_every_table_at_once()


def test_it_waits_until_postgresql_ends_an_autovacuum(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes a second, which is longer than anybody else may be kept waiting."""
    restart(app)
    monkeypatch.setattr(digests, "AUTOVACUUM_TIMEOUT", 30.0)
    with (
        process_with(one_key, digest_keys=two_keys(one_key)) as rotating,
        psycopg.connect(one_key.database_url) as vacuum,
    ):
        rotation = Rotation(rotating)
        vacuum.execute("LOCK TABLE address IN SHARE UPDATE EXCLUSIVE MODE")  # as it does
        rotation.start()
        assert wait_until(waits_for(one_key, "address", digests.TABLE_LOCK_TIMEOUT + 0.3), 30)
        vacuum.rollback()
        rotation.end()
    assert rotation.got_every_table_at_once()


def test_a_rotation_that_lost_its_lock_says_so_and_goes_on_when_repeated(
    app: Flask, one_key: Settings, database_url: str
) -> None:
    def end_session(_: object) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )

    with app.app_context():
        record([change(1)])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        with pytest.raises(Unavailable, match="Run the command again: it continues"):
            rotate_digests(end_session, no_pause)
        rotate()
        assert load_digest_status() == DigestStatus(2, 2, being_cleared=False)
        assert denied(JANE)
