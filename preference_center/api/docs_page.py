"""The API's own documentation: the OpenAPI document, a page of it, and each problem type."""

from __future__ import annotations

import re
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, abort, current_app, jsonify, render_template
from markupsafe import Markup

from preference_center.api.endpoint import PREFIX, blueprint
from preference_center.api.problems import PROBLEMS

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_EXTENSION_KEY = "preference_center.openapi"
_CODE_PATTERN = re.compile(r"`([^`]+)`")


@blueprint.get(f"{PREFIX}/openapi.json")
@blueprint.doc(hide=True)
def get_openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return jsonify(openapi_document())


@blueprint.get(f"{PREFIX}/docs")
@blueprint.doc(hide=True)
def get_docs() -> Response:
    """The document as an HTML page. It loads nothing from other hosts."""
    html = render_template("web/docs.html", document=openapi_document())
    return Response(html, headers=HEADERS, mimetype="text/html")


@blueprint.get("/problems/<slug>")
@blueprint.doc(hide=True)
def get_problem(slug: str) -> Response:
    """What a problem type means, as plain text at its URI (RFC 9457 3.1.1)."""
    problem = PROBLEMS.get(slug) or abort(404)
    return Response(f"{problem.title}.\n{problem.remedy}\n", mimetype="text/plain")


@blueprint.app_template_filter()
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
