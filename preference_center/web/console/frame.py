"""All pages of the console share this: who is signed in, the menu, rendering and registration.

- `recheck` asks the provider again whether somebody who signed in there is still on staff.
- `find_staff` and `require` say who is signed in, and whether they may do this.
- `navigation` makes the menu: what the person who is signed in may open.
- `render_page` renders a page.
- `register` adds a page, with who may open it, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import wraps
from http import HTTPStatus
from typing import Any

import structlog
from flask import (
    Blueprint,
    abort,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask import Response as FlaskResponse
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, lazy_gettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from preference_center.catalogue import Wording
from preference_center.core.errors import DecryptionError
from preference_center.core.staff import Permission, Role, permissions_of
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.console import accounts, store
from preference_center.web.console.accounts import actor_of, find_session
from preference_center.web.console.openid import (
    Claims,
    InvalidIdToken,
    StoredTokens,
    open_tokens,
    roles_of,
    verify_id_token,
)
from preference_center.web.console.provider import (
    GrantRefused,
    Provider,
    ProviderUnavailable,
    find_provider,
)
from preference_center.web.console.store import StaffSession
from preference_center.web.languages import (
    chosen_language,
    offer_languages,
    page_language,
    set_contact_language,
    set_wording,
)

log = structlog.get_logger()
csrf = CSRFProtect()
"""It protects the console's forms: no other page is reached by a cookie."""


CHECK_INTERVAL = timedelta(minutes=5)
"""How long a change at the provider may take to count here."""


RETRY_INTERVAL = timedelta(minutes=1)
"""When to ask again if it did not answer."""


ACTOR = "oidc"


@dataclass(frozen=True, slots=True)
class _Confirmation:
    """What the provider said: the roles now, and its newest tokens."""

    roles: frozenset[Role]
    tokens: StoredTokens


def recheck(session: StaffSession) -> StaffSession | None:
    """The session as the provider confirms it, if it was not asked lately; None if it has ended.

    While the provider can't be reached, a session goes on until it expires (decision 96).
    """
    now = services().now()
    if session.tokens is None or session.checked_at is None:
        return session
    if session.checked_at > now - CHECK_INTERVAL or not _claim(session, now):
        return session
    provider = find_provider()
    try:
        found = _ask(provider, session, open_tokens(session.id, session.tokens), now)
    except ProviderUnavailable as error:
        log.warning("staff_recheck_failed", session=str(session.id), error=str(error))
        return session
    except (GrantRefused, InvalidIdToken, DecryptionError) as error:
        log.info("staff_session_refused", session=str(session.id), error=str(error))
        accounts.end_session(session.id, ACTOR)
        return None
    if not found.roles:
        accounts.end_session(session.id, ACTOR)
        return None
    run_in_transaction(lambda connection: _store(connection, session, found, now))
    return replace(session, roles=found.roles)


def _claim(session: StaffSession, now: datetime) -> bool:
    """Whether this request is to ask: of several at once, one."""
    seen = session.checked_at
    assert seen is not None
    retry_at = now - CHECK_INTERVAL + RETRY_INTERVAL
    return run_in_transaction(
        lambda connection: store.claim_check(connection, session.id, seen, retry_at)
    )


def _ask(
    provider: Provider | None, session: StaffSession, tokens: StoredTokens, now: datetime
) -> _Confirmation:
    if provider is None or provider.issuer != session.issuer:
        raise GrantRefused("CONSOLE_OIDC_ISSUER is another one now")
    id_token: Mapping[str, Any] = {}
    if tokens.refresh_token and (_is_over(tokens, now) or not tokens.has_groups_in_userinfo):
        fresh = provider.refresh(tokens.refresh_token, now)
        if fresh.id_token is not None:
            id_token = verify_id_token(
                fresh.id_token, provider, now, access_token=fresh.access_token, nonce=None
            )
        tokens = replace(
            tokens,
            access_token=fresh.access_token,
            refresh_token=fresh.refresh_token or tokens.refresh_token,
            expires_at=fresh.expires_at.isoformat() if fresh.expires_at else None,
        )
        # At once: many providers accept a refresh token once only.
        sealed = tokens.seal(session.id)
        run_in_transaction(lambda connection: store.store_tokens(connection, session.id, sealed))
    userinfo = provider.fetch_userinfo(tokens.access_token, now)
    for claims in (id_token, userinfo):
        if claims and claims.get("sub") != session.subject:
            raise InvalidIdToken("the provider answers about another subject")
    if not tokens.has_groups_in_userinfo and not id_token:
        return _Confirmation(session.roles, tokens)
    return _Confirmation(roles_of(Claims(id_token, userinfo)), tokens)


def _is_over(tokens: StoredTokens, now: datetime) -> bool:
    return tokens.expires_at is not None and datetime.fromisoformat(tokens.expires_at) <= now


def _store(
    connection: Connection, session: StaffSession, found: _Confirmation, now: datetime
) -> None:
    sealed = found.tokens.seal(session.id)
    store.confirm_session(connection, session.id, found.roles, sealed, now)
    if found.roles != session.roles:
        detail = {"name": session.name, "roles": sorted(found.roles)}
        insert_audit_entry(connection, now, ACTOR, "staff.roles_changed", detail)


TOKEN_KEY = "staff"  # noqa: S105 - the name of a key
"""Where the cookie has the token of the session."""


LANGUAGE_KEY = "language"
"""Where it has the language that was chosen."""


_SAFE_METHODS = frozenset({"GET", "HEAD"})


def find_staff() -> StaffSession | None:
    """Who is signed in, if anybody is."""
    if "staff" not in g:
        token = session.get(TOKEN_KEY)
        known = find_session(token, is_poll=is_live_poll()) if token else None
        g.staff = recheck(known) if known else None
    found: StaffSession | None = g.staff
    return found


def current_staff() -> StaffSession:
    """Who is signed in, on a page that needs that."""
    staff = find_staff()
    assert staff is not None  # `require` has seen to it
    return staff


def current_actor() -> str:
    """Who acts, for events and the audit: `console:ada`."""
    return actor_of(current_staff())


def may(permission: Permission) -> bool:
    """Whether the person who is signed in has a permission; for templates, too."""
    staff = find_staff()
    return staff is not None and permission in permissions_of(staff.roles)


def require(permission: Permission | None) -> None:
    """Continue if somebody is signed in and has the permission, if one is needed.

    Otherwise the request ends: with a redirect to the page for signing in (401 for what would
    change something), or with 403.
    """
    if find_staff() is None:
        if request.method not in _SAFE_METHODS:
            abort(HTTPStatus.UNAUTHORIZED)
        abort(redirect(url_for("console.sign_in", next=own_path())))
    if permission is not None and not may(permission):
        abort(HTTPStatus.FORBIDDEN)


def is_live_poll() -> bool:
    """Whether the page's script asks for it again, to show what has changed."""
    return request.headers.get("X-Requested-With") == "poll"


def own_path() -> str:
    """The path and query of this request, to come back to."""
    return request.full_path.removesuffix("?")


STREAMED = frozenset({"console.upload_import"})
"""Endpoints that read their form as it arrives: to ask for it before that would load it whole."""


def refuse_nul() -> None:
    """Answer 400 to a path, form or query with NUL, which PostgreSQL has in no text."""
    sent = request.args if request.endpoint in STREAMED else request.values
    if "\0" in request.path or any("\0" in each for texts in sent.listvalues() for each in texts):
        abort(HTTPStatus.BAD_REQUEST)


def hide_from_other_hosts() -> None:
    """Answer 404 on every host but that of CONSOLE_URL, if that is set."""
    host = services().settings.console_host
    if host is not None and request.host.partition(":")[0].lower() != host:
        abort(HTTPStatus.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class MenuItem:
    """An entry: the endpoint of its page, and the key that opens it with the browser's access key.

    `section` is the beginning of the paths at which the entry is the current one.
    """

    endpoint: str
    title: LazyString
    permission: Permission
    section: str
    access_key: str


MENU: tuple[MenuItem, ...] = (
    MenuItem("people", lazy_gettext("People"), Permission.VIEW_PEOPLE, "/console/people", "p"),
    MenuItem("review_lists", lazy_gettext("Review"), Permission.REVIEW, "/console/review", "r"),
    MenuItem(
        "request_queue_page",
        lazy_gettext("Requests"),
        Permission.VIEW_REQUESTS,
        "/console/requests",
        "q",
    ),
    MenuItem("window", lazy_gettext("Window"), Permission.VIEW_WINDOW, "/console/window", "w"),
    MenuItem(
        "catalogue_overview",
        lazy_gettext("Catalogue"),
        Permission.VIEW_CATALOGUE,
        "/console/catalogue",
        "c",
    ),
    MenuItem("senders", lazy_gettext("Senders"), Permission.VIEW_SENDERS, "/console/senders", "s"),
    MenuItem("imports", lazy_gettext("Imports"), Permission.IMPORT, "/console/imports", "i"),
    MenuItem("reports", lazy_gettext("Reports"), Permission.VIEW_REPORTS, "/console/reports", "o"),
    MenuItem("staff", lazy_gettext("Staff"), Permission.MANAGE_STAFF, "/console/staff", "t"),
    MenuItem("audit", lazy_gettext("Audit"), Permission.VIEW_AUDIT, "/console/audit", "a"),
)
"""In the order of the menu."""


@dataclass(frozen=True, slots=True)
class MenuLink:
    """An entry as the page shows it."""

    url: str
    title: str
    access_key: str
    is_current: bool


def navigation() -> Sequence[MenuLink]:
    """The entries that the person who is signed in may open."""
    return [
        MenuLink(
            url_for(f"console.{item.endpoint}"),
            str(item.title),
            item.access_key,
            request.path.startswith(item.section),
        )
        for item in MENU
        if may(item.permission)
    ]


CONSOLE_LANGUAGES = {"en": "English", "it": "Italiano"}


SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self';"
    " font-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # the CSRF check of https wants it
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
"""On every response of the console."""


def choose_language() -> None:
    """Use the language that was chosen, now or before; else the browser's, of those we have."""
    offer_languages(tuple(CONSOLE_LANGUAGES), "console")
    set_wording(Wording())
    if (chosen := chosen_language()) in CONSOLE_LANGUAGES:
        session[LANGUAGE_KEY] = chosen
    set_contact_language(session.get(LANGUAGE_KEY))


def render_page(template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
    """A page of the console: `templates/<template>.html`."""
    language = page_language()
    html = render_template(
        f"{template}.html",
        language=language,
        languages=CONSOLE_LANGUAGES,
        staff=find_staff(),
        navigation=navigation(),
        number=format_decimal,
        **values,
    )
    return html, status, {"Content-Language": language}


def add_security_headers(response: Response) -> Response:
    """For `after_request`."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def console_error_page(status: int) -> FlaskResponse:
    """The page for what went wrong here: it reads nothing, since the database may be away."""
    g.setdefault("staff", None)  # or who the request has found already
    choose_language()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        message = _("This can’t be done at the moment. Try again in a minute.")
    else:
        message = _("Something went wrong here. Look whether it was done before you try again.")
    return make_response(render_page("web/console/error", status=status, message=message))


def handle_http_error(error: HTTPException) -> ResponseReturnValue:
    """An error page in the console's looks; a redirect stays one."""
    if error.response is not None:
        return error.response
    choose_language()  # a form without a valid CSRF token is refused before that
    status = error.code or 500
    page = make_response(
        render_page("web/console/error", status=status, message=_error_message(status, error))
    )
    page.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return page


def redirect_after_post(location: str) -> ResponseReturnValue:
    """Send the browser to a page by GET (RFC 9110 15.4.4), so that a reload repeats nothing."""
    return redirect(location, 303)


def _error_message(status: int, error: HTTPException) -> str:
    if isinstance(error, CSRFError):
        return str(
            _("This form is too old, or was opened before you signed in. Open the page again.")
        )
    messages = {
        401: _("You are no longer signed in, so nothing was changed. Sign in, then do it again."),
        403: _("Your roles don’t allow this. Ask an administrator if you need it."),
        404: _("There is nothing at this address."),
        405: _("This page can’t be used like that. Nothing was changed."),
        413: _("The file is too large. Nothing was changed."),
        429: _("Too many attempts. Wait some minutes, then try again."),
    }
    return str(messages.get(status, _("The request could not be read. Nothing was changed.")))


View = Callable[..., ResponseReturnValue]


class Access(StrEnum):
    """Who may open a page that needs no permission."""

    ANYONE = "anyone"
    """The pages for signing in."""
    STAFF = "staff"
    """Everybody who is signed in."""


@dataclass(frozen=True, slots=True)
class Route:
    """A page: its path below /console, its view, and who may open it.

    The endpoint is the name of the view, so views have names of their own in the whole package.
    """

    rule: str
    view: View
    access: Permission | Access
    methods: tuple[str, ...] = ("GET",)

    @property
    def endpoint(self) -> str:
        """The name for `url_for`, without the blueprint's."""
        return self.view.__name__


def register(blueprint: Blueprint, route: Route) -> None:
    """Add a page to the blueprint, at exactly its path.

    A redirect to the path without a slash too many would lead to the host that the client names.
    """
    blueprint.add_url_rule(
        route.rule,
        route.endpoint,
        _guard(route),
        methods=list(route.methods),
        merge_slashes=False,
        strict_slashes=False,
    )


def _guard(route: Route) -> View:
    if route.access is Access.ANYONE:
        return route.view
    permission = None if isinstance(route.access, Access) else route.access

    @wraps(route.view)
    def guarded(**values: Any) -> ResponseReturnValue:
        require(permission)
        return route.view(**values)

    return guarded
