"""Addresses that are known by a hash: whom they suppress, and what changes once they are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import (
    LIST_ALGORITHMS,
    Address,
    Channel,
    HashAlgorithm,
    HashedAddress,
    parse_address,
)
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING, EVERYTHING, Change, EventKind
from preference_center.destinations.store import backfills
from preference_center.infra.context import services
from preference_center.infra.db.connections import APPEND_LOCK
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger import address_rows, record
from preference_center.ledger.store.addresses import load_readable
from preference_center.ledger.store.lookup import load_exact_facts, load_facts
from tests.clock import START
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import (
    JANE,
    add_destination,
    change,
    id_of,
    patient,
    retraction,
    waiting,
)
from tests.ledger.oracle import hashed, same_mailbox

CORPUS = json.loads((Path(__file__).parents[2] / "corpus" / "address_pairs.json").read_text())
CHANNELS = {"email": Channel.EMAIL, "phone": Channel.SMS}
TAGGED = parse_address("jane+shop@example.org", Channel.EMAIL)

each_algorithm = pytest.mark.parametrize("algorithm", LIST_ALGORITHMS)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def of(who: Address, algorithm: HashAlgorithm) -> HashedAddress:
    return hashed(who.exact, algorithm, who)


@each_algorithm
def test_a_hash_of_any_address_of_the_corpus_suppresses_its_mailbox(
    algorithm: HashAlgorithm,
) -> None:  # I9
    pairs = {
        pair["id"]: [
            parse_address(pair[side], CHANNELS[pair["kind"]], region="IT")
            for side in ("suppressed", "candidate")
        ]
        for pair in CORPUS["pairs"]
        if "reference_parse_error" not in pair
    }
    must_match = {pair["id"]: pair["must_match"] for pair in CORPUS["pairs"]}
    # Each pair in a scope of its own, so that none answers for another.
    record(
        [
            change(number, scope=name, address=of(suppressed, algorithm))
            for number, (name, (suppressed, _)) in enumerate(pairs.items(), start=1)
        ]
    )
    candidates = [candidate for _, candidate in pairs.values()]
    wide, narrow = load_facts(candidates), load_exact_facts(candidates)
    for (name, (suppressed, candidate)), facts, exact in zip(
        pairs.items(), wide, narrow, strict=True
    ):
        found = name in {fact.scope for fact in facts}
        assert found is same_mailbox(of(suppressed, algorithm), candidate), name
        assert (name in {fact.scope for fact in exact}) is (suppressed == candidate), name
        if found:  # never more than the readable address
            assert must_match[name], name
        elif must_match[name]:  # never less, but for forms that a hash can't tell
            assert suppressed.mailbox != suppressed.exact or suppressed.base, name


@each_algorithm
def test_nothing_readable_and_no_bare_hash_is_stored(algorithm: HashAlgorithm) -> None:  # I6
    given = of(JANE, algorithm)
    record([change(1, address=given)])
    rows = run_in_transaction(
        lambda c: c.execute(
            "SELECT a.digest, a.ciphertext, k.digest FROM address a JOIN address_key k"
            " ON k.address_id = a.id"
        ).fetchall()
    )
    assert rows == [
        (services().keys.exact_digest(given), None, services().keys.exact_digest(given))
    ]
    assert given.digest not in rows[0]


@each_algorithm
def test_known_forms_of_the_mailbox_are_pushed_to_the_tools(algorithm: HashAlgorithm) -> None:  # I9
    add_destination("news", NEWS)
    record([change(1, EventKind.CONSENTED), change(2, EventKind.CONSENTED, address=TAGGED)])
    record([change(3, address=of(JANE, algorithm))])
    assert waiting(JANE) == waiting(TAGGED) == {"news": START + WINDOW}


@each_algorithm
@pytest.mark.parametrize("kind", [EventKind.CONSENTED, EventKind.OPTED_IN, EventKind.OPTED_OUT])
def test_an_address_known_later_gets_its_readable_form_and_is_pushed_to_all_tools(
    algorithm: HashAlgorithm, kind: EventKind
) -> None:  # I9: also to those that the telling event does not concern
    add_destination("news", NEWS)
    add_destination("offers", OFFERS)
    record([change(1, scope=ALL_MARKETING, address=of(JANE, algorithm))])
    assert waiting(JANE) == {}
    record([change(2, kind, OFFERS)])
    assert waiting(JANE) == {"news": START + WINDOW, "offers": START + WINDOW}
    found = run_in_transaction(lambda c: load_readable(c, services().keys, [id_of(JANE)]))  # type: ignore[list-item]
    assert list(found.values()) == [(Channel.EMAIL, JANE.exact)]


def test_a_sha256_whose_address_is_known_covers_its_other_forms_too() -> None:  # I9
    dotted, plain = (
        parse_address(f"{name}@gmail.com", Channel.EMAIL) for name in ("j.ane", "jane")
    )
    record([change(1, address=of(dotted, HashAlgorithm.SHA256))])
    assert load_facts([plain]) == [()]
    record([change(2, EventKind.CONSENTED, OFFERS, address=dotted)])
    assert [fact.scope for fact in load_facts([plain])[0]] == [NEWS]


@each_algorithm
def test_an_address_given_with_its_hash_is_readable_in_either_order(
    algorithm: HashAlgorithm,
) -> None:
    other = parse_address("jo@example.org", Channel.EMAIL)
    record([change(1, address=of(JANE, algorithm)), change(2)])
    record([change(3, address=other), change(4, address=of(other, algorithm))])
    ids = [id_of(JANE), id_of(other)]
    assert len(run_in_transaction(lambda c: load_readable(c, services().keys, ids))) == 2  # type: ignore[arg-type]


@each_algorithm
def test_a_new_destination_gets_hashes_whose_address_is_known(algorithm: HashAlgorithm) -> None:
    record([change(1, EventKind.CONSENTED), change(2, address=of(JANE, algorithm))])
    destination = add_destination("news", NEWS)
    run_in_transaction(lambda c: backfills.run_whole_backfill(c, destination, START))
    assert waiting(JANE) == {"news": START + WINDOW}


@each_algorithm
def test_the_persons_own_newer_opt_in_lifts_an_opt_out_by_hash(
    algorithm: HashAlgorithm,
) -> None:  # I5
    record([change(1, address=of(JANE, algorithm))])
    record([change(2, EventKind.OPTED_IN)])
    facts = load_facts([JANE])[0]
    assert any(fact.exact and fact.state.lift for fact in facts)
    assert any(fact.exact and fact.state.opt_out for fact in facts)


@each_algorithm
def test_an_import_of_hashes_can_be_retracted(algorithm: HashAlgorithm) -> None:  # I5
    record([change(1, address=of(JANE, algorithm))])
    record([retraction(9, 1)])
    assert load_facts([JANE]) == [()]


@each_algorithm
@pytest.mark.parametrize(
    "kind,scope",
    [(EventKind.OPTED_IN, NEWS), (EventKind.CONSENTED, NEWS), (EventKind.REOPENED, EVERYTHING)],
)
def test_a_hash_can_only_opt_out(algorithm: HashAlgorithm, kind: EventKind, scope: str) -> None:
    with pytest.raises(ValueError, match="readable address"):
        change(1, kind, scope, address=of(JANE, algorithm))


def test_a_check_needs_one_look_up_while_there_is_no_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    record([change(1, address=of(JANE, HashAlgorithm.SHA256))])
    monkeypatch.delattr(type(services().keys), "md5_keys")
    assert [fact.scope for fact in load_facts([JANE])[0]] == [NEWS]


def test_many_known_addresses_get_their_keys_in_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address_rows, "CHUNK_SIZE", 3)
    people = [parse_address(f"p{number}@example.org", Channel.EMAIL) for number in range(7)]
    record([change(n, EventKind.CONSENTED, address=who) for n, who in enumerate(people, start=1)])
    record([change(20, address=of(JANE, HashAlgorithm.SHA256))])  # nothing readable: passed over
    seen: list[int] = []
    address_rows.enable_md5_matching(seen.append)
    assert seen == [3, 6, 8]
    address_rows.enable_md5_matching(seen.append)
    assert seen == [3, 6, 8]
    add_destination("news", NEWS)
    record([change(30, address=of(people[0], HashAlgorithm.MD5))])
    assert waiting(people[0]) == {"news": START + WINDOW}


def test_adding_the_keys_resumes_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    def die(done: int) -> None:
        raise Killed

    monkeypatch.setattr(address_rows, "CHUNK_SIZE", 3)
    people = [parse_address(f"p{number}@example.org", Channel.EMAIL) for number in range(7)]
    record([change(n, EventKind.CONSENTED, address=who) for n, who in enumerate(people, start=1)])
    with pytest.raises(Killed):
        address_rows.enable_md5_matching(die)
    seen: list[int] = []
    address_rows.enable_md5_matching(seen.append)
    assert seen == [3, 4]


def test_a_writer_that_waited_while_md5s_began_stores_their_keys(
    app: Flask, database_url: str
) -> None:  # I9
    def write() -> None:
        with app.app_context(), override_limits(patient()):
            record([change(1, EventKind.CONSENTED)])

    writer = Thread(target=write, daemon=True)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
        writer.start()
        assert wait_until(lambda: _waits_at_the_gate() or not writer.is_alive(), 30)
        # Its statement began before this is there, and will not look at it again.
        other.execute("INSERT INTO md5_matching (id, started_at) VALUES (1, now())")
    writer.join(timeout=30)
    stored = run_in_transaction(lambda c: c.execute("SELECT digest FROM address_key").fetchall())
    assert {row[0] for row in stored} == {
        *services().keys.match_keys(JANE),
        *services().keys.md5_keys(JANE),
    }


def _waits_at_the_gate() -> bool:
    row = run_in_transaction(
        lambda c: c.execute(
            """SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"""
        ).fetchone()
    )
    return bool(row and row[0])


def test_changes_of_one_batch_may_name_the_same_hash() -> None:
    changes: list[Change] = [
        change(number, scope=scope, address=of(JANE, HashAlgorithm.MD5))
        for number, scope in enumerate((NEWS, OFFERS, NEWS), start=1)
    ]
    record(changes)
    assert {fact.scope for fact in load_facts([JANE])[0]} == {NEWS, OFFERS}
