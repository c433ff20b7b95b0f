"""Which language is chosen, and the texts in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from flask_babel import format_date, format_datetime, gettext

from preference_center.web.languages import (
    format_day_and_time,
    format_duration,
    in_language,
    join_names,
    match_language,
    page_language,
    set_contact_language,
)
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from flask import Flask

CATALOGUE = """
languages = ["es", "en"]
default_language = "es"
[brands.casa]
name = "Casa"
fallback_language = "es"
"""
MIDNIGHT = datetime(2026, 7, 26, 22, 30, tzinfo=UTC)  # 00:30 of the next day in Italy


@pytest.fixture
def spanish(app: Flask) -> Flask:
    """The service of a company that writes Spanish."""
    put_in_force(app, CATALOGUE)
    return app


@pytest.mark.parametrize(
    "tag, language",
    [
        ("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("fr-CA", "fr"), ("es-419", "es"),
        ("pt-BR", None), ("", None), (None, None), ("ita", None), ("*", None), ("../en", None),
    ],
)  # fmt: skip
def test_a_tag_names_one_of_ours_or_none(tag: str | None, language: str | None) -> None:
    assert match_language(tag) == language


@pytest.mark.parametrize(
    "accepted, language",
    [
        ("de", "de"),
        ("de-CH, fr;q=0.8", "de"),
        ("pt, fr;q=0.8, en;q=0.7", "fr"),
        ("en;q=0.1, it;q=0.2", "it"),
        ("*", "es"),
        ("pt, *;q=0.5", "es"),
        ("fr;q=0", "es"),
        ("", "es"),
        ("!!;q=x,,,", "es"),
    ],
)
def test_the_browser_is_asked_then_the_brand(spanish: Flask, accepted: str, language: str) -> None:
    with spanish.test_request_context("/", headers={"Accept-Language": accepted}):
        assert page_language() == language


def test_the_switch_wins_over_the_contact_and_the_contact_over_the_browser(
    spanish: Flask,
) -> None:
    german = {"Accept-Language": "de"}
    with spanish.test_request_context("/", headers=german):
        assert page_language() == "de"
        set_contact_language("fr-FR")
        assert page_language() == "fr"
        set_contact_language("pt")  # not ours: as if nothing were known
        assert page_language() == "de"
    with spanish.test_request_context("/?lang=it", headers=german):
        set_contact_language("fr")
        assert page_language() == "it"
    with spanish.test_request_context("/?lang=xx", headers=german):
        assert page_language() == "de"


@pytest.mark.parametrize("accepted", ["pt", "*", ""])
def test_it_is_english_where_the_brand_states_no_other(app: Flask, accepted: str) -> None:
    put_in_force(app, CATALOGUE.replace('fallback_language = "es"', ""))
    with app.test_request_context("/", headers={"Accept-Language": accepted}):
        assert page_language() == "en"


@pytest.mark.parametrize(
    "accepted, contact, day",
    [
        ("en-US,en;q=0.9", None, "July 27, 2026, 12:30\u202fAM"),
        ("en-GB,en;q=0.9", None, "27 July 2026, 00:30 CEST"),
        ("en", None, "27 July 2026, 00:30 CEST"),
        ("en-IE", None, "27 July 2026, 00:30 CEST"),
        ("pt", None, "27 July 2026, 00:30 CEST"),
        # What Chrome sends by default in Italy: the reader has switched to English.
        ("it-IT,it;q=0.9,en-US;q=0.8,en;q=0.7", None, "27 July 2026, 00:30 CEST"),
        ("en-US", "en-GB", "27 July 2026, 00:30 CEST"),
        ("en-GB", "en-US", "July 27, 2026, 12:30\u202fAM"),
        ("en-US", "pt", "July 27, 2026, 12:30\u202fAM"),
    ],
)
def test_dates_are_british_unless_the_reader_is_american(
    app: Flask, accepted: str, contact: str | None, day: str
) -> None:
    with app.test_request_context("/?lang=en", headers={"Accept-Language": accepted}):
        set_contact_language(contact)
        assert page_language() == "en"
        assert format_day_and_time(MIDNIGHT) == day


def test_lists_follow_the_same_country(app: Flask) -> None:
    names = ["Ada", "Bea", "Cleo"]
    with app.test_request_context("/", headers={"Accept-Language": "en-GB"}):
        assert join_names(names) == "Ada, Bea and Cleo"
    with app.test_request_context("/", headers={"Accept-Language": "en-US"}):
        assert join_names(names) == "Ada, Bea, and Cleo"


@pytest.mark.parametrize(
    "language, text",
    [
        ("it", "27 luglio 2026, 00:30 CEST"),
        ("de", "27. Juli 2026, 00:30 MESZ"),
        ("fr", "27 juillet 2026, 00:30"),  # French has no short name for the zone
        ("es", "27 de julio de 2026, 0:30 CEST"),
    ],
)
def test_a_time_has_no_seconds_and_a_zone_only_by_name(
    app: Flask, language: str, text: str
) -> None:
    with app.app_context(), in_language(language):
        assert format_day_and_time(MIDNIGHT) == text


def test_without_a_catalogue_it_is_english(app: Flask) -> None:
    with app.test_request_context("/"):
        assert page_language() == "en"


def test_outside_of_everything_it_is_english() -> None:
    assert page_language() == "en"


@pytest.mark.parametrize(
    "language, word, day",
    [
        ("it", "Salva", "27 luglio 2026"),
        ("en", "Save", "27 July 2026"),
        ("de", "Speichern", "27. Juli 2026"),
        ("fr", "Enregistrer", "27 juillet 2026"),
        ("es", "Guardar", "27 de julio de 2026"),
    ],
)
def test_a_mail_is_written_in_its_readers_language(
    spanish: Flask, language: str, word: str, day: str
) -> None:
    with spanish.app_context():
        with in_language(f"{language}-XX") as spoken:
            assert spoken == page_language() == language
            assert gettext("Save") == word
            assert format_date(MIDNIGHT, "long") == day  # in the time zone of the settings
            assert "30" in format_datetime(MIDNIGHT)
        assert page_language() == "es"


def test_an_unknown_language_of_a_mail_is_english(spanish: Flask) -> None:
    for tag in ("pt", "", None):
        with spanish.app_context(), in_language(tag) as spoken:
            assert spoken == "en"
            assert gettext("Save") == "Save"


@pytest.mark.parametrize(
    "language, texts",
    [
        ("en", ["1 day", "90 days", "1 year", "10 years"]),
        ("de", ["1 Tag", "90 Tage", "1 Jahr", "10 Jahre"]),
        ("fr", ["1 jour", "90 jours", "1 an", "10 ans"]),
        ("it", ["1 giorno", "90 giorni", "1 anno", "10 anni"]),
        ("es", ["1 día", "90 días", "1 año", "10 años"]),
    ],
)
def test_a_duration_has_the_plural_of_its_number(
    app: Flask, language: str, texts: list[str]
) -> None:
    with app.app_context(), in_language(language):
        found = [format_duration(days) for days in (1, 90, 365, 3650)]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in found] == texts
