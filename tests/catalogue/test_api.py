"""`GET /v1/catalogue`: what a page of the company's own is drawn from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.reading import ROOT
from tests.in_force import CATALOGUE, put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse


def get(sender: Sender, **headers: str) -> TestResponse:
    given = sender.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.client.get("/v1/catalogue", headers=given)


def read(sender: Sender) -> dict[str, Any]:
    answer = get(sender)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def by_key(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["key"]: item for item in items}


def test_it_has_what_a_page_draws_in_every_language(sender: Sender) -> None:
    found = read(sender)
    assert (found["languages"], found["default_language"]) == (["it", "en"], "it")
    assert found["groups"] == [{"key": "news", "title": {"it": "Novità", "en": "News"}}]
    topic = by_key(found["topics"])["acme.news"]
    assert topic == {
        "key": "acme.news",
        "brand": "acme",
        "channel": "email",
        "group": "news",
        "default": "opt_in",
        "title": {"it": "Notizie", "en": "News"},
        "description": {"it": "Ogni mese", "en": "Every month"},
        "purpose": {},
        "frequencies": [],
    }
    assert found["pause_days"] == [7, 30, 90]
    types = by_key(found["message_types"])
    assert types["password_reset"] == {
        "key": "password_reset",
        "class": "service",
        "ground": "security",
        "title": {},
    }
    assert types["newsletter.monthly"]["topic"] == "acme.news"


def test_a_retired_topic_is_not_offered(sender: Sender) -> None:
    assert "acme.old" not in by_key(read(sender)["topics"])


def test_the_looks_of_a_brand_are_there_with_urls_that_serve_them(in_force: Flask) -> None:
    from preference_center.catalogue.rules.brand import inline_files

    folder = ROOT / "dev/demo"
    text = (folder / "catalogue.toml").read_text()
    put_in_force(in_force, inline_files(text, lambda path: (folder / path).read_bytes()))
    sender = make_sender(in_force)
    brands = by_key(read(sender)["brands"])
    looks = brands["bottega"]["looks"]
    assert looks["light"].keys() == {"accent", "on_accent", "header", "on_header"}
    urls = [value for name, value in looks.items() if name.endswith("_url")]
    urls.append(looks["font"]["url"])
    host = "https://preferenze.bottega-aurora.example"
    assert brands["bottega"]["pages_url"] == host
    for url in urls:
        assert url.startswith(f"{host}/brand/bottega/")
        served = sender.client.get(url.removeprefix(host))
        assert served.status_code == 200
        assert "immutable" in served.headers["Cache-Control"]  # the URL has the content's version


def test_it_is_sent_again_only_when_something_has_changed(in_force: Flask) -> None:
    sender = make_sender(in_force)
    etag = get(sender).headers["ETag"]
    unchanged = get(sender, If_None_Match=etag)
    assert (unchanged.status_code, unchanged.text) == (304, "")
    assert unchanged.headers["ETag"] == etag
    put_in_force(in_force, CATALOGUE.replace("Ogni mese", "Due volte al mese"))
    changed = get(sender, If_None_Match=etag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_nobody_else_may_keep_it(sender: Sender) -> None:
    assert get(sender).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("scopes, status", [(["catalogue"], 200), (["portal", "read"], 403)])
def test_it_takes_a_key_with_its_scope(in_force: Flask, scopes: list[str], status: int) -> None:
    assert get(make_sender(in_force, scopes=scopes)).status_code == status


def test_it_says_nothing_about_people_or_settings(sender: Sender) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    text = json.dumps(read(sender))
    assert "ada@" not in text
    assert "retention" not in text
