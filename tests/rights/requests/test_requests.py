"""Data-subject requests on real tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.catalogue.rules.privacy import Law
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ForbiddenTransition, InvalidInput, UnknownRequest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.requests import handle
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import (
    ask_identity,
    complete_data_request,
    extend_deadline,
    fail_identity,
    find_request_by_reference,
    list_steps,
    load_request,
    open_sealed,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.rules.identity import Circumstance
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)
from tests.clock import START, Clock
from tests.ledger.changes import together
from tests.rights.asking import ADA, CONTROLS, NUMBER, actions, ask, rows

DAY = timedelta(days=1)
GRACE = parse_address("grace@example.com", Channel.EMAIL)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def store_contact(*addresses: Any, external_id: str = "c-1") -> Any:
    origin = RequestOrigin("test", "test", services().now())
    [written] = contacts.upsert_contacts([ContactUpdate(external_id, "it", addresses)], origin)
    return written.contact


def test_a_request_is_stored_with_its_dates_and_found_by_its_reference() -> None:
    asked = ask(level=CONTROLS)
    assert asked.state is RequestState.OPEN
    assert asked.due_at == datetime(2026, 12, 24, 9, tzinfo=UTC)
    assert asked.confirmed_at == START
    assert load_request(asked.id) == asked
    assert find_request_by_reference(asked.reference.lower().replace("-", " ")) == asked
    assert actions(asked) == ["received"]


def test_a_request_without_proof_waits_for_it_and_its_clock_stands(clock: Clock) -> None:
    asked = ask(identity_asked=True)
    assert asked.state is RequestState.IDENTIFYING
    assert asked.stopped_at == START
    clock.advance(5 * DAY)
    known = handle.confirm_identity(asked.id, CONTROLS, "test")
    assert known.state is RequestState.OPEN
    assert known.due_at == asked.due_at + 5 * DAY
    assert actions(asked) == ["received", "identity_asked", "identity_confirmed"]


def test_the_clock_runs_until_identity_is_asked_and_for_ever_under_californian_law(
    clock: Clock,
) -> None:
    for law, moved in ((Law.GDPR, 3 * DAY), (Law.CCPA, timedelta(0))):
        asked = ask(law=law)
        assert asked.state is RequestState.RECEIVED
        clock.advance(2 * DAY)
        assert ask_identity(asked.id, "test").state is RequestState.IDENTIFYING
        clock.advance(3 * DAY)
        known = handle.confirm_identity(asked.id, CONTROLS, "test")
        assert known.due_at == asked.due_at + moved
        complete_data_request(asked.id, RequestOutcome.FULFILLED, "test")


def test_a_level_that_is_not_enough_opens_nothing() -> None:
    asked = ask(RequestKind.ERASE, addresses=(ADA, GRACE), identity_asked=True)
    still = handle.confirm_identity(asked.id, CONTROLS, "test")
    assert still.state is RequestState.IDENTIFYING
    assert still.level == CONTROLS
    with pytest.raises(ForbiddenTransition):
        complete_data_request(asked.id, RequestOutcome.FULFILLED, "test")
    known = handle.confirm_identity(
        asked.id, IdentityLevel.CONTACT, "support", [AskedFact.LAST_ORDER, AskedFact.SUBSCRIPTIONS]
    )
    assert known.state is RequestState.OPEN
    assert list_steps(asked.id)[-1].detail == {
        "level": 3,
        "facts": ["last_order", "subscriptions"],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"addresses": (ADA, GRACE)},
        {"addresses": (parse_address("info@example.com", Channel.EMAIL),)},
        {"circumstances": frozenset({Circumstance.OLD_MAILBOX_LOST})},
    ],
)
def test_more_than_one_persons_own_mailbox_needs_more_than_its_control(
    given: dict[str, Any],
) -> None:
    assert ask(level=CONTROLS, **given).required_level is IdentityLevel.CONTACT


def test_the_third_failed_check_refuses_the_request_and_names_the_way_on() -> None:
    asked = ask(identity_asked=True)
    states = [fail_identity(asked.id, "support").state for _ in range(3)]
    assert states == [RequestState.IDENTIFYING, RequestState.IDENTIFYING, RequestState.REFUSED]
    assert load_request(asked.id).refusal is RefusalGround.NOT_IDENTIFIED
    assert actions(asked)[-2:] == ["identity_failed", "refused"]


def test_the_same_request_within_a_day_is_the_same_one(clock: Clock) -> None:
    first = ask(identity_asked=True)
    clock.advance(DAY - timedelta(seconds=1))
    assert ask().id == first.id
    again = ask(level=CONTROLS)
    assert (again.id, again.state) == (first.id, RequestState.OPEN)
    assert actions(first)[-3:] == ["repeated", "repeated", "identity_confirmed"]


def test_a_repeat_that_asks_for_proof_stops_the_clock() -> None:
    first = ask()
    again = ask(identity_asked=True)
    assert (again.id, again.state) == (first.id, RequestState.IDENTIFYING)
    assert again.stopped_at == START


@pytest.mark.parametrize(
    "other",
    [
        {"addresses": (GRACE,)},
        {"addresses": (ADA, GRACE)},
        {"kind": RequestKind.RESTRICT},
    ],
)
def test_another_request_is_another_one(other: dict[str, Any]) -> None:
    assert ask().id != ask(**other).id


def test_a_request_about_one_of_two_addresses_is_another_one() -> None:
    assert ask(addresses=(ADA, GRACE)).id != ask(addresses=(GRACE,)).id


def test_a_request_after_a_day_or_after_the_answer_is_another_one(clock: Clock) -> None:
    first = ask(level=CONTROLS)
    clock.advance(DAY)
    second = ask(level=CONTROLS)
    assert second.id != first.id
    complete_data_request(second.id, RequestOutcome.FULFILLED, "test")
    assert ask(level=CONTROLS).id != second.id


def test_two_that_arrive_at_the_same_moment_are_one(app: Flask) -> None:
    found = list[UUID]()
    together(*[lambda: found.append(ask(level=CONTROLS).id)] * 4)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_an_objection_stops_marketing_at_any_level_in_the_same_transaction() -> None:  # I1, I2
    asked = ask(RequestKind.OBJECT, addresses=(ADA, NUMBER), via=RequestVia.PHONE, text="Stop it!")
    assert asked.state is RequestState.OPEN
    assert asked.due_at == START + timedelta(hours=72)
    assert (
        rows("SELECT kind, scope, source FROM event ORDER BY seq")
        == [("opted_out", "all_marketing", "rights")] * 2
    )


def test_an_objection_that_came_by_letter_counts_from_then() -> None:
    letter = START - 2 * DAY
    ask(RequestKind.OBJECT, via=RequestVia.POSTAL_MAIL, received_at=letter)
    assert rows("SELECT received_at FROM event") == [(letter,)]


def test_an_extension_is_a_mark_with_its_reason(clock: Clock) -> None:
    asked = ask(level=CONTROLS)
    clock.advance(20 * DAY)
    longer = extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")
    assert longer.state is RequestState.OPEN
    assert longer.deadline == datetime(2027, 2, 24, 9, tzinfo=UTC)
    assert longer.due_at == asked.due_at
    with pytest.raises(InvalidInput, match="twice"):
        extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")


def test_an_extension_comes_too_late_after_the_first_date(clock: Clock) -> None:
    asked = ask(level=CONTROLS)
    clock.advance(31 * DAY)
    with pytest.raises(InvalidInput, match="too late"):
        extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")


def test_an_extension_that_no_law_gives_is_refused() -> None:
    asked = ask(level=CONTROLS, law=Law.LGPD)
    with pytest.raises(InvalidInput, match="no longer time"):
        extend_deadline(asked.id, ExtensionReason.MANY_REQUESTS, "support")


def test_a_stopped_clock_moves_the_extension_too(clock: Clock) -> None:
    asked = ask(identity_asked=True)
    clock.advance(4 * DAY)
    handle.confirm_identity(asked.id, CONTROLS, "test")
    longer = extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")
    assert longer.deadline == datetime(2027, 2, 24, 9, tzinfo=UTC) + 4 * DAY


@pytest.mark.parametrize("end", ["refuse", "withdraw", "complete"])
def test_a_closed_request_is_forgotten_two_years_later_and_never_changes(end: str) -> None:
    asked = ask(level=CONTROLS)

    def finish() -> RightsRequest:
        match end:
            case "refuse":
                return refuse_data_request(asked.id, RefusalGround.LEGAL_DUTY, "support")
            case "withdraw":
                return withdraw_data_request(asked.id, "person")
            case _:
                return complete_data_request(asked.id, RequestOutcome.FULFILLED, "support")

    closed = finish()
    assert closed.state.closed
    assert closed.forget_at == datetime(2028, 11, 24, 9, tzinfo=UTC)
    assert closed.next_at is None
    with pytest.raises(ForbiddenTransition, match="closed"):
        finish()
    with pytest.raises(InvalidInput, match="closed"):
        extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")


def test_an_effect_that_fails_leaves_the_request_open_and_no_step() -> None:
    asked = ask(level=CONTROLS)

    def complete_and_fail(connection: Connection) -> None:
        complete_data_request(asked.id, RequestOutcome.FULFILLED, "test", connection=connection)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        run_in_transaction(complete_and_fail)
    assert load_request(asked.id).state is RequestState.OPEN
    assert actions(asked) == ["received"]


def test_words_and_people_are_sealed_and_steps_name_nobody() -> None:  # I12
    asked = ask(
        text="I am Ada Lovelace.",
        external_ids=("customer-77",),
        via=RequestVia.AGENT,
        agent=Agent("Maximilian Power", "maximilian@agents.example"),
        reporter="Uncle Bartholomew",
    )
    stored = str(rows("SELECT * FROM rights_request")) + str(rows("SELECT * FROM rights_step"))
    for personal in (
        "Lovelace",
        "example.com",
        "customer-77",
        "Power",
        "maximilian",
        "Bartholomew",
    ):
        assert personal not in stored
    part = open_sealed(load_request(asked.id))
    assert part.text == "I am Ada Lovelace."
    assert part.addresses == (("email", "ada@example.com"),)
    assert part.external_ids == ("customer-77",)
    assert part.agent["name"] == "Maximilian Power"
    assert part.reporter == "Uncle Bartholomew"


def test_a_known_subject_is_linked_and_an_unknown_one_is_not_made_known() -> None:
    contact = store_contact(ADA)
    known, unknown = ask(), ask(addresses=(GRACE,))
    assert known.contact_id == contact.id
    assert len(known.address_ids) == 1
    assert (unknown.contact_id, unknown.address_ids) == (None, ())
    assert rows("SELECT count(*) FROM address") == [(1,)]


@pytest.mark.parametrize(
    "given",
    [
        {"addresses": ()},
        {"addresses": tuple(parse_address(f"a{n}@example.com", Channel.EMAIL) for n in range(101))},
        {"text": "x" * 4_001},
        {"extent": Extent.ACCOUNT},
        {"kind": RequestKind.ERASE, "extent": None},
        {"received_at": START + DAY},
    ],
)
def test_a_request_that_cannot_be_used_is_refused_and_nothing_is_written(
    given: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput):
        ask(**given)
    assert rows("SELECT count(*) FROM rights_request") == [(0,)]


def test_an_unknown_reference_is_no_request() -> None:
    with pytest.raises(UnknownRequest):
        find_request_by_reference("06H0-SJ4E-G1WH-34VF")
    with pytest.raises(UnknownRequest):
        load_request(services().new_id())


def test_a_request_whose_date_a_merge_brings_forward_is_reminded_of_at_once(
    can_mail: None, clock: Clock
) -> None:
    first, second = store_contact(ADA, external_id="c-1"), store_contact(GRACE, external_id="c-2")
    ask(RequestKind.CORRECT, level=CONTROLS)
    clock.advance(25 * DAY)
    late = ask(RequestKind.CORRECT, addresses=(GRACE,))
    origin = RequestOrigin("test", "test", clock.now)
    contacts.merge_contacts([(ContactRef(second.id), ContactRef(first.id))], origin)
    run_clocks(clock.now)
    assert actions(late) == ["received", "merged", "reminded"]
    run_clocks(clock.advance(DAY))
    assert actions(late).count("reminded") == 1
    run_clocks(clock.advance(4 * DAY))
    assert list_steps(late.id)[-1].detail == {"stage": "overdue"}


def test_of_two_open_requests_of_merged_contacts_the_earlier_date_counts(clock: Clock) -> None:
    first, second = store_contact(ADA, external_id="c-1"), store_contact(GRACE, external_id="c-2")
    early = ask(RequestKind.CORRECT, level=CONTROLS)
    clock.advance(2 * DAY)
    late, other = ask(RequestKind.CORRECT, addresses=(GRACE,)), ask(addresses=(GRACE,))
    stopped = ask(RequestKind.CORRECT, addresses=(GRACE, NUMBER), identity_asked=True)
    origin = RequestOrigin("test", "test", clock.now)
    contacts.merge_contacts([(ContactRef(second.id), ContactRef(first.id))], origin)
    found = {r.id: load_request(r.id) for r in (early, late, other, stopped)}
    assert {each.contact_id for each in found.values()} == {first.id}
    assert found[late.id].due_at == early.due_at == found[early.id].due_at
    assert found[other.id].due_at == other.due_at
    assert found[stopped.id].due_at == stopped.due_at
    assert actions(late)[-1] == "merged"
    assert actions(early) == ["received"]
