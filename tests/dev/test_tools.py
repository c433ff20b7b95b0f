"""The stand-in tools believe what is signed, and of two states the newer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook

from dev.demo.files import Files

if TYPE_CHECKING:
    from flask.testing import FlaskClient


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def tools(files: Files) -> FlaskClient:
    from dev.tools import create_app

    return create_app(files).test_client()


def tell(tools: FlaskClient, secret: str, *, kind: str = "preferences.changed", **item: Any) -> int:
    defaults = {"address": "jo@example.com", "off": [], "lift": [], "version": 1}
    body = json.dumps({"type": kind, "data": {"items": [defaults | item]}})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    return tools.post("/crm/hooks", data=body, headers=headers).status_code


def off(tools: FlaskClient) -> list[str]:
    answer = tools.get("/state").get_json()
    topics: list[str] = answer["crm"].get("jo@example.com", {"off": []})["off"]
    return topics


def test_topics_go_off_and_on(tools: FlaskClient, files: Files) -> None:
    secret = files.tool_secrets()["crm"]
    assert tell(tools, secret, off=["news", "offers"]) == 204
    assert tell(tools, secret, off=["news"], lift=["offers"], version=2) == 204
    assert off(tools) == ["news"]


def test_an_older_state_is_ignored(tools: FlaskClient, files: Files) -> None:
    secret = files.tool_secrets()["crm"]
    tell(tools, secret, off=["news"], version=2)
    tell(tools, secret, lift=["news"], version=1)
    assert off(tools) == ["news"]


def test_the_secret_of_another_tool_is_not_believed(tools: FlaskClient, files: Files) -> None:
    assert tell(tools, files.tool_secrets()["email-tool"], off=["news"]) == 401
    assert off(tools) == []


def test_state_outlives_the_process(tools: FlaskClient, files: Files) -> None:
    from dev.tools import create_app

    tell(tools, files.tool_secrets()["crm"], off=["news"])
    assert off(create_app(files).test_client()) == ["news"]


def test_who_is_erased_is_kept_by_a_digest_only(tools: FlaskClient, files: Files) -> None:  # I6
    secret = files.tool_secrets()["crm"]
    tell(tools, secret, off=["news"])
    assert tell(tools, secret, kind="contact.erased") == 204
    assert tools.get("/state").get_json()["crm"] == {}
    kept = files.tool_states.read_text()
    assert "jo@" not in kept
    assert "news" in kept


def test_an_unknown_type_is_refused(tools: FlaskClient, files: Files) -> None:
    assert tell(tools, files.tool_secrets()["crm"], kind="contact.renamed") == 400
