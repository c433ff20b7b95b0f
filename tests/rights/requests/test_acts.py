"""What a request brings about, in one transaction with its last step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from structlog.testing import capture_logs

from preference_center import contacts
from preference_center.contacts.rules.contact import AccountState, Contact, ContactRef
from preference_center.core.errors import ForbiddenTransition, InvalidInput, UnderHold
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.holds import end_hold, place_hold
from preference_center.rights.requests import clocks, decide, handle, steps
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.asking import ADA, CONTROLS, NUMBER, actions, ask, rows

CONTACT = IdentityLevel.CONTACT
EVENTS = "SELECT kind, scope FROM event ORDER BY seq"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app, CATALOGUE)
    with app.app_context():
        yield


def stored_contact() -> Contact:
    return contacts.load_contacts([ContactRef(address=ADA)]).find(ContactRef(address=ADA))


def confirm_later(request: RightsRequest) -> None:
    """Confirm the identity within another transaction: the scheduler acts on it."""
    run_in_transaction(
        lambda c: steps.confirm_identity(request.id, CONTACT, "support", connection=c)
    )


def test_a_restriction_acts_by_itself_and_so_does_its_end(clock: Clock) -> None:
    assert ask(RequestKind.RESTRICT, level=CONTROLS).outcome is RequestOutcome.FULFILLED
    assert stored_contact().restricted_at is not None
    clock.advance(timedelta(minutes=1))
    assert ask(RequestKind.RESTRICT, level=CONTROLS).outcome is RequestOutcome.ALREADY_SO
    assert ask(RequestKind.UNRESTRICT, level=CONTROLS).outcome is RequestOutcome.FULFILLED
    assert stored_contact().restricted_at is None
    assert rows(EVENTS) == [("restricted", "restriction"), ("unrestricted", "restriction")]


def test_a_request_about_nobody_known_ends_with_that() -> None:
    done = ask(RequestKind.UNRESTRICT, level=CONTROLS)
    assert (done.state, done.outcome) == (RequestState.DONE, RequestOutcome.NOTHING_HELD)


def test_an_erasure_of_marketing_acts_by_itself_and_keeps_the_opt_out() -> None:  # I6
    done = ask(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    assert done.state is RequestState.DONE
    assert rows("SELECT ciphertext, erased_at IS NOT NULL FROM address") == [(None, True)]
    assert rows("SELECT extent, request_id FROM erasure") == [("marketing", done.id)]
    assert rows("SELECT scope FROM suppression WHERE active") == [("all_marketing",)]


def test_an_erasure_of_the_account_waits_for_the_company() -> None:
    asked = ask(RequestKind.ERASE, extent=Extent.ACCOUNT, level=CONTACT)
    assert asked.state is RequestState.OPEN
    clocks.run_clocks(services().now())
    assert rows(EVENTS) == [("opted_out", "all_marketing")]
    done = decide.fulfil_data_request(asked, "company")
    assert done.state is RequestState.DONE
    assert ("erased", "everything") in rows(EVENTS)


@pytest.mark.parametrize(
    "kind, extent",
    [
        (RequestKind.ERASE, Extent.MARKETING),
        (RequestKind.RESTRICT, None),
        (RequestKind.CLOSE, None),
    ],
)
def test_a_request_that_waits_is_fulfilled_also_if_the_account_is_erased_meanwhile(
    kind: RequestKind, extent: Extent | None
) -> None:  # I6
    account = ask(RequestKind.ERASE, level=CONTACT)
    waits = ask(kind, extent=extent)
    confirm_later(waits)
    decide.fulfil_data_request(account, "company")
    assert steps.open_sealed(load_request(waits.id)).addresses
    clocks.run_clocks(services().now())
    assert load_request(waits.id).state is RequestState.DONE
    assert rows("SELECT sealed FROM rights_request") == [(None,), (None,)]
    assert rows("SELECT ciphertext FROM address") == [(None,)]


@pytest.mark.parametrize("closing, state", [("here", "done"), ("ask", "open")])
def test_the_catalogue_says_who_closes_an_account(app: Flask, closing: str, state: str) -> None:
    put_in_force(app, f'{CATALOGUE}\n[rights]\nclosing = "{closing}"\n')
    asked = ask(RequestKind.CLOSE, level=CONTROLS)
    assert asked.state == state
    if closing == "ask":
        decide.fulfil_data_request(asked, "company")
    assert stored_contact().account is AccountState.DEACTIVATED


def test_a_closed_account_is_reopened_when_support_fulfils_it(clock: Clock) -> None:
    ask(RequestKind.CLOSE, level=CONTROLS)
    clock.advance(timedelta(minutes=1))
    asked = ask(RequestKind.REOPEN, level=CONTROLS)
    assert asked.state is RequestState.OPEN
    decide.fulfil_data_request(asked, "support")
    assert stored_contact().account is AccountState.OPEN


def test_who_was_erased_comes_back_when_support_fulfils_it(clock: Clock) -> None:  # I6
    erased = ask(RequestKind.ERASE, extent=Extent.ACCOUNT, level=IdentityLevel.CONTACT)
    decide.fulfil_data_request(load_request(erased.id), "company")
    clock.advance(timedelta(days=1))
    asked = ask(RequestKind.REOPEN, level=IdentityLevel.CONTACT)
    decide.fulfil_data_request(asked, "support")
    assert load_request(asked.id).state is RequestState.DONE
    assert stored_contact().account is AccountState.OPEN
    assert rows("SELECT erased_at FROM address WHERE ciphertext IS NOT NULL") == [(None,)]


@pytest.mark.parametrize("kind", [RequestKind.RESTRICT, RequestKind.CLOSE, RequestKind.ERASE])
def test_nothing_acts_before_identity_is_proven(kind: RequestKind) -> None:
    asked = ask(kind, extent=Extent.MARKETING if kind is RequestKind.ERASE else None)
    with pytest.raises(ForbiddenTransition):
        decide.fulfil_data_request(asked, "support")
    clocks.run_clocks(services().now())
    assert rows(EVENTS) == []
    handle.confirm_identity(asked.id, CONTROLS, "support")
    assert load_request(asked.id).state is RequestState.DONE
    assert rows(EVENTS)


def test_what_is_confirmed_within_another_transaction_is_done_by_the_scheduler() -> None:
    asked = ask(RequestKind.RESTRICT)
    confirm_later(asked)
    assert load_request(asked.id).state is RequestState.OPEN
    clocks.run_clocks(services().now())
    assert load_request(asked.id).state is RequestState.DONE


def test_an_effect_and_its_step_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InvalidInput("no")

    monkeypatch.setattr(steps, "complete_data_request", fail)
    asked = ask(RequestKind.RESTRICT, level=CONTROLS)
    assert asked.state is RequestState.OPEN
    assert rows(EVENTS) == []
    monkeypatch.undo()
    clocks.run_clocks(services().now())
    assert load_request(asked.id).state is RequestState.DONE
    assert actions(asked) == ["received", "done"]


def test_a_held_address_stays_until_the_hold_ends() -> None:
    place_hold(ADA, "case-1", "claims", "legal")
    asked = ask(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    assert asked.state is RequestState.OPEN
    with pytest.raises(UnderHold):
        decide.fulfil_data_request(asked, "support")
    end_hold("case-1", "legal")
    clocks.run_clocks(services().now())
    assert load_request(asked.id).state is RequestState.DONE


def test_an_objection_with_words_is_read_by_somebody_and_one_without_is_done() -> None:
    assert ask(RequestKind.OBJECT, text="And who gave you my name?").state is RequestState.OPEN
    other = ask(RequestKind.OBJECT, external_ids=("c-1",))
    assert other.state is RequestState.DONE


def test_accounts_that_wait_for_the_company_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clocks, "_LIMIT", 1)
    ask(RequestKind.ERASE, extent=Extent.ACCOUNT, level=CONTACT)
    place_hold(ADA, "case-1", "claims", "legal")
    ask(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    asked = ask(RequestKind.RESTRICT)
    confirm_later(asked)
    clocks.run_clocks(services().now())
    assert load_request(asked.id).state is RequestState.DONE


def test_a_request_that_fails_is_logged_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (ask(RequestKind.RESTRICT, text=text) for text in ("one", "two"))
    for each in (first, second):
        confirm_later(each)

    def act(request: RightsRequest) -> RightsRequest:
        if request.id == first.id:
            raise ValueError
        return act_if_ready(request)

    act_if_ready = decide.act_if_ready
    monkeypatch.setattr(decide, "act_if_ready", act)
    with capture_logs() as logs:
        clocks.run_clocks(services().now())
    assert [each["request"] for each in logs if "clock_failed" in each["event"]] == [str(first.id)]
    assert load_request(second.id).state is RequestState.DONE


def test_open_reports_of_minors_hold_up_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(RequestKind.MINOR, text="She is in my son's class.", reporter="mum@example.com")
    asked = ask(RequestKind.RESTRICT, addresses=(NUMBER,))
    confirm_later(asked)
    monkeypatch.setattr(clocks, "_LIMIT", 1)
    clocks.run_clocks(services().now())
    assert load_request(asked.id).state is RequestState.DONE
