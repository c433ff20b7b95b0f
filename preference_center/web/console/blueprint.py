"""`create_blueprint` makes the console of its pages."""

from __future__ import annotations

from collections.abc import Iterable

from apiflask import APIBlueprint
from werkzeug.exceptions import HTTPException

from preference_center.core.staff import Permission
from preference_center.infra.context import CONSOLE_PATH
from preference_center.web.console.frame import (
    Route,
    add_security_headers,
    choose_language,
    handle_http_error,
    hide_from_other_hosts,
    may,
    refuse_nul,
    register,
)


def create_blueprint(routes: Iterable[Route]) -> APIBlueprint:
    """The console with these pages."""
    # APIFlask asks every blueprint that has a `before_request` whether it is to be described.
    blueprint = APIBlueprint("console", __name__, url_prefix=CONSOLE_PATH, enable_openapi=False)
    blueprint.before_request(hide_from_other_hosts)
    blueprint.before_request(refuse_nul)
    blueprint.before_request(choose_language)
    blueprint.after_request(add_security_headers)
    blueprint.register_error_handler(HTTPException, handle_http_error)
    blueprint.add_app_template_global(may)
    blueprint.add_app_template_global(Permission, "Permission")
    for route in routes:
        register(blueprint, route)
    return blueprint
