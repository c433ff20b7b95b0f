"""A report that an address is a minor's: a pause at once, and nothing more before staff decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from preference_center import contacts
from preference_center.contacts.rules.contact import (
    AccountState,
    Contact,
    ContactRef,
    ContactUpdate,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import ForbiddenTransition, InvalidInput, UnderHold
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.holds import place_hold
from preference_center.rights.requests import decide as acts
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.minors import contradict, dismiss
from preference_center.rights.requests.steps import (
    load_request,
    open_sealed,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    Extent,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.clock import Clock
from tests.rights.asking import ADA, CONTROLS, actions, rows
from tests.rights.asking import ask as ask_for
from tests.rights.decisions import INVOICE, WEEKLY
from tests.rights.decisions import ask as decide
from tests.rights.requests.test_emails import kinds, mails

pytestmark = pytest.mark.usefixtures("can_mail")
DAY = timedelta(days=1)
WORK = parse_address("work@example.com", Channel.EMAIL)
EVENTS = "SELECT kind, scope FROM event ORDER BY seq"


@pytest.fixture(autouse=True)
def _contact(can_mail: None, clock: Clock) -> None:
    """Ada's account, with two addresses."""
    origin = RequestOrigin("test", "test", clock.now)
    contacts.upsert_contacts([ContactUpdate("c-1", "en", (ADA, WORK))], origin)
    clock.advance(timedelta(minutes=1))


def report(**given: Any) -> RightsRequest:
    fields = {"text": "She is in my son's class.", "reporter": "mum@example.com"}
    return ask_for(RequestKind.MINOR, **fields | given)


def stored(address: Any = ADA) -> Contact:
    return contacts.load_contacts([ContactRef(address=address)]).find(ContactRef(address=address))


def wrong(reported: RightsRequest, clock: Clock) -> RightsRequest:
    """Dismiss it a minute later."""
    clock.advance(timedelta(minutes=1))
    return dismiss(reported.id, "compliance")


def allowed() -> tuple[bool, bool]:
    """Whether marketing and service mail may be sent to Ada."""
    return decide(WEEKLY, ADA).allow, decide(INVOICE, ADA).allow


def test_a_report_pauses_marketing_at_once_and_nothing_else(clock: Clock) -> None:  # I4
    reported = report()
    assert (reported.state, reported.level) == (RequestState.OPEN, 0)
    assert reported.deadline - reported.received_at == timedelta(hours=72)
    assert allowed() == (False, True)
    assert (stored().account, stored().restricted_at) == (AccountState.OPEN, clock.now)
    assert rows(EVENTS) == [("restricted", "restriction")] * 2
    assert rows("SELECT count(*) FROM erasure") == [(0,)]


def test_a_report_that_nobody_decides_on_erases_and_closes_nothing(clock: Clock) -> None:
    reported = report()
    for _ in range(30):
        run_clocks(clock.advance(DAY))
    assert load_request(reported.id).state is RequestState.OPEN
    assert actions(reported).count("reminded") == 2
    assert stored().account is AccountState.OPEN
    assert rows(EVENTS) == [("restricted", "restriction")] * 2


def test_the_holder_is_told_and_not_by_whom() -> None:
    report()
    [notice] = mails()
    assert (notice.kind, notice.recipient, notice.language) == ("minor_reported", ADA, "en")
    assert "/rights/reported/" in notice.values["link"]
    assert "mum@example.com" not in str(notice.values)
    assert "son's class" not in str(notice.values)


def test_who_contradicts_is_seen_by_staff_and_lifts_nothing() -> None:
    reported = report()
    for _ in range(2):
        contradict(reported.id)
    assert actions(reported) == ["received", "contradicted"]
    assert allowed() == (False, True)


def test_a_false_report_costs_nobody_an_account(clock: Clock) -> None:
    reported = report()
    clock.advance(DAY)
    dismissed = dismiss(reported.id, "compliance")
    assert (dismissed.state, dismissed.refusal) == (RequestState.REFUSED, RefusalGround.UNFOUNDED)
    assert allowed() == (True, True)
    contact = stored()
    assert (contact.account, contact.restricted_at) == (AccountState.OPEN, None)
    assert contact.addresses == {ADA, WORK}
    ended = [("unrestricted", "restriction")] * 2
    assert rows(EVENTS) == [("restricted", "restriction")] * 2 + ended
    assert rows("SELECT count(*) FROM erasure") == [(0,)]


def test_both_are_told_of_a_dismissal_and_the_reporter_nothing_of_the_person(clock: Clock) -> None:
    wrong(report(), clock)
    mailed = {str(mail.kind): mail for mail in mails()}
    assert mailed["minor_dismissed"].recipient == ADA
    assert mailed["minor_reviewed"].recipient.exact == "mum@example.com"
    assert set(mailed["minor_reviewed"].values) == {"reference"}


def test_who_gave_no_address_is_told_nothing(clock: Clock) -> None:
    wrong(report(reporter=""), clock)
    assert sorted(kinds()) == ["minor_dismissed", "minor_reported"]


def test_no_reason_is_stored_after_the_decision_and_no_reporter_after_90_days(
    clock: Clock,
) -> None:
    reported = report()
    dismissed = wrong(reported, clock)
    part = open_sealed(dismissed)
    assert (part.text, part.reporter) == ("", "mum@example.com")
    run_clocks(clock.advance(89 * DAY))
    assert rows("SELECT sealed IS NULL FROM rights_request") == [(False,)]
    run_clocks(clock.advance(DAY))
    assert rows("SELECT sealed, subject_digests, address_ids, contact_id FROM rights_request") == [
        (None, [], [], None)
    ]


def test_a_confirmed_report_erases_the_account_with_all_its_addresses() -> None:  # I6
    confirmed = acts.fulfil_data_request(report(), "compliance")
    assert (confirmed.state, confirmed.outcome) == (RequestState.DONE, RequestOutcome.FULFILLED)
    assert allowed() == (False, False)
    assert rows("SELECT ciphertext, erased_at IS NULL FROM address") == [(None, False)] * 2
    assert rows("SELECT account FROM contact") == [("erased",)]
    assert rows("SELECT extent, request_id FROM erasure") == [("account", confirmed.id)] * 2
    assert rows("SELECT count(*) FROM consent") == [(0,)]
    assert rows("SELECT sealed FROM rights_request") == [(None,)]  # nor who reported it


def test_each_address_of_the_account_and_the_reporter_are_told_of_a_confirmation() -> None:
    acts.fulfil_data_request(report(), "compliance")
    rows("DELETE FROM outgoing_mail WHERE ciphertext IS NULL RETURNING kind")  # cancelled: erased
    assert {(mail.kind, mail.recipient.exact) for mail in mails()} == {
        ("minor_confirmed", "ada@example.com"),
        ("erased", "work@example.com"),
        ("minor_reviewed", "mum@example.com"),
    }


def test_a_decision_is_taken_once() -> None:
    dismissed, confirmed = report(), report(addresses=(WORK,))
    dismiss(dismissed.id, "compliance")
    acts.fulfil_data_request(confirmed, "compliance")
    for request_id in (dismissed.id, confirmed.id):
        with pytest.raises(ForbiddenTransition):
            dismiss(request_id, "compliance")
        with pytest.raises(ForbiddenTransition):
            acts.fulfil_data_request(load_request(request_id), "compliance")


def test_a_restriction_from_before_outlives_a_dismissed_report(clock: Clock) -> None:
    ask_for(RequestKind.RESTRICT, level=CONTROLS)
    clock.advance(DAY)
    wrong(report(), clock)
    assert allowed() == (False, True)


def test_a_restriction_of_the_persons_own_meanwhile_outlives_it_too(clock: Clock) -> None:
    reported = report()
    clock.advance(DAY)
    ask_for(RequestKind.RESTRICT, level=CONTROLS)
    dismiss(reported.id, "compliance")
    assert allowed() == (False, True)


def test_an_opt_out_meanwhile_stays(clock: Clock) -> None:  # I5
    reported = report()
    clock.advance(DAY)
    ask_for(RequestKind.OBJECT)
    dismiss(reported.id, "compliance")
    assert allowed() == (False, True)


def test_a_dismissal_reaches_who_erased_their_marketing_data_meanwhile(clock: Clock) -> None:
    reported = report()
    clock.advance(DAY)
    ask_for(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    dismissed = wrong(reported, clock)
    assert rows("SELECT active FROM suppression WHERE scope = 'restriction'") == [(False,)] * 2
    assert stored(WORK).restricted_at is None
    assert rows("SELECT count(*) FROM address WHERE ciphertext IS NULL") == [(1,)]
    assert "minor_dismissed" in kinds()
    assert load_request(dismissed.id).sealed is None


def test_the_last_of_two_reports_ends_the_pause(clock: Clock) -> None:
    first = report()
    clock.advance(2 * DAY)
    second = report(text="He told me so.")
    assert second.id != first.id
    dismiss(first.id, "compliance")
    assert allowed() == (False, True)
    dismiss(second.id, "compliance")
    assert allowed() == (True, True)
    assert kinds().count("minor_reported") == 1  # nobody is mailed again and again


def test_the_same_lie_within_90_days_pauses_nothing(clock: Clock) -> None:
    wrong(report(), clock)
    clock.advance(2 * DAY)
    again = report(text="Really!")
    assert again.state is RequestState.OPEN  # staff read it all the same
    assert allowed() == (True, True)
    assert kinds().count("minor_reported") == 1
    dismiss(again.id, "compliance")
    run_clocks(clock.advance(91 * DAY))
    report()
    assert allowed() == (False, True)


@pytest.mark.parametrize("address", [ADA, WORK], ids=["the reported", "another of theirs"])
def test_who_reads_the_mailbox_ends_no_restriction_while_staff_decide(
    clock: Clock, address: Address
) -> None:
    reported = report()
    clock.advance(timedelta(minutes=1))
    ending = ask_for(RequestKind.UNRESTRICT, level=CONTROLS, addresses=(address,))
    ending = acts.act_if_ready(ending)
    assert ending.state is RequestState.OPEN
    assert allowed() == (False, True)
    with pytest.raises(InvalidInput, match="decide on it first"):
        acts.fulfil_data_request(ending, "support")
    wrong(reported, clock)
    assert acts.act_if_ready(ending).state is RequestState.DONE
    assert allowed() == (True, True)


def test_an_address_that_nobody_knows_is_restricted_like_any(clock: Clock) -> None:
    nobody = parse_address("nobody@example.com", Channel.EMAIL)
    reported = report(addresses=(nobody,))
    assert not decide(WEEKLY, nobody).allow
    wrong(reported, clock)
    assert decide(WEEKLY, nobody).allow


def test_a_report_of_an_erased_person_stores_nothing_readable(clock: Clock) -> None:  # I6
    acts.fulfil_data_request(report(), "compliance")
    run_clocks(clock.advance(DAY))
    again = report(text="Still here?")
    assert rows("SELECT ciphertext FROM address") == [(None,)] * 2
    dismiss(again.id, "compliance")
    assert allowed() == (False, False)


def test_a_legal_hold_keeps_the_account_and_the_pause() -> None:
    reported = report()
    place_hold(ADA, "C-14", "claims", "compliance", None)
    with pytest.raises(UnderHold):
        acts.fulfil_data_request(reported, "compliance")
    assert load_request(reported.id).state is RequestState.OPEN
    assert allowed() == (False, True)


def test_it_is_decided_on_by_its_own_acts_only() -> None:
    reported = report()
    with pytest.raises(ForbiddenTransition):
        withdraw_data_request(reported.id, "person")
    for ground in set(RefusalGround) - {RefusalGround.UNFOUNDED}:
        with pytest.raises(ForbiddenTransition):
            refuse_data_request(reported.id, ground, "support")
    other = ask_for(RequestKind.CORRECT)
    with pytest.raises(ForbiddenTransition):
        refuse_data_request(other.id, RefusalGround.UNFOUNDED, "support")
    with pytest.raises(InvalidInput):
        dismiss(other.id, "compliance")


def test_a_long_reason_is_refused_whole() -> None:
    with pytest.raises(InvalidInput, match=r"1,000"):
        report(text="x" * 1_001)
    assert rows(EVENTS) == []
