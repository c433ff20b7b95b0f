"""`create_blueprint` makes the API of its endpoints, with its own documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, abort, current_app, jsonify, render_template
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from preference_center.core.errors import CatalogueError, InvalidInput, Unavailable
from preference_center.web.api import errors
from preference_center.web.api.endpoint import (
    BLUEPRINT_NAME,
    PREFIX,
    Endpoint,
    add_deprecation_headers,
)
from preference_center.web.api.problems import PROBLEMS, ApiError

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


_EXTENSION_KEY = "preference_center.openapi"


_CODE_PATTERN = re.compile(r"`([^`]+)`")


def get_openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return jsonify(openapi_document())


def get_docs() -> Response:
    """The document as an HTML page. It loads nothing from other hosts."""
    html = render_template("web/docs.html", document=openapi_document())
    return Response(html, headers=HEADERS, mimetype="text/html")


def get_problem(slug: str) -> Response:
    """What a problem type means, as plain text at its URI (RFC 9457 3.1.1)."""
    problem = PROBLEMS.get(slug) or abort(404)
    return Response(f"{problem.title}.\n{problem.remedy}\n", mimetype="text/plain")


def prose(text: str) -> Markup:
    """HTML paragraphs, with text in backquotes as code."""
    paragraphs = [
        Markup("<p>{}</p>").format(
            Markup("").join(
                Markup("<code>{}</code>").format(part) if index % 2 else part
                for index, part in enumerate(_CODE_PATTERN.split(paragraph))
            )
        )
        for paragraph in text.split("\n\n")
    ]
    return Markup("\n").join(paragraphs)


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of this app, generated once."""
    document: dict[str, Any] | None = current_app.extensions.get(_EXTENSION_KEY)
    if document is None:
        document = cast("dict[str, Any]", cast("APIFlask", current_app).spec)
        current_app.extensions[_EXTENSION_KEY] = document
    return document


def register_docs(blueprint: APIBlueprint) -> None:
    """Add the pages to the blueprint; the document itself doesn't describe them."""
    for rule, view in (
        (f"{PREFIX}/openapi.json", get_openapi),
        (f"{PREFIX}/docs", get_docs),
        ("/problems/<slug>", get_problem),
    ):
        blueprint.add_url_rule(rule, view_func=blueprint.doc(hide=True)(view))
    blueprint.add_app_template_filter(prose)


def create_blueprint(endpoints: Iterable[Endpoint]) -> APIBlueprint:
    """The API with these endpoints, and its own documentation."""
    blueprint = APIBlueprint(BLUEPRINT_NAME, __name__)
    blueprint.register_error_handler(ApiError, errors.handle_api_error)
    blueprint.register_error_handler(InvalidInput, errors.handle_invalid_input)
    blueprint.register_error_handler(CatalogueError, errors.handle_unavailable)
    blueprint.register_error_handler(Unavailable, errors.handle_unavailable)
    blueprint.register_error_handler(HTTPException, errors.handle_http_exception)
    blueprint.register_error_handler(Exception, errors.handle_unexpected_error)
    blueprint.after_request(add_deprecation_headers)
    for each in endpoints:
        each.register(blueprint)
    register_docs(blueprint)
    return blueprint
