"""An opt-out by mail whose address we have never stored: honoured, kept, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import START, Clock
from tests.inbound.mail.fixtures import MakeTo
from tests.inbound.mail.mails import outlook
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.inbound.opt_outs import IngestResult

ALIAS = "jane+shop@example.com"
ELSEWHERE = "jane@mailbox.example"
OUT = ("opted_out", "acme.offers")

Receive = Callable[..., "IngestResult"]


@pytest.fixture
def receive(app: Flask) -> Receive:
    """`receive(to, sender)`: what a mail does, by whatever way it came."""
    from preference_center.inbound.mail import parse_inbound_mail
    from preference_center.inbound.opt_outs import record_mail_opt_outs
    from preference_center.infra.context import services

    def do(to: str, sender: str = ELSEWHERE) -> IngestResult:
        with app.app_context():
            return record_mail_opt_outs(
                parse_inbound_mail(services().links, outlook(to, sender), [to]), services().now()
            )

    return do


@pytest.fixture
def resolve(app: Flask) -> Callable[..., IngestResult]:
    from preference_center.inbound.opt_outs import resolve_pending

    def do(*addresses: str, scope: str | None = None) -> IngestResult:
        with app.app_context():
            return resolve_pending(
                [parse_address(address, Channel.EMAIL) for address in addresses], scope
            )

    return do


def waiting(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM pending_mail_opt_out").fetchone()
    assert row
    return int(row[0])


def test_the_writer_may_give_the_address_that_the_token_names(
    receive: Receive, make_to: MakeTo, ledger: Ledger
) -> None:
    taken = receive(make_to(ALIAS), sender=ALIAS.title())
    assert (taken.recorded, taken.pending) == (1, 0)
    assert ledger.kinds() == [OUT]


def test_another_writer_leaves_it_open_who_but_a_check_finds_it_at_once(
    receive: Receive, make_to: MakeTo, ledger: Ledger, allowed: Callable[..., bool]
) -> None:  # I2
    assert allowed(ALIAS)
    taken = receive(make_to(ALIAS))
    assert (taken.recorded, taken.pending) == (0, 1)
    assert ledger.rows()["address"] == []
    assert not allowed(ALIAS)
    assert allowed(ALIAS, "password_reset")  # I4
    assert allowed(ELSEWHERE)
    assert allowed("jane+club@example.com")


def test_it_suppresses_wide(
    receive: Receive, make_to: MakeTo, allowed: Callable[..., bool]
) -> None:  # I9
    receive(make_to("jane@example.com"))
    assert not allowed(ALIAS)


def test_it_is_recorded_when_the_address_turns_up(
    receive: Receive,
    make_to: MakeTo,
    store: Callable[[str], None],
    resolve: Callable[..., IngestResult],
    ledger: Ledger,
    allowed: Callable[..., bool],
    clock: Clock,
    database_url: str,
) -> None:
    receive(make_to(ALIAS))
    assert resolve().pending == 1
    clock.advance(timedelta(hours=5))
    store(ALIAS)
    assert resolve().recorded == 1
    assert waiting(database_url) == 0
    *_, event = ledger.events()
    assert (event["kind"], event["scope"]) == OUT
    assert event["received_at"] == START  # I3
    assert not allowed(ALIAS)
    assert resolve().recorded == 0


def test_the_reason_that_checks_gave_meanwhile_is_the_event_recorded(
    app: Flask,
    receive: Receive,
    make_to: MakeTo,
    resolve: Callable[..., IngestResult],
    ledger: Ledger,
) -> None:
    from preference_center.ledger.store.lookup import load_exact_facts

    receive(make_to(ALIAS))
    with app.app_context():
        (fact,) = load_exact_facts([parse_address(ALIAS, Channel.EMAIL)])[0]
    assert fact.state.opt_out
    resolve(ALIAS)
    assert ledger.events()[0]["id"] == fact.state.opt_out.event


def test_a_person_may_give_the_address_and_a_wrong_one_changes_nothing(
    receive: Receive, make_to: MakeTo, resolve: Callable[..., IngestResult], ledger: Ledger
) -> None:
    receive(make_to(ALIAS))
    assert resolve(ELSEWHERE, "jane@example.com").recorded == 0
    assert ledger.rows()["address"] == []
    assert resolve(ELSEWHERE, ALIAS).recorded == 1
    assert ledger.kinds() == [OUT]


def test_repeats_are_kept_once_with_both_their_times(
    receive: Receive,
    make_to: MakeTo,
    resolve: Callable[..., IngestResult],
    ledger: Ledger,
    clock: Clock,
    database_url: str,
) -> None:  # I5: docs/decisions/0008
    for _ in range(3):
        receive(make_to(ALIAS))
        clock.advance(timedelta(days=1))
    assert waiting(database_url) == 1
    resolve(ALIAS)
    first_and_last = [event["received_at"] for event in ledger.events()]
    assert first_and_last == [START, START + timedelta(days=2)]


def test_a_repeat_after_an_opt_in_counts_after_it(
    app: Flask,
    receive: Receive,
    make_to: MakeTo,
    resolve: Callable[..., IngestResult],
    allowed: Callable[..., bool],
    clock: Clock,
) -> None:  # I5
    from preference_center.core.events import Change, EventKind
    from preference_center.infra.context import services
    from preference_center.ledger import record

    receive(make_to(ALIAS))
    now = clock.advance(timedelta(hours=1))
    with app.app_context():
        change = Change(
            services().new_id(),
            EventKind.OPTED_IN,
            parse_address(ALIAS, Channel.EMAIL),
            "acme.offers",
            now,
            now,
            "test",
            "test",
        )
        record([change])
    assert allowed(ALIAS)
    with psycopg.connect(app.extensions["preference_center"].settings.database_url) as other:
        other.execute(  # as if a second mail had come before anything was resolved
            "UPDATE pending_mail_opt_out SET last_received_at = %s", [now + timedelta(minutes=1)]
        )
    clock.advance(timedelta(hours=1))
    assert not allowed(ALIAS)
    resolve()
    assert not allowed(ALIAS)


def test_an_erased_address_is_not_made_readable_by_guessing(
    receive: Receive,
    make_to: MakeTo,
    store: Callable[[str], None],
    resolve: Callable[..., IngestResult],
    allowed: Callable[..., bool],
    database_url: str,
) -> None:  # I6
    store(ALIAS)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE address SET ciphertext = NULL, erased_at = %s", [START])
    assert receive(make_to(ALIAS)).pending == 1
    assert resolve().pending == 1
    assert not allowed(ALIAS)
    assert receive(make_to(ALIAS), sender=ALIAS).recorded == 1
    with psycopg.connect(database_url) as connection:
        readable = "SELECT FROM address WHERE ciphertext IS NOT NULL"
        assert connection.execute(readable).fetchall() == []


def test_a_topic_that_the_catalogue_has_no_more_is_found_in_its_history(
    app: Flask, receive: Receive, make_to: MakeTo, ledger: Ledger
) -> None:
    from tests.catalogue.catalogues import SMALL
    from tests.in_force import put_in_force

    to = make_to()
    put_in_force(app, SMALL)
    receive(to, sender="jane.doe@example.com")
    assert ledger.kinds() == [OUT]


def test_a_topic_that_no_catalogue_ever_had_counts_as_all_marketing_until_a_person_decides(
    receive: Receive,
    make_to: MakeTo,
    resolve: Callable[..., IngestResult],
    allowed: Callable[..., bool],
    ledger: Ledger,
) -> None:  # I11
    assert receive(make_to(ALIAS, "acme.typo"), sender=ALIAS).pending == 1
    assert not allowed(ALIAS)
    assert allowed(ALIAS, "password_reset")
    assert resolve(ALIAS).recorded == 0
    assert resolve(ALIAS, scope="acme.offers").recorded == 1
    assert ledger.kinds() == [OUT]


def test_nothing_of_the_mail_is_kept(
    receive: Receive, make_to: MakeTo, database_url: str
) -> None:  # I8
    receive(make_to(ALIAS))
    with psycopg.connect(database_url) as connection:
        row = repr(connection.execute("SELECT * FROM pending_mail_opt_out").fetchall())
    assert "jane" not in row
    assert "unsubscribe" not in row


def keep_many(app: Flask, *people: str) -> None:
    """An opt-out by mail of each, all of them of the same moment."""
    from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.ledger.store.suppressions import PendingMailOptOut, insert_pending

    with app.app_context():
        keys, new_id = services().keys, services().new_id
        rows = [
            PendingMailOptOut(
                new_id(),
                keys.exact_digest(parse_address(each, Channel.EMAIL))[:DIGEST_PREFIX_BYTES],
                b"mark",
                "acme.offers",
                "l1",
                None,
                START,
                START,
            )
            for each in people
        ]
        run_in_transaction(lambda connection: insert_pending(connection, rows))


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(range(0), id="none"),
        pytest.param(range(0, 25, 6), id="some in every page"),
        pytest.param(range(25), id="all"),
    ],
)
def test_all_are_gone_through_a_few_at_a_time(
    app: Flask,
    store: Callable[[str], None],
    resolve: Callable[..., IngestResult],
    monkeypatch: pytest.MonkeyPatch,
    known: range,
) -> None:  # I3
    from preference_center.inbound import opt_outs

    people = [f"person-{n}@example.com" for n in range(25)]
    keep_many(app, *people)
    for n in known:
        store(people[n])
    monkeypatch.setattr(opt_outs, "PAGE_SIZE", 5)
    taken = resolve()
    assert (taken.recorded, taken.pending) == (len(known), 25 - len(known))
    assert resolve().recorded == 0


def test_what_is_held_at_once_does_not_grow_with_what_is_kept(
    app: Flask, resolve: Callable[..., IngestResult], monkeypatch: pytest.MonkeyPatch
) -> None:  # I3
    from preference_center.ledger.store import suppressions

    keep_many(app, *(f"person-{n}@example.com" for n in range(300)))
    read, real = 0, suppressions.PendingMailOptOut

    def counted(*columns: object) -> object:
        nonlocal read
        read += 1
        return real(*columns)  # type: ignore[arg-type]

    monkeypatch.setattr(suppressions, "PendingMailOptOut", counted)
    assert resolve().pending == 300
    assert read <= 1


def test_many_addresses_may_be_given_at_once(
    app: Flask,
    resolve: Callable[..., IngestResult],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from preference_center.inbound import opt_outs

    people = [f"person-{n}@example.com" for n in range(12)]
    keep_many(app, *people[:9])
    monkeypatch.setattr(opt_outs, "PAGE_SIZE", 5)
    assert resolve(*people).recorded == 9
    assert ledger.kinds() == [OUT] * 9
