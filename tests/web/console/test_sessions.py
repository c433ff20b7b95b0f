"""Sessions end: after a day, after half an hour, and at once where somebody says so."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts
from preference_center.web.console.accounts import IDLE_LIFETIME, RETENTION, SESSION_LIFETIME
from preference_center.web.console.store import StaffSession, find_account
from tests.clock import Clock

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def ada() -> str:
    """The token of somebody who has signed in to an account."""
    accounts.create_account("ada", [Role.SUPPORT], "cli:test")
    account = run_in_transaction(lambda c: find_account(c, "ada"))
    assert account is not None
    return accounts.begin_session(StaffSession(uuid4(), "ada", account.roles, account.id))


def test_it_ends_after_half_an_hour_without_a_request(ada: str, clock: Clock) -> None:
    clock.advance(IDLE_LIFETIME - timedelta(seconds=1))
    assert accounts.find_session(ada)
    clock.advance(IDLE_LIFETIME - timedelta(seconds=1))
    assert accounts.find_session(ada)
    clock.advance(IDLE_LIFETIME)
    assert accounts.find_session(ada) is None
    assert not accounts.list_sessions()


def test_a_page_that_asks_by_itself_keeps_it_alive_for_nobody(ada: str, clock: Clock) -> None:
    for _ in range(5):
        clock.advance(timedelta(minutes=5))
        assert accounts.find_session(ada, is_poll=True)
    clock.advance(timedelta(minutes=5))
    assert accounts.find_session(ada, is_poll=True) is None


def test_it_ends_after_a_working_day_however_busy(ada: str, clock: Clock) -> None:
    for _ in range(int(SESSION_LIFETIME / timedelta(minutes=20)) - 1):
        clock.advance(timedelta(minutes=20))
        assert accounts.find_session(ada)
    clock.advance(timedelta(minutes=20))
    assert accounts.find_session(ada) is None


def test_other_roles_count_at_once(ada: str) -> None:
    accounts.change_account("ada", "cli:test", roles=[Role.OPERATOR])
    found = accounts.find_session(ada)
    assert found is not None
    assert found.roles == frozenset({Role.OPERATOR})


def test_an_account_that_is_disabled_has_no_session_not_even_when_it_is_enabled(ada: str) -> None:
    accounts.change_account("ada", "cli:test", disabled=True)
    assert accounts.find_session(ada) is None
    accounts.change_account("ada", "cli:test", disabled=False)
    assert accounts.find_session(ada) is None


def test_a_reset_ends_it(ada: str) -> None:
    accounts.reset_account("ada", "cli:test")
    assert accounts.find_session(ada) is None


def test_it_is_ended_once_and_by_somebody(ada: str) -> None:
    (found,) = accounts.list_sessions()
    assert accounts.end_session(found.id, "cli:grace")
    assert not accounts.end_session(found.id, "cli:grace")
    assert accounts.find_session(ada) is None


@pytest.mark.parametrize("token", ["", "guessed", "a" * 43, "ada\x00"])
def test_no_other_token_is_one(ada: str, token: str) -> None:
    assert accounts.find_session(token) is None


def test_the_token_itself_is_stored_nowhere(ada: str) -> None:
    rows = run_in_transaction(
        lambda c: c.execute("SELECT to_jsonb(s)::text FROM staff_session s").fetchall()
    )
    assert ada not in str(rows)


def test_old_ones_are_deleted_a_day_after_they_expired(ada: str, clock: Clock) -> None:
    assert accounts.delete_old_sessions(clock.advance(SESSION_LIFETIME + RETENTION)) == 0
    assert accounts.delete_old_sessions(clock.advance(timedelta(seconds=1))) == 1
