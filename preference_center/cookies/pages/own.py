"""`/cookies`: what our own pages set, and where each of the company's sites has its choice."""

from __future__ import annotations

from flask import current_app
from flask.typing import ResponseReturnValue

from preference_center.web.pages.rendering import catalogue_or_empty, render_page


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
