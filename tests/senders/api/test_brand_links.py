"""Links of a brand that has a host of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.in_force import CATALOGUE, put_in_force
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask


def test_links_for_a_brands_topic_lead_to_its_host(app: Flask) -> None:
    put_in_force(app, CATALOGUE.replace('name = "Acme"', 'name = "Acme"\nhost = "c.acme.example"'))
    sender = make_sender(app)
    rows = [
        {"address": "ada@example.com", "scope": each} for each in ("acme.news", "all_marketing")
    ]

    topic, everything = sender.post("/v1/links", rows).get_json()

    assert topic["unsubscribe_url"] == f"https://c.acme.example/u/{topic['token']}"
    assert topic["preferences_url"] == f"https://c.acme.example/p/{topic['token']}"
    assert topic["headers"]["List-Unsubscribe"] == f"<{topic['unsubscribe_url']}>"
    assert everything["unsubscribe_url"].startswith("https://preferences.example.com/u/")
