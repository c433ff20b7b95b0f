"""Every text that people read is there in each of our languages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po

from preference_center.web.languages import LANGUAGES, SOURCE_LANGUAGE, TRANSLATIONS_DIRECTORY
from tests.untranslated import untranslated

ROOT = Path(__file__).resolve().parents[1]
# The reference of the API is English, as docs/ is.
TEMPLATES = sorted(
    path for path in (ROOT / "templates").rglob("*.html") if path.name != "docs.html"
)
TRANSLATED = [language for language in LANGUAGES if language != SOURCE_LANGUAGE]
MAPPINGS = {"messages": "mapping.toml", "console": "console.toml"}
FILES = [*((language, "messages") for language in TRANSLATED), ("it", "console")]
"""Each file of translations; those of the console are in Italian only."""
REMEDY = "run `make translations`, then write what is missing"

FAMILIAR = {
    "it": r"tu|tuo|tua|tuoi|tue|ti|te|hai|sei|puoi|devi",
    "de": r"du|dich|dir|dein\w*",
    "fr": r"tu|te|toi|ton|ta|tes",
    "es": r"tú|tu|tus|te|ti",
}
"""Words of the informal address. Labels of Italian buttons and links are imperatives in both."""

_HOLES = re.compile(r"%\(\w+\)[sd]|</?\w+>")


@cache
def written(name: str) -> frozenset[str | tuple[str, ...]]:
    """What code and templates ask for, found as `make translations` finds it."""
    mapping_file = TRANSLATIONS_DIRECTORY / MAPPINGS[name]
    mapping = tomllib.loads(mapping_file.read_text(encoding="utf-8"))["mappings"]
    methods = [(pattern, entry["method"]) for entry in mapping for pattern in entry["pattern"]]
    options = {
        pattern: {k: v for k, v in entry.items() if k not in {"pattern", "method"}}
        for entry in mapping
        for pattern in entry["pattern"]
    }
    return frozenset(
        text
        for folder in ("preference_center", "templates")
        for _, _, text, _, _ in extract_from_dir(
            str(ROOT / folder), methods, options, {**DEFAULT_KEYWORDS, "lazy_gettext": None}
        )
    )


def catalogue(language: str, name: str) -> Catalog:
    with (TRANSLATIONS_DIRECTORY / language / "LC_MESSAGES" / f"{name}.po").open("rb") as file:
        return read_po(file, language)


def messages(language: str, name: str) -> Iterator[Message]:
    return (message for message in catalogue(language, name) if message.id)


def texts(message: Message) -> list[str]:
    """All forms of the translation."""
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def test_the_five_languages_are_spoken() -> None:
    assert set(LANGUAGES) == {"it", "en", "de", "fr", "es"}
    assert {path.name for path in TRANSLATIONS_DIRECTORY.iterdir() if path.is_dir()} == set(
        TRANSLATED
    )
    assert len(written("messages")) > 50
    assert len(written("console")) > 20
    assert not written("console") & {"There is a problem"}


@pytest.mark.parametrize("language, name", FILES)
class TestALanguage:
    def test_has_exactly_the_texts_that_are_asked_for(self, language: str, name: str) -> None:
        found = frozenset(message.id for message in messages(language, name))
        assert found - written(name) == set(), REMEDY
        assert written(name) - found == set(), REMEDY

    def test_translates_each_of_them_in_every_plural_form(self, language: str, name: str) -> None:
        whole = catalogue(language, name)
        for message in messages(language, name):
            forms = texts(message)
            assert all(form.strip() for form in forms), message.id
            assert len(forms) == (whole.num_plurals if message.pluralizable else 1), message.id

    def test_has_nothing_fuzzy_or_obsolete(self, language: str, name: str) -> None:
        whole = catalogue(language, name)
        assert not whole.obsolete, REMEDY
        assert not [message.id for message in whole if message.fuzzy], REMEDY

    def test_keeps_every_hole_and_tag(self, language: str, name: str) -> None:
        for message in messages(language, name):
            originals = [message.id] if isinstance(message.id, str) else list(message.id)
            for original, form in zip(originals, texts(message), strict=True):
                assert sorted(_HOLES.findall(form)) == sorted(_HOLES.findall(original)), form

    def test_keeps_to_the_polite_form(self, language: str, name: str) -> None:
        familiar = re.compile(rf"\b({FAMILIAR[language]})\b", re.IGNORECASE)
        for message in messages(language, name):
            for form in texts(message):
                assert not familiar.search(form), form

    def test_is_typeset_as_its_readers_are_used_to(self, language: str, name: str) -> None:
        for message in messages(language, name):
            for form in texts(message):
                assert not re.search(r"  |^\s|\s$|[\"']", re.sub(r"<[^>]*>", "", form)), form
                if language == "fr":  # a no-break space before ? ! : ; and within « »
                    assert not re.search(r"[^\u00a0\u202f][?!:;»]|«[^\u00a0\u202f]", form), form


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_shows_text_that_is_not_translated(template: Path) -> None:
    assert untranslated(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source, found",
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{% trans %}Hello{% endtrans %} you</p>", ["you"]),
        ("<p>{% trans n=n %}One{% pluralize %}Many{% endtrans %}</p>Rest", ["Rest"]),
        ('<img alt="A barn">', ["A barn"]),
        ('<img alt="{{ _("A barn") }}">{{ a }}, {{ b }}: “{{ c }}”', []),
        ('{{ button("all", "Stop all") }}', ["Stop all"]),
        ('{{ button("all", "Stop") }}', ["Stop"]),
        ('{{ button("all", _("Stop all")) }}{{ x | dateformat("long") }}', []),
        ('<meta name="viewport" content="width=device-width">', []),
        ('<meta name="description" content="All of it">', ["All of it"]),
    ],
)
def test_the_search_for_such_text_finds_it(source: str, found: list[str]) -> None:
    assert untranslated(source) == found
