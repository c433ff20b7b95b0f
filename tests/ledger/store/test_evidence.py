"""Evidence is next to its event: it can be erased, and not altered unnoticed (I6, I8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.events import (
    EvidenceState,
    hash_evidence,
    load_events_by_id,
    verify_evidence,
)
from tests.ledger.changes import JANE, change, id_of, retraction
from tests.rights.erased_rows import erase_of

BO = parse_address("bo@example.org", Channel.EMAIL)
FACTS = {"method": "one_click", "wording": "Frühling"}


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def verified(keys: Keys | None = None) -> Counter[EvidenceState]:
    keys = keys or services().keys
    found = run_in_transaction(lambda c: verify_evidence(c, keys))
    return Counter(each.state for each in found)


def run(*statements: str) -> None:
    def execute(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement.encode())

    run_in_transaction(execute)


def tamper(statement: str) -> None:
    """Execute it as the owner of the tables could."""
    table = "event_evidence"
    off = f"ALTER TABLE {table} DISABLE TRIGGER ALL"
    run(off, statement, off.replace("DISABLE", "ENABLE"))


def test_what_is_recorded_is_intact() -> None:
    record([change(1, evidence=FACTS), change(2, evidence={}, scope="acme.other")])
    record([retraction(3, 1)])
    assert verified() == {EvidenceState.INTACT: 3}


def test_altered_evidence_is_noticed() -> None:  # I8
    record([change(1, evidence=FACTS), change(2, address=BO)])
    tamper("""UPDATE event_evidence SET evidence = '{"method": "phone"}'
        WHERE evidence ? 'method'""")
    assert verified() == {EvidenceState.INTACT: 1, EvidenceState.ALTERED: 1}


def test_the_evidence_of_another_event_is_noticed() -> None:  # I8
    record([change(1, evidence=FACTS), change(2, address=BO)])
    tamper("""UPDATE event_evidence v SET evidence = other.evidence
        FROM event_evidence other WHERE other.event_id <> v.event_id""")
    assert verified() == {EvidenceState.ALTERED: 2}


def test_what_others_wrote_is_sealed_and_read_as_it_was() -> None:  # I6: a stolen dump
    said = {
        "source": "bo@example.org told us",
        "wording": "yes, also for Bo Ode",
        "note": "+39 06 1",
    }
    record([change(1, evidence=FACTS | said), change(2, address=BO)])
    dumped = run_in_transaction(
        lambda c: c.execute("SELECT evidence FROM event_evidence").fetchall()
    )
    assert dumped == [({"method": "one_click"},), ({},)]
    found = run_in_transaction(lambda c: load_events_by_id(c, [UUID(int=1)]))
    assert found[UUID(int=1)].evidence == FACTS | said
    assert verified() == {EvidenceState.INTACT: 2}


def test_a_sealed_text_of_another_event_is_noticed() -> None:  # I8
    record([change(1, evidence=FACTS), change(2, address=BO, evidence=FACTS)])
    tamper("""UPDATE event_evidence v SET sealed = other.sealed
        FROM event_evidence other WHERE other.event_id <> v.event_id""")
    assert verified() == {EvidenceState.ALTERED: 2}


def test_a_sealed_text_that_is_gone_is_noticed() -> None:  # I8
    record([change(1, evidence=FACTS)])
    tamper("UPDATE event_evidence SET sealed = NULL")
    assert verified() == {EvidenceState.ALTERED: 1}


def hashes() -> list[tuple[bytes]]:
    return run_in_transaction(lambda c: c.execute("SELECT evidence_hash FROM event").fetchall())


@pytest.mark.parametrize(
    "statement", ["UPDATE event_evidence SET evidence = '{}'", "TRUNCATE event_evidence"]
)
def test_evidence_may_be_erased_and_not_replaced(statement: str) -> None:  # I8
    record([change(1, evidence=FACTS)])
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        run(statement)


def test_evidence_of_an_earlier_digest_key_is_intact() -> None:
    record([change(1, evidence=FACTS)])
    keys = services().keys
    longer = Keys([*keys.digest_chain, ("newer", b"n" * 32)], keys.encryption)
    assert verified(longer) == {EvidenceState.INTACT: 1}
    assert verified(Keys([("other", b"o" * 32)], keys.encryption)) == {EvidenceState.ALTERED: 1}


def test_an_event_from_before_the_hashes_says_so() -> None:
    record([change(1)])
    run(
        "ALTER TABLE event DISABLE TRIGGER append_only",
        "UPDATE event SET evidence_hash = NULL",
        "ALTER TABLE event ENABLE TRIGGER append_only",
    )
    assert verified() == {EvidenceState.UNHASHED: 1}


def test_erased_evidence_leaves_the_event_and_what_others_have() -> None:  # I6, I8
    record([change(1, evidence=FACTS), change(2, address=BO, evidence=FACTS)])
    jane = id_of(JANE)
    assert jane is not None
    assert run_in_transaction(lambda c: erase_of(c, "event_evidence", jane)) == 1
    assert verified() == {EvidenceState.MISSING: 1, EvidenceState.INTACT: 1}
    found = run_in_transaction(lambda c: load_events_by_id(c, [UUID(int=1), UUID(int=2)]))
    assert (found[UUID(int=1)].evidence, found[UUID(int=1)].evidence_erased) == ({}, True)
    assert (found[UUID(int=2)].evidence, found[UUID(int=2)].evidence_erased) == (FACTS, False)


def test_a_late_retry_does_not_bring_erased_evidence_back() -> None:  # I6
    record([change(1, evidence=FACTS)])
    jane = id_of(JANE)
    assert jane is not None
    run_in_transaction(lambda c: erase_of(c, "event_evidence", jane))
    record([change(1, evidence=FACTS)])
    assert verified() == {EvidenceState.MISSING: 1}


def test_whoever_kept_erased_evidence_can_show_that_it_belongs_to_the_event() -> None:  # I8
    record([change(1, evidence=FACTS)])
    assert hashes() == [(hash_evidence(services().keys, UUID(int=1), FACTS),)]
    turned = dict(reversed(FACTS.items()))
    assert hash_evidence(services().keys, UUID(int=1), turned) == hashes()[0][0]
