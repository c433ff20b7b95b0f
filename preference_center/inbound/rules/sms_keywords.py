"""Classify texts to a number that marketing came from: stop, help, start, or unclear.

Clear is a message that is nothing but a known word, whatever its case, accents, punctuation,
repeats and courtesies, or one sentence that objects and nothing else, as in a mail. Anything
else that a person wrote may be an opt-out as well, and count (47 CFR 64.1200(a)(10): what a
reasonable person would understand), so staff must read it; it is never guessed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping

import phonenumbers
from babel.languages import get_official_languages

from preference_center.core.addresses import Address
from preference_center.core.channels import AddressSyntax
from preference_center.inbound.rules.clear_objection import find_clear_objection
from preference_center.inbound.rules.objections import LANGUAGES, ObjectionLanguage
from preference_center.inbound.rules.objections.language import MISTYPED_STOPS
from preference_center.integrations.base.vendor_events import SmsIntent

STOP_ALL_WORDS = frozenset({"stopall", "stop all"})
STOP_WORDS = STOP_ALL_WORDS | {
    # 47 CFR 64.1200(a)(10)(i): these seven always count.
    *("stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe"),
    # With "stopall" the rest of Twilio's own: twilio.com/docs/messaging/tutorials/advanced-opt-out
    "optout",
    # "Required opt-out keywords" in the US and Canada: docs.aws.amazon.com/sms-voice
    *("remove", "arret"),
    # Twilio takes these for a stop too: twilio.com/docs/proxy/opt-out-keywords
    *("arrete", "arrett"),
}
"""Stop words of whatever language and country: what carriers and vendors stop by themselves."""

STOP_WORDS_BY_COUNTRY: Mapping[str, frozenset[str]] = {
    # The same page of AWS.
    "US": frozenset({"td"}),
    "CA": frozenset({"td"}),
}

HELP_WORDS = frozenset(
    # twilio.com/docs, and for Canada docs.aws.amazon.com/end-user-messaging ("aide")
    {"help", "info", "aide", "aiuto", "ajuda", "ayuda", "hilfe"}
)
START_WORDS = frozenset({"start", "unstop", "yes", "subscribe"})
"""Twilio's own, and Telnyx's: what ends their block. It ends none of ours."""

ADDITIONAL_LANGUAGES: Mapping[str, tuple[str, ...]] = {"US": ("es",)}
"""Spoken by so many that it counts though it is not official."""

_POLITE_PHRASES = frozenset(
    {"please", "pls", "plz", "thanks", "thank you", "thx", "per favore", "grazie", "bitte"}
    | {"danke", "merci", "svp", "s il vous plait", "por favor", "gracias", "obrigado", "obrigada"}
)
_MAX_CHARS = 100  # characters; no stop word with all its courtesies comes near


def classify_sms(text: str, country: str | None, languages: Collection[str] = ()) -> SmsIntent:
    """What `text` asks for, sent from a number of `country` (ISO 3166-1 alpha-2).

    `languages` (BCP 47) are those that its owner may write in besides the country's own.
    """
    words = _normalized_words(text)
    if words in STOP_ALL_WORDS:
        return SmsIntent.STOP_ALL
    if words in stop_words_for(country, languages) | MISTYPED_STOPS:
        return SmsIntent.STOP
    if words in HELP_WORDS:
        return SmsIntent.HELP
    if words in START_WORDS:
        return SmsIntent.START
    is_clear = _is_mistyped_stop_word(words, country, languages) or _is_clear_opt_out(text)
    return SmsIntent.STOP if is_clear else SmsIntent.UNCLEAR


def is_start_itself(text: str) -> bool:
    """Whether the text is START, as pages tell people to send; "yes" may answer somebody else."""
    return _normalized_words(text) == "start"


def stop_words_for(country: str | None, languages: Collection[str] = ()) -> frozenset[str]:
    """All words that stop, in the form that texts are compared in: no case, no accents."""
    found = STOP_WORDS | STOP_WORDS_BY_COUNTRY.get(country or "", frozenset())
    return found.union(
        *(each.stop_words | each.stop_words_by_text for each in _spoken(country, languages))
    )


def phone_country(address: Address) -> str | None:
    """The country of a phone number; None if it belongs to none, as +800 does, or is unknown."""
    if address.channel.rules.syntax is not AddressSyntax.PHONE_NUMBER:
        raise ValueError("only a phone number has a country")
    region = phonenumbers.region_code_for_number(phonenumbers.parse(address.exact))
    return region if region and region.isalpha() else None


def country_languages(country: str | None) -> tuple[str, ...]:
    """What is spoken there, the most usual first (CLDR)."""
    official = get_official_languages(country, de_facto=True) if country else ()
    return (*official, *ADDITIONAL_LANGUAGES.get(country or "", ()))


def _spoken(country: str | None, languages: Collection[str]) -> list[ObjectionLanguage]:
    codes = {_primary_subtag(language) for language in languages} | {*country_languages(country)}
    return [each for each in LANGUAGES if each.code in codes]


def _is_mistyped_stop_word(words: str, country: str | None, languages: Collection[str]) -> bool:
    """Whether it is one long word with a typing error that stops where it is spoken.

    "unsubscribe" is spoken everywhere.
    """
    if " " in words:
        return False
    spoken = {LANGUAGES[0], *_spoken(country, languages)}
    return any(
        (meant := each.spelling_corrector.correct(words)) != words and meant in each.stop_words
        for each in spoken
    )


def _is_clear_opt_out(text: str) -> bool:
    """Whether the text objects as a mail would; a word alone has its language."""
    if len(text.split()) < 2:  # noqa: PLR2004 - a word is one
        return False
    found = find_clear_objection("", text)
    return found is not None and not found.has_further_request


def _primary_subtag(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


def _normalized_words(text: str) -> str:
    """The words of a text, without what adds nothing; "" for one that can be no word of ours."""
    if len(text) > _MAX_CHARS:
        return ""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    words = "".join(c if c.isalnum() else " " for c in bare.casefold()).split()
    return " ".join(_without_repeats(_without_polite_phrases(words)))


def _without_polite_phrases(words: list[str]) -> list[str]:
    """Without those at the beginning and at the end, unless there is nothing else."""
    for courtesy in _POLITE_PHRASES:
        polite = courtesy.split()
        size = len(polite)
        if len(words) > size and words[-size:] == polite:
            return _without_polite_phrases(words[:-size])
        if len(words) > size and words[:size] == polite:
            return _without_polite_phrases(words[size:])
    return words


def _without_repeats(words: list[str]) -> Iterator[str]:
    before = None
    for word in words:
        if word != before:
            yield word
        before = word
