"""These pages sign staff in and out: by a password and a code, or at the OpenID Connect provider.

Staff with an account of our own also set their password here.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from http import HTTPStatus
from typing import assert_never
from uuid import UUID

import segno
import structlog
from authlib.common.urls import add_params_to_uri
from flask import abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.web.console import accounts
from preference_center.web.console.accounts import SignInBusy, SignInRefused
from preference_center.web.console.frame import (
    LANGUAGE_KEY,
    TOKEN_KEY,
    Access,
    Route,
    current_actor,
    current_staff,
    find_staff,
    navigation,
    redirect_after_post,
    render_page,
)
from preference_center.web.console.openid import (
    ProviderSignInRefused,
    RefusalReason,
    SignInAttempt,
    begin_attempt,
    finish_attempt,
)
from preference_center.web.console.provider import Provider, ProviderUnavailable, find_provider
from preference_center.web.console.store import StaffSession

SIGN_IN_RATE = "20 per 5 minutes"
"""Refused attempts from one IP address, whatever names they are for. Those that succeed don't
count: an office may have one address."""


def sign_in() -> ResponseReturnValue:
    """The page for signing in."""
    target = own_target(request.values.get("next", ""))
    if request.method != "POST":
        if find_staff() is not None:
            return redirect_after_post(target)
        return _sign_in_page(target)
    limiter, source = services().limiter, _network()
    if not limiter.allows(SIGN_IN_RATE, "console-sign-in", source):
        abort(HTTPStatus.TOO_MANY_REQUESTS)
    name = request.form.get("name", "").strip()
    try:
        account = accounts.authenticate(
            name, request.form.get("password", ""), request.form.get("code", "")
        )
    except SignInBusy:
        abort(HTTPStatus.SERVICE_UNAVAILABLE)
    except SignInRefused:
        limiter.hit(SIGN_IN_RATE, "console-sign-in", source)
        return _sign_in_page(target, name=name, is_refused=True)
    start_session(StaffSession(services().new_id(), account.name, account.roles, account.id))
    return redirect_after_post(target)


def _network() -> str:
    """Where the request comes from, as a limit may store it."""
    return services().keys.digest(f"network:{request.remote_addr}").hex()


def limit_attempts(rate: str) -> None:
    """Let an IP address try a number of times only; further attempts end with 429."""
    if not services().limiter.hit(rate, "console-sign-in", _network()):
        abort(HTTPStatus.TOO_MANY_REQUESTS)


def start_session(staff: StaffSession) -> None:
    """Sign somebody in: with a new cookie, so that nobody knows it beforehand.

    A session that this browser had ends.
    """
    before = find_staff()
    if before is not None:
        accounts.end_session(before.id, current_actor())
    language = session.get(LANGUAGE_KEY)
    token = accounts.begin_session(staff)
    session.clear()
    session[TOKEN_KEY] = token
    if language:
        session[LANGUAGE_KEY] = language


def sign_out() -> ResponseReturnValue:
    """End the session. Who has signed in at a provider is shown how to sign out there.

    That is a link: the policy of the pages lets no form lead to another site.
    """
    staff = current_staff()
    accounts.end_session(staff.id, current_actor())
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
        except SignInBusy:
            abort(HTTPStatus.SERVICE_UNAVAILABLE)
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
    mine = [each for each in accounts.list_sessions() if _is_same_person(each, own)]
    return render_page("web/console/own_sessions", sessions=mine, current=own.id)


def end_own_session(session_id: UUID) -> ResponseReturnValue:
    """End one of one's own sessions."""
    own = current_staff()
    if not any(
        each.id == session_id and _is_same_person(each, own) for each in accounts.list_sessions()
    ):
        abort(HTTPStatus.NOT_FOUND)
    accounts.end_session(session_id, current_actor())
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


log = structlog.get_logger()


PROVIDER_RATE = "200 per 5 minutes"
"""Requests from one IP address that may make one to the provider: an office may have one only."""


ATTEMPT_KEY = "oidc"
"""Where the cookie has the attempt; one at a time."""


def begin_oidc() -> ResponseReturnValue:
    """Send the browser to the provider."""
    provider = _provider()
    limit_attempts(PROVIDER_RATE)
    target = own_target(request.args.get("next", ""))
    try:
        url, attempt = begin_attempt(provider, _redirect_uri(), target)
    except ProviderUnavailable as error:
        return _unavailable_page(error)
    session[ATTEMPT_KEY] = asdict(attempt)
    return redirect(url)


def finish_oidc() -> ResponseReturnValue:
    """Where the provider sends the browser back to; GET, as the protocol has it."""
    provider = _provider()
    attempt = _take_attempt()
    if attempt is None or not _is_answer_to(attempt, provider):
        return _failed_page(
            400,
            _("Sign in again"),
            _(
                "This sign-in was begun in another window, took longer than ten minutes, or is"
                " over already. Nothing has happened."
            ),
        )
    limit_attempts(PROVIDER_RATE)
    if "error" in request.args or "code" not in request.args:
        log.info("staff_sign_in_denied", issuer=provider.issuer)
        return _failed_page(
            403,
            _("You were not signed in"),
            _("Your company’s sign-in service refused, or you stopped there."),
        )
    try:
        staff = finish_attempt(provider, attempt, request.args["code"], _redirect_uri())
    except ProviderUnavailable as error:
        return _unavailable_page(error)
    except ProviderSignInRefused as error:
        log.info("staff_sign_in_refused", issuer=provider.issuer, reason=error.reason.value)
        status = 400 if error.reason is RefusalReason.NOT_GRANTED else 403
        return _failed_page(status, _("You were not signed in"), _explain(error.reason))
    start_session(staff)
    return redirect_after_post(attempt.target)


def signed_out() -> ResponseReturnValue:
    """After signing out here: one is still signed in at the provider."""
    return render_page("web/console/signed_out", provider_url=_end_session_url())


def _take_attempt() -> SignInAttempt | None:
    """The attempt of this browser, which counts once and not for long."""
    kept = session.pop(ATTEMPT_KEY, None)
    attempt = SignInAttempt(**kept) if kept else None
    return None if attempt is None or attempt.is_over(services().now()) else attempt


def _is_answer_to(attempt: SignInAttempt, provider: Provider) -> bool:
    state, issuer = request.args.get("state", ""), request.args.get("iss")
    if issuer is not None and issuer != provider.issuer:  # RFC 9207: it came from another
        return False
    return secrets.compare_digest(state.encode(), attempt.state.encode())


def _provider() -> Provider:
    provider = find_provider()
    if provider is None:
        abort(HTTPStatus.NOT_FOUND)
    return provider


def _redirect_uri() -> str:
    """What the provider knows us by."""
    return accounts.console_url(url_for("console.finish_oidc"))


def _end_session_url() -> str:
    """Where the provider signs people out, if it has such a page and can be reached.

    With our client id rather than the ID token, which holds a name (I12).
    """
    provider = find_provider()
    if provider is None:
        return ""
    try:
        url = provider.metadata(services().now()).end_session_endpoint
    except ProviderUnavailable:
        return ""
    if url is None:
        return ""
    back = accounts.console_url(url_for("console.sign_in"))
    params = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
    return str(add_params_to_uri(url, params))


def _unavailable_page(error: ProviderUnavailable) -> ResponseReturnValue:
    log.warning("staff_provider_unavailable", error=str(error))
    return _failed_page(
        503,
        _("Your company’s sign-in service can’t be reached"),
        _(
            "Try again in a minute. If it stays like this, ask the people who run this service: its"
            " log says why."
        ),
    )


def _failed_page(status: int, title: str, text: str) -> ResponseReturnValue:
    return render_page("web/console/oidc_failed", status=status, title=title, text=text)


def _explain(reason: RefusalReason) -> str:
    settings = services().settings
    match reason:
        case RefusalReason.NOT_GRANTED:
            return str(_("This sign-in was used already, or took too long. Sign in again."))
        case RefusalReason.INVALID_TOKEN:
            return str(
                _(
                    "What your company’s sign-in service sent does not hold. Sign in again; if that"
                    " does not help, ask the people who run this service: the audit says why."
                )
            )
        case RefusalReason.NO_NAME:
            return str(
                _(
                    "The claim %(claim)s has no name for you that the audit can show. An"
                    " administrator can choose another claim: CONSOLE_OIDC_NAME_CLAIM.",
                    claim=settings.console_oidc_name_claim,
                )
            )
        case RefusalReason.NAME_TAKEN:
            return str(
                _(
                    "Somebody else is signed in by your name, or there is an account of that name."
                    " An administrator can end the session, or disable the account."
                )
            )
        case RefusalReason.NO_ROLE:
            return str(
                _(
                    "The claim %(claim)s names no group of yours that has a role here. An"
                    " administrator gives groups their roles: CONSOLE_OIDC_ROLES.",
                    claim=settings.console_oidc_groups_claim,
                )
            )
        case _:
            assert_never(reason)


OIDC_ROUTES = (
    Route("/sign-in/oidc", begin_oidc, Access.ANYONE),
    Route("/sign-in/callback", finish_oidc, Access.ANYONE),
    Route("/sign-in/out", signed_out, Access.ANYONE),
)
