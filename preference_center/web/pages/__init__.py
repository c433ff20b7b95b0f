"""The frame of the pages of recipients: brands, languages, forms, errors.

The token in the URL is the only credential: there is no log-in, and no response may leak
the URL: no referrer, no cache, no index, no third-party content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug import Response as BaseResponse
from werkzeug.routing import BaseConverter

from preference_center.core.errors import ExpiredLink, InvalidLink
from preference_center.infra.context import services
from preference_center.web.languages import keep_language_parameter
from preference_center.web.pages.rendering import (
    allow_frames,
    brand_asset,
    brand_url,
    can_mail,
    count_link_key_problem,
    default_wording,
    error_page_values,
    extend_script_policy,
    handle_invalid_link,
    own_url,
)
from preference_center.web.pages.routing import Route

__all__ = [
    "AVAILABLE_WITHOUT_DATABASE",
    "SECURITY_HEADERS",
    "Route",
    "can_mail",
    "count_link_key_problem",
    "create_blueprint",
    "default_wording",
    "error_page_values",
]

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self';"
    " font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
"""On every response of this blueprint (RULES C7)."""

AVAILABLE_WITHOUT_DATABASE = frozenset(
    {"pages.unsubscribe", "pages.brand_asset", "pages.consent_script", "static"}
)
"""Endpoints that work without the database, as long as there is a spool."""

CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Content-Type",
}
"""Mail add-ons POST from a page of their own and must be able to read the response. The
star excludes cookies, and the holder of the token needs none."""


class _TokenConverter(BaseConverter):
    """The rest of the path, with slashes, or empty: a broken link gets a page too."""

    regex = "(?s:.*)"
    part_isolating = False

    def to_python(self, value: str) -> str:
        """The token alone, so that every view and all it records use one spelling of it."""
        return services().links.find_token(value)


def _register_converter(state: BlueprintSetupState) -> None:
    """Register the converter before any rule that uses it."""
    state.app.url_map.converters["token"] = _TokenConverter


def _add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)  # a brand's picture has a stricter policy
    allow_frames(response)
    extend_script_policy(response)
    if request.endpoint == "pages.unsubscribe" and request.method in {"POST", "OPTIONS"}:
        response.headers.update(CORS_HEADERS)
    return response


def create_blueprint(
    routes: Iterable[Route],
    handle_one_click: Callable[[], BaseResponse | None],
    handle_expired_link: Callable[[ExpiredLink], ResponseReturnValue],
) -> Blueprint:
    """The pages with these routes, and the pictures of brands.

    `handle_one_click` is called before any view: it responds to the one-click POST of RFC 8058
    with a token, at any path of this host.
    """

    def before_request() -> BaseResponse | None:
        response = handle_one_click()
        if response is not None:
            response.headers.update({**SECURITY_HEADERS, **CORS_HEADERS})
        return response

    blueprint = Blueprint("pages", __name__)
    blueprint.record_once(_register_converter)
    blueprint.before_app_request(before_request)
    blueprint.after_request(_add_security_headers)
    blueprint.add_app_template_global(brand_url)
    blueprint.add_app_template_global(own_url)
    blueprint.url_defaults(keep_language_parameter)
    blueprint.register_error_handler(InvalidLink, handle_invalid_link)
    blueprint.register_error_handler(ExpiredLink, handle_expired_link)
    blueprint.add_url_rule("/brand/<key>/<name>", "brand_asset", brand_asset)
    for route in routes:
        route.register(blueprint)
    return blueprint
