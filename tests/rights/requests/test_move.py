"""Corrected addresses on real tables: what holds for the new one, and what an undo takes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.contacts.rules.contact import Contact, ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import AddressConflict, InvalidInput
from preference_center.core.events import ALL_MARKETING, RESTRICTION, UNDELIVERABLE, EventKind
from preference_center.decisions.rules import Decision, DecisionRule, decide
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.requests import correct
from preference_center.rights.requests.correct import move_address, undo_move
from preference_center.rights.requests.moves import Move
from preference_center.rights.rules.requests import Extent
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import add_destination, change, id_of, together, waiting
from tests.rights.erasing import erase

DAY = timedelta(days=1)
OLD, NEW, OTHER = (
    parse_address(f"ada@{name}.example", Channel.EMAIL) for name in ("old", "new", "other")
)
WEEKLY = MessageType("weekly", MessageClass.MARKETING, NEWS)
INVOICE = MessageType("invoice", MessageClass.SERVICE)
TOPIC = Topic(NEWS, "acme", Channel.EMAIL, TopicDefault.OPT_OUT, "news", {}, {})


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def origin() -> RequestOrigin:
    return RequestOrigin("rights", "person", services().now())


def move(old: Address = OLD, new: Address = NEW, **given: Any) -> Move:
    return move_address(old, new, origin=origin(), **given)


def ask(who: Address, message: MessageType = WEEKLY) -> Decision:
    topic = TOPIC if message is WEEKLY else None
    return decide(message, topic, load_facts([who])[0], services().now())


def store(*addresses: Address, external_id: str = "c-1") -> Contact:
    profile = ContactUpdate(external_id, "it", addresses)
    return contacts.upsert_contacts([profile], origin())[0].contact


def owner(address: Address) -> UUID | None:
    found = contacts.load_contacts([ContactRef(address=address)]).owner(address)
    return found.id if found else None


def rows(query: str) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())


def events_of(who: Address) -> list[tuple[str, str]]:
    return rows(f"SELECT kind, scope FROM event WHERE address_id = {id_of(who) or 0} ORDER BY seq")


def test_an_opt_out_of_the_old_address_holds_for_the_new_one() -> None:  # I5
    record([change(1, address=OLD)])
    move()
    assert ask(NEW).rule is DecisionRule.OPTED_OUT_OF_TOPIC
    assert events_of(OLD) == [("opted_out", NEWS), ("moved", ALL_MARKETING)]


def test_the_old_address_gets_no_marketing_but_service_mail() -> None:  # I4
    move()
    assert ask(OLD).rule is DecisionRule.OPTED_OUT_OF_ALL_MARKETING
    assert ask(OLD, INVOICE).allow
    assert ask(NEW).allow


def test_a_newer_yes_at_the_new_address_still_wins() -> None:  # I5
    record([change(1, address=OLD, at=START - 9 * DAY)])
    record([change(2, EventKind.OPTED_IN, address=NEW, at=START - DAY)])
    move()
    assert ask(NEW).allow


def test_an_older_yes_at_the_new_address_does_not() -> None:  # I5
    record([change(1, address=OLD, at=START - DAY)])
    record([change(2, EventKind.OPTED_IN, address=NEW, at=START - 9 * DAY)])
    move()
    assert not ask(NEW).allow


def test_an_opt_out_by_another_form_of_the_old_mailbox_holds_too() -> None:  # I9
    old, form = (
        parse_address(text, Channel.EMAIL) for text in ("ada@gmail.com", "a.da+x@gmail.com")
    )
    record([change(1, address=form)])
    assert not ask(old).allow
    move(old)
    assert ask(NEW).rule is DecisionRule.OPTED_OUT_OF_TOPIC


def test_a_move_within_one_mailbox_copies_once() -> None:
    old, new = (parse_address(text, Channel.EMAIL) for text in ("ada@gmail.com", "a.da@gmail.com"))
    record([change(1, address=old)])
    first = move(old, new)
    assert move(old, new) == first
    assert events_of(new) == [("opted_out", NEWS)]


def test_a_bounce_belongs_to_the_old_mailbox() -> None:
    record([change(1, EventKind.BOUNCED, UNDELIVERABLE, address=OLD)])
    move()
    assert ask(NEW).allow
    assert ask(NEW).advisory is None


def test_the_contact_has_the_new_address_and_remembers_the_old() -> None:
    stored = store(OLD)
    done = move()
    assert done.contact_id == stored.id
    assert owner(NEW) == owner(OLD) == stored.id


def test_no_contact_is_made_for_it() -> None:
    assert move().contact_id is owner(NEW) is owner(OLD) is None


def test_an_old_address_without_contact_moves_to_somebody_known() -> None:
    stored = store(NEW)
    record([change(1, address=OLD)])
    assert move().contact_id is None
    assert (owner(NEW), owner(OLD)) == (stored.id, None)
    assert not ask(NEW).allow


def test_the_address_of_another_contact_is_refused() -> None:  # I9
    store(OLD)
    store(NEW, external_id="c-2")
    record([change(1, address=OLD)])
    with pytest.raises(AddressConflict):
        move()
    assert ask(NEW).allow
    assert rows("SELECT count(*) FROM address_move") == [(0,)]


def test_a_closed_account_is_closed_at_the_new_address() -> None:  # I4
    store(OLD)
    contacts.deactivate_contacts([(ContactRef(address=OLD), START)], origin())
    move()
    assert ask(NEW, INVOICE).rule is DecisionRule.CLOSED


def test_a_restriction_goes_with_the_person() -> None:
    record([change(1, EventKind.RESTRICTED, RESTRICTION, address=OLD, at=START - DAY)])
    record([change(2, EventKind.OPTED_IN, address=OLD)])
    move()
    assert ask(NEW).rule is DecisionRule.RESTRICTED


def test_a_restricted_contact_ends_the_restriction_of_the_new_address_too(clock: Clock) -> None:
    store(OLD)
    contacts.restrict_contacts([(ContactRef(address=OLD), START)], origin())
    move()
    assert ask(NEW).rule is DecisionRule.RESTRICTED
    clock.now += DAY
    proof = ConsentEvidence("page", "End the limit", "en", clock.now)
    contacts.unrestrict_contacts([(ContactRef(address=NEW), proof)], origin())
    assert ask(NEW).allow
    assert ask(OLD).rule is DecisionRule.OPTED_OUT_OF_ALL_MARKETING


def test_who_is_erased_during_the_move_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:  # I6
    store(OLD)
    plan = correct._plan

    def plan_and_erase(*given: Any) -> Any:
        found = plan(*given)
        run_in_transaction(lambda c: c.execute("UPDATE address SET erased_at = now()"))
        return found

    monkeypatch.setattr(correct, "_plan", plan_and_erase)
    with pytest.raises(InvalidInput):
        move()
    assert rows("SELECT count(*) FROM event") == [(0,)]


def test_an_erased_address_is_not_corrected() -> None:  # I6
    record([change(1, address=OLD)])
    run_in_transaction(lambda c: c.execute("UPDATE address SET erased_at = now()"))
    for old, new in ((OLD, NEW), (NEW, OLD)):
        with pytest.raises(InvalidInput):
            move(old, new)


def test_what_an_erasure_deleted_is_not_copied_whatever_its_date(clock: Clock) -> None:  # I6
    clock.advance(timedelta(seconds=5))
    record([change(1, EventKind.CONSENTED, address=OLD, at=clock())])
    clock.now -= timedelta(seconds=5)  # that of another host
    erase(OLD, extent=Extent.MARKETING)
    clock.advance(DAY)
    proof = ConsentEvidence("page", "I want to come back", "en", clock())
    return_after_erasure(OLD, proof, origin=origin())
    move()
    assert events_of(NEW) == [("opted_out", ALL_MARKETING)]
    assert rows("SELECT topic FROM consent") == []


def test_tools_are_told_about_both(clock: Clock) -> None:  # I3
    add_destination("tool", NEWS)
    record([change(1, address=OLD)])
    clock.now += DAY
    move()
    assert waiting(OLD).keys() == waiting(NEW).keys() == {"tool"}


def test_a_repeat_adds_only_what_was_said_since(clock: Clock) -> None:  # I7
    record([change(1, address=OLD)])
    first = move()
    clock.now += DAY
    assert move() == first
    record([change(2, scope=ALL_MARKETING, address=OLD)])
    again = move()
    assert again.event_ids[: len(first.event_ids)] == first.event_ids
    assert len(again.event_ids) == len(first.event_ids) + 1
    assert events_of(NEW) == [("opted_out", NEWS), ("opted_out", ALL_MARKETING)]
    assert events_of(OLD).count(("moved", ALL_MARKETING)) == 1


def test_an_undo_takes_back_exactly_what_the_move_recorded(clock: Clock) -> None:
    stored = store(OLD)
    record([change(1, address=OLD)])
    done = move()
    record([change(2, scope=ALL_MARKETING, address=NEW, at=clock.now)])
    clock.now += 6 * DAY
    undone = undo_move(done.id, origin=origin())
    assert undone.undone_at == clock.now
    assert (owner(OLD), owner(NEW)) == (stored.id, None)
    assert ask(NEW).rule is DecisionRule.OPTED_OUT_OF_ALL_MARKETING  # their own, which stands
    assert ask(OLD).rule is DecisionRule.OPTED_OUT_OF_TOPIC
    assert undo_move(done.id, origin=origin()) == undone
    assert rows("SELECT count(*) FROM event WHERE kind = 'retracted'") == [(2,)]


def test_an_undo_keeps_a_link_that_was_there_before(clock: Clock) -> None:
    stored = store(OLD, NEW)
    done = move()
    assert done.contact_id is None
    undo_move(done.id, origin=origin())
    assert owner(NEW) == stored.id


def test_an_undo_ends_a_link_that_a_repeat_made() -> None:  # I4
    first = move()
    stored = store(OLD)
    again = move()
    assert (again.id, again.contact_id, owner(NEW)) == (first.id, stored.id, stored.id)
    undo_move(first.id, origin=origin())
    contacts.deactivate_contacts([(ContactRef(stored.id), services().now())], origin())
    assert (owner(OLD), owner(NEW)) == (stored.id, None)
    assert ask(NEW, INVOICE).allow
    assert not ask(OLD, INVOICE).allow


@pytest.mark.parametrize("through", [OLD, NEW], ids=["old", "new"])
def test_an_undo_opens_what_was_closed_by_the_link(through: Address, clock: Clock) -> None:
    # I4: the account is the old address's, and the new one may be somebody else's
    store(OLD)
    record([change(1, EventKind.OPTED_IN, address=NEW)])
    done = move()
    clock.now += DAY
    contacts.deactivate_contacts([(ContactRef(address=through), clock.now)], origin())
    assert not ask(NEW, INVOICE).allow
    clock.now += DAY
    undo_move(done.id, origin=origin())
    assert ask(NEW, INVOICE).allow
    assert not ask(NEW).allow
    assert not ask(OLD, INVOICE).allow


def test_an_undo_opens_no_account_that_was_not_linked_by_the_correction(clock: Clock) -> None:
    store(OLD, NEW)
    done = move()
    clock.now += DAY
    contacts.deactivate_contacts([(ContactRef(address=OLD), clock.now)], origin())
    undo_move(done.id, origin=origin())
    assert not ask(NEW, INVOICE).allow


def test_an_undo_finds_the_contact_that_was_merged_since() -> None:
    store(OLD)
    done = move()
    into = store(OTHER, external_id="c-2")
    contacts.merge_contacts([(ContactRef(address=OLD), ContactRef(into.id))], origin())
    undo_move(done.id, origin=origin())
    assert (owner(OLD), owner(NEW)) == (into.id, None)


def test_a_move_after_an_undo_is_another_one(clock: Clock) -> None:
    record([change(1, address=OLD)])
    done = move()
    undo_move(done.id, origin=origin())
    again = move()
    assert again.id != done.id
    assert not ask(NEW).allow


def test_a_correction_once_an_earlier_one_can_not_be_undone_is_another_one(
    clock: Clock,
) -> None:  # I5
    """The person went back to the old address meanwhile, and now has the new one again."""
    record([change(1, scope=OFFERS, address=OLD)])
    done = move()
    clock.now = done.undo_until
    assert move().id == done.id
    clock.now += timedelta(seconds=1)
    record([change(2, EventKind.OPTED_IN, address=OLD, at=clock.now, own_act=True)])
    assert ask(OLD).allow
    clock.now += DAY
    again = move(request_id=UUID(int=5))
    assert (again.request_id, again.moved_at) == (UUID(int=5), clock.now)
    assert not ask(OLD).allow
    assert move(request_id=UUID(int=5)).id == again.id
    undo_move(again.id, origin=origin())
    assert ask(OLD).allow
    assert rows(f"SELECT scope FROM suppression WHERE address_id = {id_of(NEW)} AND active") == [
        (OFFERS,)
    ]


def test_it_can_be_undone_for_a_week(clock: Clock) -> None:
    done = move()
    clock.now = done.undo_until + timedelta(seconds=1)
    with pytest.raises(InvalidInput):
        undo_move(done.id, origin=origin())
    with pytest.raises(InvalidInput):
        undo_move(UUID(int=7), origin=origin())
    assert done.undo_until - done.moved_at == 7 * DAY


def test_what_belongs_to_it_is_written_with_it_or_nothing_is() -> None:
    seen: list[Move] = []

    def fail(_: Connection, done: Move) -> None:
        seen.append(done)
        raise KeyError

    with pytest.raises(KeyError):
        move(request_id=UUID(int=5), in_transaction=fail)
    assert seen[0].request_id == UUID(int=5)
    assert rows("SELECT count(*) FROM event") == [(0,)]
    assert rows("SELECT count(*) FROM contact") == [(0,)]


def test_an_opt_out_during_the_move_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:  # I5
    record([change(1, address=OLD)])
    plan = correct._plan

    def plan_and_opt_out(*given: Any) -> Any:
        found = plan(*given)
        monkeypatch.setattr(correct, "_plan", plan)
        record([change(2, scope=ALL_MARKETING, address=OLD)])
        return found

    monkeypatch.setattr(correct, "_plan", plan_and_opt_out)
    move()
    assert ("opted_out", ALL_MARKETING) in events_of(NEW)
    assert events_of(NEW).count(("opted_out", NEWS)) == 1


def test_two_moves_at_once_are_one() -> None:
    record([change(1, address=OLD)])
    together(move, move, move)
    assert rows("SELECT count(*) FROM address_move") == [(1,)]
    assert events_of(NEW) == [("opted_out", NEWS)]


def test_nothing_of_it_names_the_person() -> None:  # I12
    move(request_id=UUID(int=5))
    written = rows("SELECT actor, action, detail::text FROM audit") + rows(
        "SELECT to_jsonb(e)::text FROM event e"
    )
    assert "@" not in repr(written)
