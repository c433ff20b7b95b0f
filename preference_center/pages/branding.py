"""The logo and the colours of a brand, as pages load them.

They are served from here, not from the company's servers, so that no third party learns
who reads a page, and so that the Content-Security-Policy of all pages can stay strict.
"""

from __future__ import annotations

from flask import Response, abort, render_template

from preference_center.domain.catalogue import Brand
from preference_center.pages.rendering import catalogue_or_empty

CACHE_SECONDS = 300
"""Seconds that a browser may cache them; a new catalogue takes effect within this time."""

LOGO_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""An SVG is a document: opened by itself, it must neither run nor load anything."""


def brand_stylesheet(key: str) -> Response:
    """The colours of a brand, which override those of the style sheet of all pages."""
    brand = _find_brand(key)
    if not brand.colours:
        abort(404)
    css = render_template("pages/brand.css", colours=brand.colours)
    return _asset_response(css, "text/css")


def brand_logo(key: str) -> Response:
    """The logo of a brand. Responds 404 if it has none."""
    logo = _find_brand(key).logo
    if logo is None:
        abort(404)
    response = _asset_response(logo.content, logo.media_type)
    response.headers["Content-Security-Policy"] = LOGO_CONTENT_SECURITY_POLICY
    return response


def _find_brand(key: str) -> Brand:
    brand = catalogue_or_empty().brands.get(key)
    return brand or abort(404)


def _asset_response(content: str | bytes, media_type: str) -> Response:
    response = Response(content, mimetype=media_type)
    response.cache_control.public = True
    response.cache_control.max_age = CACHE_SECONDS
    return response
