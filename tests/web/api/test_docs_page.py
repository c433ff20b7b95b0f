"""The OpenAPI document and the pages made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from markupsafe import Markup

from preference_center.web.api.blueprint import prose
from preference_center.web.api.problems import PROBLEMS

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/v1/openapi.json")
    assert answer.status_code == 200
    return dict(answer.get_json())


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_document_has_every_operation_that_there_is(
    app: Flask, document: dict[str, Any]
) -> None:
    own = {"/v1/openapi.json", "/v1/docs"}
    offered = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1") and rule.rule not in own
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    described = {(path, method) for path, found in document["paths"].items() for method in found}

    assert document["openapi"].startswith("3.1.")
    assert described == offered
    assert document["servers"] == [{"url": "https://preferences.example.com"}]


def test_every_operation_names_its_key_its_scope_and_what_it_refuses(
    document: dict[str, Any],
) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for operation in operations(document):
        ((scopes,),) = [security.values() for security in operation["security"]]
        assert scopes
        assert all(f"`{scope}`" in operation["description"] for scope in scopes)
        assert "`" not in operation["summary"]  # the page shows it as it is
        assert {"401", "403", "429", "500", "503"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            problem = "application/problem+json" in answer.get("content", {})
            assert problem == (status >= "400")


def test_no_two_schemas_share_a_name_and_every_reference_leads_somewhere(
    document: dict[str, Any],
) -> None:
    named = set(re.findall(r"#/components/schemas/([\w.]+)", str(document)))

    assert named <= document["components"]["schemas"].keys()
    assert not any("." in name for name in document["components"]["schemas"])


def schemas_within(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document, those within others too."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from schemas_within(each)


def test_generators_of_clients_find_every_field(document: dict[str, Any]) -> None:
    """They drop an array without items, and what stands next to the alternatives of a union."""
    for schema in schemas_within(document["components"]["schemas"]):
        assert schema.get("type") != "array" or "items" in schema
        if isinstance(schema.get("properties"), dict) and "type" in schema:
            assert not {"oneOf", "anyOf", "if"} & schema.keys()
        assert schema.get("default", "") is not None


def test_every_write_takes_an_idempotency_key_and_reports_it(document: dict[str, Any]) -> None:
    takes, writes = set(), set()
    for path, found in document["paths"].items():
        for method, operation in found.items():
            ((scopes,),) = [security.values() for security in operation["security"]]
            content = operation.get("requestBody", {}).get("content", {"application/json": {}})
            if any(one["name"] == "Idempotency-Key" for one in operation["parameters"]):
                takes.add((method, path))
            # A file that is streamed is not kept to be compared.
            if (
                method != "get"
                and {"write", "lift", "rights"} & {*scopes}
                and "application/json" in content
            ):
                writes.add((method, path))

    assert ("put", "/v1/preferences") in takes
    assert takes == writes


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        if tag == "a":
            self.links.append(given["href"] or "")
        elif given.get("src") or tag in {"script", "link", "iframe"}:
            self.loaded.append(given.get("src") or given.get("href") or tag)


def test_the_page_tells_of_every_operation_and_loads_nothing_from_elsewhere(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    answer = client.get("/v1/docs")
    page = Page()
    page.feed(answer.text)

    assert answer.status_code == 200
    assert page.loaded == ["/static/reference.css"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    with client.get("/static/reference.css") as sheet:
        assert sheet.status_code == 200
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert {operation["operationId"] for operation in operations(document)} <= page.ids
    assert document["components"]["schemas"].keys() <= page.ids


def test_prose_is_escaped_and_knows_code() -> None:
    assert prose("a <b> `c & d`.\n\ne") == Markup(
        "<p>a &lt;b&gt; <code>c &amp; d</code>.</p>\n<p>e</p>"
    )


def test_every_problem_has_a_page_under_its_type(client: FlaskClient) -> None:
    for slug, problem in PROBLEMS.items():
        assert problem.title in client.get(f"/problems/{slug}").text


@pytest.mark.parametrize(
    "method, path, slug",
    [
        ("GET", "/v1", "not-found"),
        ("GET", "/v1/", "not-found"),
        ("GET", "/v1/nothing", "not-found"),
        ("GET", "/v1/decisions", "wrong-method"),
        ("DELETE", "/v1/openapi.json", "wrong-method"),
        ("TRACE", "/v1/opt-outs", "wrong-method"),
    ],
)
def test_a_wrong_path_or_method_is_a_problem_too(
    client: FlaskClient, method: str, path: str, slug: str
) -> None:
    answer = client.open(path, method=method)

    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["type"].endswith(f"/problems/{slug}")
    assert answer.status_code == PROBLEMS[slug].status == answer.get_json()["status"]
    assert ("/v1/docs" in answer.get_json()["detail"]) == (slug == "not-found")
    assert ("Allow" in answer.headers) == (slug == "wrong-method")
