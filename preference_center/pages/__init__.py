"""The pages for recipients: one-click unsubscribe, the unsubscribe page, the preference page.

The token in the URL is the only credential: there is no log-in, and no response may leak
the URL: no referrer, no cache, no index, no third-party content.
"""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug import Response as BaseResponse
from werkzeug.routing import BaseConverter

from preference_center.context import services
from preference_center.errors import ExpiredLink, InvalidLink
from preference_center.extensions import csrf
from preference_center.languages import keep_language_parameter
from preference_center.pages import one_click
from preference_center.pages.branding import brand_asset, brand_url
from preference_center.pages.confirm_opt_in import confirm
from preference_center.pages.cookies.config import site_config
from preference_center.pages.cookies.own import own_cookies
from preference_center.pages.cookies.page import site_choice
from preference_center.pages.cookies.script import consent_script
from preference_center.pages.email_stop import stop_unproven_emails
from preference_center.pages.framing import allow_frames
from preference_center.pages.gpc import gpc_support_document
from preference_center.pages.link_request import redirect_to_form, request_link
from preference_center.pages.one_time_link import (
    handle_expired_link,
    open_mailed_link,
    open_portal_link,
)
from preference_center.pages.opt_out_status_page import consent_json, opt_out_status, receipt_json
from preference_center.pages.preference_page import preferences
from preference_center.pages.rendering import (
    can_mail,
    default_wording,
    error_page_values,
    handle_invalid_link,
    own_url,
)
from preference_center.pages.rights.act import RIGHTS_WITH_PAGES, rights_act
from preference_center.pages.rights.address import confirm_new_address, undo_new_address
from preference_center.pages.rights.agent import authority
from preference_center.pages.rights.identity import open_rights_link
from preference_center.pages.rights.list import list_rights
from preference_center.pages.rights.minor import report_minor, reported
from preference_center.pages.rights.status import download_access_file, rights_status
from preference_center.pages.short_link import open_short_link
from preference_center.pages.unsubscribe_page import unsubscribe
from preference_center.pages.unsubscribe_survey import submit_survey

__all__ = [
    "AVAILABLE_WITHOUT_DATABASE",
    "SECURITY_HEADERS",
    "blueprint",
    "can_mail",
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
    if request.endpoint == "pages.unsubscribe" and request.method in {"POST", "OPTIONS"}:
        response.headers.update(CORS_HEADERS)
    return response


def _handle_one_click() -> BaseResponse | None:
    """Before any view: the one-click POST of RFC 8058 with a token, at any path of this host."""
    response = one_click.handle_one_click()
    if response is not None:
        response.headers.update({**SECURITY_HEADERS, **CORS_HEADERS})
    return response


blueprint = Blueprint("pages", __name__)
# Mail clients have no CSRF token (RULES A4); the preference form checks its own.
csrf.exempt(blueprint)
blueprint.record_once(_register_converter)
blueprint.before_app_request(_handle_one_click)
blueprint.after_request(_add_security_headers)
blueprint.add_app_template_global(brand_url)
blueprint.add_app_template_global(own_url)
blueprint.url_defaults(keep_language_parameter)
blueprint.register_error_handler(InvalidLink, handle_invalid_link)
blueprint.register_error_handler(ExpiredLink, handle_expired_link)
blueprint.add_url_rule("/", "root", redirect_to_form)
blueprint.add_url_rule("/.well-known/gpc.json", "gpc", gpc_support_document)
blueprint.add_url_rule("/consent/<key>/config.json", view_func=site_config)
blueprint.add_url_rule("/consent/<key>", view_func=site_choice, methods=["GET", "POST"])
blueprint.add_url_rule("/consent.js", view_func=consent_script)
blueprint.add_url_rule("/cookies", view_func=own_cookies)
blueprint.add_url_rule("/form", "request_link", request_link, methods=["GET", "POST"])
blueprint.add_url_rule("/brand/<key>/<name>", "brand_asset", brand_asset)
blueprint.add_url_rule(
    "/s/<path:code>", view_func=open_short_link, methods=["GET", "POST"], merge_slashes=False
)
for _path, _view in (
    ("u", unsubscribe),
    ("p", preferences),
    ("m", open_mailed_link),
    ("c", confirm),
    ("emails", stop_unproven_emails),
):
    for _rule in (f"/{_path}", f"/{_path}/<token:token>"):
        # merge_slashes would send a redirect, which mail clients refuse (RULES A5).
        blueprint.add_url_rule(_rule, view_func=_view, methods=["GET", "POST"], merge_slashes=False)
for _rule, _view in (
    ("/portal", open_portal_link),
    ("/portal/<token:token>", open_portal_link),
    ("/w", opt_out_status),
    ("/w/<token:token>", opt_out_status),
    ("/w/<token:token>/receipt.json", receipt_json),
    ("/w/<token:token>/consent.json", consent_json),
):
    blueprint.add_url_rule(_rule, view_func=_view, methods=["GET"], merge_slashes=False)
for _rule in ("/reason", "/reason/<token:token>"):
    blueprint.add_url_rule(_rule, view_func=submit_survey, methods=["POST"], merge_slashes=False)
for _path in ("/rights", "/rights/<token:token>"):
    blueprint.add_url_rule(_path, view_func=list_rights, methods=["GET"], merge_slashes=False)
for _path, _view, _methods in (
    ("status", rights_status, ["GET", "POST"]),
    ("download", download_access_file, ["POST"]),
    ("address", confirm_new_address, ["GET", "POST"]),
    ("moved", undo_new_address, ["GET", "POST"]),
    ("reported", reported, ["GET", "POST"]),
    ("authority", authority, ["GET", "POST"]),
):
    blueprint.add_url_rule(
        f"/rights/{_path}/<token:token>", view_func=_view, methods=_methods, merge_slashes=False
    )
blueprint.add_url_rule("/rights/minor", view_func=report_minor, methods=["GET", "POST"])
for _act in RIGHTS_WITH_PAGES:
    # Static parts, which are matched before a token of any syntax.
    for _path, _page in (("/rights", rights_act), ("/rights/open", open_rights_link)):
        for _rule in (f"{_path}/{_act}", f"{_path}/{_act}/<token:token>"):
            blueprint.add_url_rule(
                _rule,
                view_func=_page,
                methods=["GET", "POST"],
                defaults={"act": _act},
                merge_slashes=False,
            )
