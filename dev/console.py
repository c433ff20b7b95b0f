"""Signing in at the console of `make run` with one click, as somebody of the demo's staff.

Below /console, so that the cookie is the console's own; only `dev.site` registers it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import pyotp
from apiflask import APIBlueprint
from flask import abort, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.staff import Role
from preference_center.infra.context import CONSOLE_PATH, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.console.accounts import create_account, enrol, find_enrolment
from preference_center.web.console.frame import csrf, redirect_after_post
from preference_center.web.console.sign_in import start_session
from preference_center.web.console.store import (
    StaffAccount,
    StaffSession,
    find_account,
    list_accounts,
)

ACTOR = "demo"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody of the made-up company; the console shows the name wherever they acted."""

    name: str
    roles: tuple[Role, ...]
    does: str

    @property
    def title(self) -> str:
        """The role, as the button has it."""
        return self.roles[0].title() if len(self.roles) == 1 else "All roles"


STAFF = (
    StaffMember("sara", (Role.SUPPORT,), "finds people, records what they say, decides on mails"),
    StaffMember("carlo", (Role.COMPLIANCE,), "decides on requests, reads reports and the audit"),
    StaffMember("olga", (Role.OPERATOR,), "runs destinations, senders' keys and imports"),
    StaffMember("anna", (Role.ADMIN,), "changes the catalogue, sees who is signed in"),
    StaffMember("dana", tuple(Role), "opens every page"),
)

blueprint = APIBlueprint("dev_console", __name__, url_prefix=CONSOLE_PATH, enable_openapi=False)
csrf.exempt(blueprint)  # `_refuse_other_sites` does its work


@blueprint.before_request
def _refuse_other_sites() -> None:
    """A page of another site must not sign anybody in; `/dev` is on another port of this one."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "same-site", "none"}:
        abort(403)


@blueprint.post("/sign-in-as")
def sign_in_as() -> ResponseReturnValue:
    """Begin a session of whom the form names, and open the console."""
    name = request.form.get("name")
    if name not in {member.name for member in STAFF}:
        abort(404)
    account = run_in_transaction(lambda connection: find_account(connection, name))
    if account is None:
        abort(404)
    start_session(StaffSession(services().new_id(), account.name, account.roles, account.id))
    return redirect_after_post(url_for("console.home"))


def create_accounts() -> None:
    """Create the accounts that are not there. Nobody has their passwords."""
    there = {account.name for account in run_in_transaction(_accounts)}
    for member in STAFF:
        if member.name not in there:
            _enrol(create_account(member.name, member.roles, ACTOR))


def _enrol(token: str) -> None:
    """Use the link of a new account, as its person would."""
    enrolment = find_enrolment(token)
    assert enrolment is not None
    code = pyotp.TOTP(enrolment.totp_secret).at(services().now())
    enrol(token, secrets.token_urlsafe(24), code)


def _accounts(connection: Connection) -> list[StaffAccount]:
    return list_accounts(connection)
