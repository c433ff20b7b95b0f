"""The versions of the catalogue, and what is different between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue import console as catalogue_console
from preference_center.catalogue import store as catalogues
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_autocommit
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL, edited
from tests.in_force import put_in_force
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask


def newest(app: Flask) -> int:
    """The number of the version in force: numbers go on in an emptied table."""
    with app.app_context():
        return run_autocommit(lambda c: catalogues.list_versions(c, 1))[0].number


def test_two_versions_are_compared_in_words_and_by_line(app: Flask) -> None:
    put_in_force(app, SMALL)
    put_in_force(app, edited(('en = "Every month"', 'en = "Each month"')) + SECOND_TOPIC)
    page = words(staff(app, Role.SUPPORT).get("/console/catalogue/compare"))
    assert "added topic acme.offers" in page
    assert 'description.en: "Every month" -> "Each month"' in page
    assert 'removed 16 description = { it = "Ogni mese", en = "Every month" }' in page
    assert 'added 16 description = { it = "Ogni mese", en = "Each month" }' in page
    new = newest(app)
    back = words(
        staff(app, Role.SUPPORT).get(f"/console/catalogue/compare?old={new}&new={new - 1}")
    )
    assert "removed topic acme.offers" in back


def test_a_version_that_is_no_longer_valid_is_compared_by_its_text(app: Flask) -> None:
    put_in_force(app, edited(('default = "opt_in"', 'default = "of_old"')))
    put_in_force(app, SMALL)
    page = words(staff(app, Role.SUPPORT).get("/console/catalogue/compare"))
    assert "not valid by today’s rules" in page
    assert 'removed 13 default = "of_old"' in page


def test_a_long_difference_is_cut(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_console, "MAX_DIFF_LINES", 5)
    put_in_force(app, SMALL)
    put_in_force(app, SMALL + SECOND_TOPIC)
    page = words(staff(app, Role.SUPPORT).get("/console/catalogue/compare"))
    assert "Only the beginning is shown" in page


def test_the_list_goes_on_by_number(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_console, "VERSIONS_PER_PAGE", 1)
    put_in_force(app, SMALL)
    put_in_force(app, SMALL + SECOND_TOPIC)
    who = staff(app, Role.SUPPORT)
    first = who.get("/console/catalogue/versions").get_data(as_text=True)
    older = f"/console/catalogue/versions?before={newest(app)}"
    assert older in first
    assert "Older" not in words(who.get(older))


def test_the_file_of_a_version_has_its_lines(app: Flask) -> None:
    put_in_force(app, SMALL)
    who = staff(app, Role.SUPPORT)
    assert 'default_language = "it"' in words(who.get(f"/console/catalogue/versions/{newest(app)}"))
    assert who.get("/console/catalogue/versions/0").status_code == 404
    assert who.get("/console/catalogue/compare?old=0").status_code == 404
