"""`record` on a real PostgreSQL: what it writes, and that order does not matter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier, Thread
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.store.lookup import load_exact_facts, load_facts
from tests.clock import START, Clock
from tests.ledger.changes import patient, stored_evidence

JANE = parse_address("jane@example.com", Channel.EMAIL)


def change(number: int, kind: EventKind = EventKind.OPTED_OUT, **given: object) -> Change:
    fields: dict[str, object] = {
        "address": JANE,
        "scope": "news",
        "occurred_at": START,
        "received_at": START,
        "source": "test",
        "actor": "test",
    }
    return Change(id=UUID(int=number), kind=kind, **(fields | given))  # type: ignore[arg-type]


def count(table: str) -> int:
    row = run_in_transaction(lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone())
    assert row
    return int(row[0])


@pytest.fixture(autouse=True)
def _context(app: Flask) -> object:
    with app.app_context():
        yield


def test_an_opt_out_is_one_event_and_one_suppression() -> None:  # I2
    recorded = record([change(1)])
    assert recorded.events == (UUID(int=1),)
    assert (count("event"), count("suppression"), count("address")) == (1, 1, 1)


def test_an_event_id_is_appended_once() -> None:
    record([change(1)])
    assert record([change(1)]).events == ()
    assert count("event") == 1


def test_a_repeated_own_opt_out_adds_nothing_while_it_is_active() -> None:  # I7
    record([change(1, own_act=True)])
    assert record([change(2, own_act=True)]).events == ()


def test_an_own_opt_out_counts_again_after_an_imported_one() -> None:  # I5: undo of the import
    record([change(1)])
    assert record([change(2, own_act=True)]).events == (UUID(int=2),)


def test_an_own_opt_out_of_everything_counts_again_after_a_topic_was_opted_in(
    clock: Clock,
) -> None:  # I5
    clock.advance(timedelta(hours=1))
    later = {"occurred_at": clock.now, "received_at": clock.now}
    record([change(1, scope=ALL_MARKETING, own_act=True)])
    record([change(2, EventKind.OPTED_IN, **later)])
    assert record([change(3, scope=ALL_MARKETING, own_act=True)]).events == (UUID(int=3),)


def test_no_dump_of_the_database_shows_an_address() -> None:
    record([change(1, address=parse_address("very.readable@example.com", Channel.EMAIL))])
    row = run_in_transaction(
        lambda c: c.execute("SELECT address::text, k::text FROM address, address_key k").fetchone()
    )
    assert row
    assert b"readable".hex() not in "".join(row)
    assert "readable" not in "".join(row)


@pytest.mark.owner
@pytest.mark.parametrize(
    "statement",
    ["UPDATE event SET actor = 'x'", "DELETE FROM event", "TRUNCATE event", "DELETE FROM delivery"],
)
def test_the_ledger_is_append_only(statement: str) -> None:  # I8
    record([change(1)])
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        run_in_transaction(lambda c: c.execute(statement.encode()))


def test_a_batch_is_written_whole_or_not_at_all() -> None:
    good, bad = change(1), change(2, evidence={"id": "\x00"})
    with pytest.raises(psycopg.DataError):
        record([good, bad])
    assert (count("event"), count("address")) == (0, 0)


def test_what_the_callback_writes_shares_the_transaction() -> None:  # I1
    def note(connection: Connection, recorded: RecordResult) -> None:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (%s, 'test', %s, '{}')",
            (START, str(recorded.events[0])),
        )

    def refuse(connection: Connection, recorded: RecordResult) -> None:
        note(connection, recorded)
        raise KeyError

    with pytest.raises(KeyError):
        record([change(1)], in_transaction=refuse)
    assert (count("event"), count("audit")) == (0, 0)
    record([change(1)], in_transaction=note)
    assert (count("event"), count("audit")) == (1, 1)


def test_every_form_of_a_mailbox_finds_the_opt_out() -> None:  # I9
    record([change(1, address=parse_address("j.a.ne+x@googlemail.com", Channel.EMAIL))])
    wide, other = (
        parse_address("jane@gmail.com", Channel.EMAIL),
        parse_address("janet@gmail.com", Channel.EMAIL),
    )
    assert [len(facts) for facts in load_facts([wide, other])] == [1, 0]
    assert load_exact_facts([wide]) == [()]


def test_phone_and_sms_of_one_number_are_separate() -> None:
    record([change(1, address=parse_address("+39 333 1234567", Channel.SMS))])
    found = load_facts(
        [parse_address("+39 333 1234567", channel) for channel in (Channel.SMS, Channel.PHONE)]
    )
    assert [len(facts) for facts in found] == [1, 0]


def test_a_retraction_retracts_what_it_names_and_nothing_else() -> None:  # I5
    record([change(1), change(2, scope=ALL_MARKETING)])
    record([retraction(9, 1)])
    assert [fact.scope for fact in load_exact_facts([JANE])[0]] == [ALL_MARKETING]


def retraction(number: int, *events: int) -> Retraction:
    return Retraction(
        UUID(int=number), tuple(UUID(int=event) for event in events), START, "test", "test"
    )


def test_four_at_once_make_one_event() -> None:
    _together([[change(n, own_act=True)] for n in range(1, 5)])
    assert count("event") == 1


def test_batches_in_opposite_order_do_not_block_each_other() -> None:
    people = [parse_address(f"p{n}@example.com", Channel.EMAIL) for n in range(40)]
    forwards = [change(n, address=person) for n, person in enumerate(people)]
    backwards = [change(100 + n, address=person) for n, person in enumerate(reversed(people))]
    _together([forwards, backwards, forwards, backwards])
    assert count("event") == 80


def _together(batches: Sequence[Sequence[Change]]) -> None:
    from flask import current_app

    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    barrier = Barrier(len(batches))
    failures: list[BaseException] = []

    def work(batch: Sequence[Change]) -> None:
        try:
            with app.app_context(), override_limits(patient()):
                barrier.wait()
                record(batch)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            failures.append(error)

    threads = [Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_no_evidence_keeps_the_address_readable() -> None:  # I6, I8
    md5 = hashlib.md5(b"jane@example.com", usedforsecurity=False).hexdigest()
    given = {"id": md5, "group": "of jane@example.com", "wording": "Ask privacy@acme.example."}
    record([change(1, evidence=given)])
    (stored,) = stored_evidence()
    assert stored["id"] == services().keys.evidence_hmac(md5)
    assert stored["group"].startswith("hmac:")
    assert stored["wording"] == given["wording"]
