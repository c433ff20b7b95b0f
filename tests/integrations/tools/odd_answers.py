"""Changes one value of a stand-in's answers to another that the vendor's description allows.

A place is one value of one operation's answer, and one way to make it odd. Every place where
an answer can be odd is found by letting a scenario run once unchanged; then the scenario runs
again with one place odd at a time, so that a failure names its cause.

Beyond what descriptions promise: a word that an enumeration does not have yet, and fields that
an object does not have yet; vendors add both without a new version of their API.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.answer_schemas import AnswerSchemas, Schema

LONG = "x" * 3_000
NEW_WORD = "a_word_of_next_year"
TOO_LONG = "very long"
MORE, OTHER_TIME, BARE = "with more", "another form of a time", "left out"
HARMLESS: Final = frozenset({MORE, OTHER_TIME, BARE})
_BOUND = frozenset({"format", "pattern", "maxLength", "const"})
_SEPARATORS = re.compile(r"""[\s'"(),]+""")
_IDENTIFIER = re.compile(r"(.*_)?(id|uuid)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an answer is odd, and how.

    `personal`: the value is of one person alone, so that nobody else may suffer from it.
    """

    operation: str
    path: str
    way: str
    personal: bool

    def __str__(self) -> str:
        whose = "of one person" if self.personal else "of the whole answer"
        return f"{self.operation} {self.path}, {whose}: {self.way}"

    @property
    def is_harmless(self) -> bool:
        """Whether it takes nothing away: then everything must come out as without it."""
        return self.way in HARMLESS


class OddAnswers:
    """To be set as a stand-in's `change`.

    `odd` is the person whose answers may be odd, `others` are those who must not suffer.
    Without a `place` answers stay as they are, and `places` collects where they could be odd.
    """

    def __init__(
        self, schemas: AnswerSchemas, odd: str, others: set[str], place: Place | None = None
    ) -> None:
        self._schemas = schemas
        self._place = place
        self._others = {mark for other in others for mark in _marks(other)}
        self._marks = _marks(odd)
        self._odd = odd.casefold()
        self.places: set[Place] = set()
        self.hides = False
        """Whether an answer that was made odd no longer names the person."""

    def __call__(self, request: Request, response: Response) -> Response:
        described = self._schemas.find(request, response.status_code)
        if described is None or not response.data:
            return response
        operation, schema = described
        self._without_headers(operation, response)
        before = json.loads(response.data)
        self._learn(before)
        if self._place and self._place.operation != operation:
            return response
        asked = [request.path.split("/"), list(request.args.items(multi=True)), _body(request)]
        after = self._walk(operation, "", schema, before, personal=self._is_of_one(asked))
        if after != before or str(after) != str(before):
            self.hides |= self._odd in _words(before) and self._odd not in _words(after)
            response.data = json.dumps(after)
        return response

    def _without_headers(self, operation: str, response: Response) -> None:
        optional = [name for name, _ in response.headers if not name.lower().startswith("content-")]
        if not optional:
            return
        place = Place(operation, "headers", BARE, personal=False)
        self.places.add(place)
        if place == self._place:
            for name in optional:
                del response.headers[name]

    def _learn(self, value: Any) -> None:
        """Learn by which identifiers people go in this tool."""
        for row in _objects(value):
            words = _words(row)
            is_odd, is_other = bool(words & self._marks), bool(words & self._others)
            if is_odd is not is_other:
                found = [row[key] for key in row if _IDENTIFIER.fullmatch(key)]
                ids = {str(v).casefold() for v in found if isinstance(v, str | int)}
                (self._marks if is_odd else self._others).update(ids)

    def _is_of_one(self, value: Any) -> bool:
        words = _words(value)
        return bool(words & self._marks) and not words & self._others

    def _walk(self, operation: str, path: str, raw: Schema, value: Any, *, personal: bool) -> Any:
        schema = self._schemas.at(raw, value)
        for way, changed in ways(schema, value):
            if way == TOO_LONG and _IDENTIFIER.fullmatch(path.rpartition(".")[2]):
                continue  # what vendors make themselves is as long as they make it
            place = Place(operation, path or "whole", way, personal)
            self.places.add(place)
            if place == self._place:
                return changed
        if isinstance(value, dict):
            known, more = schema.get("properties", {}), schema.get("additionalProperties")
            return {
                key: self._walk(
                    operation,
                    f"{path}.{key if key in known else '*'}".strip("."),
                    known.get(key) or (more if isinstance(more, dict) else {}),
                    inner,
                    personal=personal or self._is_of_one(key),
                )
                for key, inner in value.items()
            }
        if isinstance(value, list):
            items = schema.get("items") or {}
            return [
                self._walk(
                    operation, f"{path}[]", items, row, personal=personal or self._is_of_one(row)
                )
                for row in value
            ]
        return value


def ways(schema: Schema, value: Any) -> Iterator[tuple[str, Any]]:
    """How `value` may be odd and still be what `schema` allows; see the module."""
    if value is not None and _may_be_null(schema):
        yield "null", None
    if isinstance(value, dict):
        yield from _of_objects(schema, value)
    elif isinstance(value, list):
        if value and not schema.get("minItems"):
            yield "empty", []
    elif isinstance(value, str):
        yield from _of_texts(schema, value)
    elif isinstance(value, int) and not isinstance(value, bool):
        if "number" in _types(schema):
            yield "as a fraction", float(value)
        if "string" in _types(schema):
            yield "as text", str(value)


def _of_objects(schema: Schema, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    required = set(schema.get("required", ()))
    for key in value.keys() & schema.get("properties", {}).keys() - required:
        yield f"without {key}", {k: v for k, v in value.items() if k != key}
    if schema.get("properties"):
        yield MORE, value | {"next_year": {"id": 1, "values": [None]}}
    elif value and isinstance(schema.get("additionalProperties"), dict):
        yield "empty", {}


def _of_texts(schema: Schema, value: str) -> Iterator[tuple[str, Any]]:
    if "enum" in schema:
        yield "a new word", NEW_WORD
        return
    if "integer" in _types(schema) and value.isascii() and value.isdigit():
        yield "as a number", int(value)
    if schema.get("format") == "date-time" and (other := _written_otherwise(value)):
        yield OTHER_TIME, other
    if "string" in _types(schema) and not schema.keys() & {
        "format",
        "pattern",
        "maxLength",
        "const",
    }:
        yield TOO_LONG, value + LONG
        if value and not schema.get("minLength"):
            yield "empty", ""


def _may_be_null(schema: Schema) -> bool:
    return bool(
        schema.get("nullable") or "null" in _types(schema) or None in schema.get("enum", ())
    )


def _types(schema: Schema) -> set[str]:
    stated = schema.get("type", [])
    return {stated} if isinstance(stated, str) else set(stated)


def _written_otherwise(text: str) -> str | None:
    """The same time in the other form of RFC 3339."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.astimezone(UTC)
    form = "%Y-%m-%dT%H:%M:%S.%f"
    return moment.strftime(form)[:-3] + "Z" if "." not in text else f"{moment.strftime(form)}+00:00"


def _marks(address: str) -> set[str]:
    """What an address is named by: itself, and Mailchimp's MD5 of it."""
    lower = address.casefold()
    return {lower, hashlib.md5(lower.encode(), usedforsecurity=False).hexdigest()}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _values(value: Any) -> Iterator[Any]:
    """All that is in `value`, keys included, at any depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _values(inner)
    else:
        yield value


def _words(value: Any) -> set[str]:
    """Texts and numbers in `value`; those of a longer text one by one, without quotes."""
    texts = (str(each) for each in _values(value) if isinstance(each, str | int))
    return {word.casefold() for text in texts for word in (text, *_SEPARATORS.split(text))}


def _body(request: Request) -> Any:
    if request.is_json:
        return request.get_json(silent=True)
    return list(request.form.items(multi=True))
