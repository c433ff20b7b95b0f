"""The looks of a brand, as pages load them: style sheet, font and pictures.

They are served from here, not from the company's servers, so that no third party learns
who reads a page, and so that the Content-Security-Policy of all pages can stay strict.
"""

from __future__ import annotations

import hashlib

from flask import Response, abort, render_template, request, url_for

from preference_center.catalogue import page_colours
from preference_center.catalogue.rules.model import Brand
from preference_center.web.pages.rendering import catalogue_or_empty

STYLE_SHEET = "style.css"
SHORT_CACHE_SECONDS = 300
LONG_CACHE_SECONDS = 365 * 24 * 60 * 60
"""What a URL with the version of its content may be cached for: another content has another."""

PICTURE_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""An SVG is a document: opened by itself, it must neither run nor load anything."""


def brand_asset(key: str, name: str) -> Response:
    """A file of a brand, or its style sheet. Responds 404 if it has none."""
    brand = catalogue_or_empty().brands.get(key) or abort(404)
    if name == STYLE_SHEET:
        css = _style_sheet(brand) or abort(404)
        return _cacheable(Response(css, mimetype="text/css"), _version(css.encode()))
    file = brand.files.get(name) or abort(404)
    response = _cacheable(Response(file.content, mimetype=file.media_type), file.version)
    if file.media_type.startswith("image/"):
        response.headers["Content-Security-Policy"] = PICTURE_CONTENT_SECURITY_POLICY
    else:  # browsers load a font of another origin only with this: the company's own page has one
        response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def brand_url(brand: Brand | None, name: str) -> str:
    """The path of a brand's `name`, with the version of its content; empty if it has none."""
    version = _asset_version(brand, name) if brand else ""
    if not brand or not version:
        return ""
    return url_for("pages.brand_asset", key=brand.key, name=name, v=version, lang=None)


def _asset_version(brand: Brand, name: str) -> str:
    """Empty if it has none."""
    if name == STYLE_SHEET:
        css = _style_sheet(brand)
        return _version(css.encode()) if css else ""
    file = brand.files.get(name)
    return file.version if file else ""


def _style_sheet(brand: Brand) -> str:
    """What overrides the tokens of `static/pages.css`; empty where nothing does."""
    if not brand.colours and brand.font is None and brand.radius is None:
        return ""
    return render_template(
        "web/pages/brand.css",
        brand=brand,
        schemes={name: page_colours(each, name) for name, each in brand.colours.items()},
        font_url=brand_url(brand, "font.woff2"),
    )


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _cacheable(response: Response, version: str) -> Response:
    """For long if the URL names this very content, else until a new catalogue is to be seen."""
    is_versioned = request.args.get("v") == version
    response.cache_control.public = True
    response.cache_control.max_age = LONG_CACHE_SECONDS if is_versioned else SHORT_CACHE_SECONDS
    response.cache_control.immutable = is_versioned
    return response
