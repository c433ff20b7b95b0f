"""The API's own documentation: the OpenAPI document, a page of it, and each problem type."""

from __future__ import annotations

import re
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, abort, current_app, jsonify, render_template
from markupsafe import Markup

from preference_center.web.api.api_endpoint import PREFIX
from preference_center.web.api.problems import PROBLEMS

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
