"""The API parses request bodies and query parameters strictly.

Pydantic parses a body directly from its bytes, so a list of ten thousand plain strings does not
become ten thousand objects of ours. `ModelAdapter` says how APIFlask describes our models; it does
not parse requests.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

from apiflask.schema_adapters import registry
from apiflask.schema_adapters.pydantic import PydanticAdapter
from flask import request
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.config import JsonDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from preference_center.infra.context import read_body
from preference_center.web.api.errors import field_errors_from, parameter_errors_from
from preference_center.web.api.problems import (
    MALFORMED_JSON,
    WRONG_CONTENT_TYPE,
    ApiError,
    FieldError,
    InvalidBody,
    InvalidQuery,
    ParameterError,
)

MAX_ROWS = 10_000


_JSON = "application/json"


B = TypeVar("B", bound="RequestBody")


Q = TypeVar("Q", bound="QueryParameters")


T = TypeVar("T")


# C0, C1 and lone surrogates are not printable, and PostgreSQL can't store NUL.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def validate_printable(text: str) -> str:
    """`text` itself. Raises ValueError if it holds control characters."""
    if _UNPRINTABLE.search(text):
        raise ValueError("text must not contain control characters")
    return text


PRINTABLE = Field(json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"})
"""`validate_printable` in JSON Schema, for use together with it."""


def constraints(*schemas: JsonDict) -> JsonDict:
    """What else a model's fields have to fulfil together, for its `json_schema_extra`.

    Always within `allOf`: next to `properties`, generators of clients take a `oneOf` or `anyOf`
    for the whole, and drop the fields that its alternatives have in common.
    """
    return {"allOf": list(schemas)}


class RequestBody(BaseModel):
    """A JSON object with exactly these fields; values are not coerced to their types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class QueryParameters(BaseModel):
    """Parameters of a URL: exactly these, each at most once, no personal data (I12)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class RequestRows(Generic[B]):
    """One row, or a batch of rows that is processed as a whole or not at all."""

    rows: tuple[B, ...]
    is_batch: bool

    def with_pointers(self) -> Iterator[tuple[str, B]]:
        """Each row, preceded by its JSON pointer."""
        for index, row in enumerate(self.rows):
            yield (f"/{index}" if self.is_batch else ""), row

    def to_json(self, results: Sequence[Mapping[str, Any]]) -> bytes:
        """The results as JSON: an array for a batch, else one object."""
        return json.dumps(results if self.is_batch else results[0]).encode()


class OneOrMany(RootModel[Any]):
    """One `row`, or an array of them: see `one_or_many`."""

    row: ClassVar[type[BaseModel]]


@cache
def one_or_many(row: type[BaseModel]) -> type[OneOrMany]:
    """The model of a body or response that is one `row` or an array of them."""
    many = Annotated[list[row], Field(max_length=MAX_ROWS)]  # type: ignore[valid-type]
    model: type[OneOrMany] = create_model(
        f"{row.__name__}OrMany", __base__=OneOrMany, root=(cast("Any", row | many), ...)
    )
    model.__doc__ = f"One, or an array of up to {MAX_ROWS:,}."
    model.row = row
    return model


def parse_body(model: type[B]) -> B:
    """The object in the body. Raises ApiError or InvalidBody."""
    return _validate(_raw_body(), model.model_validate_json, model)


def read_rows(model: type[B]) -> RequestRows[B]:
    """The row, or the array of rows, in the body. Raises ApiError or InvalidBody."""
    raw = _raw_body()
    if raw.lstrip(b" \t\r\n")[:1] == b"[":
        return RequestRows(
            tuple(_validate(raw, _batch_adapter(model).validate_json, model)), is_batch=True
        )
    return RequestRows((_validate(raw, model.model_validate_json, model),), is_batch=False)


def read_query(model: type[Q]) -> Q:
    """The parameters of the URL. Raises InvalidQuery."""
    for name, values in request.args.lists():
        if len(values) > 1:
            detail = f"the parameter {name} is repeated"
            raise InvalidQuery([ParameterError(name, "repeated-field", detail)])
    try:
        return model.model_validate_strings(request.args.to_dict())
    except ValidationError as error:
        raise InvalidQuery(parameter_errors_from(error, model)) from None


@cache
def _batch_adapter(model: type[B]) -> TypeAdapter[list[B]]:
    return TypeAdapter(cast("Any", Annotated[list[model], Field(max_length=MAX_ROWS)]))  # type: ignore[valid-type]


def _raw_body() -> bytes:
    kind = request.content_type
    if kind != _JSON:  # parsing the usual header would take 2.5 % of the time of a decision
        kind = request.mimetype
    if kind != _JSON or request.content_encoding:
        raise ApiError(WRONG_CONTENT_TYPE, WRONG_CONTENT_TYPE.remedy)
    raw = read_body(cache=False)
    if raw.startswith(codecs.BOM_UTF8):
        raise ApiError(
            MALFORMED_JSON, "Invalid JSON: byte order mark at line 1 column 1; remove it"
        )
    return raw


def _validate(raw: bytes, validate: Callable[[bytes], T], model: type[RequestBody]) -> T:
    try:
        body = validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise ApiError(MALFORMED_JSON, first["msg"]) from None
        raise InvalidBody(field_errors_from(error, model)) from None
    # The body is known to be flat by now, so the recursion of this second parser is bounded.
    _STRICT_DECODER.decode(raw.decode())
    return body


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raises InvalidBody: parsers differ on which duplicate counts (RFC 8259 section 4)."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidBody([FieldError("", "repeated-field", f"the field {key} is repeated")])
        seen.add(key)


_STRICT_DECODER = json.JSONDecoder(object_pairs_hook=_reject_duplicate_keys)
"""Created once: `json.loads` with a hook creates a decoder for every body."""


class _RequestJsonSchema(GenerateJsonSchema):
    """For request bodies: a default of null says no more than that the field may be left out."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _NonNullJsonSchema(_RequestJsonSchema):
    """For responses and parameters: what may be None in Python is absent in JSON."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class ModelAdapter(PydanticAdapter):
    """The interface through which APIFlask sees a pydantic model."""

    def get_openapi_schema(self, **_: Any) -> dict[str, Any]:
        """Its JSON Schema; APIFlask prefixes the names in `$defs` with the model's."""
        model = self.model_class
        row = model.row if issubclass(model, OneOrMany) else model
        return model.model_json_schema(
            ref_template=f"#/components/schemas/{self.get_schema_name()}.{{model}}",
            schema_generator=_RequestJsonSchema
            if issubclass(row, RequestBody)
            else _NonNullJsonSchema,
        )


registry.register("pydantic", ModelAdapter)
