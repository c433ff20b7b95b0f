"""`/consent/<site>/config.json`: the texts, cookies and looks that `consent.js` shows."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, request
from flask_babel import gettext as _

from preference_center.catalogue import DEFAULT_COLOURS, DEFAULT_RADIUS, Brand
from preference_center.cookies.pages import describe_category, gpc_text, notice_url
from preference_center.cookies.pages.sites import find_site
from preference_center.cookies.rules.cookie_consent import CONSENT_MONTHS
from preference_center.web.languages import page_language, text_direction
from preference_center.web.pages.rendering import CatalogueText, catalogue_or_empty

CONFIG_MAX_AGE_SECONDS = 300
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
        "path": site.path,
        "categories": [describe_category(site, category, text) for category in site.categories],
        "brand": _looks(brand),
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Vary"] = "Accept-Language"
    response.cache_control.public = True
    response.cache_control.max_age = CONFIG_MAX_AGE_SECONDS
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.make_conditional(request)
    return response


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


def _looks(brand: Brand) -> dict[str, Any]:
    """The brand's tokens as CSS values; the font is the site's own, which has it already."""
    colours = brand.colours or DEFAULT_COLOURS
    radius = DEFAULT_RADIUS if brand.radius is None else brand.radius
    schemes = {
        name: {"accent": each.accent, "accent_text": each.on_accent}
        for name, each in colours.items()
    }
    return {**schemes["light"], "dark": schemes["dark"], "radius": f"{radius}px"}
