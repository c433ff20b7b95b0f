"""`GET /consent.js`: the script of the consent tool, which the company's sites load from here."""

from __future__ import annotations

from flask import Response, current_app

SCRIPT_MAX_AGE_SECONDS = 3600
"""How long browsers may use it without asking; then its ETag tells whether it has changed."""


def consent_script() -> Response:
    """The script, for pages of any origin; also with `crossorigin` and a hash (W3C SRI)."""
    response = current_app.send_static_file("consent.js")
    response.cache_control.no_cache = None  # which Flask sets where the app names no age
    response.cache_control.public = True
    response.cache_control.max_age = SCRIPT_MAX_AGE_SECONDS
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
