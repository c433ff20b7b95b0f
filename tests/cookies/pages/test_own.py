"""`/cookies`: what our own pages set, and where each site has its choice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import preference_center

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

PRODUCT = Path(preference_center.__file__).parent


def test_it_names_the_only_cookie_of_our_pages(app: Flask, client: FlaskClient) -> None:
    [name] = re.findall(r'<th scope="row">(.*?)</th>', client.get("/cookies").text)
    assert name == app.config["SESSION_COOKIE_NAME"] == "session"
    setting = {
        path.relative_to(PRODUCT).as_posix()
        for path in PRODUCT.rglob("*.py")
        if re.search(r"\.set_cookie\(|\"Set-Cookie\"\] =", path.read_text(encoding="utf-8"))
    }
    assert setting == {"cookies/pages/choice.py"}  # at the origin of the site


def test_each_site_is_linked_at_its_own_origin(client: FlaskClient) -> None:
    main = client.get("/cookies").text.partition("<main>")[2].partition("</main>")[0]
    links = re.findall(r'href="([^"]*)"', main)
    assert links == [
        "https://shop.acme.example/consent",
        "http://localhost:8000/privacy/cookies",
    ]


def test_every_page_leads_there(client: FlaskClient) -> None:
    assert 'href="/cookies"' in client.get("/form").text.partition("<footer")[2]
