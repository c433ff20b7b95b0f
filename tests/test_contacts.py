"""Contacts on real tables: what is stored, and what their addresses' ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.contacts import Written
from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.catalogue import Default, MessageClass, MessageType, Topic
from preference_center.domain.contacts import Contact, ContactState, Named, Profile
from preference_center.domain.deadlines import WINDOW
from preference_center.domain.decisions import Decision, Rule, decide
from preference_center.domain.events import Change, Kind
from preference_center.domain.sender_requests import Origin, Proof
from preference_center.errors import InvalidRows, TakenAddress
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.storage.contacts import locale_of
from preference_center.storage.db.database import run
from preference_center.storage.ledger.suppression_lookup import facts_for
from tests.clock import START, Clock
from tests.domain.histories import NEWS
from tests.ledger.changes import add_destination, change, together, waiting
from tests.ledger.oracle import hashed

HOUR = timedelta(hours=1)
ADA, GRACE, MARY = (
    parse(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)
NUMBER = parse("+39 333 1234567", Channel.SMS)
INVOICE = MessageType("invoice", MessageClass.SERVICE)
WEEKLY = MessageType("weekly", MessageClass.MARKETING, NEWS)
TOPIC = Topic(NEWS, "acme", Channel.EMAIL, Default.OPT_OUT, "news", {}, {})


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def origin() -> Origin:
    return Origin("test", "key:shop", services().now())


def put(*profiles: Profile) -> list[Contact]:
    return [written.contact for written in contacts.upsert(profiles, origin())]


def ada(**more: Any) -> Contact:
    return put(Profile(**{"external_id": "c-1", "locale": "it", "addresses": (ADA,)} | more))[0]


def close(who: Address, at: datetime | None = None) -> Written:
    return contacts.deactivate([(Named(address=who), at or services().now())], origin())[0]


def reopen(who: Address, at: datetime) -> Written:
    proof = Proof("counter", "Open my account again", "it", at)
    return contacts.reopen([(Named(address=who), proof)], origin())[0]


def ask(message: MessageType, who: Address) -> Decision:
    topic = TOPIC if message is WEEKLY else None
    return decide(message, topic, facts_for([who])[0], services().now())


def rows(query: str) -> list[tuple[Any, ...]]:
    return run(lambda c: c.execute(query.encode()).fetchall())


def events() -> list[tuple[str, str, str]]:
    return rows("SELECT e.kind, e.scope, e.actor FROM event e ORDER BY e.seq")


def test_a_contact_is_found_by_its_external_id_and_every_address() -> None:
    stored = ada(addresses=(ADA, NUMBER))
    for named in (Named(stored.id), Named(None, "c-1"), Named(address=ADA), Named(address=NUMBER)):
        assert contacts.read([named]).find(named) == Contact(
            stored.id, ContactState.ACTIVE, "it", frozenset({"c-1"}), frozenset({ADA, NUMBER}), 1
        )


def test_another_form_of_the_address_is_not_theirs() -> None:  # I9: narrow to reveal
    ada()
    other = parse("ada+shop@example.com", Channel.EMAIL)
    assert contacts.read([Named(address=other)]).contacts == {}


def test_external_ids_are_stored_like_addresses() -> None:  # I12
    ada(external_id="mailbox-of-ada@example.com")
    stored = rows("SELECT digest, ciphertext FROM contact_external_id") + rows(
        "SELECT actor, action, detail::text FROM audit"
    )
    assert "ada" not in repr(stored)


def test_what_is_known_already_writes_nothing() -> None:
    stored = ada()
    assert ada().id == stored.id
    assert rows("SELECT version FROM contact") == [(1,)]
    assert rows("SELECT actor, action, detail FROM audit") == [
        ("key:shop", "contacts.upserted", {"contacts": [str(stored.id)]})
    ]


def test_many_are_taken_together_or_not_at_all_with_every_fault_told() -> None:
    put(Profile("c-1", addresses=(ADA,)), Profile("c-2", addresses=(GRACE,)))
    with pytest.raises(InvalidRows) as refused:
        put(
            Profile("c-3", addresses=(MARY,)),
            Profile("c-1", addresses=(NUMBER, GRACE)),
            Profile("c-9", addresses=(ADA,)),
        )
    assert [(fault.row, fault.field) for fault in refused.value.faults] == [
        (1, "addresses/1"),
        (2, "external_id"),
    ]
    assert isinstance(refused.value.faults[0].error, TakenAddress)
    assert contacts.read([Named(None, "c-3"), Named(address=NUMBER)]).contacts == {}


def test_of_two_who_claim_an_address_at_once_one_is_refused() -> None:
    faults: list[InvalidRows] = []

    def claim(external_id: str) -> None:
        try:
            put(Profile(external_id, addresses=(ADA,)))
        except InvalidRows as error:
            faults.append(error)

    together(*(lambda n=n: claim(f"c-{n}") for n in range(4)))
    assert len(faults) == 3
    assert rows("SELECT count(*) FROM contact") == [(1,)]


def test_an_address_linked_while_it_is_being_closed_is_closed_in_the_end() -> None:  # I4
    ada()
    together(lambda: close(ADA), lambda: put(Profile("c-1", addresses=(ADA, MARY))))
    assert [ask(INVOICE, who).rule for who in (ADA, MARY)] == [Rule.CLOSED] * 2


class TestRevealing:
    def test_a_no_against_a_digest_goes_to_the_tools_with_its_own_clock(
        self, clock: Clock
    ) -> None:  # I3, I9
        add_destination("news", NEWS)
        record([change(1, address=hashed(ADA.exact, "sha256", ADA))])
        assert waiting(ADA) == {}
        clock.advance(HOUR)
        ada()
        assert waiting(ADA) == {"news": START + WINDOW}

    def test_a_no_of_another_form_goes_to_the_tools_for_this_one(self, clock: Clock) -> None:  # I9
        add_destination("news", NEWS)
        record([change(1, address=ADA)])
        clock.advance(HOUR)
        tagged = parse("ada+shop@example.com", Channel.EMAIL)
        ada(addresses=(tagged,))
        assert waiting(tagged) == {"news": clock.now + WINDOW}


class TestClosing:
    def test_it_stops_everything_at_every_address(self) -> None:  # I4
        ada(addresses=(ADA, NUMBER))
        assert close(ADA).news
        assert [ask(INVOICE, who).rule for who in (ADA, NUMBER)] == [Rule.CLOSED] * 2
        assert ask(WEEKLY, ADA).rule is Rule.CLOSED
        assert (
            events()
            == [
                ("deactivated", "everything", "key:shop"),
                ("deactivated", "all_marketing", "key:shop"),
            ]
            * 2
        )

    def test_its_clock_runs_from_when_the_company_was_told(self) -> None:  # I3
        add_destination("news", NEWS)
        ada()
        close(ADA, START - 5 * HOUR)
        assert waiting(ADA) == {"news": START - 5 * HOUR + WINDOW}

    def test_an_address_linked_later_is_closed_too(self) -> None:  # I4
        ada()
        close(ADA)
        ada(addresses=(MARY,))
        assert ask(INVOICE, MARY).rule is Rule.CLOSED

    def test_twice_is_once(self) -> None:  # I7
        ada()
        close(ADA)
        assert not close(ADA).news
        assert len(events()) == 2

    def test_whoever_has_but_an_address_is_heard(self) -> None:
        assert close(MARY).news
        assert ask(INVOICE, MARY).rule is Rule.CLOSED
        with pytest.raises(InvalidRows):
            contacts.deactivate([(Named(None, "c-404"), START)], origin())


class TestReopening:
    def test_service_mail_flows_again_and_marketing_stays_off(self, clock: Clock) -> None:  # I6
        ada()
        close(ADA)
        clock.advance(HOUR)
        assert reopen(ADA, clock.now).news
        assert ask(INVOICE, ADA).rule is Rule.SERVICE
        assert ask(WEEKLY, ADA).rule is Rule.OPTED_OUT_OF_ALL_MARKETING

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
        assert ask(WEEKLY, ADA).rule is Rule.CONSENTED

    def test_an_act_from_before_the_closing_reopens_nothing(self, clock: Clock) -> None:  # I5
        ada()
        clock.advance(HOUR)
        close(ADA)
        with pytest.raises(InvalidRows) as refused:
            reopen(ADA, clock.now)
        assert refused.value.faults[0].field == "evidence"
        assert ask(INVOICE, ADA).rule is Rule.CLOSED
        assert contacts.read([Named(address=ADA)]).find(Named(address=ADA)).state == "deactivated"

    def test_evidence_that_names_the_person_is_refused(self, clock: Clock) -> None:  # I8
        ada(addresses=(ADA, MARY))
        close(ADA)
        clock.advance(HOUR)
        proof = Proof("mail from mary@example.com", "Open it", "it", clock.now)
        with pytest.raises(InvalidRows, match="address"):
            contacts.reopen([(Named(address=ADA), proof)], origin())

    def test_an_open_account_stays_as_it_is(self) -> None:  # I7
        ada()
        assert not reopen(ADA, START).news
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
        assert ask(WEEKLY, ADA).rule is Rule.OPTED_OUT_OF_ALL_MARKETING

    def test_closed_again_it_stops_what_another_form_has_opted_in_to_since(
        self, clock: Clock
    ) -> None:  # I5, I9
        ada()
        other = parse("ada+shop@example.com", Channel.EMAIL)
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
        assert close(ADA).news
        assert ask(INVOICE, ADA).rule is Rule.CLOSED


class TestMerging:
    def merge(self, gone: Named, into: Named) -> Written:
        return contacts.merge([(gone, into)], origin())[0]

    def test_the_survivor_is_found_by_all_that_either_was(self) -> None:
        one, two = put(Profile("c-1", "it", (ADA,)), Profile("c-2", None, (GRACE,)))
        survivor = self.merge(Named(None, "c-1"), Named(address=GRACE)).contact
        assert (survivor.id, survivor.locale) == (two.id, "it")
        for named in (Named(one.id), Named(None, "c-1"), Named(None, "c-2"), Named(address=ADA)):
            assert contacts.read([named]).find(named).id == two.id
        assert rows("SELECT detail FROM audit ORDER BY id DESC LIMIT 1") == [
            ({"contacts": [str(two.id)], "merged": [str(one.id)], "into": [str(two.id)]},)
        ]

    def test_one_closed_account_closes_both(self) -> None:
        put(Profile("c-1", addresses=(ADA,)), Profile("c-2", addresses=(GRACE,)))
        close(ADA)
        assert self.merge(Named(address=ADA), Named(address=GRACE)).contact.state == "deactivated"
        assert [ask(INVOICE, who).rule for who in (ADA, GRACE)] == [Rule.CLOSED] * 2
        assert len(events()) == 4

    def test_merged_once_it_is_merged_for_good(self) -> None:  # I7
        one, two = put(Profile("c-1"), Profile("c-2"))
        assert self.merge(Named(one.id), Named(two.id)).news
        assert not self.merge(Named(one.id), Named(two.id)).news

    def test_the_id_of_somebody_merged_long_ago_still_leads_to_the_survivor(self) -> None:
        one, two, three = put(Profile("c-1"), Profile("c-2"), Profile("c-3"))
        self.merge(Named(one.id), Named(two.id))
        self.merge(Named(two.id), Named(three.id))
        assert contacts.read([Named(one.id)]).find(Named(one.id)).id == three.id

    def test_three_become_one_in_one_request(self) -> None:
        one, two, three = put(
            Profile("c-1", addresses=(ADA,)), Profile("c-2"), Profile("c-3", addresses=(MARY,))
        )
        pairs = [(Named(one.id), Named(two.id)), (Named(None, "c-1"), Named(three.id))]
        contacts.merge(pairs, origin())
        for named in (Named(one.id), Named(two.id), Named(None, "c-2"), Named(address=ADA)):
            found = contacts.read([named]).find(named)
            assert (found.id, found.addresses) == (three.id, frozenset({ADA, MARY}))

    def test_every_name_that_leads_nowhere_is_told(self) -> None:
        with pytest.raises(InvalidRows) as refused:
            self.merge(Named(None, "c-1"), Named(address=ADA))
        assert [fault.field for fault in refused.value.faults] == ["merge", "into"]


def test_the_locale_of_exactly_the_address_is_known() -> None:  # I9
    ada()
    keys = services().keys
    assert run(lambda c: locale_of(c, keys, ADA)) == "it"
    for who in (MARY, parse("ada+shop@example.com", Channel.EMAIL)):
        assert run(lambda c, who=who: locale_of(c, keys, who)) is None  # type: ignore[misc]


def _opt_in(number: int, at: datetime) -> Change:
    return change(number, Kind.OPTED_IN, address=ADA, at=at)
