"""These pages show staff: the accounts, and everybody's sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Permission, Role, parse_roles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console import accounts, store
from preference_center.web.console.frame import (
    Route,
    current_actor,
    current_staff,
    redirect_after_post,
    render_page,
)
from preference_center.web.console.store import StaffAccount


@dataclass(frozen=True, slots=True)
class AccountState:
    """In words, and as a badge shows it."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before a change of an account: what it will do, and the button that does it."""

    title: str
    text: str
    button: str
    facts: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()


def staff() -> ResponseReturnValue:
    """Everybody's sessions, and the accounts."""
    found = run_in_transaction(store.list_accounts)
    return render_page(
        "web/console/staff",
        accounts=[(each, _state(each)) for each in found],
        sessions=[
            (each, urlsplit(each.issuer).hostname if each.issuer else "")
            for each in accounts.list_sessions()
        ],
        current=current_staff().id,
        limits=(store.MAX_ACCOUNTS, store.MAX_SESSIONS),
    )


def end_session_of_anybody(session_id: UUID) -> ResponseReturnValue:
    """End a session of anybody."""
    accounts.end_session(session_id, current_actor())
    return redirect_after_post(url_for("console.staff"))


def staff_account(account_id: int) -> ResponseReturnValue:
    """One account, and what can be changed of it."""
    return _account_page(_load(account_id))


def change_staff_roles(account_id: int) -> ResponseReturnValue:
    """Give an account other roles, after showing which."""
    account = _load(account_id)
    try:
        roles = parse_roles(request.form.getlist("role"))
    except InvalidInput:
        return _account_page(account, _("Choose at least one role, or disable the account."))
    question = Question(
        _("Change the roles of %(name)s?", name=account.name),
        _("It counts at once, also where they are signed in."),
        _("Change the roles"),
        (
            (_("Added"), ", ".join(sorted(roles - account.roles))),
            (_("Removed"), ", ".join(sorted(account.roles - roles))),
        ),
        tuple(("role", role.value) for role in sorted(roles)),
    )
    return _ask_or_do(
        account,
        question,
        lambda: accounts.change_account(account.name, current_actor(), roles=roles),
    )


def disable_staff(account_id: int) -> ResponseReturnValue:
    """Disable an account, after asking."""
    account = _load(account_id)
    question = Question(
        _("Disable the account of %(name)s?", name=account.name),
        _("Their sessions end now, and they can’t sign in until somebody enables the account."),
        _("Disable"),
    )
    return _ask_or_do(
        account,
        question,
        lambda: accounts.change_account(account.name, current_actor(), disabled=True),
    )


def enable_staff(account_id: int) -> ResponseReturnValue:
    """Enable an account, after asking."""
    account = _load(account_id)
    question = Question(
        _("Enable the account of %(name)s?", name=account.name),
        _("They can sign in again with the password and the authenticator that they had."),
        _("Enable"),
    )
    return _ask_or_do(
        account,
        question,
        lambda: accounts.change_account(account.name, current_actor(), disabled=False),
    )


def _ask_or_do(
    account: StaffAccount, question: Question, change: Callable[[], None]
) -> ResponseReturnValue:
    if not request.form.get("confirmed"):
        return render_page("web/console/confirm", account=account, question=question)
    try:
        change()
    except InvalidInput as error:
        return _account_page(account, str(error))
    return redirect_after_post(url_for("console.staff_account", account_id=account.id))


def _account_page(account: StaffAccount, problem: str = "") -> ResponseReturnValue:
    return render_page(
        "web/console/account",
        status=422 if problem else 200,
        account=account,
        state=_state(account),
        roles=list(Role),
        recovery_codes=run_in_transaction(
            lambda connection: store.count_recovery_codes(connection, account.id)
        ),
        is_own=account.name == current_staff().name,
        problem=problem,
    )


def _load(account_id: int) -> StaffAccount:
    found = run_in_transaction(lambda connection: store.load_account(connection, account_id))
    return found or abort(HTTPStatus.NOT_FOUND)


def _state(account: StaffAccount) -> AccountState:
    now = services().now()
    if account.disabled_at is not None:
        return AccountState(_("disabled"), "none")
    if account.password_hash is None:
        is_open = account.enrolment_expires_at and account.enrolment_expires_at > now
        text = _("has a link to set a password") if is_open else _("its link has expired")
        return AccountState(text, "warn")
    if account.locked_until is not None and account.locked_until > now:
        return AccountState(_("waits after wrong attempts"), "bad")
    return AccountState(_("in use"), "good")


_ACCOUNT = "/staff/accounts/<int:account_id>"

ROUTES = (
    Route("/staff", staff, Permission.MANAGE_STAFF),
    Route(
        "/staff/sessions/<uuid:session_id>/end",
        end_session_of_anybody,
        Permission.MANAGE_STAFF,
        ("POST",),
    ),
    Route(_ACCOUNT, staff_account, Permission.MANAGE_STAFF),
    Route(f"{_ACCOUNT}/roles", change_staff_roles, Permission.MANAGE_STAFF, ("POST",)),
    Route(f"{_ACCOUNT}/disable", disable_staff, Permission.MANAGE_STAFF, ("POST",)),
    Route(f"{_ACCOUNT}/enable", enable_staff, Permission.MANAGE_STAFF, ("POST",)),
)
