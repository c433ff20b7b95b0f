"""The examples of docs/api.md are what its OpenAPI document describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from preference_center.app.web import create_app
from preference_center.decisions.api.row_formats import COLUMNS
from tests.docs.reading import ROOT
from tests.environment import settings_for

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")

_EXAMPLE = re.compile(
    r"^```\n(POST|PUT) (/v1/[\w/-]+)\n(\{.*?\})\n(\{.*?\}\n)?```", re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """What the service says of itself; nothing is connected to."""
    app = create_app(settings_for("postgresql://nobody@localhost/none", "redis://localhost"))
    answer: dict[str, Any] = app.test_client().get("/v1/openapi.json").get_json()
    return answer


def test_each_example_fits_the_schema(document: dict[str, Any]) -> None:
    examples = _EXAMPLE.findall(PAGE)
    assert len(examples) >= 8
    for method, path, request, response in examples:
        operation = document["paths"][path][method.lower()]
        assert [*_faults(document, operation["requestBody"], request)] == [], path
        status = next(each for each in operation["responses"] if each.startswith("2"))
        assert [*_faults(document, operation["responses"][status], response)] == [], path


def _faults(document: dict[str, Any], described: dict[str, Any], example: str) -> Iterator[str]:
    """What of the example its schema rejects; one that is cut short is not looked at."""
    if not example or "..." in re.sub(r'"[^"]*"', "", example):
        return
    schema = described["content"]["application/json"]["schema"] | {
        "components": document["components"]
    }
    for error in Draft202012Validator(schema).iter_errors(json.loads(example)):
        yield error.message


def test_the_end_of_a_csv_stream_has_a_cell_for_each_column() -> None:
    (end,) = re.findall(r"^#end,.*", PAGE, re.MULTILINE)
    assert len(end.split(",")) == len(COLUMNS)
    assert f"`{','.join(COLUMNS)}`" in PAGE
