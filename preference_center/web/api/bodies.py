"""The API's bodies share these types of fields, base models, and parts of the OpenAPI document.

A field of a response that does not apply is omitted, never null.

`install_openapi` adds to the document what APIFlask can't derive from the routes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any, cast

from apiflask import APIFlask
from apiflask.types import SpecCallbackType
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from preference_center.core.links.tokens import MAX_MESSAGE_ID
from preference_center.web.api.parsing import PRINTABLE, ModelAdapter, validate_printable
from preference_center.web.api.problems import RATE_LIMITED, UNAUTHENTICATED, UNAVAILABLE, Problem

# `format` states in the OpenAPI document what a text identifies.
RawAddress = Annotated[str, Field(json_schema_extra={"format": "address"})]


ShortName = Annotated[
    str, Field(min_length=1, max_length=100), AfterValidator(validate_printable), PRINTABLE
]


MessageTypeKey = Annotated[ShortName, Field(json_schema_extra={"format": "message-type"})]


TopicKey = Annotated[ShortName, Field(json_schema_extra={"format": "topic"})]


FrequencyKey = Annotated[ShortName, Field(json_schema_extra={"format": "frequency"})]


ScopeName = Annotated[ShortName, Field(json_schema_extra={"format": "scope"})]


ShortText = Annotated[
    str, Field(min_length=1, max_length=300), AfterValidator(validate_printable), PRINTABLE
]


WordingText = Annotated[
    str, Field(min_length=1, max_length=4000), AfterValidator(validate_printable), PRINTABLE
]


PolicyReference = Annotated[
    str,
    Field(
        max_length=40,
        pattern=r"^privacy/[a-z0-9][a-z0-9_.-]{0,31}$",
        json_schema_extra={"format": "policy"},
        description="The version of the privacy policy that was shown.",
    ),
]


LanguageTag = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


MessageId = Annotated[
    str,
    Field(max_length=MAX_MESSAGE_ID, json_schema_extra={"format": "message-id"}),
    AfterValidator(validate_printable),
    PRINTABLE,
]


class ResponseBody(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(ResponseBody):
    """One error in the request."""

    code: str
    detail: str = Field(
        description="A long text that an earlier error has is given as `as at`, and where that is"
    )
    pointer: str | None = Field(default=None, description="JSON pointer (RFC 6901) into the body")
    parameter: str | None = Field(default=None, description="The parameter of the URL")


class ProblemDocument(ResponseBody):
    """Problem details (RFC 9457)."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    errors: list[ErrorDetail] | None = None
    errors_left_out: int | None = None


SECURITY_SCHEME_NAME = "key"
"""Name of the security scheme."""


_SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key from `flask keys add`. Each operation lists the scopes it needs.",
}


_PROBLEM_SCHEMA_NAME = ProblemDocument.__name__


_NESTED_REFERENCE = re.compile(r"#/components/schemas/[^\"]+\.")


_TEXT_HEADER = {"schema": {"type": "string"}, "required": True}


_SECONDS_HEADER = {"schema": {"type": "integer", "minimum": 0}, "required": True}


_HEADERS_BY_PROBLEM = {
    UNAUTHENTICATED.slug: {"WWW-Authenticate": _TEXT_HEADER},
    RATE_LIMITED.slug: {"Retry-After": _SECONDS_HEADER},
    UNAVAILABLE.slug: {"Retry-After": _SECONDS_HEADER},
}


def problem_responses(problems: Iterable[Problem]) -> dict[int | str, Any]:
    """The OpenAPI response objects of these problems, by status."""
    by_status: dict[int, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_status[problem.status].append(problem)
    return {status: _response_object(group) for status, group in sorted(by_status.items())}


def _response_object(group: list[Problem]) -> dict[str, Any]:
    slugs = "|".join(sorted({problem.slug for problem in group}))
    schema = {
        "allOf": [{"$ref": f"#/components/schemas/{_PROBLEM_SCHEMA_NAME}"}],
        "properties": {"type": {"pattern": f"/problems/({slugs})$"}},
    }
    headers = [_HEADERS_BY_PROBLEM.get(problem.slug, {}) for problem in group]
    return {
        "description": "\n\n".join(f"`{p.slug}`: {p.title}. {p.remedy}" for p in group),
        "content": {"application/problem+json": {"schema": schema}},
        "headers": {name: header for each in headers for name, header in each.items()},
    }


def install_openapi(app: APIFlask, public_url: str) -> None:
    """Configure `app` to generate the document."""
    app.config.update(
        SERVERS=[{"url": public_url.rstrip("/")}],
        SECURITY_SCHEMES={SECURITY_SCHEME_NAME: _SECURITY_SCHEME},
        AUTO_TAGS=False,
        AUTO_404_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
    )
    app.spec_callback = cast("SpecCallbackType", _complete_document)


def _complete_document(document: dict[str, Any]) -> dict[str, Any]:
    """Complete APIFlask's document, with every schema under its own name."""
    problem = ModelAdapter(ProblemDocument).get_openapi_schema()
    schemas = document["components"]["schemas"]
    schemas |= {
        f"{_PROBLEM_SCHEMA_NAME}.{name}": nested for name, nested in problem.pop("$defs").items()
    }
    schemas[_PROBLEM_SCHEMA_NAME] = problem
    named: dict[str, Any] = {}
    for name, schema in sorted(schemas.items()):
        flat = _flatten_references(schema)
        if named.setdefault(name.rpartition(".")[2], flat) != flat:
            raise ValueError(f"two models have the name of {name}: rename one")
    document["components"]["schemas"] = named
    for operations in document["paths"].values():
        for described in operations.values():
            if "requestBody" in described:
                described["requestBody"]["required"] = True
            for parameter in described.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"].endswith("_id"):
                    parameter["schema"]["format"] = "uuid"
    return cast("dict[str, Any]", _flatten_references(document))


def _flatten_references(part: object) -> object:
    """Shorten every reference to a schema to the schema's own name."""
    return json.loads(_NESTED_REFERENCE.sub("#/components/schemas/", json.dumps(part)))
