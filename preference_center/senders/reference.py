"""What the API says of itself: its OpenAPI document, a page of it, and each problem."""

from __future__ import annotations

from typing import cast

from apiflask import APIFlask
from flask import Response, abort, current_app, jsonify

from preference_center.senders.operations import PREFIX, blueprint
from preference_center.senders.problems import PROBLEMS

_DOCUMENT = "preference_center.openapi"


@blueprint.get(f"{PREFIX}/openapi.json")
@blueprint.doc(hide=True)
def get_openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return jsonify(document())


@blueprint.get("/problems/<slug>")
@blueprint.doc(hide=True)
def get_problem(slug: str) -> Response:
    """What a problem's type means, for a person who follows the URI (RFC 9457 3.1.1)."""
    problem = PROBLEMS.get(slug) or abort(404)
    return Response(f"{problem.title}.\n{problem.remedy}\n", mimetype="text/plain")


def document() -> dict[str, object]:
    """The OpenAPI document of this app, made once."""
    made: dict[str, object] | None = current_app.extensions.get(_DOCUMENT)
    if made is None:
        made = cast("dict[str, object]", cast("APIFlask", current_app).spec)
        current_app.extensions[_DOCUMENT] = made
    return made
