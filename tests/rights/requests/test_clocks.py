"""What happens to requests by time alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.catalogue.rules.privacy import Law
from preference_center.rights.requests import handle
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import (
    complete_data_request,
    extend_deadline,
    list_steps,
    load_request,
    open_sealed,
)
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.clock import Clock
from tests.rights.asking import CONTROLS, actions, ask, rows
from tests.rights.requests.test_emails import kinds, mails

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("can_mail")


def run_until(clock: Clock, days: int) -> None:
    """Run the clocks once a day, as the scheduler does more often."""
    for _ in range(days):
        run_clocks(clock.advance(DAY))


def test_the_company_is_reminded_at_half_at_four_fifths_and_when_it_is_late(clock: Clock) -> None:
    asked = ask(RequestKind.CORRECT, level=CONTROLS)
    run_until(clock, 40)
    reminders = [step for step in list_steps(asked.id) if step.action == "reminded"]
    assert [(step.at - asked.received_at).days for step in reminders] == [15, 24, 30]
    assert [step.detail["stage"] for step in reminders] == ["past_target", "due_soon", "overdue"]
    assert kinds() == ["received", "reminder", "reminder", "reminder"]
    assert mails()[-1].recipient.exact == "privacy@acme.example"


def test_no_reminder_comes_twice_however_often_the_clocks_run(clock: Clock) -> None:
    asked = ask(RequestKind.CORRECT, level=CONTROLS)
    clock.advance(15 * DAY)
    for _ in range(3):
        run_clocks(clock.now)
    assert actions(asked) == ["received", "reminded"]


def test_an_extension_gives_reminders_of_its_own(clock: Clock) -> None:
    asked = ask(RequestKind.CORRECT, level=CONTROLS)
    clock.advance(29 * DAY)
    extend_deadline(asked.id, ExtensionReason.COMPLEX, "support")
    run_until(clock, 70)
    assert actions(asked).count("reminded") == 3


def test_a_stopped_clock_reminds_of_nothing_and_the_request_lapses(clock: Clock) -> None:
    asked = ask(identity_asked=True)
    run_until(clock, 29)
    assert load_request(asked.id).state is RequestState.IDENTIFYING
    assert actions(asked) == ["received", "identity_asked"]
    run_until(clock, 1)
    lapsed = load_request(asked.id)
    assert lapsed.state is RequestState.LAPSED
    assert lapsed.forget_at
    assert kinds() == ["lapsed", "received"]


def test_a_clock_that_runs_on_lapses_at_its_deadline(clock: Clock) -> None:  # 11 CCR 7021(b)
    asked = ask(identity_asked=True, law=Law.CCPA)
    run_until(clock, 44)
    assert load_request(asked.id).state is RequestState.IDENTIFYING
    run_until(clock, 1)
    assert load_request(asked.id).state is RequestState.LAPSED


def test_a_request_whose_identity_nobody_asked_for_never_lapses(clock: Clock) -> None:
    asked = ask()
    run_until(clock, 60)
    assert load_request(asked.id).state is RequestState.RECEIVED


def test_after_two_years_only_what_can_be_counted_is_left(clock: Clock) -> None:
    asked = ask(RequestKind.CORRECT, text="secret", external_ids=("c-1",))
    handle.confirm_identity(asked.id, IdentityLevel.CONTACT, "test")
    complete_data_request(asked.id, RequestOutcome.FULFILLED, "test")
    clock.advance(730 * DAY)
    run_clocks(clock.now)
    assert rows("SELECT sealed IS NULL FROM rights_request") == [(False,)]
    clock.advance(2 * DAY)
    run_clocks(clock.now)
    assert rows(
        "SELECT kind, state, outcome, sealed, contact_id, address_ids, subject_digests, forget_at"
        " FROM rights_request"
    ) == [("correct", "done", "fulfilled", None, None, [], [], None)]
    assert actions(asked)[-1] == "forgotten"
    assert open_sealed(load_request(asked.id)).text == ""


def test_an_open_request_of_an_erased_person_names_nobody_after_30_days(clock: Clock) -> None:  # I6
    asked = ask(RequestKind.RESTRICT, text="My name is Ada.")
    ask(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    clock.advance(timedelta(seconds=1))
    later = ask(RequestKind.CORRECT, text="And write to me.")
    run_until(clock, 29)
    assert open_sealed(load_request(asked.id)).text
    run_until(clock, 2)
    assert load_request(asked.id).sealed is None
    done = handle.confirm_identity(asked.id, CONTROLS, "test")
    assert load_request(done.id).outcome is RequestOutcome.NOTHING_HELD
    assert open_sealed(load_request(later.id)).text
