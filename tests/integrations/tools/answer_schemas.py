"""Finds which schema an answer has by a vendor's description: OpenAPI, or AWS's own model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Protocol

from botocore.model import ServiceModel
from werkzeug.wrappers import Request

Schema = Mapping[str, Any]


class AnswerSchemas(Protocol):
    """Schemas of the answers that one vendor describes."""

    def find(self, request: Request, status: int) -> tuple[str, Schema] | None:
        """The operation that was asked for and the schema of its answer; None if undescribed."""
        ...

    def at(self, schema: Schema, value: Any) -> Schema:
        """`schema` without references and alternatives, as it is about `value`."""
        ...


class OpenApiSchemas:
    """Those of an OpenAPI description."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        # Paths without holes come first: one of them may fit a hole of another.
        templates = sorted(spec["paths"], key=lambda path: (path.count("{"), path))
        self._paths = [(_pattern(template), template) for template in templates]

    def find(self, request: Request, status: int) -> tuple[str, Schema] | None:
        """See AnswerSchemas."""
        path = request.environ["RAW_URI"].partition("?")[0]
        for pattern, template in self._paths:
            operation = self._spec["paths"][template].get(request.method.lower())
            if operation and pattern.fullmatch(path):
                responses = operation["responses"]
                found = responses.get(str(status)) or responses.get("default") or {}
                content = self._referred(found).get("content", {})
                schema = content.get("application/json") or content.get("application/vnd.api+json")
                if schema is None or "schema" not in schema:
                    return None
                return f"{request.method} {template} {status}", schema["schema"]
        return None

    def at(self, schema: Schema, value: Any) -> Schema:
        """See AnswerSchemas."""
        schema = self._referred(schema)
        if "allOf" in schema:
            parts = [self.at(part, value) for part in schema["allOf"]]
            schema = reduce(_merged, parts, _without(schema, "allOf"))
        for word in ("oneOf", "anyOf"):
            if word in schema:
                parts = [self.at(part, value) for part in schema[word]]
                rest = _without(schema, word)
                scalars = [t for part in parts for t in _types(part) if t not in _COMPOUND]
                best = max(parts, key=lambda part: _fit(part, value))
                if "null" in scalars or not isinstance(value, dict | list):
                    best = dict(best) | {"type": sorted({*_types(best), *scalars})}
                schema = _merged(rest, best)
        return schema

    def _referred(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            parts = schema["$ref"].removeprefix("#/").split("/")
            schema = reduce(lambda node, part: node[_unescaped(part)], parts, self._spec)
        return schema


class AllSchemas:
    """Those of a vendor that describes parts of its API by themselves."""

    def __init__(self, parts: Sequence[AnswerSchemas]) -> None:
        self._parts = parts
        self._last = parts[0]

    def find(self, request: Request, status: int) -> tuple[str, Schema] | None:
        """See AnswerSchemas."""
        for part in self._parts:
            if found := part.find(request, status):
                self._last = part
                return found
        return None

    def at(self, schema: Schema, value: Any) -> Schema:
        """See AnswerSchemas. References are of the part that was found last."""
        return self._last.at(schema, value)


class AwsSchemas:
    """Those of AWS's own model of a service. What it doesn't require may be left out."""

    def __init__(
        self, model: ServiceModel, routes: Sequence[tuple[str, re.Pattern[str], str]]
    ) -> None:
        self._model = model
        self._routes = routes

    def find(self, request: Request, status: int) -> tuple[str, Schema] | None:
        """See AnswerSchemas."""
        path = request.environ["RAW_URI"].partition("?")[0]
        for method, pattern, name in self._routes:
            if method == request.method and pattern.fullmatch(path) and status < 300:
                return name, _of_shape(self._model.operation_model(name).output_shape)
        return None

    def at(self, schema: Schema, value: Any) -> Schema:  # noqa: ARG002 - AWS has no alternatives
        """See AnswerSchemas."""
        return schema


def _of_shape(shape: Any) -> Schema:
    match shape.type_name:
        case "structure":
            members = {name: _of_shape(member) for name, member in shape.members.items()}
            required = shape.required_members
            return {"type": "object", "properties": members, "required": required}
        case "list":
            return {"type": "array", "items": _of_shape(shape.member)}
        case "map":
            return {"type": "object", "additionalProperties": _of_shape(shape.value)}
        case "string":
            return {"type": "string"} | ({"enum": shape.enum} if shape.enum else {})
        case other:
            return {"type": {"boolean": "boolean"}.get(other, "integer")}


_COMPOUND = frozenset({"object", "array"})


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*\}", template)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _types(schema: Schema) -> list[str]:
    stated = schema.get("type", [])
    return [stated] if isinstance(stated, str) else list(stated)


def _without(schema: Schema, word: str) -> Schema:
    return {key: value for key, value in schema.items() if key != word}


def _merged(one: Schema, other: Schema) -> Schema:
    properties = dict(one.get("properties", {})) | dict(other.get("properties", {}))
    required = [*one.get("required", ()), *other.get("required", ())]
    both = {**one, **other}
    return both | ({"properties": properties} if properties else {}) | {"required": required}


def _fit(schema: Schema, value: Any) -> int:
    """How well an alternative fits a value: the more the better."""
    kind = {dict: "object", list: "array", str: "string", bool: "boolean"}.get(
        type(value), "number"
    )
    types = _types(schema)
    if types and kind not in types and not (kind == "number" and "integer" in types):
        return -1000
    if not isinstance(value, dict):
        return 0
    missing = set(schema.get("required", ())) - value.keys()
    return len(value.keys() & schema.get("properties", {}).keys()) - 100 * len(missing)
