"""What people read for a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_center.catalogue import parse_catalogue
from preference_center.destinations.set_up import SystemTitles
from preference_center.web.languages import in_language
from tests.catalogue.catalogues import SMALL

if TYPE_CHECKING:
    from flask import Flask

CATALOGUE = parse_catalogue(
    f"""{SMALL}
[destinations.crm]
title = {{ it = "Assistenza", en = "Customer service" }}
company = "CRM Inc."
country = "US"
"""
)


def titles_of(app: Flask, language: str, *names: str) -> list[str]:
    with app.app_context(), in_language(language):
        titles = SystemTitles(CATALOGUE, ["crm", *(name for name in names if name != "gone")])
        return [titles(name) for name in names]


def test_the_title_is_that_of_the_catalogue_in_the_language_of_the_page(app: Flask) -> None:
    assert titles_of(app, "en", "crm") == ["Customer service"]
    assert titles_of(app, "it", "crm") == ["Assistenza"]


def test_the_only_one_without_a_title_has_no_number(app: Flask) -> None:
    assert titles_of(app, "en", "mailer-eu-2") == ["A system that sends our messages"]


def test_others_are_numbered_by_age_and_never_named(app: Flask) -> None:
    assert titles_of(app, "de", "zeta", "alpha") == [
        "Eines unserer Versandsysteme (1)",
        "Eines unserer Versandsysteme (2)",
    ]


def test_one_that_was_removed_is_no_longer_used(app: Flask) -> None:
    assert titles_of(app, "en", "gone") == ["A system that we no longer use"]
