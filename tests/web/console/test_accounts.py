"""Accounts under attack: guessing, replays, old links, and everything at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from dev.processes import wait_until
from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.web.console import accounts
from preference_center.web.console.accounts import (
    ENROLMENT_LIFETIME,
    FREE_FAILURES,
    SignInRefused,
    authenticate,
    lock_time,
)
from preference_center.web.console.store import StaffAccount, find_account
from tests.clock import Clock
from tests.ledger.changes import patient
from tests.web.console.accounts import PASSWORD, Member, enrolled

if TYPE_CHECKING:
    from flask import Flask

HALF_MINUTE = timedelta(seconds=30)

pytestmark = pytest.mark.usefixtures("in_context", "quick_hashes")


@pytest.fixture
def ada(clock: Clock) -> Member:
    found = enrolled("ada")
    clock.advance(HALF_MINUTE)
    return found


def stored(name: str = "ada") -> StaffAccount:
    found = run_in_transaction(lambda connection: find_account(connection, name))
    assert found is not None
    return found


def fail(times: int) -> None:
    for _ in range(times):
        with pytest.raises(SignInRefused):
            authenticate("ada", "wrong", "000000")


def test_password_and_code_sign_in(ada: Member) -> None:
    assert authenticate("ada", PASSWORD, ada.code()).name == "ada"


@pytest.mark.parametrize("typed", [lambda code: f"{code[:3]} {code[3:]}", lambda code: f" {code} "])
def test_a_code_may_be_typed_in_groups(ada: Member, typed: Callable[[str], str]) -> None:
    authenticate("ada", PASSWORD, typed(ada.code()))


def test_a_code_counts_once(ada: Member) -> None:
    code = ada.code()
    authenticate("ada", PASSWORD, code)
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, code)


def test_a_code_of_before_the_last_one_does_not_count(ada: Member, clock: Clock) -> None:
    before = ada.code()
    clock.advance(HALF_MINUTE)
    authenticate("ada", PASSWORD, ada.code())
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, before)


@pytest.mark.parametrize("late", [30, -30])
def test_a_clock_may_differ_by_half_a_minute(ada: Member, clock: Clock, late: int) -> None:
    now = clock.advance(timedelta(minutes=5))
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, ada.code(now - 3 * timedelta(seconds=late)))
    authenticate("ada", PASSWORD, ada.code(now - timedelta(seconds=late)))


def test_the_code_with_which_the_password_was_set_is_used_up(clock: Clock) -> None:
    ada = enrolled("ada")
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, ada.code())


def test_a_recovery_code_counts_once_however_it_is_typed(ada: Member) -> None:
    first, second, *_ = ada.recovery_codes
    authenticate("ada", PASSWORD, first.upper())
    for _ in range(2):
        with pytest.raises(SignInRefused):
            authenticate("ada", PASSWORD, first)
    authenticate("ada", PASSWORD, f" {second} ")


def test_a_recovery_code_of_somebody_else_does_not_count(ada: Member, clock: Clock) -> None:
    eve = enrolled("eve")
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, eve.recovery_codes[0])


def test_a_wrong_password_uses_up_neither_code(ada: Member) -> None:
    for code in (ada.code(), ada.recovery_codes[0]):
        with pytest.raises(SignInRefused):
            authenticate("ada", "wrong", code)
    authenticate("ada", PASSWORD, ada.recovery_codes[0])
    authenticate("ada", PASSWORD, ada.code())


@pytest.mark.parametrize("name", ["", "eve", "ADA", "ada ", "ada%"])
def test_another_name_is_nobody(ada: Member, name: str) -> None:
    with pytest.raises(SignInRefused):
        authenticate(name, PASSWORD, ada.code())


def test_after_five_failures_an_account_waits_even_with_all_that_is_right(
    ada: Member, clock: Clock
) -> None:
    fail(FREE_FAILURES + 1)
    recovery_code = ada.recovery_codes[0]
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, recovery_code)
    clock.advance(timedelta(minutes=1, seconds=1))
    authenticate("ada", PASSWORD, recovery_code)  # not used up meanwhile
    assert stored().failures == 0


def test_attempts_while_it_waits_do_not_prolong_it(ada: Member, clock: Clock) -> None:
    fail(FREE_FAILURES + 1)
    until = stored().locked_until
    fail(3)
    assert stored().locked_until == until


def test_the_wait_doubles_up_to_an_hour() -> None:
    minutes = [lock_time(FREE_FAILURES + n).total_seconds() / 60 for n in (1, 2, 3, 6, 7, 50, 5000)]
    assert minutes == [1, 2, 4, 32, 60, 60, 60]


def test_of_many_failures_at_once_each_counts(app: Flask, ada: Member) -> None:
    account = stored()  # as all of them have read it

    def attempt(_number: int) -> None:
        with app.app_context(), override_limits(patient()):
            now = account.created_at
            run_in_transaction(
                lambda connection: accounts._record_failure(connection, account, now)
            )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(attempt, range(12)))
    assert stored().failures == 12
    assert stored().locked_until is not None


def test_of_many_sign_ins_with_one_code_one_succeeds(app: Flask, ada: Member) -> None:
    code = ada.code()

    def attempt(_number: int) -> bool:
        with app.app_context(), override_limits(patient()):
            answers: list[bool] = []

            def is_answered() -> bool:
                try:
                    answers.append(bool(authenticate("ada", PASSWORD, code)))
                except SignInRefused:
                    answers.append(False)
                except accounts.SignInBusy:  # as the page says: try again
                    return False
                return True

            assert wait_until(is_answered, 60)
            return answers[0]

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(4))) == 1


def test_whatever_is_wrong_one_hash_is_verified(
    ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the time shows nobody which names there are."""
    accounts.create_account("eve", [Role.SUPPORT], "cli:test")  # without a password
    enrolled("disabled")
    accounts.change_account("disabled", "cli:test", disabled=True)
    verified: list[str] = []
    real = accounts._verify_password

    def verify(stored_hash: str, password: str) -> bool:
        verified.append(stored_hash)
        return real(stored_hash, password)

    monkeypatch.setattr(accounts, "_verify_password", verify)
    for name in ("ada", "unknown", "eve", "disabled"):
        with pytest.raises(SignInRefused):
            authenticate(name, "wrong", "000000")
    assert len(verified) == 4
    assert all(each.startswith("$argon2id$") for each in verified)


def test_a_password_of_a_megabyte_is_not_hashed(
    ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_hasher", lambda: pytest.fail("it was"))
    monkeypatch.setattr(accounts, "_hash_of_nothing", lambda: "")
    with pytest.raises(SignInRefused):
        authenticate("ada", "x" * 1_000_000, "000000")


def test_a_disabled_account_signs_nobody_in(ada: Member) -> None:
    accounts.change_account("ada", "cli:test", disabled=True)
    with pytest.raises(SignInRefused):
        authenticate("ada", PASSWORD, ada.code())


class TestLinks:
    def test_one_works_once(self) -> None:
        token = accounts.create_account("ada", [Role.SUPPORT], "cli:test")
        code = self._code_of(token)
        accounts.enrol(token, PASSWORD, code)
        assert accounts.find_enrolment(token) is None
        with pytest.raises(InvalidInput, match="used or has expired"):
            accounts.enrol(token, "of somebody else", code)

    def test_it_expires(self, clock: Clock) -> None:
        token = accounts.create_account("ada", [Role.SUPPORT], "cli:test")
        clock.advance(ENROLMENT_LIFETIME - timedelta(seconds=1))
        assert accounts.find_enrolment(token) is not None
        clock.advance(timedelta(seconds=1))
        assert accounts.find_enrolment(token) is None
        with pytest.raises(InvalidInput, match="used or has expired"):
            accounts.enrol(token, PASSWORD, "000000")

    def test_a_new_one_replaces_it_and_all_that_was_set(self, ada: Member) -> None:
        token = accounts.reset_account("ada", "cli:test")
        newer = accounts.reset_account("ada", "cli:test")
        assert accounts.find_enrolment(token) is None
        assert accounts.find_enrolment(newer) is not None
        for code in (ada.code(), ada.recovery_codes[0]):
            with pytest.raises(SignInRefused):
                authenticate("ada", PASSWORD, code)

    def test_a_disabled_account_gets_none_until_somebody_enables_it(self, ada: Member) -> None:
        accounts.change_account("ada", "cli:test", disabled=True)
        with pytest.raises(InvalidInput, match="ada is disabled: enable it"):
            accounts.reset_account("ada", "cli:test")
        accounts.change_account("ada", "cli:test", disabled=False)
        authenticate("ada", PASSWORD, ada.code())  # nothing of it was forgotten

    def test_of_a_disabled_account_it_does_not_work(self) -> None:
        token = accounts.create_account("ada", [Role.SUPPORT], "cli:test")
        accounts.change_account("ada", "cli:test", disabled=True)
        assert accounts.find_enrolment(token) is None

    @pytest.mark.parametrize(
        "password, code", [("short", None), ("x" * 257, None), (PASSWORD, "1")]
    )
    def test_it_works_on_after_a_mistake(self, password: str, code: str) -> None:
        token = accounts.create_account("ada", [Role.SUPPORT], "cli:test")
        right = self._code_of(token)
        with pytest.raises(InvalidInput):
            accounts.enrol(token, password, code or right)
        accounts.enrol(token, PASSWORD, right)

    def _code_of(self, token: str) -> str:
        enrolment = accounts.find_enrolment(token)
        assert enrolment is not None
        created = stored().created_at
        return pyotp.TOTP(enrolment.totp_secret).at(created)


def test_nothing_that_signs_in_is_stored_readably(ada: Member) -> None:
    rows = run_in_transaction(
        lambda connection: connection.execute(
            "SELECT to_jsonb(a)::text || coalesce(string_agg(encode(c.digest, 'escape'), ','), '')"
            " FROM staff_account a JOIN staff_recovery_code c ON c.account_id = a.id GROUP BY a.id"
        ).fetchall()
    )
    text = str(rows)
    for secret in (PASSWORD, ada.totp.secret, *ada.recovery_codes):
        assert secret not in text
    assert len(ada.recovery_codes) == len(set(ada.recovery_codes)) == 10


def test_passwords_are_hashed_by_argon2id_as_the_library_advises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    parameters = accounts._hasher().hash(PASSWORD).split("$")
    assert parameters[1] == "argon2id"
    memory = dict(pair.split("=") for pair in parameters[3].split(","))
    assert int(memory["m"]) >= 65536
