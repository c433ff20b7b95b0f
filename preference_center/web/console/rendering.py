"""Rendering shared by all pages of the console."""

from __future__ import annotations

from typing import Any

from flask import make_response, redirect, render_template, session
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from preference_center.catalogue import Wording
from preference_center.web.console.access import LANGUAGE_KEY, find_staff
from preference_center.web.console.console_navigation import navigation
from preference_center.web.languages import (
    chosen_language,
    offer_languages,
    page_language,
    set_contact_language,
    set_wording,
)

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
