"""`/consent/<site>/config.json`: the texts, cookies and looks that `consent.js` shows."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, request
from flask_babel import gettext as _

from preference_center.context import services
from preference_center.domain.catalogue import (
    DEFAULT_COLOURS,
    DEFAULT_RADIUS,
    Brand,
    CookieCategory,
    Site,
    SiteCookie,
)
from preference_center.domain.cookie_consent import CONSENT_MONTHS
from preference_center.languages import page_language, text_direction
from preference_center.pages.cookies.sites import find_site
from preference_center.pages.cookies.texts import (
    category_text,
    category_title,
    duration_text,
    gpc_text,
    purpose_text,
)
from preference_center.pages.rendering import CatalogueText, catalogue_or_empty

MAX_AGE_SECONDS = 300
"""How long pages may show an earlier version of it. Their choice is then refused as stale."""


def site_config(key: str) -> Response:
    """The configuration of a site, the same for everybody, for pages of any origin."""
    site, brand = find_site(key)
    text = CatalogueText(catalogue_or_empty())
    content = {
        "site": site.key,
        "version": site.version,
        "language": page_language(),
        "direction": text_direction(page_language()),
        "months": CONSENT_MONTHS,
        "texts": _texts(),
        "notice_url": notice_url(brand, text),
        "page_url": site.path,
        "categories": [_category(site, category, text) for category in site.categories],
        "brand": _looks(brand),
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Vary"] = "Accept-Language"
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.make_conditional(request)
    return response


def notice_url(brand: Brand, text: CatalogueText) -> str:
    """Where the brand's privacy notice is; our page of rights where it names none."""
    found = text(catalogue_or_empty().contact_details(brand).privacy_notice)
    return found or f"{services().links.base_url(brand.host)}/rights"


def _texts() -> dict[str, str]:
    return {
        "title": _("Cookies on this site"),
        "text": _(
            "Some cookies are needed for this site to work. Others are used only with your"
            " consent. You can change this choice at any time, at the end of every page."
        ),
        "accept": _("Accept all"),
        "refuse": _("Refuse all"),
        "choose": _("Choose"),
        "save": _("Save choice"),
        "close": _("Continue without accepting"),
        "cancel": _("Close"),
        "always_on": _("Always on"),
        "gpc": gpc_text(),
        "more": _("Privacy notice"),
        "details": _("Cookies of this category"),
        "saved": _("Your choice is saved."),
        "not_saved": _(
            "Your choice could not be saved. Nothing optional is used. Please try again later."
        ),
    }


def _category(site: Site, category: CookieCategory, text: CatalogueText) -> dict[str, Any]:
    return {
        "key": category.value,
        "title": category_title(site, category, text),
        "text": category_text(site, category, text),
        "required": category.is_required,
        "cookies": [
            _cookie(cookie, brand_name(site, text)) for cookie in site.categories[category].cookies
        ],
    }


def brand_name(site: Site, text: CatalogueText) -> str:
    """The name of the site's brand: the provider of its own cookies."""
    return text(catalogue_or_empty().brands[site.brand].name)


def _cookie(cookie: SiteCookie, company: str) -> dict[str, str]:
    return {
        "name": cookie.name,
        "purpose": purpose_text(cookie.purpose),
        "duration": duration_text(cookie.days),
        "provider": cookie.provider or company,
    }


def _looks(brand: Brand) -> dict[str, Any]:
    """The brand's tokens as CSS values; the font is the site's own, which has it already."""
    colours = brand.colours or DEFAULT_COLOURS
    radius = DEFAULT_RADIUS if brand.radius is None else brand.radius
    schemes = {
        name: {"accent": each.accent, "accent_text": each.on_accent}
        for name, each in colours.items()
    }
    return {**schemes["light"], "dark": schemes["dark"], "radius": f"{radius}px", "font": "inherit"}
