"""The texts of brands that address people informally."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask_babel import gettext, ngettext

from preference_center.catalogue import INFORMAL_LANGUAGES, Wording
from preference_center.web.languages import in_language, read_messages
from tests.in_force import CATALOGUE, put_in_force

FORMAL = {
    "it": r"(?i:lei|ci scriva|prema|scelga|controlli|apra|riprovi|ignori|inviarle|scriverle)",
    # A "Sie" that begins a sentence, and a small "ihr", can be a third person.
    "de": r"Ihnen|Ihr|Ihre\w*|(?<![.:?!] )(?<!^)Sie|(?:[Mm]öchten|[Kk]önnen|erreichen) Sie",
    "fr": r"(?i:vous|votre|vos|(?!assez|chez)\w{2,}ez)",
    "es": r"(?i:usted|compruebe|pulse|revise|escríbanos|díganos|inténtelo|enviarle|escribirle)",
}
"""Words that nothing but the formal address has: of Italian and Spanish those are few."""

POSSESSIVE = {"it": r"\b(?i:suo|sua|suoi|sue)\b", "es": r"\b(?i:su|sus)\b"}

THIRD_PERSON = (
    "%(name)s learned that this address belongs to a child.",
    "Once you report it, we send no marketing to this address.",
    "In its words",
    "Its answer",
)
"""How texts begin whose "suo" or "su" is not the reader's."""

_HOLES = re.compile(r"%\(\w+\)[sd]|</?\w+>")


def variants(language: str) -> dict[str, str]:
    """The informal texts by key; of one that counts, its forms in one."""
    return {
        key if isinstance(key, str) else key[0]: text if isinstance(text, str) else " ".join(text)
        for key, text in read_messages(language, "informal").items()
    }


@pytest.mark.parametrize("language", INFORMAL_LANGUAGES)
class TestALanguage:
    def test_has_variants_of_texts_that_exist_and_differ(self, language: str) -> None:
        texts = read_messages(language, "messages")
        informal = read_messages(language, "informal")
        assert not [key for key in informal if key not in texts], "delete them"
        assert not [key for key, text in informal.items() if texts[key] == text], "delete them"
        assert len(informal) > 150

    def test_keeps_every_placeholder_and_tag(self, language: str) -> None:
        texts = read_messages(language, "messages")
        for key, text in read_messages(language, "informal").items():
            assert type(text) is type(texts[key])
            assert set(_HOLES.findall(str(text))) == set(_HOLES.findall(str(key))), text

    def test_addresses_nobody_formally(self, language: str) -> None:
        formal = re.compile(rf"\b(?:{FORMAL[language]})\b")
        assert not [text for text in variants(language).values() if formal.search(text)]

    def test_has_a_variant_of_every_text_that_addresses_people_formally(
        self, language: str
    ) -> None:
        formal = re.compile(rf"\b(?:{FORMAL[language]})\b")
        possessive = re.compile(POSSESSIVE.get(language, "(?!)"))
        informal = read_messages(language, "informal")
        missing = [
            key
            for key, text in read_messages(language, "messages").items()
            if key not in informal
            and (
                formal.search(str(text))
                or (possessive.search(str(text)) and not str(key).startswith(THIRD_PERSON))
            )
        ]
        assert not missing, f"add them to translations/{language}/LC_MESSAGES/informal.po"

    def test_is_typeset_as_its_readers_are_used_to(self, language: str) -> None:
        for text in variants(language).values():
            assert not re.search(r"  |^\s|\s$|[\"']", re.sub(r"<[^>]*>", "", text)), text
            if language == "fr":
                assert not re.search(r"[^\u00a0\u202f][?!:;»]|«[^\u00a0\u202f]", text), text


@pytest.mark.parametrize(
    "language, formal, informal",
    [
        ("it", "I suoi dati", "I tuoi dati"),
        ("de", "Ihre Daten", "Deine Daten"),
        ("fr", "Vos données", "Tes données"),
        ("es", "Sus datos", "Tus datos"),
    ],
)
def test_a_brand_is_informal_where_it_says_so(
    app: Flask, language: str, formal: str, informal: str
) -> None:
    with app.app_context():
        with in_language(language, Wording(informal=frozenset({language}))):
            assert gettext("Your data") == informal
            assert gettext("Continue") == gettext("Continue")  # what has no variant stays
        with in_language(language, Wording(informal=frozenset({"en"}))):
            assert gettext("Your data") == formal


def test_the_forms_of_a_text_that_counts_are_replaced_one_by_one(app: Flask) -> None:
    one, many = "%(done)s of %(num)s done, due by %(day)s", "MANY"
    keys = [key for key in read_messages("de", "messages") if not isinstance(key, str)]
    key = next(key for key in keys if key[0] == one)
    own = Wording(texts={"de": frozenset({(key[1], many)}), "en": frozenset({(key[0], "ONE")})})
    values = {"done": 1, "day": "heute"}
    with app.app_context():
        with in_language("de", own):
            assert ngettext(key[0], key[1], 2, **values) == many
            assert "heute" in ngettext(key[0], key[1], 1, **values)
        with in_language("en", own):
            assert ngettext(key[0], key[1], 1, **values) == "ONE"
            assert ngettext(key[0], key[1], 2, **values).startswith("1 of 2 done")


def test_an_informal_page_says_du(app: Flask) -> None:
    put_in_force(app)
    client = app.test_client()
    assert "Ihre Daten und Ihre Rechte" in client.get("/form?lang=de").text
    put_in_force(app, CATALOGUE.replace('"Acme"', '"Acme"\naddress.de = "informal"', 1))
    page = client.get("/form?lang=de").text
    assert "Deine Daten und deine Rechte" in page
    assert "I suoi dati e i suoi diritti" in client.get("/form?lang=it").text
