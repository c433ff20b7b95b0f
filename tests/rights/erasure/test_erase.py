"""Erasing people in our own stores: nothing readable is left, and the opt-out is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask

from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import UnderHold, UnknownContact
from preference_center.core.events import EventKind, FrequencyChoice
from preference_center.decisions.rules import DecisionRule
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.addresses import load_pushable, load_readable
from preference_center.rights.erasure import erase as erase_module
from preference_center.rights.erasure.erase import (
    CHUNK_SIZE,
    erase_addresses,
    erase_again,
    erase_contacts,
)
from preference_center.rights.holds import end_hold, place_hold
from preference_center.rights.requests.correct import correct_address
from preference_center.rights.requests.handle import open_request
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, id_of, retraction, waiting
from tests.rights.decisions import INVOICE, WEEKLY, ask
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

BOTH = pytest.mark.parametrize("extent", list(Extent))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_nothing_readable_is_left_of_an_account() -> None:  # I6
    store(ADA, NUMBER)
    record([change(1, EventKind.OPTED_IN, address=ADA)])
    erase(ADA)
    traces = ("ada@example.com", NUMBER.exact, EXTERNAL_ID, LOCALE)
    assert tables_by_text(*traces) == {trace: set() for trace in traces}


def test_the_trace_would_be_found() -> None:
    store(ADA, NUMBER)
    assert tables_with("ada@example.com") == {"address"}
    assert tables_with(EXTERNAL_ID) == {"contact_external_id"}
    assert tables_with(LOCALE) == {"contact"}


@BOTH
def test_marketing_stays_off_for_every_form_of_the_mailbox(extent: Extent) -> None:  # I6, I9
    store()
    erase(extent=extent)
    for form in ("ada@example.com", "ADA@example.com", "ada+news@example.com"):
        assert not ask(WEEKLY, parse_address(form, Channel.EMAIL)).allow


def test_service_mail_goes_on_after_marketing_was_erased() -> None:  # I4
    store()
    erase(extent=Extent.MARKETING)
    assert ask(INVOICE, ADA).allow


def test_no_service_mail_goes_to_an_erased_account() -> None:  # I4
    store()
    erase()
    assert ask(INVOICE, ADA).rule is DecisionRule.CLOSED


def test_the_account_goes_with_all_its_addresses() -> None:
    contact = store(ADA, NUMBER)
    erased = erase(NUMBER)
    assert len(erased) == 2
    assert rows("SELECT erased_at FROM address WHERE digest = ANY(%s)", _digests(ADA, NUMBER)) == [
        (START,),
        (START,),
    ]
    assert row("SELECT locale, id FROM contact") == (None, contact.id)


def _digests(*addresses: Address) -> list[bytes]:
    return [services().keys.exact_digest(address) for address in addresses]


def test_marketing_is_erased_for_one_address_and_the_contact_stays() -> None:
    store(ADA, NUMBER)
    erase_addresses([id_of(ADA) or 0], Extent.MARKETING, origin=origin())
    assert rows("SELECT address_id FROM contact_address") == [(id_of(NUMBER),)]
    assert tables_with("ada@example.com") == set()
    assert tables_with(NUMBER.exact) == {"address"}
    assert tables_with(EXTERNAL_ID) == {"contact_external_id"}


@BOTH
def test_policy_notices_of_an_address_without_a_contact_are_deleted(extent: Extent) -> None:  # I6
    record([change(n, address=each) for n, each in enumerate((ADA, GRACE))])
    for each in (ADA, GRACE):
        _insert_policy_notice(id_of(each), None)
    erase_addresses([id_of(ADA) or 0], extent, origin=origin())
    assert rows("SELECT address_id FROM policy_notice") == [(id_of(GRACE),)]


def test_policy_notices_of_an_account_are_deleted_at_whatever_address() -> None:  # I6
    contact = store(ADA)
    record([change(1, address=GRACE)])
    _insert_policy_notice(id_of(GRACE), contact.id)
    erase()
    assert rows("SELECT address_id FROM policy_notice") == []


def _insert_policy_notice(address_id: int | None, contact_id: UUID | None) -> None:
    rows(
        """INSERT INTO policy_notice (version, address_id, contact_id, reach, selected_at)
        VALUES ('2027-01', %s, %s, 'reachable', %s) RETURNING seq""",
        address_id,
        contact_id,
        START,
    )


def test_consents_are_deleted_and_opt_outs_kept() -> None:
    store()
    record([change(1, EventKind.OPTED_IN, address=ADA), change(2, scope="acme.other", address=ADA)])
    erase(extent=Extent.MARKETING)
    assert rows("SELECT * FROM consent") == []
    assert ("acme.other",) in rows("SELECT scope FROM suppression WHERE out_at IS NOT NULL")


@BOTH
def test_only_pushes_can_read_the_address_while_a_tool_has_to_erase_it(extent: Extent) -> None:
    crm = add_destination("crm", NEWS)
    store()
    [erased] = erase(extent=extent)
    number = id_of(ADA)
    assert number
    keys = services().keys
    assert run_in_transaction(lambda c: load_readable(c, keys, [number])) == {}
    assert run_in_transaction(lambda c: load_pushable(c, keys, [number], crm)) == {
        number: (Channel.EMAIL, "ada@example.com")
    }
    assert tables_with("ada@example.com") == {"erasure"}
    assert rows("SELECT erasure_id, destination, outcome FROM erasure_task") == [
        (erased, "crm", "")
    ]


def test_every_tool_of_the_channel_is_brought_to_suppress_the_address() -> None:  # I3
    add_destination("crm", NEWS)
    add_destination("shop", "acme.other")
    store()
    erase()
    assert waiting(ADA).keys() == {"crm", "shop"}


def test_an_opt_out_of_an_erased_person_is_still_pushed() -> None:  # I6
    add_destination("crm", NEWS)
    store()
    erase(extent=Extent.MARKETING)
    before = row("SELECT wanted_version FROM sync_state")
    record([change(7, address=ADA)])
    assert row("SELECT wanted_version FROM sync_state") > before
    assert tables_with("ada@example.com") == {"erasure"}


def test_the_correction_that_led_to_an_address_names_it_no_more() -> None:  # I6
    """The request is about the old address, and has the new one in its words."""
    store(GRACE)
    asked = NewRequest(
        RequestKind.CORRECT,
        RequestVia.PAGE,
        "en",
        (GRACE,),
        level=IdentityLevel.CONTROLS_ADDRESS,
        text=ADA.exact,
    )
    correct_address(open_request(asked).id, ADA, actor="person")
    assert "rights_request" in tables_with("ada@example.com")
    erase(ADA, extent=Extent.MARKETING)
    assert tables_with("ada@example.com") == set()


def test_an_address_without_tools_is_forgotten_at_once() -> None:
    store()
    [erased] = erase()
    assert row("SELECT id, finished_at, ciphertext FROM erasure") == (erased, START, None)


def test_an_account_is_erased_after_its_marketing_and_the_later_erasure_has_the_address() -> None:
    add_destination("crm", NEWS)
    store()
    [first] = erase(extent=Extent.MARKETING)
    [second] = erase(extent=Extent.ACCOUNT)
    assert first != second
    assert rows("SELECT id FROM erasure WHERE ciphertext IS NOT NULL") == [(second,)]
    assert dict(rows("SELECT erasure_id, outcome FROM erasure_task")) == {
        first: "replaced",
        second: "",
    }
    assert not ask(INVOICE, ADA).allow


def test_marketing_is_not_erased_again_after_the_account() -> None:
    store()
    first = erase()
    assert erase(extent=Extent.MARKETING) == first


def test_an_address_known_by_its_digest_only_is_erased() -> None:
    """As after a hashed import: nothing can be pushed, and the opt-out stays."""
    store()
    erase(extent=Extent.MARKETING)
    add_destination("crm", NEWS)
    erase(extent=Extent.ACCOUNT)
    assert rows("SELECT * FROM erasure_task") == []
    assert not ask(INVOICE, ADA).allow


def test_an_address_that_reads_otherwise_today_is_erased_as_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I6: else the new form would be stored, readable
    """As with a new version of a library, once `flask addresses renormalise` has run."""
    store()
    stored = rows("SELECT id, digest FROM address ORDER BY id")
    today = parse_address("ada@example.org", Channel.EMAIL)
    monkeypatch.setattr(erase_module, "restore_address", lambda _exact, _channel: today)
    erase()
    assert rows("SELECT id, digest FROM address ORDER BY id") == stored
    assert not ask(WEEKLY, ADA).allow


def test_an_address_that_was_never_stored_is_erased_in_the_tools() -> None:
    add_destination("crm", NEWS)
    erase(GRACE)
    assert waiting(GRACE).keys() == {"crm"}
    assert tables_with("grace@example.com") == {"erasure"}


def test_a_contact_without_addresses_is_erased() -> None:
    stored = store(ADA)
    erase_addresses([id_of(ADA) or 0], Extent.MARKETING, origin=origin())
    [erased] = erase_contacts([ContactRef(stored.id)], Extent.ACCOUNT, origin=origin())
    assert tables_with(EXTERNAL_ID) == set()
    assert row("SELECT address_id, contact_id FROM erasure WHERE id = %s", erased) == (
        None,
        stored.id,
    )
    assert erase_contacts([ContactRef(stored.id)], Extent.ACCOUNT, origin=origin()) == []


def test_what_a_contact_was_merged_from_is_erased_too() -> None:
    from preference_center.contacts import merge_contacts

    store(ADA)
    store(GRACE, external_id="other")
    merge_contacts([(ContactRef(address=GRACE), ContactRef(address=ADA))], origin())
    erase()
    assert tables_with(LOCALE) == set()
    assert tables_with("other") == set()


def test_an_unknown_contact_is_not_erased() -> None:
    with pytest.raises(UnknownContact):
        erase_addresses([4711], Extent.ACCOUNT, origin=origin())


@BOTH
def test_nothing_under_a_hold_is_erased(extent: Extent) -> None:
    store(ADA, NUMBER)
    place_hold(NUMBER, "case-1", "claims in court", "counsel")
    before = row("SELECT count(*) FROM event")
    with pytest.raises(UnderHold, match="claims in court"):
        erase_addresses([id_of(ADA) or 0], extent, origin=origin())
    assert tables_with("ada@example.com") == {"address"}
    assert row("SELECT count(*) FROM event") == before
    end_hold("case-1", "counsel")
    assert erase(extent=extent)


def test_what_belongs_to_it_is_written_in_the_same_transaction() -> None:
    store()
    seen: list[UUID] = []

    def fail(connection: Connection, ids: object) -> None:
        seen.extend(row[0] for row in connection.execute("SELECT id FROM erasure"))
        raise UnknownContact("to be rolled back")

    with pytest.raises(UnknownContact):
        erase(in_transaction=fail)
    assert seen
    assert rows("SELECT * FROM erasure") == []
    assert tables_with("ada@example.com") == {"address"}


def test_many_people_are_erased_in_chunks_and_resumed() -> None:
    people = [
        parse_address(f"p{number}@example.com", Channel.EMAIL) for number in range(CHUNK_SIZE + 7)
    ]
    record([], known_addresses=people)
    ids = [number for (number,) in rows("SELECT id FROM address")]
    known = [number for number in ids if number]
    held = parse_address("p3@example.com", Channel.EMAIL)
    erased = erase_addresses(known[:10], Extent.MARKETING, origin=origin())
    erased = erase_addresses(known, Extent.MARKETING, origin=origin())
    assert len(erased) == len(known)
    assert rows("SELECT id FROM address WHERE erased_at IS NULL") == []
    assert not ask(WEEKLY, held).allow


def test_one_transaction_erases_one_chunk_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase_module, "CHUNK_SIZE", 2)
    store(ADA, NUMBER)
    store(GRACE, external_id="other")
    ids = [id_of(each) or 0 for each in (ADA, NUMBER, GRACE)]

    def erase_at_once(ids: Sequence[int]) -> list[UUID]:
        return erase_addresses(
            ids, Extent.MARKETING, origin=origin(), in_transaction=lambda *_: None
        )

    with pytest.raises(ValueError, match="up to 2"):
        erase_at_once(ids)
    assert rows("SELECT id FROM erasure") == []
    assert len(erase_at_once(ids[:2])) == 2


def test_entries_of_the_journal_are_numbered_without_gaps() -> None:
    store(ADA, NUMBER)
    erase()
    erase(GRACE)
    assert rows("SELECT entry FROM erasure ORDER BY entry") == [(1,), (2,), (3,)]
    assert row("SELECT last_entry FROM erasure_journal") == (3,)


@BOTH
def test_the_last_erasure_counts_when_a_restored_database_repeats_several(
    extent: Extent, clock: Clock
) -> None:  # I6
    """What was chosen between them was lost by the restore, and comes back by a list."""
    store()
    first, chosen, last = (clock.now + timedelta(days=days) for days in (1, 2, 3))
    clock.now += timedelta(days=4)
    for begun_at in (first, last, last):  # the last one was cut off, and is repeated
        erase_again([id_of(ADA) or 0], (), extent, origin=origin(), begun_at=begun_at)
    record([change(1, EventKind.CONSENTED, address=ADA, at=chosen)])
    assert row("SELECT last_erased_at FROM address WHERE id = %s", id_of(ADA)) == (last,)
    assert rows("SELECT topic FROM consent") == []
    assert row("SELECT count(*) FROM erasure") == (2,)


@BOTH
def test_a_choice_dated_by_a_clock_ahead_stays_erased(extent: Extent, clock: Clock) -> None:  # I6
    store()
    clock.now = ahead = clock.now + timedelta(seconds=5)
    weekly = FrequencyChoice("weekly", 0)
    record(
        [
            change(1, EventKind.CONSENTED, address=ADA, at=ahead),
            change(2, EventKind.FREQUENCY_CHOSEN, address=ADA, at=ahead, frequency=weekly),
            change(3, address=ADA, scope="acme.other"),
        ]
    )
    clock.now -= timedelta(seconds=5)  # that of another host
    erase(extent=extent)
    record([retraction(4, 3)])  # folds the ledger again
    assert rows("SELECT topic FROM consent") == []
    assert rows("SELECT scope FROM suppression WHERE frequency IS NOT NULL") == []
