"""The recipes of docs/outlets.md: rows and events as vendors document them become opt-outs."""

from __future__ import annotations

import json
import re
from functools import reduce
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

from preference_center.web.api.keys import KeyScope
from tests.docs.reading import ROOT
from tests.in_force import put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask

PAGE = (ROOT / "docs/outlets.md").read_text()
ROW = {"email": "ada@example.com", "topic": "acme.offers", "received_at": "2026-11-24T08:30:00Z"}
# The form of https://www.rudderstack.com/docs/event-spec/standard-events/track/
EVENT: dict[str, Any] = {
    "type": "track",
    "event": "Unsubscribed",
    "userId": "1hKOmRA4GRlm",
    "anonymousId": "b4ffheww8eisndbdjgdewifewfgerwibderv",
    "messageId": "7208bbe6-2c4e-45bb-bf5b-ad426f3593e9",
    "originalTimestamp": "2026-11-24T08:29:58.000Z",
    "sentAt": "2026-11-24T08:29:59.000Z",
    "receivedAt": "2026-11-24T08:30:00.000+00:00",
    "context": {"traits": {"email": "ada@example.com"}, "library": {"name": "RudderLabs"}},
    "properties": {"scope": "all_marketing", "via": "app"},
}


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, language
    return found[1]


def rendered(language: str, **names: Any) -> str:
    """The body: these templates are Liquid that Jinja reads, too, but for two words of loops."""
    text = block(language).replace("unless forloop.last", "if not loop.last")
    template = jinja2.Environment(autoescape=False).from_string(text.replace("endunless", "endif"))
    return template.render(**names)


def mapped(event: dict[str, Any]) -> dict[str, Any]:
    """What the field mappings of the page make of an event."""
    rows = re.findall(r"^\| `\$\.(\w+)` \| `\$\.([\w.]+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    return {to: reduce(dict.__getitem__, path.split("."), event) for to, path in rows}


@pytest.fixture
def writer(app: Flask) -> Sender:
    put_in_force(app)
    return make_sender(app, scopes=[KeyScope.WRITE])


def events(sender: Sender) -> list[tuple[Any, ...]]:
    return sender.rows("SELECT kind, scope, received_at::date::text FROM event ORDER BY seq")


@pytest.mark.parametrize(
    "language, name, scope",
    [("hightouch", "row", "all_marketing"), ("census", "record", "acme.offers")],
)
def test_a_row_becomes_an_opt_out_and_a_retry_does_no_harm(
    writer: Sender, language: str, name: str, scope: str
) -> None:
    body = rendered(language, **{name: ROW}).encode()
    first, again = (writer.post_raw("/v1/opt-outs", body) for _ in range(2))
    assert (first.status_code, first.get_json()["recorded"]) == (200, True), first.text
    assert (again.status_code, again.get_json()["recorded"]) == (200, False)
    assert events(writer) == [("opted_out", scope, "2026-11-24")]


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_of_records_is_an_array(writer: Sender, count: int) -> None:
    records = [ROW | {"email": f"p{n}@example.com"} for n in range(count)]
    body = rendered("census-batch", records=records)
    assert len(json.loads(body)) == count
    answer = writer.post_raw("/v1/opt-outs", body.encode())
    assert [each["recorded"] for each in answer.get_json()] == [True] * count


def test_one_bad_row_holds_up_its_batch_and_is_named(writer: Sender) -> None:
    records = [ROW, ROW | {"email": "nobody"}]
    answer = writer.post_raw("/v1/opt-outs", rendered("census-batch", records=records).encode())
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/1/address"
    assert events(writer) == []


def test_an_event_becomes_an_opt_out(writer: Sender) -> None:
    answer = writer.post("/v1/opt-outs", mapped(EVENT))
    assert answer.status_code == 200, answer.text
    assert events(writer) == [("opted_out", "all_marketing", "2026-11-24")]


def test_an_event_that_is_not_mapped_is_refused(writer: Sender) -> None:
    assert writer.post("/v1/opt-outs", EVENT).status_code == 422
    assert events(writer) == []
