"""Erasures beside everything else that writes: no deadlock, nothing lost, nothing revived (I2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from uuid import UUID, uuid4

import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center import contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.addresses import seal_address
from preference_center.rights.erasure import store as erasures
from preference_center.rights.erasure.erase import erase_addresses, erase_contacts, tidy_erasures
from preference_center.rights.erasure.tasks import end_hand_task, erase_again_in_tool
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, id_of, together, waiting
from tests.rights.decisions import WEEKLY, ask
from tests.rights.erasing import ADA, erase, origin, row, rows, store, tables_with

PEOPLE = [parse_address(f"p{number}@example.com", Channel.EMAIL) for number in range(60)]
ROUNDS = 3


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        add_destination("crm", NEWS)
        yield


def click(who: Address) -> None:
    now = services().now()
    change = Change(uuid4(), EventKind.OPTED_OUT, who, NEWS, now, now, "test", "test", own_act=True)
    record([change])


def test_clicks_lists_updates_and_erasures_of_the_same_people_go_on_together() -> None:
    for number, who in enumerate(PEOPLE):
        store(who, external_id=f"id-{number}")
    ids = [number for (number,) in rows("SELECT address_id FROM contact_address")]

    def click_all() -> None:
        for who in reversed(PEOPLE):
            click(who)

    def list_all() -> None:
        now = services().now()
        for _ in range(ROUNDS):
            record(
                [
                    Change(uuid4(), EventKind.OPTED_OUT, who, NEWS, now, now, "test", "test")
                    for who in PEOPLE
                ],
                bulk=True,
            )

    def update_all() -> None:
        for _ in range(ROUNDS):
            contacts.upsert_contacts(
                [ContactUpdate(f"id-{number}", "it", (who,)) for number, who in enumerate(PEOPLE)],
                origin(),
            )

    def erase_all() -> None:
        for start in range(0, len(ids), 20):
            erase_addresses(ids[start : start + 20], Extent.ACCOUNT, origin=origin())

    together(click_all, list_all, update_all, erase_all)
    assert row("SELECT count(*) FROM address WHERE ciphertext IS NOT NULL") == (0,)
    assert row("SELECT count(*) FROM contact WHERE locale IS NOT NULL") == (0,)
    assert tables_with("id-7") == set()
    assert row("SELECT count(*) FROM event WHERE kind = 'opted_out' AND own") == (len(PEOPLE),)
    assert not any(ask(WEEKLY, who).allow for who in PEOPLE)


def test_two_erasures_of_one_person_leave_one_under_way() -> None:
    store(PEOPLE[0])

    def erase() -> None:
        erase_contacts([ContactRef(address=PEOPLE[0])], Extent.ACCOUNT, origin=origin())

    together(*[erase] * 4)
    assert row("SELECT count(*) FROM erasure WHERE ciphertext IS NOT NULL") == (1,)
    assert row("SELECT count(*) FROM erasure_task WHERE outcome = ''") == (1,)
    entries = [number for (number,) in rows("SELECT entry FROM erasure ORDER BY entry")]
    assert entries == list(range(1, len(entries) + 1))


def wait_for_another(connection: Connection, has_ended: Event) -> None:
    """Until the other has ended, or waits for the end of this transaction."""
    waits = "SELECT FROM pg_locks WHERE transactionid = pg_current_xact_id()::xid AND NOT granted"
    assert wait_until(lambda: has_ended.is_set() or bool(connection.execute(waits).rowcount), 30)


def test_a_form_learned_during_an_erasure_reaches_the_tools() -> None:  # I9
    """Neither transaction sees the other: the one that comes second has to wait for the first."""
    tagged = parse_address("ada+shop@example.com", Channel.EMAIL)
    store(tagged)
    recorded, learned = Event(), Event()

    def await_the_other(connection: Connection, _: object) -> None:
        recorded.set()
        wait_for_another(connection, learned)

    def learn() -> None:
        assert recorded.wait(30)
        record([], known_addresses=[ADA])
        learned.set()

    together(lambda: erase(tagged, extent=Extent.MARKETING, in_transaction=await_the_other), learn)
    assert "crm" in waiting(ADA)


def _finish(_: UUID, clock: Clock) -> None:
    tidy_erasures(clock())


def _forget(_: UUID, clock: Clock) -> None:
    tidy_erasures(clock() + erasures.READABLE_FOR)


def _end_by_hand(erasure_id: UUID, _: Clock) -> None:
    end_hand_task(erasure_id, "shop", "ada", "test")


def _return(_: UUID, clock: Clock) -> None:
    run_in_transaction(lambda c: erasures.end_returned(c, known_id(), clock()))


def _erase_further(_: UUID, clock: Clock) -> None:
    new, now = erasures.NewErasure(uuid4(), known_id(), None), clock()
    run_in_transaction(
        lambda c: erasures.insert_erasures(c, [new], Extent.ACCOUNT, None, begun_at=now, now=now)
    )


def known_id() -> int:
    address_id = id_of(ADA)
    assert address_id is not None
    return address_id


DONE = "UPDATE erasure_task SET outcome = 'erased', next_at = NULL WHERE destination = ANY(%s)"


@pytest.mark.parametrize(
    "end, done",
    [
        (_finish, ["crm", "shop"]),
        (_forget, ["crm", "shop"]),
        (_end_by_hand, ["crm"]),
        (_return, ["crm"]),
        (_erase_further, ["crm"]),
    ],
)
def test_no_tool_is_asked_to_erase_what_is_forgotten_meanwhile(
    end: Callable[[UUID, Clock], None], done: list[str], clock: Clock
) -> None:  # I6
    """A tool shows somebody erased again while their erasure ends."""
    add_destination("shop", NEWS)
    store(ADA)
    [first] = erase(extent=Extent.MARKETING)
    run_in_transaction(lambda c: c.execute(DONE, (done,)))
    [(crm,)] = rows("SELECT id FROM destination WHERE name = 'crm'")
    opened, ended, new_id = Event(), Event(), uuid4()

    def open_again(connection: Connection) -> None:
        seen = {known_id(): (new_id, seal_address(services().keys, ADA))}
        assert erase_again_in_tool(connection, crm, seen, clock())
        opened.set()
        wait_for_another(connection, ended)

    def end_it() -> None:
        assert opened.wait(30)
        end(first, clock)
        ended.set()

    together(lambda: run_in_transaction(open_again), end_it)
    forgotten = "FROM erasure_task t JOIN erasure e ON e.id = erasure_id WHERE ciphertext IS NULL"
    assert row(f"SELECT count(*) {forgotten} AND t.next_at IS NOT NULL") == (0,)
    assert row(f"SELECT count(*) {forgotten} AND finished_at IS NOT NULL AND outcome = ''") == (0,)
