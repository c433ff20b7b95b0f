"""What senders may send, and reading it strictly.

A body is read by pydantic straight from its octets, so a list of ten thousand plain
strings never becomes ten thousand objects of ours.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

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

from preference_center.api.error_handlers import faults_of, query_faults_of
from preference_center.api.problems import (
    MALFORMED_JSON,
    WRONG_CONTENT_TYPE,
    Fault,
    InvalidBody,
    InvalidQuery,
    QueryFault,
    Refused,
)
from preference_center.http_body import whole_body

MAX_ROWS = 10_000

_JSON = "application/json"

B = TypeVar("B", bound="Body")
Q = TypeVar("Q", bound="Query")
T = TypeVar("T")

# C0, C1 and lone surrogates: nothing a person can read, and NUL can't be stored.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(text: str) -> str:
    """`text` itself. Raises ValueError if it holds control characters."""
    if _UNPRINTABLE.search(text):
        raise ValueError("text may hold no control characters")
    return text


READABLE = Field(json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"})
"""`readable` in JSON Schema, to stand beside it."""


class Body(BaseModel):
    """A JSON object with these fields and no others, each of exactly its type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Query(BaseModel):
    """Parameters of a URL: these and no others, each once, nothing personal (I12)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Rows(Generic[B]):
    """One row, or a batch of them, that is taken as a whole or not at all."""

    rows: tuple[B, ...]
    batch: bool

    def pointed(self) -> Iterator[tuple[str, B]]:
        """Each row after its JSON pointer."""
        for index, row in enumerate(self.rows):
            yield (f"/{index}" if self.batch else ""), row

    def answer(self, answers: Sequence[Mapping[str, Any]]) -> bytes:
        """The JSON in the shape of the question."""
        return json.dumps(answers if self.batch else answers[0]).encode()


class OneOrMany(RootModel[Any]):
    """One `row`, or an array of them: see `one_or_many`."""

    row: ClassVar[type[BaseModel]]


@cache
def one_or_many(row: type[BaseModel]) -> type[OneOrMany]:
    """The model of a body, or of an answer, that is one `row` or an array of them."""
    many = Annotated[list[row], Field(max_length=MAX_ROWS)]  # type: ignore[valid-type]
    model: type[OneOrMany] = create_model(
        f"{row.__name__}OrMany", __base__=OneOrMany, root=(cast("Any", row | many), ...)
    )
    model.__doc__ = f"One, or an array of up to {MAX_ROWS:,}."
    model.row = row
    return model


def read_body(model: type[B]) -> B:
    """The one object in the body. Raises Refused or InvalidBody."""
    return _read(_raw(), model.model_validate_json, model)


def read_rows(model: type[B]) -> Rows[B]:
    """The row, or the array of rows, in the body. Raises Refused or InvalidBody."""
    raw = _raw()
    if raw.lstrip(b" \t\r\n")[:1] == b"[":
        return Rows(tuple(_read(raw, _batch(model).validate_json, model)), batch=True)
    return Rows((_read(raw, model.model_validate_json, model),), batch=False)


def read_query(model: type[Q]) -> Q:
    """The parameters of the URL. Raises InvalidQuery."""
    for name, values in request.args.lists():
        if len(values) > 1:
            detail = f"the parameter {name} stands there twice"
            raise InvalidQuery([QueryFault(name, "repeated-field", detail)])
    try:
        return model.model_validate_strings(request.args.to_dict())
    except ValidationError as error:
        raise InvalidQuery(query_faults_of(error, model)) from None


@cache
def _batch(model: type[B]) -> TypeAdapter[list[B]]:
    return TypeAdapter(cast("Any", Annotated[list[model], Field(max_length=MAX_ROWS)]))  # type: ignore[valid-type]


def _raw() -> bytes:
    kind = request.content_type
    if kind != _JSON:  # what nearly everybody sends needs no parsing: a fortieth of a decision
        kind = request.mimetype
    if kind != _JSON or request.content_encoding:
        raise Refused(WRONG_CONTENT_TYPE, WRONG_CONTENT_TYPE.remedy)
    raw = whole_body(cache=False)
    if raw.startswith(codecs.BOM_UTF8):
        raise Refused(
            MALFORMED_JSON, "Invalid JSON: a byte order mark at line 1 column 1, to be left out"
        )
    return raw


def _read(raw: bytes, validate: Callable[[bytes], T], model: type[Body]) -> T:
    try:
        body = validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(MALFORMED_JSON, first["msg"]) from None
        raise InvalidBody(faults_of(error, model)) from None
    # Now that its shape is known to be flat, a second reading can't run away.
    _NO_REPEATS.decode(raw.decode())
    return body


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    """Readers differ on which of two equal keys counts (RFC 8259 4), so neither does."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidBody([Fault("", "repeated-field", f"the field {key} stands there twice")])
        seen.add(key)


_NO_REPEATS = json.JSONDecoder(object_pairs_hook=_refuse_repeated)
"""Made once: `json.loads` with a hook makes one for every body."""
