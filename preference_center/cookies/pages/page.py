"""Serve the pages on which people choose or read about cookies without a script.

`/consent/<site>`: the choice, which the site shows at its own origin. Assets and links lead to our
own host, since every other path of that origin is the site's.

`/cookies`: what our own pages set, and where each of the company's sites has its choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Response, current_app, g, make_response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from preference_center.catalogue import CONSENT_COOKIE, Brand, CookieCategory, Site
from preference_center.cookies.pages import describe_category, gpc_text
from preference_center.cookies.pages.choice import (
    MAX_BODY_BYTES,
    StaleVersion,
    find_site,
    is_foreign,
    is_without_secret,
    make_consent,
    record_json,
    set_consent_cookie,
    store_consent,
    within_rates,
)
from preference_center.cookies.rules import ConsentCookie, ConsentMethod, parse_consent_cookie
from preference_center.cookies.signal import has_signal
from preference_center.cookies.store import find_consent
from preference_center.core.errors import Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.web.languages import chosen_language
from preference_center.web.pages.rendering import (
    OWN_ORIGIN,
    CatalogueText,
    catalogue_or_empty,
    render_page,
)


@dataclass(frozen=True, slots=True)
class ShownChoice:
    """What this browser has chosen; `decided_at` is None where the record is not at hand."""

    cookie: ConsentCookie
    counts: bool
    decided_at: datetime | None


def site_choice(key: str) -> ResponseReturnValue:
    """Show this browser's choice (GET); record one, as JSON or as a form (POST)."""
    site, brand = find_site(key)
    if request.method != "POST":
        return _show(site, brand)
    return record_json(site) if request.is_json else _record_form(site, brand)


def _record_form(site: Site, brand: Brand) -> ResponseReturnValue:
    """Record the choice of the page's form, and redirect to the page; or say what is wrong there.

    Error pages of ours would be without their style sheet at the site's origin.
    """
    request.max_content_length = MAX_BODY_BYTES
    if is_foreign(site) or is_without_secret(site):
        return _show(site, brand, problem="invalid", status=403)
    if not within_rates(site):
        return _show(site, brand, problem="busy", status=429)
    try:
        pressed, on = request.form.get("press", ""), set(request.form.getlist("on"))
    except RequestEntityTooLarge:
        return _show(site, brand, problem="invalid", status=413)
    choices = {
        category.value: pressed == "accept" or (pressed == "save" and category in on)
        for category in site.optional
    }
    if pressed not in {"accept", "refuse", "save"}:
        return _show(site, brand, problem="invalid", status=400)
    try:
        version = request.form.get("version")
        consent = make_consent(site, choices, ConsentMethod.PAGE, version=version)
        store_consent(consent)
    except StaleVersion:
        return _show(site, brand, problem="stale", status=409)
    except Unavailable:
        return _show(site, brand, problem="unavailable", status=503)
    # Relative: where the site has mounted it only the browser knows.
    language = chosen_language()
    query = f"?saved=yes&lang={language}" if language else "?saved=yes"
    response = make_response(redirect(f"{query}#result", 303))
    set_consent_cookie(response, site, consent)
    return response


def _show(site: Site, brand: Brand, *, problem: str = "", status: int = 200) -> Response:
    own = services().links.base_url(brand.host)
    setattr(g, OWN_ORIGIN, own)
    text = CatalogueText(catalogue_or_empty())
    choice = _shown_choice(site)
    granted = choice.cookie.granted if choice and choice.counts else frozenset()
    response = make_response(
        render_page(
            "cookies/site_cookies",
            status=status,
            brands=(brand,),
            site=site,
            home=f"{site.origins[0]}/",
            categories=[describe_category(site, category, text) for category in site.categories],
            on=granted - {CookieCategory.ADVERTISING} if has_signal() else granted,
            choice=choice,
            gpc=gpc_text() if has_signal() and CookieCategory.ADVERTISING in site.optional else "",
            saved="saved" in request.args and not problem,
            problem=problem,
        )
    )
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {own}; img-src {own}; font-src {own};"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    # With no-referrer, browsers would send the form with the origin "null".
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _shown_choice(site: Site) -> ShownChoice | None:
    cookie = parse_consent_cookie(request.cookies.get(CONSENT_COOKIE))
    if cookie is None:
        return None
    consent_id = cookie.id
    try:
        stored = run_autocommit(lambda connection: find_consent(connection, consent_id))
    except Unavailable:  # the cookie says what was chosen
        stored = None
    is_found = stored is not None and stored.consent.site == site.key
    return ShownChoice(
        cookie,
        counts=cookie.answers(site, services().now().date()),
        decided_at=stored.consent.decided_at if stored and is_found else None,
    )


def own_cookies() -> ResponseReturnValue:
    """The page. Our own pages set one cookie, where a form must be protected from forgery."""
    catalogue = catalogue_or_empty()
    return render_page(
        "cookies/own_cookies",
        brands=tuple(catalogue.brands.values()),
        cookie_name=current_app.config["SESSION_COOKIE_NAME"],
        sites=[
            (catalogue.brands[site.brand], f"{origin}{site.path}", origin.partition("://")[2])
            for site in catalogue.sites.values()
            for origin in site.origins[:1]
        ],
    )
