"""The catalogue as pages."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.store import clear_catalogue_cache
from preference_center.catalogue.words import WORDS, in_words
from preference_center.core.addresses import Channel
from preference_center.core.staff import Role
from tests.catalogue.catalogues import SMALL, edited
from tests.in_force import CATALOGUE, put_in_force
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

PAGES = ("", "/topics", "/message-types", "/websites", "/privacy", "/versions", "/compare")
RICH = (
    CATALOGUE
    + """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1"
privacy_contact = "privacy@example.com"

[retention.audit]
days = 730
ground = "claims <script>alert(1)</script>"

[destinations.crm]
title = "Our CRM"
company = "Example Tools Inc."
country = "US"

[policies.privacy.2027-01]
effective = 2027-01-01
material = true
reconsent = true
url = { it = "https://example.com/p", en = "https://example.com/p" }
sha256.it = "0000000000000000000000000000000000000000000000000000000000000000"
sha256.en = "0000000000000000000000000000000000000000000000000000000000000000"
summary = { it = "Novità", en = "We share less" }

[sites.shop]
brand = "acme"
origins = ["https://shop.example.com"]
"""
)


@pytest.mark.parametrize("kind", WORDS, ids=lambda kind: kind.__name__)
def test_every_value_has_words(kind: type[StrEnum]) -> None:
    assert set(WORDS[kind]) == set(kind)


def test_pages_say_what_the_catalogue_declares(app: Flask) -> None:
    put_in_force(app, RICH)
    who = staff(app, Role.SUPPORT)
    overview = words(who.get("/console/catalogue"))
    assert "Version in force" in overview
    assert "acme Acme" in overview
    topics = words(who.get("/console/catalogue/topics"))
    assert "Acme: Email" in topics
    assert "acme.news News Every month only to people who asked for it active" in topics
    assert "acme.old Old No longer sent to everybody who has not opted out retired" in topics
    types = words(who.get("/console/catalogue/message-types"))
    assert "password_reset service security; also after the account is closed" in types
    privacy = words(who.get("/console/catalogue/privacy"))
    assert "the audit of what staff did 730 claims <script>alert(1)</script>" in privacy
    assert "2027-01" in privacy
    assert "people are informed beforehand; older consents no longer count" in privacy
    assert "crm Our CRM Example Tools Inc. US processor" in privacy
    assert "https://shop.example.com" in words(who.get("/console/catalogue/websites"))


@pytest.mark.parametrize("path", PAGES)
def test_before_the_first_catalogue_a_page_says_what_to_do(app: Flask, path: str) -> None:
    with app.app_context():
        clear_catalogue_cache()
    answer = staff(app, Role.ADMIN).get(f"/console/catalogue{path}")
    assert answer.status_code == 200
    assert "applied yet" in words(answer)


def test_texts_of_the_catalogue_are_no_markup(app: Flask) -> None:
    script = "<script>alert(1)</script>"
    text = edited(('"Notizie"', f'"{script}"'), ('name = "Acme"', f'name = "{script}"'), text=RICH)
    put_in_force(app, SMALL)
    put_in_force(app, text)
    who = staff(app, Role.ADMIN)
    for path in (*PAGES, "/edit", "/preview"):
        html = who.get(f"/console/catalogue{path}?lang=it").get_data(as_text=True)
        assert script not in html, path
    assert in_words(next(iter(next(iter(WORDS.values())))))


def test_the_channel_of_texts_is_called_sms_as_on_the_other_forms(app: Flask) -> None:
    with app.test_request_context():
        assert in_words(Channel.SMS) == "SMS"
