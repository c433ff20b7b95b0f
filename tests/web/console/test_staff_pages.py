"""Administrators see who is signed in, end sessions, and change accounts after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts
from preference_center.web.console.store import StaffAccount, find_account
from tests.web.console.sign_ins import audit
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def grace(app: Flask) -> Staff:
    return staff(app, Role.ADMIN)


@pytest.fixture
def ada() -> StaffAccount:
    accounts.create_account("ada", [Role.SUPPORT], "cli:test")
    return load("ada")


def load(name: str) -> StaffAccount:
    found = run_in_transaction(lambda connection: find_account(connection, name))
    assert found is not None
    return found


def path(account: StaffAccount, action: str = "") -> str:
    return f"/console/staff/accounts/{account.id}{action}"


def last_entry(app: Flask) -> tuple[str, str, dict[str, object]]:
    return audit(app)[-1]


def test_the_page_has_every_session_and_every_account_with_its_state(
    app: Flask, grace: Staff, ada: StaffAccount
) -> None:
    staff(app, Role.SUPPORT, name="eve")
    page = words(grace.get("/console/staff"))
    assert "eve support" in page
    assert "ada support has a link to set a password 0" in page
    accounts.change_account("ada", "cli:test", disabled=True)
    assert "ada support disabled" in words(grace.get("/console/staff"))


def test_anybodys_session_can_be_ended_and_has_ended_then(app: Flask, grace: Staff) -> None:
    eve = staff(app, Role.SUPPORT, name="eve")
    assert eve.get("/console/sessions").status_code == 200
    answer = grace.post(f"/console/staff/sessions/{eve.session_id}/end")
    assert answer.headers["Location"] == "/console/staff"
    assert eve.get("/console/sessions").status_code == 302
    assert last_entry(app) == ("console:grace", "staff.session_ended", {"name": "eve"})
    unknown = grace.post(f"/console/staff/sessions/{UUID(int=1)}/end")
    assert unknown.status_code == 303


def test_other_roles_are_shown_first_and_count_at_once(
    app: Flask, grace: Staff, ada: StaffAccount
) -> None:
    form = {"role": ["compliance", "operator"]}
    page = words(grace.post(path(ada, "/roles"), **form))
    assert "Added compliance, operator Removed support" in page
    assert load("ada").roles == frozenset({Role.SUPPORT})
    grace.post(path(ada, "/roles"), confirmed="yes", **form)
    assert load("ada").roles == frozenset({Role.COMPLIANCE, Role.OPERATOR})
    assert last_entry(app)[:2] == ("console:grace", "staff.account_changed")


@pytest.mark.parametrize("roles", [[], ["owner"]])
def test_an_account_has_at_least_one_role_that_there_is(
    grace: Staff, ada: StaffAccount, roles: list[str]
) -> None:
    answer = grace.post(path(ada, "/roles"), role=roles, confirmed="yes")
    assert answer.status_code == 422
    assert "Choose at least one role" in words(answer)
    assert load("ada").roles == frozenset({Role.SUPPORT})


def test_a_disabled_account_stays_disabled_until_somebody_enables_it(
    app: Flask, grace: Staff, ada: StaffAccount
) -> None:
    assert "Disable the account of ada?" in words(grace.post(path(ada, "/disable")))
    assert load("ada").disabled_at is None
    grace.post(path(ada, "/disable"), confirmed="yes")
    assert load("ada").disabled_at is not None
    grace.post(path(ada, "/roles"), role="operator", confirmed="yes")
    assert load("ada").disabled_at is not None
    grace.post(path(ada, "/enable"), confirmed="yes")
    assert load("ada").disabled_at is None
    assert last_entry(app)[:2] == ("console:grace", "staff.account_enabled")


def test_no_link_of_an_account_is_shown_to_an_administrator(
    grace: Staff, ada: StaffAccount
) -> None:  # who had two links could propose as one account and decide as the other
    assert "flask staff reset ada" in words(grace.get(path(ada)))
    assert grace.post(path(ada, "/reset"), confirmed="yes").status_code == 404


@pytest.mark.parametrize("action", ["/roles", "/disable"])
def test_nobody_changes_their_own_account(app: Flask, action: str) -> None:
    accounts.create_account("grace", [Role.ADMIN], "cli:test")
    grace = staff(app, Role.ADMIN)
    own = load("grace")
    assert "another administrator changes it" in words(grace.get(path(own)))
    answer = grace.post(path(own, action), role="support", confirmed="yes")
    assert answer.status_code == 422
    assert load("grace") == own
    assert grace.get("/console/staff").status_code == 200


def test_nobody_but_an_administrator_sees_who_is_signed_in(app: Flask) -> None:
    for role in (Role.SUPPORT, Role.COMPLIANCE, Role.OPERATOR):
        assert staff(app, role).get("/console/staff").status_code == 403


def test_what_a_provider_calls_somebody_is_shown_as_text(app: Flask, grace: Staff) -> None:
    from preference_center.web.console.store import StaffSession

    hostile = StaffSession(
        UUID(int=7),
        "<script>alert(1)</script>",
        frozenset({Role.SUPPORT}),
        issuer="https://<script>alert(2)</script>",
        subject="<script>alert(3)</script>",
    )
    accounts.begin_session(hostile)
    for page in ("/console/staff", "/console/audit"):
        text = staff(app, Role.ADMIN, name="eve").get(page).get_data(as_text=True)
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text
