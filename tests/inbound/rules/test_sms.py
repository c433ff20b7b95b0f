"""What texts mean: only a known word alone is certain."""

from __future__ import annotations

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.inbound.rules.objections import LANGUAGES
from preference_center.inbound.rules.sms_keywords import (
    STOP_WORDS,
    classify_sms,
    country_languages,
    phone_country,
    stop_words_for,
)
from preference_center.integrations.base.vendor_events import SmsIntent

STOP, ALL, HELP = SmsIntent.STOP, SmsIntent.STOP_ALL, SmsIntent.HELP
START, UNCLEAR = SmsIntent.START, SmsIntent.UNCLEAR

# 47 CFR 64.1200(a)(10)(i)
FCC = ("stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe")
# https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out
TWILIO = ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL")


@pytest.mark.parametrize("word", [*FCC, *TWILIO, "OPT-OUT", "ARRET", "Arrêt", "Stop all"])
@pytest.mark.parametrize("country", ["US", "CA", "IT", "JP", None])
def test_what_carriers_and_vendors_stop_stops_in_every_country(
    word: str, country: str | None
) -> None:
    assert classify_sms(word, country) in {STOP, ALL}


@pytest.mark.parametrize(
    "text",
    [
        *("stop", " STOP ", "Stop.", "STOP!!!", '"STOP"', "stop\n", "Stop please", "STOP, grazie"),
        *(
            "please stop",
            "STOP STOP STOP",
            "\u200bSTOP",
            "ＳＴＯＰ",
            "STOP 🛑",
            "Bitte stop, danke",
        ),
    ],
)
def test_a_stop_word_is_certain_however_it_is_written(text: str) -> None:
    assert classify_sms(text, "GB") is STOP


@pytest.mark.parametrize(
    "text, country, languages, meaning",
    [
        ("CANCELLAMI", "IT", (), STOP),
        ("Annulla", "IT", (), STOP),
        ("basta per favore", "IT", (), STOP),
        ("abmelden", "DE", (), STOP),
        ("Stopp!", "CH", (), STOP),
        ("désinscription", "FR", (), STOP),
        ("Me désabonner", "BE", (), STOP),
        ("DARME DE BAJA", "ES", (), STOP),
        ("ALTO", "MX", (), STOP),
        ("No más", "US", (), STOP),  # Spanish is spoken there too
        ("PARAR", "BR", (), STOP),
        ("AFMELDEN", "NL", (), STOP),
        ("Uitschrijven aub", "BE", (), STOP),
        ("WYPISZ", "PL", (), STOP),
        ("Rezygnuję", "PL", (), STOP),
        ("PARE", "ES", (), STOP),
        ("PARE", "BR", (), STOP),
        ("td", "CA", (), STOP),
        # Elsewhere these may mean anything, unless the person is known to speak it.
        ("ALTO", "IT", (), UNCLEAR),
        ("ALTO", "IT", ("es-AR",), STOP),
        ("abmelden", "IT", ("de_AT",), STOP),
        ("abmelden", "IT", (), UNCLEAR),
        ("td", "IT", (), UNCLEAR),
        ("baja", None, (), UNCLEAR),
    ],
)
def test_other_words_count_where_their_language_is_spoken(
    text: str, country: str | None, languages: tuple[str, ...], meaning: SmsIntent
) -> None:
    assert classify_sms(text, country, languages) is meaning


@pytest.mark.parametrize(
    "text",
    [
        *("Stop sending me messages", "Please remove me from your list", "Unsubscribe me."),
        *("no more texts please", "Stop texting me", "stop sending me SMS"),
        *("please don't text me any more", "Non mandatemi più sms", "bitte keine SMS mehr"),
        *("Non scrivetemi più", "Keine Werbung mehr bitte", "Ne m'envoyez plus de messages"),
    ],
)
def test_a_sentence_that_objects_and_nothing_else_is_certain(text: str) -> None:
    assert classify_sms(text, "US") is STOP


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "🛑", "ok", "no", "Stop by tomorrow at five?", "Don't stop!", "non fermarti"),
        *("STIP", "stopping", "STOP 36179", "thanks", "please"),
        *("stop " * 100, "S T O P", "my appointment: cancel or keep?", "the end", "снять"),
        *("Stop sending me messages? I still have not got one", "STOP. Where is my order?"),
        *("please don't stop sending me messages", "cancel my order", "STOP 5 at noon"),
    ],
)
def test_what_is_not_certain_is_for_a_person(text: str) -> None:
    assert classify_sms(text, "US") is UNCLEAR


@pytest.mark.parametrize(
    "text, meaning",
    [
        *(("HELP", HELP), ("info?", HELP), ("AIDE", HELP), ("Aiuto!", HELP), ("Hilfe", HELP)),
        *(("START", START), ("unstop", START), ("Yes please", START)),
        *(("stopall", ALL), ("STOP ALL", ALL)),
    ],
)
def test_other_words_that_vendors_know(text: str, meaning: SmsIntent) -> None:
    assert classify_sms(text, "IT") is meaning


def test_every_word_is_written_as_texts_are_compared() -> None:
    for country in ("IT", "US", "CH", "MX", "PT"):
        languages = [language.code for language in LANGUAGES]
        for word in stop_words_for(country, languages):
            assert classify_sms(word.upper(), country, languages) in {STOP, ALL}, word
    assert stop_words_for(None) >= STOP_WORDS


@pytest.mark.parametrize(
    "number, country, first",
    [
        ("+393331234567", "IT", "it"),
        ("+12025550123", "US", "en"),
        ("+16135550123", "CA", "en"),
        ("+41791234567", "CH", "de"),
        ("+80012345678", None, None),
    ],
)
def test_the_country_of_a_number_tells_what_is_spoken(
    number: str, country: str | None, first: str | None
) -> None:
    found = phone_country(parse_address(number, Channel.SMS))
    assert found == country
    assert next(iter(country_languages(found)), None) == first
