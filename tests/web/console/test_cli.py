"""`flask staff`: accounts are made, changed and ended by command, and the audit says by whom."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.staff import Role
from preference_center.web.console import accounts
from preference_center.web.console.store import StaffSession
from tests.infra.cli.fixtures import _staff_name
from tests.web.console.sign_ins import audit

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

LINK = re.compile(r"https://preferences\.example\.com/console/enrol/([\w-]{43})")


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["staff", *words])


def add(app: Flask) -> str:
    found = LINK.fullmatch(flask(app, "add", "ada", "--role", "support").stdout.strip())
    assert found is not None
    return found[1]


def sign_in(app: Flask, name: str = "ada") -> str:
    with app.app_context():
        return accounts.begin_session(
            StaffSession(uuid4(), name, frozenset({Role.SUPPORT}), issuer="test", subject=name)
        )


def is_signed_in(app: Flask, token: str) -> bool:
    with app.app_context():
        return accounts.find_session(token) is not None


def test_add_prints_a_link_that_sets_a_password(app: Flask) -> None:
    token = add(app)
    with app.app_context():
        enrolment = accounts.find_enrolment(token)
    assert enrolment is not None
    assert enrolment.name == "ada"
    (entry,) = audit(app)
    assert entry == (
        "cli:grace",
        "staff.account_created",
        {"name": "ada", "roles": ["support"]},
    )
    assert token not in str(entry)


@pytest.mark.parametrize(
    "words, message",
    [
        (["add", "ada@example.com", "--role", "support"], "no email address"),
        (["add", "a b", "--role", "support"], "1 to 64 letters"),
        (["add", "ada", "--role", "owner"], "'owner' is not one of"),
        (["add", "ada"], "Missing option"),
        (["reset", "eve"], "there is no account eve"),
        (["change", "eve", "--role", "admin"], "there is no account eve"),
        (["disable", "eve"], "there is no account eve"),
    ],
)
def test_what_can_not_be_says_why(app: Flask, words: list[str], message: str) -> None:
    result = flask(app, *words)
    assert result.exit_code != 0
    assert message in result.output
    assert not audit(app)


def test_a_name_is_given_once(app: Flask) -> None:
    add(app)
    result = flask(app, "add", "ada", "--role", "admin")
    assert result.exit_code != 0
    assert "flask staff reset" in result.output


def test_a_reset_replaces_the_link_and_ends_sessions(app: Flask) -> None:
    first, session = add(app), sign_in(app)
    second = LINK.search(flask(app, "reset", "ada").stdout)
    assert second is not None
    with app.app_context():
        assert accounts.find_enrolment(first) is None
        assert accounts.find_enrolment(second[1]) is not None
    assert not is_signed_in(app, session)


def test_disable_ends_sessions_and_change_enables(app: Flask) -> None:
    add(app)
    session = sign_in(app)
    assert flask(app, "disable", "ada").output == "ada is disabled.\n"
    assert not is_signed_in(app, session)
    assert "disabled since 2026-11-24" in flask(app, "list").output
    flask(app, "change", "ada", "--role", "operator", "--role", "admin")
    assert flask(app, "list").output == "ada\tadmin,operator\thas no password yet\n"
    assert [entry[1] for entry in audit(app)[-3:]] == [
        "staff.sessions_ended",
        "staff.account_disabled",
        "staff.account_changed",
    ]


def test_who_is_signed_in_is_listed_and_signed_out(app: Flask) -> None:
    ada, eve = sign_in(app), sign_in(app, "eve")
    listed = flask(app, "sessions").stdout
    assert "ada\tsupport\ttest\t2026-11-24 09:00\t2026-11-24 09:00\n" in listed
    assert ada not in listed
    assert flask(app, "sign-out", "ada").output == "1 sessions ended.\n"
    assert not is_signed_in(app, ada)
    assert is_signed_in(app, eve)


def test_without_anybody_it_says_what_to_do(app: Flask) -> None:
    assert "flask staff add" in flask(app, "list").stderr
    assert "Nobody is signed in." in flask(app, "sessions").stderr
