"""Signing in at the company's OpenID Connect provider."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from http import HTTPStatus
from typing import assert_never

import structlog
from authlib.common.urls import add_params_to_uri
from flask import abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.infra.context import services
from preference_center.web.console.console_sign_in import limit_attempts, own_target, start_session
from preference_center.web.console.provider import Provider, ProviderUnavailable, find_provider
from preference_center.web.console.rendering import redirect_after_post, render_page
from preference_center.web.console.routing import Access, Route
from preference_center.web.console.staff_oidc import (
    ProviderSignInRefused,
    RefusalReason,
    SignInAttempt,
    begin_attempt,
    finish_attempt,
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
    """What the provider knows us by: of the settings, never of the Host header."""
    return _own_url(url_for("console.finish_oidc"))


def _own_url(path: str) -> str:
    settings = services().settings
    return f"{(settings.console_url or settings.public_url).rstrip('/')}{path}"


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
    back = _own_url(url_for("console.sign_in"))
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
