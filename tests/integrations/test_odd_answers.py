"""The odd answers themselves: they stay within what a description allows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from tests.integrations.tools.answer_schemas import OpenApiSchemas
from tests.integrations.tools.odd_answers import NEW_WORD, OddAnswers, Place, ways

PERSON = {
    "type": "object",
    "required": ["email"],
    "properties": {
        "id": {"type": ["string", "integer"]},
        "email": {"type": "string"},
        "state": {"enum": ["on", "off"]},
        "changed": {"type": ["string", "null"], "format": "date-time"},
        "score": {"type": "number"},
        "lists": {"type": "array", "items": {"type": "string"}},
        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
ANNA, BO = "anna@example.com", "bo@example.com"


def person(address: str) -> dict[str, Any]:
    return {
        "id": address[:2],
        "email": address,
        "state": "on",
        "changed": "2026-11-25T10:00:00+00:00",
        "score": 5,
        "lists": ["11"],
        "fields": {"a": "b"},
    }


def spec() -> dict[str, Any]:
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Person"}}
    listed = {"type": "object", "properties": {"people": rows, "next": {"nullable": True}}}
    answer = {"description": "", "content": {"application/json": {"schema": listed}}}
    return {
        "paths": {"/people": {"get": {"responses": {"200": answer}}}},
        "components": {"schemas": {"Person": PERSON}},
    }


def answered(answers: OddAnswers) -> Any:
    request = Request(EnvironBuilder("/people").get_environ() | {"RAW_URI": "/people?page=1"})
    body = {"people": [person(ANNA), person(BO)], "next": "2"}
    return json.loads(answers(request, Response(json.dumps(body))).data)


def places() -> list[Place]:
    answers = OddAnswers(OpenApiSchemas(spec()), BO, {ANNA})
    assert answered(answers) == {"people": [person(ANNA), person(BO)], "next": "2"}
    return sorted(answers.places)


def test_what_a_schema_allows_is_what_a_value_becomes() -> None:
    found = [(way, value) for way, value in ways(PERSON, person(BO))]
    for key, schema in PERSON["properties"].items():  # type: ignore[attr-defined]
        found += [
            (f"{key} {way}", person(BO) | {key: v}) for way, v in ways(schema, person(BO)[key])
        ]
    wrong = {way for way, value in found if not OAS31Validator(PERSON).is_valid(value)}
    assert wrong == {"state a new word"}, "the only one that no schema allows"
    assert {way for way, _ in found} >= {
        "without id",
        "with more",
        "changed null",
        "changed another form of a time",
        "score as a fraction",
        "lists empty",
        "fields empty",
        "email very long",
        "email empty",
    }


def test_one_value_is_odd_at_a_time() -> None:
    place = Place("GET /people 200", "people[].state", "a new word", personal=True)
    assert place in places()
    body = answered(OddAnswers(OpenApiSchemas(spec()), BO, {ANNA}, place))
    assert body["people"] == [person(ANNA), person(BO) | {"state": NEW_WORD}]


def test_what_is_of_one_person_is_distinguished_from_what_is_of_all() -> None:
    shared = {place.path for place in places() if not place.personal}
    assert shared >= {"whole", "people", "next", "people[]"}, "another's row is not of the one"
    assert {place.path for place in places() if place.personal} >= {"people[]", "people[].id"}
    assert not any(place.personal for place in places() if place.path in {"whole", "next"})


def test_an_answer_that_names_the_person_no_longer_is_noticed() -> None:
    place = Place("GET /people 200", "people[].email", "empty", personal=True)
    answers = OddAnswers(OpenApiSchemas(spec()), BO, {ANNA}, place)
    assert [row["email"] for row in answered(answers)["people"]] == [ANNA, ""]
    assert answers.hides


@pytest.mark.parametrize("alternative", ["oneOf", "anyOf", "allOf"])
def test_alternatives_are_taken_apart(alternative: str) -> None:
    schemas = OpenApiSchemas(spec())
    options: list[dict[str, Any]] = [{"$ref": "#/components/schemas/Person"}]
    options += [{"type": "null"}] if alternative != "allOf" else [{"required": ["state"]}]
    found = {way for way, _ in ways(schemas.at({alternative: options}, person(BO)), person(BO))}
    assert ("null" in found) is (alternative != "allOf")
    assert ("without state" in found) is (alternative != "allOf")
    assert "without id" in found
    assert "without email" not in found
