"""Words that people read: what is translated word by word, or means something else to them."""

from __future__ import annotations

import re

import pytest

from preference_center.web.languages import LANGUAGES, read_messages

AVOIDED = {
    "en": {
        r"mails?|mailed|mailing": "email",
        r"tools?": "the systems that send our messages",
        # "Opt-out honoured" is what California demands (11 CCR 7025(c)(6)).
        r"opt-(?:outs?|ins?)(?! honoured)": "unsubscribe request, sign-up",
        r"for ever": "never expires",
        r"need not": "don’t have to",
        r"somebody, probably you": "you, or someone using your address",
        r"the law has us": "the law requires us to",
        r"go(?:es)? on": "continue, still",
        r"identity card": "ID card",
    },
    "it": {
        r"strument[oi] con cui|dagli strumenti|negli strumenti": "sistemi di invio",
        r"(?:tutto il|alcun|più) marketing": "comunicazioni promozionali",
        r"iscrizione annullata|annullare l’iscrizione": "disiscrizione, disiscriversi",
        r"e-mail": "email",
        r"posta certificata": "PEC",
        r"(?-i:(?<!^)(?<![.:?!] )(?:Suo|Sua|Suoi|Sue|Lei|Le))": "suo, lei, le",
        r"(?<=sistemi che )la inviano|(?<=sistema che )la invia": "di invio",
    },
    "de": {
        r"Werkzeuge?n?": "Versandsystem",
        r"(?:[Aa]lle|[Aa]ller) Werbung": "die gesamte Werbung",
        r"Kn(?:opf|öpfe)": "Schaltfläche",
        r"(?<!E-)Mails?": "E-Mail",
        r"zertifizierter Post": "zertifizierter E-Mail (PEC)",
        r"Merkmale?|Vermerke?|Markierung|Kennzeichen": "Sperrvermerk",
        r"Referenz": "Vorgangsnummer",
        r"(?:Ihr|[Dd]ein)e Anfragen?": "Antrag, Abmeldung",
        r"(?:[Dd]er|[Dd]en|[Ee]inen(?: einzigen)?) Cookie": "das Cookie",
    },
    "fr": {
        r"marketing": "publicité",
        r"outils? avec (?:le|les)quels?": "outils d’envoi",
        r"désinscription": "désabonnement",
        r"boîte aux lettres": "messagerie",
        r"sans cette coche|avec cette coche": "décochez, cochez",
        r"marques?": "empreinte",
        r"désabonnée?s?|(?:vous|t’)(?: avons)? informée?|inscrite?s?": "a form of both genders",
    },
    "es": {
        r"marketing": "publicidad",
        r"herramientas?": "sistema de envío",
        r"suscripción cancelada|cancelar la suscripción": "baja",
        r"correo certificado": "correo electrónico certificado",
        r"buzón": "correo",
        r"marcas?": "huella cifrada",
        r"dado de baja:": "baja registrada",
    },
}
"""By language: the avoided word, as a pattern, and what to write."""


def found(language: str, text: str) -> list[str]:
    text = re.sub(r"%\(\w+\)s", "", text)
    return [
        instead
        for word, instead in AVOIDED[language].items()
        if re.search(rf"(?<![\w-]){'(?i:' if language != 'de' else '(?:'}{word})(?![\w-])", text)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["messages", "informal"])
def test_no_text_has_a_word_that_its_readers_stumble_over(language: str, name: str) -> None:
    texts = {str(text) for text in read_messages(language, name).values()}
    assert {text: found(language, text) for text in texts if found(language, text)} == {}


@pytest.mark.parametrize(
    "language, text, instead",
    [
        ("en", "We mailed you a link", ["email"]),
        ("en", "Email me a link", []),
        ("en", "“E-mail” and mailbox", []),
        ("de", "Alle Werbung abbestellen", ["die gesamte Werbung"]),
        ("de", "eine E-Mail", []),
        ("de", "Wir setzen einen einzigen Cookie", ["das Cookie"]),
        ("de", "in den Cookies", []),
        ("it", "Tutto il marketing", ["comunicazioni promozionali"]),
        ("it", "Cancelliamo i Suoi dati", ["suo, lei, le"]),
        ("it", "Fatto. Le scriviamo ai suoi indirizzi", []),
        ("fr", "Tout le marketing", ["publicité"]),
        ("es", "Una herramienta", ["sistema de envío"]),
    ],
)
def test_the_search_finds_words_and_no_parts_of_words(
    language: str, text: str, instead: list[str]
) -> None:
    assert found(language, text) == instead


@pytest.mark.parametrize("name", ["messages", "informal"])
def test_no_italian_text_has_a_before_a_name_that_may_begin_with_a_vowel(name: str) -> None:
    texts = {str(text) for text in read_messages("it", name).values()}
    assert [text for text in texts if re.search(r"\ba %\((?:name|brands?)\)s", text)] == []


@pytest.mark.parametrize("name", ["messages", "informal"])
def test_no_french_text_has_before_a_name_what_is_elided_before_a_vowel(name: str) -> None:
    names = r"(?i)\b(?:de|que|si|le|la) %\((?:name|brands?|agent|system|tools?|zone|what)\)s"
    texts = {str(text) for text in read_messages("fr", name).values()}
    assert [text for text in texts if re.search(names, text)] == []
