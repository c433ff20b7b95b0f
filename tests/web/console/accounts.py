"""Somebody with an account: a password, an authenticator and recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyotp
import pytest
from argon2 import PasswordHasher

from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.web.console import accounts

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    totp: pyotp.TOTP
    recovery_codes: Sequence[str]

    def code(self, at: datetime | None = None) -> str:
        return self.totp.at(at or services().now())


def enrolled(name: str = "ada", *roles: Role) -> Member:
    """Has set a password; the code of this half minute is used up by that."""
    token = accounts.create_account(name, roles or [Role.SUPPORT], "cli:test")
    enrolment = accounts.find_enrolment(token)
    assert enrolment is not None
    totp = pyotp.TOTP(enrolment.totp_secret)
    codes = accounts.enrol(token, PASSWORD, totp.at(services().now()))
    return Member(name, totp, codes)


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters of the service take a tenth of a second each; one test is about those."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: hasher)
