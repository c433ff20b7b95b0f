"""Signing in with a password and a code, setting the password, and signing out."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

import segno
from flask import abort, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.web.console import accounts, sessions
from preference_center.web.console.access import (
    LANGUAGE_KEY,
    TOKEN_KEY,
    current_actor,
    current_staff,
    find_staff,
)
from preference_center.web.console.accounts import SignInRefused
from preference_center.web.console.console_navigation import navigation
from preference_center.web.console.rendering import redirect_after_post, render_page
from preference_center.web.console.routing import Access, Route
from preference_center.web.console.store.staff_sessions import StaffSession

SIGN_IN_RATE = "20 per 5 minutes"
"""Attempts from one IP address, whatever names they are for."""


def sign_in() -> ResponseReturnValue:
    """The page for signing in."""
    target = own_target(request.values.get("next", ""))
    if request.method != "POST":
        if find_staff() is not None:
            return redirect_after_post(target)
        return _sign_in_page(target)
    limit_attempts()
    name = request.form.get("name", "").strip()
    try:
        account = accounts.authenticate(
            name, request.form.get("password", ""), request.form.get("code", "")
        )
    except SignInRefused:
        return _sign_in_page(target, name=name, is_refused=True)
    start_session(StaffSession(services().new_id(), account.name, account.roles, account.id))
    return redirect_after_post(target)


def limit_attempts(rate: str = SIGN_IN_RATE) -> None:
    """Let an IP address try a number of times only; further attempts end with 429."""
    source = services().keys.digest(f"network:{request.remote_addr}").hex()
    if not services().limiter.hit(rate, "console-sign-in", source):
        abort(HTTPStatus.TOO_MANY_REQUESTS)


def start_session(staff: StaffSession) -> None:
    """Sign somebody in: with a new cookie, so that nobody knows it beforehand.

    A session that this browser had ends.
    """
    before = find_staff()
    if before is not None:
        sessions.end_session(before.id, current_actor())
    language = session.get(LANGUAGE_KEY)
    token = sessions.begin_session(staff)
    session.clear()
    session[TOKEN_KEY] = token
    if language:
        session[LANGUAGE_KEY] = language


def sign_out() -> ResponseReturnValue:
    """End the session. Who has signed in at a provider is shown how to sign out there.

    That is a link: the policy of the pages lets no form lead to another site.
    """
    staff = current_staff()
    sessions.end_session(staff.id, current_actor())
    session.clear()
    return redirect_after_post(url_for("console.signed_out" if staff.issuer else "console.sign_in"))


def enrol(token: str) -> ResponseReturnValue:
    """Set the password of an account by the link that its maker passed on."""
    enrolment = accounts.find_enrolment(token)
    if enrolment is None:
        return render_page("web/console/enrol_expired", status=410)
    problem = ""
    if request.method == "POST":
        password = request.form.get("password", "")
        try:
            if password == request.form.get("repeated", ""):
                codes = accounts.enrol(token, password, request.form.get("code", ""))
                return render_page("web/console/enrolled", codes=codes)
            problem = _("The two passwords differ.")
        except InvalidInput as error:
            problem = str(error)
    image = segno.make(enrolment.totp_uri, error="m", micro=False).svg_inline(
        scale=5, border=4, dark="#000", light="#fff", omitsize=False
    )
    return render_page(
        "web/console/enrol",
        status=422 if problem else 200,
        enrolment=enrolment,
        image=image,
        problem=problem,
    )


def home() -> ResponseReturnValue:
    """The first page of the menu, or one that says that there is none."""
    links = navigation()
    if links:
        return redirect_after_post(links[0].url)
    return render_page("web/console/no_pages")


def own_sessions() -> ResponseReturnValue:
    """The sessions of the person who is signed in, to end them."""
    own = current_staff()
    mine = [each for each in sessions.list_sessions() if _is_same_person(each, own)]
    return render_page("web/console/own_sessions", sessions=mine, current=own.id)


def end_own_session(session_id: UUID) -> ResponseReturnValue:
    """End one of one's own sessions."""
    own = current_staff()
    if not any(
        each.id == session_id and _is_same_person(each, own) for each in sessions.list_sessions()
    ):
        abort(HTTPStatus.NOT_FOUND)
    sessions.end_session(session_id, current_actor())
    return redirect_after_post(url_for("console.own_sessions"))


def _is_same_person(one: StaffSession, other: StaffSession) -> bool:
    return (one.account_id, one.issuer, one.subject) == (
        other.account_id,
        other.issuer,
        other.subject,
    )


def _sign_in_page(target: str, *, name: str = "", is_refused: bool = False) -> ResponseReturnValue:
    return render_page(
        "web/console/sign_in",
        status=422 if is_refused else 200,
        target=target,
        name=name,
        is_refused=is_refused,
        has_provider=services().settings.console_oidc_issuer is not None,
    )


def own_target(path: str) -> str:
    """Where to go after signing in: a path of the console and nothing else."""
    root = url_for("console.home")
    is_own = path.startswith(root) and "\\" not in path and not path.startswith("//")
    return path if is_own else root


ROUTES = (
    Route("/sign-in", sign_in, Access.ANYONE, ("GET", "POST")),
    Route("/sign-out", sign_out, Access.STAFF, ("POST",)),
    Route("/enrol/<token>", enrol, Access.ANYONE, ("GET", "POST")),
    Route("/", home, Access.STAFF),
    Route("/sessions", own_sessions, Access.STAFF),
    Route("/sessions/<uuid:session_id>/end", end_own_session, Access.STAFF, ("POST",)),
)
