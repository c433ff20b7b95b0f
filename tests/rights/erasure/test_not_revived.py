"""Whatever arrives after an erasure stores nothing readable, and its opt-outs count (I6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center import contacts
from preference_center.contacts import WrittenContact
from preference_center.contacts import change as saving
from preference_center.contacts.rules.contact import (
    AccountState,
    ContactRef,
    ContactSet,
    ContactUpdate,
)
from preference_center.contacts.store import find_locale
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.decisions.rules import DecisionRule
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.address_rows import enable_md5_matching
from preference_center.ledger.feed.changes import FeedPage, list_changes
from preference_center.ledger.forms import renormalise
from preference_center.ledger.store.lookup import load_facts
from preference_center.lists.rules.instructions import LegalBasis
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.in_force import put_in_force
from tests.ledger.changes import change, retraction
from tests.lists.imports.importing import imported, instructions_for, taken_back
from tests.rights.decisions import INVOICE, WEEKLY, ask
from tests.rights.erasing import (
    ADA,
    EXTERNAL_ID,
    GRACE,
    LOCALE,
    NUMBER,
    erase,
    origin,
    rows,
    store,
    tables_by_text,
    tables_with,
)

BOTH = pytest.mark.parametrize("extent", list(Extent))
TRACES = ("ada@example.com", EXTERNAL_ID, LOCALE)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        yield


def put(
    *addresses: Address, external_id: str | None = "new-id", locale: str = LOCALE
) -> WrittenContact:
    update = ContactUpdate(external_id, locale, addresses)
    [written] = contacts.upsert_contacts([update], origin())
    return written


def no_trace_left(traces: Collection[str] = (*TRACES, "new-id")) -> None:
    assert tables_by_text(*traces) == {trace: set() for trace in traces}


@BOTH
def test_an_update_by_the_address_is_answered_and_stores_nothing(extent: Extent) -> None:
    store(external_id=None)
    erase(extent=extent)
    run_in_transaction(lambda c: c.execute("UPDATE contact SET locale = NULL"))
    written = put(ADA)
    assert written.contact.account is AccountState.ERASED
    no_trace_left()


def test_an_update_by_the_external_id_of_an_erased_account_stores_nothing() -> None:
    store()
    erase()
    put(GRACE, external_id=EXTERNAL_ID)
    no_trace_left((*TRACES, "grace@example.com"))


def test_an_update_of_a_living_contact_leaves_the_erased_address_out() -> None:
    living = store(NUMBER)
    erase(ADA, extent=Extent.MARKETING)
    written = put(ADA, external_id=EXTERNAL_ID, locale="it")
    assert written.contact.id == living.id
    assert written.contact.locale == "it"
    assert tables_with("ada@example.com") == set()
    assert rows("SELECT count(*) FROM contact_address") == [(1,)]


@BOTH
def test_an_update_that_was_under_way_during_the_erasure_stores_nothing(
    extent: Extent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the contacts before, and writes after."""
    record([], known_addresses=[ADA])
    load = saving.load_contacts
    times: list[int] = []

    def load_and_erase(refs: Collection[ContactRef]) -> ContactSet:
        found = load(refs)
        if not times:
            times.append(1)
            erase(extent=extent)
        return found

    monkeypatch.setattr(saving, "load_contacts", load_and_erase)
    assert put(ADA).contact.account is AccountState.ERASED
    no_trace_left()


def test_an_account_is_closed_by_its_address_after_its_marketing_was_erased() -> None:  # I4
    store()
    erase(extent=Extent.MARKETING)
    contacts.deactivate_contacts([(ContactRef(address=ADA), services().now())], origin())
    assert ask(INVOICE, ADA).rule is DecisionRule.CLOSED
    assert tables_with("ada@example.com") == set()
    put(ADA)
    no_trace_left(("ada@example.com", "new-id"))


@BOTH
def test_events_of_every_kind_count_and_store_nothing_readable(extent: Extent) -> None:
    store()
    erase(extent=extent)
    record([change(5, EventKind.CONSENTED, address=ADA), change(6, address=ADA, own_act=True)])
    assert tables_with("ada@example.com") == set()
    assert not ask(WEEKLY, ADA).allow


@BOTH
def test_a_form_of_the_mailbox_that_comes_later_is_off_as_well(extent: Extent) -> None:  # I9
    store()
    erase(extent=extent)
    other = parse_address("ada+shop@example.com", Channel.EMAIL)
    put(other, external_id=None)
    assert not ask(WEEKLY, other).allow
    assert tables_with("ada@example.com") == set()


@BOTH
def test_a_consent_from_before_the_erasure_is_not_stored_again(
    extent: Extent, clock: Clock
) -> None:
    """As the later half of an import has it, or a refold after a retraction."""
    store()
    early = clock.now
    record(
        [change(1, EventKind.CONSENTED, address=ADA), change(2, scope="acme.other", address=ADA)]
    )
    clock.now += timedelta(days=1)
    erase(extent=extent)
    record([change(3, EventKind.CONSENTED, address=ADA, at=early)])
    assert rows("SELECT * FROM consent") == []
    record([retraction(4, 2)])
    assert rows("SELECT * FROM consent") == []
    assert not ask(WEEKLY, ADA).allow


def test_a_consent_of_others_is_stored(clock: Clock) -> None:
    erase(ADA)
    record([change(3, EventKind.CONSENTED, address=GRACE, at=clock.now)])
    assert rows("SELECT topic FROM consent") == [(NEWS,)]


@BOTH
def test_an_import_of_an_old_list_revives_nobody(extent: Extent, tmp_path: Path) -> None:
    store()
    erase(extent=extent)
    path = tmp_path / "subscribers.csv"
    path.write_text("email,date\nada@example.com,2026-01-01\ngrace@example.com,2026-01-01\n")
    subscriptions = instructions_for(
        "generic-list",
        ("list", NEWS),
        only="subscriptions",
        source="shop",
        wording="Yes",
        language="en",
        legal_basis=LegalBasis.CONSENT,
    )
    imported(path, subscriptions)
    assert tables_with("ada@example.com") == set()
    assert tables_with("grace@example.com") == {"address"}
    assert not ask(WEEKLY, ADA).allow


def test_the_undo_of_an_import_that_named_the_person_keeps_the_opt_out(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("ada@example.com\n")
    import_id = imported(
        path, instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")
    )
    erase(extent=Extent.MARKETING)
    taken_back(import_id)
    assert tables_with("ada@example.com") == set()
    assert not ask(WEEKLY, ADA).allow


def test_maintenance_of_addresses_leaves_erased_ones_alone() -> None:
    store()
    erase()
    keys = rows("SELECT count(*) FROM address_key")
    enable_md5_matching()
    assert renormalise().read == 0
    assert rows("SELECT count(*) FROM address_key") == keys
    assert tables_with("ada@example.com") == set()


@BOTH
def test_the_language_is_forgotten(extent: Extent) -> None:
    store(ADA, NUMBER)
    erase(extent=extent)
    keys = services().keys
    assert run_in_transaction(lambda c: find_locale(c, keys, ADA)) is None


def test_readers_of_the_feed_get_the_erasure_and_no_address() -> None:
    store()
    record([change(1, address=ADA)])
    erase()
    keys = services().keys

    def page() -> FeedPage:
        return run_in_transaction(lambda c: list_changes(c, keys, None, 100))

    expected = {EventKind.OPTED_OUT, EventKind.ERASED}
    # They wait for open transactions, also those of another test on this server.
    assert wait_until(lambda: {entry.event.kind for entry in page().entries} == expected, 60)
    assert {entry.scope_status.address for entry in page().entries} == {None}


@BOTH
def test_evidence_is_erased_and_the_ledger_still_verifies(extent: Extent) -> None:  # I8
    from preference_center.ledger.store.events import EvidenceState, verify_evidence

    store()
    record([change(1, address=ADA, evidence={"source": "shop"}), change(2, address=GRACE)])
    erase(extent=extent)
    keys = services().keys
    states = run_in_transaction(lambda c: verify_evidence(c, keys))
    assert EvidenceState.ALTERED not in {each.state for each in states}
    assert states[0].state is EvidenceState.MISSING
    assert tables_with("shop") <= {"catalogue_version", "event", "audit"}
    assert load_facts([ADA])
