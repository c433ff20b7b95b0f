"""Contacts on real tables: what is stored, and what their addresses' ledger has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.contacts import WrittenContact, store
from preference_center.contacts.rules.contact import (
    AccountState,
    Contact,
    ContactRef,
    ContactUpdate,
)
from preference_center.contacts.store import find_locale, save_contacts
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import AddressConflict, InvalidRows
from preference_center.core.events import Change, EventKind
from preference_center.decisions.rules import Decision, DecisionRule, decide
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, together, waiting
from tests.ledger.oracle import hashed

HOUR = timedelta(hours=1)
ADA, GRACE, MARY = (
    parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)
NUMBER = parse_address("+39 333 1234567", Channel.SMS)
INVOICE = MessageType("invoice", MessageClass.SERVICE)
WEEKLY = MessageType("weekly", MessageClass.MARKETING, NEWS)
TOPIC = Topic(NEWS, "acme", Channel.EMAIL, TopicDefault.OPT_OUT, "news", {}, {})


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def origin() -> RequestOrigin:
    return RequestOrigin("test", "key:shop", services().now())


def put(*profiles: ContactUpdate) -> list[Contact]:
    return [written.contact for written in contacts.upsert_contacts(profiles, origin())]


def ada(**more: Any) -> Contact:
    return put(ContactUpdate(**{"external_id": "c-1", "locale": "it", "addresses": (ADA,)} | more))[
        0
    ]


def close(who: Address, at: datetime | None = None) -> WrittenContact:
    return contacts.deactivate_contacts(
        [(ContactRef(address=who), at or services().now())], origin()
    )[0]


def reopen(who: Address, at: datetime) -> WrittenContact:
    proof = ConsentEvidence("counter", "Open my account again", "it", at)
    return contacts.reopen_contacts([(ContactRef(address=who), proof)], origin())[0]


def ask(message: MessageType, who: Address) -> Decision:
    topic = TOPIC if message is WEEKLY else None
    return decide(message, topic, load_facts([who])[0], services().now())


def rows(query: str) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())


def events() -> list[tuple[str, str, str]]:
    return rows("SELECT e.kind, e.scope, e.actor FROM event e ORDER BY e.seq")


def test_a_contact_is_found_by_its_external_id_and_every_address() -> None:
    stored = ada(addresses=(ADA, NUMBER))
    for named in (
        ContactRef(stored.id),
        ContactRef(None, "c-1"),
        ContactRef(address=ADA),
        ContactRef(address=NUMBER),
    ):
        assert contacts.load_contacts([named]).find(named) == Contact(
            stored.id, AccountState.OPEN, "it", frozenset({"c-1"}), frozenset({ADA, NUMBER}), 1
        )


def test_another_form_of_the_address_is_not_theirs() -> None:  # I9: narrow to reveal
    ada()
    other = parse_address("ada+shop@example.com", Channel.EMAIL)
    assert contacts.load_contacts([ContactRef(address=other)]).contacts == {}


def test_external_ids_are_stored_like_addresses() -> None:  # I12
    ada(external_id="mailbox-of-ada@example.com")
    stored = rows("SELECT digest, ciphertext FROM contact_external_id") + rows(
        "SELECT actor, action, detail::text FROM audit"
    )
    assert "ada@" not in repr(stored)


def test_what_is_known_already_writes_nothing() -> None:
    stored = ada()
    assert ada().id == stored.id
    assert rows("SELECT version FROM contact") == [(1,)]
    assert rows("SELECT actor, action, detail FROM audit") == [
        ("key:shop", "contacts.upserted", {"contacts": [str(stored.id)]})
    ]


def test_many_are_accepted_together_or_not_at_all_with_every_fault_reported() -> None:
    put(ContactUpdate("c-1", addresses=(ADA,)), ContactUpdate("c-2", addresses=(GRACE,)))
    with pytest.raises(InvalidRows) as refused:
        put(
            ContactUpdate("c-3", addresses=(MARY,)),
            ContactUpdate("c-1", addresses=(NUMBER, GRACE)),
            ContactUpdate("c-9", addresses=(ADA,)),
        )
    assert [(fault.row, fault.field) for fault in refused.value.errors] == [
        (1, "addresses/1"),
        (2, "external_id"),
    ]
    assert isinstance(refused.value.errors[0].error, AddressConflict)
    assert (
        contacts.load_contacts([ContactRef(None, "c-3"), ContactRef(address=NUMBER)]).contacts == {}
    )


def test_of_two_who_claim_an_address_at_once_one_is_refused() -> None:
    faults: list[InvalidRows] = []

    def claim(external_id: str) -> None:
        try:
            put(ContactUpdate(external_id, addresses=(ADA,)))
        except InvalidRows as error:
            faults.append(error)

    together(*(lambda n=n: claim(f"c-{n}") for n in range(4)))
    assert len(faults) == 3
    assert rows("SELECT count(*) FROM contact") == [(1,)]


def test_an_address_linked_while_it_is_being_closed_is_closed_in_the_end() -> None:  # I4
    ada()
    together(lambda: close(ADA), lambda: put(ContactUpdate("c-1", addresses=(ADA, MARY))))
    assert [ask(INVOICE, who).rule for who in (ADA, MARY)] == [DecisionRule.CLOSED] * 2


def test_an_address_linked_while_its_contact_is_being_loaded_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I4
    ada()
    read, links = store._group_by_contact, [ContactUpdate("c-1", addresses=(ADA, MARY))]

    def read_and_link(rows: Iterable[Any]) -> Any:
        found = read(rows)
        if links:
            link = links.pop()
            together(lambda: put(link))
        return found

    monkeypatch.setattr(store, "_group_by_contact", read_and_link)
    close(ADA)
    assert [ask(INVOICE, who).rule for who in (ADA, MARY)] == [DecisionRule.CLOSED] * 2


class TestRevealing:
    def test_an_opt_out_against_a_digest_goes_to_the_tools_with_its_own_clock(
        self, clock: Clock
    ) -> None:  # I3, I9
        add_destination("news", NEWS)
        record([change(1, address=hashed(ADA.exact, "sha256", ADA))])
        assert waiting(ADA) == {}
        clock.advance(HOUR)
        ada()
        assert waiting(ADA) == {"news": START + WINDOW}

    def test_an_opt_out_of_another_form_goes_to_the_tools_for_this_one(
        self, clock: Clock
    ) -> None:  # I9
        add_destination("news", NEWS)
        record([change(1, address=ADA)])
        clock.advance(HOUR)
        tagged = parse_address("ada+shop@example.com", Channel.EMAIL)
        ada(addresses=(tagged,))
        assert waiting(tagged) == {"news": clock.now + WINDOW}


class TestClosing:
    def test_it_stops_everything_at_every_address(self) -> None:  # I4
        ada(addresses=(ADA, NUMBER))
        assert close(ADA).is_changed
        assert [ask(INVOICE, who).rule for who in (ADA, NUMBER)] == [DecisionRule.CLOSED] * 2
        assert ask(WEEKLY, ADA).rule is DecisionRule.CLOSED
        assert (
            events()
            == [
                ("deactivated", "everything", "key:shop"),
                ("deactivated", "all_marketing", "key:shop"),
            ]
            * 2
        )

    def test_its_clock_runs_from_when_the_company_was_informed(self) -> None:  # I3
        add_destination("news", NEWS)
        ada()
        close(ADA, START - 5 * HOUR)
        assert waiting(ADA) == {"news": START - 5 * HOUR + WINDOW}

    def test_an_address_linked_later_is_closed_too(self) -> None:  # I4
        ada()
        close(ADA)
        ada(addresses=(MARY,))
        assert ask(INVOICE, MARY).rule is DecisionRule.CLOSED

    def test_twice_is_once(self) -> None:  # I7
        ada()
        close(ADA)
        assert not close(ADA).is_changed
        assert len(events()) == 2

    def test_whoever_has_but_an_address_is_recorded(self) -> None:
        assert close(MARY).is_changed
        assert ask(INVOICE, MARY).rule is DecisionRule.CLOSED
        with pytest.raises(InvalidRows):
            contacts.deactivate_contacts([(ContactRef(None, "c-404"), START)], origin())


class TestReopening:
    def test_service_mail_flows_again_and_marketing_stays_off(self, clock: Clock) -> None:  # I6
        ada()
        close(ADA)
        clock.advance(HOUR)
        assert reopen(ADA, clock.now).is_changed
        assert ask(INVOICE, ADA).rule is DecisionRule.SERVICE
        assert ask(WEEKLY, ADA).rule is DecisionRule.OPTED_OUT_OF_ALL_MARKETING

    def test_what_was_asked_for_before_stays_off_until_it_is_asked_for_anew(
        self, clock: Clock
    ) -> None:  # I5, I6
        ada()
        record([_opt_in(1, clock.now)])
        clock.advance(HOUR)
        close(ADA)
        clock.advance(HOUR)
        reopen(ADA, clock.now)
        assert not ask(WEEKLY, ADA).allow
        clock.advance(HOUR)
        record([_opt_in(2, clock.now)])
        assert ask(WEEKLY, ADA).rule is DecisionRule.CONSENTED

    def test_an_act_from_before_the_closing_reopens_nothing(self, clock: Clock) -> None:  # I5
        ada()
        clock.advance(HOUR)
        close(ADA)
        with pytest.raises(InvalidRows) as refused:
            reopen(ADA, clock.now)
        assert refused.value.errors[0].field == "evidence"
        assert ask(INVOICE, ADA).rule is DecisionRule.CLOSED
        assert (
            contacts.load_contacts([ContactRef(address=ADA)]).find(ContactRef(address=ADA)).account
            == "deactivated"
        )

    def test_evidence_that_names_the_person_is_refused(self, clock: Clock) -> None:  # I8
        ada(addresses=(ADA, MARY))
        close(ADA)
        clock.advance(HOUR)
        proof = ConsentEvidence("mail from mary@example.com", "Open it", "it", clock.now)
        with pytest.raises(InvalidRows, match="address"):
            contacts.reopen_contacts([(ContactRef(address=ADA), proof)], origin())

    def test_an_open_account_stays_as_it_is(self) -> None:  # I7
        ada()
        assert not reopen(ADA, START).is_changed
        assert events() == []

    def test_closed_again_after_an_opt_in_marketing_stays_off_once_it_is_reopened(
        self, clock: Clock
    ) -> None:  # I5: no acknowledged opt-out is dropped unless that changes nothing
        ada()
        close(ADA)
        clock.advance(HOUR)
        record([_opt_in(1, clock.now)])
        clock.advance(HOUR)
        close(ADA)
        clock.advance(HOUR)
        reopen(ADA, clock.now)
        assert ask(WEEKLY, ADA).rule is DecisionRule.OPTED_OUT_OF_ALL_MARKETING

    def test_closed_again_it_stops_what_another_form_has_opted_in_to_since(
        self, clock: Clock
    ) -> None:  # I5, I9
        ada()
        other = parse_address("ada+shop@example.com", Channel.EMAIL)
        close(other)
        clock.advance(HOUR)
        record([_opt_in(1, clock.now)])
        assert ask(WEEKLY, ADA).allow
        clock.advance(HOUR)
        close(other)
        assert not ask(WEEKLY, ADA).allow

    def test_closed_again_as_of_before_an_opt_in_nothing_is_added(self, clock: Clock) -> None:  # I7
        ada()
        close(ADA)
        clock.advance(HOUR)
        record([_opt_in(1, clock.now)])
        before = events()
        close(ADA, START)
        assert events() == before

    def test_it_can_be_closed_again(self, clock: Clock) -> None:
        ada()
        close(ADA)
        clock.advance(HOUR)
        reopen(ADA, clock.now)
        clock.advance(HOUR)
        assert close(ADA).is_changed
        assert ask(INVOICE, ADA).rule is DecisionRule.CLOSED


class TestMerging:
    def merge(self, gone: ContactRef, into: ContactRef) -> WrittenContact:
        return contacts.merge_contacts([(gone, into)], origin())[0]

    def test_the_survivor_is_found_by_all_that_either_was(self) -> None:
        one, two = put(ContactUpdate("c-1", "it", (ADA,)), ContactUpdate("c-2", None, (GRACE,)))
        survivor = self.merge(ContactRef(None, "c-1"), ContactRef(address=GRACE)).contact
        assert (survivor.id, survivor.locale) == (two.id, "it")
        for named in (
            ContactRef(one.id),
            ContactRef(None, "c-1"),
            ContactRef(None, "c-2"),
            ContactRef(address=ADA),
        ):
            assert contacts.load_contacts([named]).find(named).id == two.id
        assert rows("SELECT detail FROM audit ORDER BY id DESC LIMIT 1") == [
            ({"contacts": [str(two.id)], "merged": [str(one.id)], "into": [str(two.id)]},)
        ]

    def test_one_closed_account_closes_both(self) -> None:
        put(ContactUpdate("c-1", addresses=(ADA,)), ContactUpdate("c-2", addresses=(GRACE,)))
        close(ADA)
        assert (
            self.merge(ContactRef(address=ADA), ContactRef(address=GRACE)).contact.account
            == "deactivated"
        )
        assert [ask(INVOICE, who).rule for who in (ADA, GRACE)] == [DecisionRule.CLOSED] * 2
        assert len(events()) == 4

    def test_merged_once_it_is_merged_for_good(self) -> None:  # I7
        one, two = put(ContactUpdate("c-1"), ContactUpdate("c-2"))
        assert self.merge(ContactRef(one.id), ContactRef(two.id)).is_changed
        assert not self.merge(ContactRef(one.id), ContactRef(two.id)).is_changed

    def test_the_id_of_somebody_merged_long_ago_still_leads_to_the_survivor(self) -> None:
        one, two, three = put(ContactUpdate("c-1"), ContactUpdate("c-2"), ContactUpdate("c-3"))
        self.merge(ContactRef(one.id), ContactRef(two.id))
        self.merge(ContactRef(two.id), ContactRef(three.id))
        assert contacts.load_contacts([ContactRef(one.id)]).find(ContactRef(one.id)).id == three.id

    def test_three_become_one_in_one_request(self) -> None:
        one, two, three = put(
            ContactUpdate("c-1", addresses=(ADA,)),
            ContactUpdate("c-2"),
            ContactUpdate("c-3", addresses=(MARY,)),
        )
        pairs = [
            (ContactRef(one.id), ContactRef(two.id)),
            (ContactRef(None, "c-1"), ContactRef(three.id)),
        ]
        contacts.merge_contacts(pairs, origin())
        for named in (
            ContactRef(one.id),
            ContactRef(two.id),
            ContactRef(None, "c-2"),
            ContactRef(address=ADA),
        ):
            found = contacts.load_contacts([named]).find(named)
            assert (found.id, found.addresses) == (three.id, frozenset({ADA, MARY}))

    def test_every_name_that_leads_nowhere_is_reported(self) -> None:
        with pytest.raises(InvalidRows) as refused:
            self.merge(ContactRef(None, "c-1"), ContactRef(address=ADA))
        assert [fault.field for fault in refused.value.errors] == ["merge", "into"]


def test_the_locale_of_exactly_the_address_is_known() -> None:  # I9
    ada()
    keys = services().keys
    assert run_in_transaction(lambda c: find_locale(c, keys, ADA)) == "it"
    for who in (MARY, parse_address("ada+shop@example.com", Channel.EMAIL)):
        assert run_in_transaction(lambda c, who=who: find_locale(c, keys, who)) is None  # type: ignore[misc]


class TestAfterAnErasure:
    """An erased contact keeps its links, and nothing readable (I6)."""

    @pytest.fixture
    def erased(self) -> Contact:
        contact = put(ContactUpdate("c-1", "it", (ADA,)))[0]
        rows("UPDATE contact SET account = 'erased', locale = NULL RETURNING id")
        rows("UPDATE contact_external_id SET ciphertext = NULL RETURNING digest")
        rows("UPDATE address SET ciphertext = NULL, erased_at = now() RETURNING id")
        return contact

    def test_its_external_id_passes_to_who_has_the_address(self, erased: Contact) -> None:
        put(ContactUpdate(addresses=(GRACE,)))
        found = put(ContactUpdate("c-1", "de", (GRACE,)))[0]
        assert found.id != erased.id
        assert contacts.load_contacts([ContactRef(None, "c-1")]).find(
            ContactRef(None, "c-1")
        ) == replace(found, version=2)
        assert rows("SELECT contact_id, ciphertext IS NULL FROM contact_external_id") == [
            (found.id, False)
        ]

    @pytest.mark.parametrize("addresses", [(), (ADA,), (MARY,), (ADA, MARY)])
    def test_an_update_of_it_stores_nothing(
        self, erased: Contact, addresses: tuple[Address, ...]
    ) -> None:
        found = put(ContactUpdate("c-1", "it", addresses))[0]
        assert (found.id, found.account) == (erased.id, AccountState.ERASED)
        assert rows("SELECT locale FROM contact") == [(None,)]
        assert rows("SELECT count(*) FROM address WHERE ciphertext IS NOT NULL") == [(0,)]
        assert rows("SELECT count(*) FROM contact_external_id WHERE ciphertext IS NOT NULL") == [
            (0,)
        ]

    def test_who_comes_back_gets_a_new_contact(self, erased: Contact) -> None:
        ref = ContactRef(address=ADA)
        contact_set = contacts.load_contacts([ref])
        fresh = contact_set.replace_erased(ADA, services().new_id())
        keys, now = services().keys, services().now()
        run_in_transaction(lambda c: save_contacts(c, keys, contact_set, now))
        found = contacts.load_contacts([ref]).find(ref)
        assert (found.id, found.account) == (fresh.id, AccountState.OPEN)
        old = ContactRef(erased.id)
        assert contacts.load_contacts([old]).find(old).addresses == frozenset()


def _opt_in(number: int, at: datetime) -> Change:
    return change(number, EventKind.OPTED_IN, address=ADA, at=at)
