"""All digests are brought to a new key: nothing is missed, and nothing of the old one is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dev.processes import wait_until
from preference_center import contacts
from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.contacts import ContactUpdate
from preference_center.domain.delivery_status import active_suppressions
from preference_center.domain.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.domain.hashed_addresses import HashAlgorithm, HashedAddress
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.errors import KeyMismatch
from preference_center.extensions import db
from preference_center.key_rotation import digests
from preference_center.key_rotation.digests import (
    load_digest_status,
    rotate_digests,
)
from preference_center.key_rotation.progress import ColumnProgress
from preference_center.ledger import record, recording
from preference_center.ledger.recording import RecordResult
from preference_center.links import DIGEST_PREFIX_BYTES
from preference_center.storage import digest_chunks
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.contacts import load_contacts
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.digest_rotation import DIGEST_COLUMNS
from preference_center.storage.ledger.addresses import find_by_digest_prefix, load_readable
from preference_center.storage.ledger.suppression_lookup import load_exact_facts, load_facts
from preference_center.storage.mail import pending_mail_opt_outs
from preference_center.storage.mail.email_stops import (
    EMAIL_STOP_DURATION,
    find_stop,
    stop_emails,
)
from preference_center.storage.mail.pending_mail_opt_outs import (
    FIRST_POSITION,
    PendingMailOptOut,
)
from preference_center.storage.personal_data import TABLES, Holds
from tests.clock import START
from tests.key_rotation.processes import new_key, process_with
from tests.ledger.changes import JANE, add_destination, change, id_of, waiting
from tests.storage.test_schema import QUERIES, described

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.config import Settings

FORM = parse_address("jane+shop@example.org", Channel.EMAIL)
GMAIL, GMAIL_FORM = (
    parse_address(text, Channel.EMAIL) for text in ("jane.doe@gmail.com", "janedoe@gmail.com")
)


def test_every_column_of_digests_is_rotated_or_has_its_reason() -> None:
    inventory = {
        f"{table}.{column}"
        for table, content in TABLES.items()
        for column, holds in content.personal.items()
        if holds is Holds.DIGEST
    }
    assert DIGEST_COLUMNS.keys() == inventory


@pytest.fixture
def one_key(app: Flask) -> Iterator[Settings]:
    """The settings of a database that is in use with one digest key."""
    with app.app_context():
        require_known_keys()
        settings = services().settings
    yield settings
    with app.app_context():
        db.engine.dispose()


def restart(app: Flask, keys: int = 1) -> None:
    """End the sessions of the processes that have so many keys."""
    with app.app_context():
        db.engine.dispose()
        url = services().settings.database_url
    query = """SELECT FROM pg_stat_activity
        WHERE application_name = %s AND datname = current_database()"""
    with psycopg.connect(url, autocommit=True) as connection:
        name = f"preference_center/{keys}"
        assert wait_until(lambda: connection.execute(query, (name,)).fetchone() is None, 20)


def two_keys(settings: Settings) -> str:
    return f"{settings.digest_keys},{new_key('d2')}"


def silent(_: ColumnProgress) -> None:
    """Of no interest."""


def no_pause(_: float) -> None:
    """Nobody waits for another one's request here."""


def rotate() -> None:
    rotate_digests(silent, no_pause)


def denied(address: Address) -> bool:
    """Whether an opt-out of any form of its mailbox denies it marketing."""
    return bool(active_suppressions(load_facts([address])[0], START)) or any(
        fact.state.is_suppressed for fact in load_facts([address])[0]
    )


def test_a_key_that_waits_makes_no_digest(app: Flask, one_key: Settings) -> None:
    with process_with(one_key, digest_keys=two_keys(one_key)):
        require_known_keys()
        record([change(1)])
        stored = run_in_transaction(
            lambda c: c.execute("SELECT key FROM key_fingerprint").fetchall()
        )
        assert ("digest:d2",) not in stored
    with app.app_context():
        assert denied(JANE)  # to a process that does not have it


def test_every_form_and_kind_of_address_is_found_afterwards(  # I9
    app: Flask, one_key: Settings, database_url: str
) -> None:
    md5 = HashedAddress(
        Channel.EMAIL,
        HashAlgorithm.MD5,
        hashlib.md5(b"bo@example.org", usedforsecurity=False).digest(),
    )
    sha = HashedAddress(
        Channel.EMAIL, HashAlgorithm.SHA256, hashlib.sha256(b"cy@example.org").digest()
    )
    with app.app_context():
        record([change(1), change(2, address=GMAIL, scope=ALL_MARKETING)])
        record([change(3, address=md5, scope=ALL_MARKETING)])
        record([change(4, address=sha, scope=ALL_MARKETING)])
    before = {kind: described(kind, database_url) for kind in QUERIES}
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        jane = id_of(JANE)
        rotate()
        assert load_digest_status().in_use == 2
        assert id_of(JANE) == jane
        for address in (JANE, FORM, GMAIL, GMAIL_FORM):
            assert denied(address), address.exact
        for text in ("bo@example.org", "cy@example.org"):
            assert denied(parse_address(text, Channel.EMAIL)), text
        assert not denied(parse_address("di@example.org", Channel.EMAIL))
        assert jane is not None
        found = run_in_transaction(lambda c: load_readable(c, services().keys, [jane]))
        assert found == {jane: (Channel.EMAIL, JANE.exact)}
        rotate()  # a repeat has nothing to do
    assert {kind: described(kind, database_url) for kind in QUERIES} == before


def test_nothing_of_the_old_key_is_left(app: Flask, one_key: Settings, database_url: str) -> None:
    with app.app_context():
        keys = services().keys
        record([change(1), change(2, address=GMAIL)])
        put_contact("c-1", JANE)
        old = {keys.exact_digest(each) for each in (JANE, GMAIL)}
        old |= {digest for each in (JANE, GMAIL) for digest in keys.match_keys(each)}
        old.add(keys.digest("external_id:c-1"))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
    assert not {digest.hex() for digest in old} & set(every_digest(database_url))


def every_digest(url: str) -> Iterator[str]:
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            """SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND udt_name = 'bytea'"""
        ).fetchall()
        for table, column in columns:
            rows = connection.execute(f'SELECT "{column}" FROM "{table}"'.encode())
            yield from (row[0].hex() for row in rows if row[0] is not None)


def put_contact(external_id: str, address: Address) -> None:
    contacts.upsert_contacts(
        [ContactUpdate(external_id=external_id, addresses=(address,))],
        RequestOrigin("test", "key:shop", services().now()),
    )


def test_a_contact_keeps_its_addresses_and_ids(app: Flask, one_key: Settings) -> None:
    from preference_center.domain.contacts import ContactRef

    with app.app_context():
        put_contact("c-1", JANE)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        put_contact("c-1", GMAIL)  # the same contact, not another one
        for ref in (ContactRef(external_id="c-1"), ContactRef(address=JANE)):
            found = run_in_transaction(
                lambda c, ref=ref: load_contacts(c, services().keys, [ref])  # type: ignore[misc]
            )
            (contact,) = found.stored.values()
            assert contact.external_ids == {"c-1"}
            assert contact.addresses == {JANE, GMAIL}


def test_a_mailbox_still_wants_no_emails_that_anybody_can_cause(
    app: Flask, one_key: Settings
) -> None:
    with app.app_context():
        run_in_transaction(lambda c: stop_emails(c, services().keys, JANE, START))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        ends_at = run_in_transaction(lambda c: find_stop(c, services().keys, JANE, START))
    assert ends_at == START + EMAIL_STOP_DURATION


def test_a_form_learned_later_gets_the_opt_out_of_its_mailbox(
    app: Flask, one_key: Settings
) -> None:  # I9
    with app.app_context():
        add_destination("crm", "acme.news")
        record([change(1, address=GMAIL, scope=ALL_MARKETING)])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        record([], known_addresses=[GMAIL_FORM])
        assert waiting(GMAIL_FORM).keys() == {"crm"}


def test_mails_from_before_still_name_their_address(app: Flask, one_key: Settings) -> None:  # I7
    stranger = parse_address("stranger@example.org", Channel.EMAIL)
    with app.app_context():
        keys = services().keys
        record([change(1)])
        sent = keys.exact_digest(JANE)[:DIGEST_PREFIX_BYTES]
        unknown = keys.exact_digest(stranger)[:DIGEST_PREFIX_BYTES]
        run_in_transaction(lambda c: insert_pending(c, unknown))
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        found = run_in_transaction(lambda c: find_by_digest_prefix(c, services().keys, [sent]))
        assert found == {sent: JANE.exact}
        assert denied(stranger)  # I2: the mail was not attributed yet
        assert load_exact_facts([stranger])[0]
        record([], known_addresses=[stranger])
        page = run_in_transaction(
            lambda c: pending_mail_opt_outs.list_resolvable(c, services().keys, FIRST_POSITION, 10)
        )
        assert [exact for _, exact in page.rows] == [stranger.exact]


def insert_pending(connection: Connection, prefix: bytes) -> None:
    row = PendingMailOptOut(UUID(int=9), prefix, b"scope", ALL_MARKETING, "l1", None, START, START)
    pending_mail_opt_outs.insert_pending(connection, [row])


def test_evidence_of_before_is_still_proven(app: Flask, one_key: Settings) -> None:  # I8
    from preference_center.storage.ledger.evidence import EvidenceState, verify_evidence

    with app.app_context():
        record([change(1, evidence={"a": "b"})])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
        record([change(2, address=GMAIL)])
        found = run_in_transaction(lambda c: verify_evidence(c, services().keys))
        assert {each.state for each in found} == {EvidenceState.INTACT}


def test_a_process_without_the_key_is_named_before_and_refused_after(
    app: Flask, one_key: Settings
) -> None:  # I11: it would find no opt-out
    with app.app_context():
        record([change(1)])
    with process_with(one_key, digest_keys=two_keys(one_key)):
        with pytest.raises(KeyMismatch, match="restart them"):
            rotate()
        restart(app)
        rotate()
    with app.app_context(), pytest.raises(KeyMismatch, match="add the newer key"):
        load_facts([JANE])


def test_only_one_key_at_a_time(app: Flask, one_key: Settings) -> None:
    restart(app)
    three = f"{two_keys(one_key)},{new_key('d3', 8)}"
    with (
        process_with(one_key, digest_keys=three),
        pytest.raises(KeyMismatch, match="one key at a time"),
    ):
        rotate()


def test_a_second_rotation_follows_the_first(app: Flask, one_key: Settings) -> None:
    with app.app_context():
        sent = services().keys.exact_digest(JANE)[:DIGEST_PREFIX_BYTES]
        record([change(1)])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        rotate()
    restart(app, keys=2)
    with process_with(one_key, digest_keys=f"{two_keys(one_key)},{new_key('d3', 8)}"):
        rotate()
        assert denied(FORM)
        found = run_in_transaction(lambda c: find_by_digest_prefix(c, services().keys, [sent]))
        assert found == {sent: JANE.exact}


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("step", range(8))
def test_it_continues_wherever_it_was_killed(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(digests, "CHUNK_SIZE", 2)
    places = [
        (digests, "add_next_columns"),
        (digests, "add_next_indexes"),
        (digest_chunks, "load_keys"),
        (digests, "swap_columns"),
        (digest_chunks, "convert_small_tables"),
        (digest_chunks, "clear_addresses"),
        (digest_chunks, "clear_external_ids"),
        (digests, "drop_previous_columns"),
    ]
    with app.app_context():
        record([change(1), change(2, address=GMAIL)])
        put_contact("c-1", JANE)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        module, name = places[step]
        real = getattr(module, name)

        def die_afterwards(*given: object) -> None:
            real(*given)
            raise Killed

        monkeypatch.setattr(module, name, die_afterwards)
        with pytest.raises(Killed):
            rotate()
        monkeypatch.setattr(module, name, real)
        assert denied(FORM)
        record([change(3, address=GMAIL_FORM, scope=ALL_MARKETING)])
        rotate()
        assert load_digest_status() == digests.DigestStatus(2, 2, being_cleared=False)
        assert denied(FORM)
        assert denied(GMAIL)
        assert id_of(GMAIL_FORM) is not None


def test_an_erasure_meanwhile_leaves_no_readable_copy(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I6
    with app.app_context():
        record([change(1)])
    restart(app)

    def stop(*_: object) -> None:
        raise Killed

    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(digests, "swap_columns", stop)
        with pytest.raises(Killed):
            rotate()
        copies = "SELECT count(next_ciphertext) FROM address"
        assert run_in_transaction(lambda c: c.execute(copies.encode()).fetchone()) == (1,)
        run_in_transaction(lambda c: c.execute("UPDATE address SET ciphertext = NULL"))
        assert run_in_transaction(lambda c: c.execute(copies.encode()).fetchone()) == (0,)
        monkeypatch.undo()
        rotate()
        assert denied(JANE)


def test_opt_outs_and_checks_go_on_meanwhile(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1, I2, I9: of addresses not yet and already brought over
    monkeypatch.setattr(digests, "CHUNK_SIZE", 7)
    known = [parse_address(f"known{n}@example.org", Channel.EMAIL) for n in range(60)]
    with app.app_context():
        add_destination("crm", "acme.news")
        record([], known_addresses=known)
        record([out(each) for each in known[::3]])
    restart(app)
    stop, failures = Event(), list[BaseException]()
    with process_with(one_key, digest_keys=two_keys(one_key)) as service:

        def serve(number: int) -> None:
            try:
                with service.app_context():
                    serve_until(stop, number, known)
            except BaseException as error:  # noqa: BLE001 - shown by the main thread
                failures.append(error)

        threads = [Thread(target=serve, args=(n,), daemon=True) for n in range(3)]
        for thread in threads:
            thread.start()
        with process_with(one_key, digest_keys=two_keys(one_key)):
            rotate()
            rotate()
        stop.set()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert not service.extensions["preference_center"].keys.is_digest_key_waiting
        with service.app_context():
            twice = run_in_transaction(
                lambda c: c.execute(
                    """SELECT count(*) FROM (SELECT address_id FROM event
                    GROUP BY address_id, scope, id HAVING count(*) > 1) AS doubled"""
                ).fetchone()
            )
            assert twice == (0,)
            rows = run_in_transaction(
                lambda c: c.execute("SELECT ciphertext, digest FROM address").fetchall()
            )
            texts = [
                services().keys.open(sealed, context=digest)
                for sealed, digest in rows
                if sealed is not None
            ]
            assert len(texts) == len(set(texts))  # one row for each address


def out(address: Address) -> Change:
    now = services().now()
    return Change(
        uuid4(), EventKind.OPTED_OUT, address, ALL_MARKETING, now, now, "test", "test", own_act=True
    )


def serve_until(stop: Event, number: int, known: list[Address]) -> None:
    """Opt out known and new addresses; each is denied at once, and so is another form of it."""
    turn = 0
    while not stop.is_set() or turn < 5:
        turn += 1
        new = parse_address(f"new.{number}.{turn}@gmail.com", Channel.EMAIL)
        form = parse_address(f"new{number}{turn}@gmail.com", Channel.EMAIL)
        old = known[(turn * 3 + number) % len(known)]
        record([out(old), out(new)])
        assert all(map(denied, (old, new, form))), (number, turn)
        if turn % 4 == 0:
            kept = out(form)
            record([kept])
            record([Retraction(uuid4(), (kept.id,), services().now(), "test", "test")])
            assert denied(new)
            assert denied(form)
        assert not denied(parse_address(f"no{number}.{turn}@example.org", Channel.EMAIL))


def test_the_command_says_what_waits_and_rotates(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "STALE_REQUEST_SECONDS", 0)
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)) as service:

        def run(*words: str) -> list[str]:
            result = service.test_cli_runner().invoke(args=["keys", *words])
            assert result.exit_code == 0, result.output
            return list(result.output.splitlines())

        waits = "digests\td2\twaits for `flask keys rotate digests`"
        assert waits in run("status")
        assert waits in run("rotate", "digests", "--dry-run")
        assert "made with the key d2" in run("rotate", "digests")[-1]
        assert "digests\td2\tin use" in run("status")


def test_no_opt_out_is_stored_with_a_digest_of_before_the_swap(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: nobody would find it
    restart(app)
    keys = two_keys(one_key)
    real = recording._append
    with (
        process_with(one_key, digest_keys=keys) as rotating,
        process_with(one_key, digest_keys=keys),
        psycopg.connect(one_key.database_url, autocommit=True) as other,
    ):

        def work() -> None:
            with rotating.app_context():
                rotate()

        rotation = Thread(target=work, daemon=True)

        def append_during_rotation(*given: Any, **named: Any) -> RecordResult:
            rotation.start()
            waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            assert wait_until(
                lambda: (
                    other.execute(waits.encode()).fetchone() is not None or not rotation.is_alive()
                ),
                30,
            )
            return real(*given, **named)

        monkeypatch.setattr(recording, "_append", append_during_rotation)
        record([change(1)])
        rotation.join(60)
        assert load_digest_status().in_use == 2
        assert denied(FORM)
        assert id_of(JANE) is not None


def test_match_keys_that_are_added_meanwhile_are_brought_over(
    app: Flask, one_key: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # I9

    def md5(text: bytes) -> HashedAddress:
        found = hashlib.md5(text, usedforsecurity=False).digest()
        return HashedAddress(Channel.EMAIL, HashAlgorithm.MD5, found)

    def stop(*_: object) -> None:
        raise Killed

    with app.app_context():
        add_destination("crm", "acme.news")
        record([], known_addresses=[JANE])
    restart(app)
    with process_with(one_key, digest_keys=two_keys(one_key)):
        monkeypatch.setattr(digests, "swap_columns", stop)
        with pytest.raises(Killed):
            rotate()
        monkeypatch.undo()
        record([change(1, address=md5(b"bo@example.org"))])  # from now on all have keys by MD5
        rotate()
        record([change(2, address=md5(JANE.exact.encode()), scope=ALL_MARKETING)])
        assert waiting(JANE).keys() == {"crm"}


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
        assert pauses == [digests.RETRY_DELAY, digests.STALE_REQUEST_SECONDS]
        assert denied(GMAIL_FORM)
