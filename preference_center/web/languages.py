"""A request has a language, chosen here, and our own texts have translations, loaded here.

The texts in code and templates are English; `translations/<language>/LC_MESSAGES/messages.po`
has the other languages, in the formal address, and `informal.po` those of its texts that
differ in the informal one. A brand may replace any of them (`catalogue.rules.wording`). The
texts of the console are in `console.po`, in Italian only. Only the .po files are stored: they
are compiled in memory, so no compiled file can be older than its source. `make translations`
updates them.

The catalogue's texts (names, titles) are the company's own, in the languages that the
catalogue declares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, lru_cache, wraps
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from babel import Locale
from babel.dates import format_timedelta
from babel.lists import format_list
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app, g, has_app_context, has_request_context, request
from flask_babel import (
    Babel,
    Domain,
    force_locale,
    format_date,
    format_datetime,
    format_time,
    get_locale,
    refresh,
)
from werkzeug.utils import cached_property

from preference_center.catalogue import Wording
from preference_center.catalogue.rules.wording import LANGUAGE_RULES
from preference_center.core.addresses import Address
from preference_center.infra.hooks import Hook

SOURCE_LANGUAGE = "en"
"""The language of the texts in code and templates."""

LANGUAGES: Mapping[str, str] = {tag: rules.native_name for tag, rules in LANGUAGE_RULES.items()}
"""Tag and native name of every language of the pages, in the order of the switch."""

_TRANSLATED = tuple(language for language in LANGUAGES if language != SOURCE_LANGUAGE)

Table = TypeVar("Table")

MessageForms: TypeAlias = str | tuple[str, ...]
"""A text, or its forms for different numbers."""

LANGUAGE_PARAMETER = "lang"
"""The query parameter of the language switch; it needs no cookie."""

TRANSLATIONS_DIRECTORY = Path(__file__).parent / "translations"

_BRITISH, _AMERICAN = "en_GB", "en_US"
_MAX_TRANSLATIONS = 256
"""Languages times wordings kept compiled; each is some hundred kilobytes."""
_EXTENSION = "preference_center.languages"


@Hook
def locale_of(address: Address) -> str | None:
    """The locale (BCP 47) of the contact with exactly this address (I9), if it is known.

    Raises Unavailable.
    """
    raise NotImplementedError


def init_app(app: Flask, default_wording: Callable[[], Wording], time_zone: str) -> None:
    """Set up translations in all LANGUAGES, and dates in `time_zone`.

    `default_wording` returns the wording of a request or a job that sets none.
    """

    def select_locale() -> str:
        language = requested_language() or current_wording().fallback_language
        return _locale_of(language or SOURCE_LANGUAGE, american=_prefers_american())

    app.extensions[_EXTENSION] = default_wording
    _Babel().init_app(
        app,
        default_locale=_BRITISH,
        default_timezone=time_zone,
        locale_selector=select_locale,
    )
    app.jinja_env.filters["text_direction"] = text_direction
    app.jinja_env.filters["day_and_time"] = format_day_and_time
    app.jinja_env.filters["duration_in_words"] = format_duration
    app.add_template_filter(format_day, "dayformat")
    app.add_template_filter(format_short_time, "short_time")


def match_language(tag: str | None) -> str | None:
    """The supported language of a BCP 47 tag: `de` for `de-AT`; None if there is none."""
    primary = (tag or "").replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else None


def text_direction(tag: str) -> str:
    """How a language is written, for the `dir` attribute: `ltr` or `rtl`."""
    return str(Locale.parse(tag, sep="-").text_direction)


def page_language() -> str:
    """The language of the current page or email: the first of these that is supported.

    The language switch, the contact's locale, Accept-Language (RFC 9110 12.5.4), the brand's
    `fallback_language`; English if there is none.
    """
    locale = get_locale()
    return locale.language if locale else SOURCE_LANGUAGE


def requested_language() -> str | None:
    """The language of this request or its contact, if supported.

    It reads no database, so the error page for an unavailable database may use it.
    """
    if not has_request_context():
        return None
    offered = g.get("offered_languages", LANGUAGES)
    wanted = (chosen_language(), match_language(g.get("contact_language")), *_accepted_languages())
    return next((language for language in wanted if language in offered), None)


def chosen_language() -> str | None:
    """The language chosen with the page's switch."""
    return match_language(request.args.get(LANGUAGE_PARAMETER))


def offer_languages(languages: Sequence[str], texts: str) -> None:
    """Offer these languages alone in the rest of this request, with the texts of `<texts>.po`."""
    g.offered_languages = languages
    g.texts = texts
    refresh()


def set_contact_language(tag: str | None) -> None:
    """Prefer the contact's language for the rest of this request."""
    g.contact_language = tag
    refresh()


def set_wording(wording: Wording) -> None:
    """Use this wording for the rest of this request."""
    g.wording = wording
    refresh()


def current_wording() -> Wording:
    """The wording of this request or email."""
    if not has_app_context():
        return Wording()
    if "wording" not in g:
        g.wording = current_app.extensions[_EXTENSION]()
    wording: Wording = g.wording
    return wording


def format_day(at: datetime) -> str:
    """A day of these weeks with its weekday, in the current language: `Saturday 28 November`.

    The Unicode locale data has this order and punctuation only with shortened names.
    """
    locale = get_locale()
    patterns = locale.datetime_skeletons if locale else {}
    pattern = str(patterns.get("MMMMEd") or patterns.get("MMMEd") or "E d MMM")
    return str(format_date(at, re.sub(r"E+", "EEEE", re.sub(r"M+", "MMMM", pattern))))


def format_short_time(at: datetime) -> str:
    """A time for tables, in the current language and time zone: `27 Nov 2026, 14:05`."""
    return str(format_datetime(at, "d MMM y, HH:mm"))


@contextmanager
def in_language(tag: str | None, wording: Wording | None = None) -> Iterator[str]:
    """Use this language inside, as for an email; English if it is not supported.

    Needs an application context. Without `wording` the current one stays. Yields the language.
    """
    language = match_language(tag) or SOURCE_LANGUAGE
    outside = current_wording()
    g.wording = wording or outside
    try:
        with force_locale(_locale_of(language, american=_is_american(tag))):
            yield language
    finally:
        g.wording = outside


def keep_language_parameter(_endpoint: str, values: dict[str, Any]) -> None:
    """For `Blueprint.url_defaults`: links and forms keep the chosen language."""
    if has_request_context() and (language := chosen_language()):
        values.setdefault(LANGUAGE_PARAMETER, language)


def format_duration(days: int) -> str:
    """In years of 365 days where it comes out even, such as "10 years", and else in days."""
    text = format_timedelta(
        timedelta(days=days),
        granularity="day",
        threshold=days + 1 if days % 365 else 1,  # of a larger unit: never reached, or at 1
        locale=get_locale(),
    )
    return str(text)


def format_day_and_time(time: datetime) -> str:
    """A day and a time of day without seconds, in the current language and time zone.

    The zone is named where the language has a short name for it, and left out otherwise.
    """
    zone = format_datetime(time, "z")
    named = f" {zone}" if zone.isalpha() else ""
    return f"{format_date(time, 'long')}, {format_time(time, 'short')}{named}"


def join_names(names: Iterable[str]) -> str:
    """These names as a list in the current language: `a, b and c`."""
    joined: str = format_list(list(names), locale=get_locale() or _BRITISH)
    return joined


def current_translations() -> NullTranslations:
    """The translations for the current language and wording: the same object for the same two."""
    language, wording = page_language(), current_wording()
    return load_translations(
        language,
        informal=language in wording.informal,
        texts=wording.replaced_texts(language),
        also=g.get("texts", "") if has_request_context() else "",
    )


def once_per_language(table: Callable[[], Table]) -> Callable[[], Table]:
    """The table in the current language, made once: a page or a file may have thousands of rows."""
    made: WeakKeyDictionary[NullTranslations, Table] = WeakKeyDictionary()

    @wraps(table)
    def read() -> Table:
        translations = current_translations()
        if translations not in made:
            made[translations] = table()
        return made[translations]

    return read


@lru_cache(maxsize=_MAX_TRANSLATIONS)
def load_translations(
    language: str,
    *,
    informal: bool = False,
    texts: frozenset[tuple[str, str]] = frozenset(),
    also: str = "",
) -> NullTranslations:
    """The translations into one of LANGUAGES, with `texts` instead of those of the same key.

    The singular and the plural of a text that counts are two keys. `also` names a file of more
    texts, which not every language has.
    """
    more = read_messages(language, also) if also else {}
    variants = read_messages(language, "informal") if informal else {}
    own = dict(texts)
    catalog = Catalog(language)
    for key, text in {**more, **read_messages(language, "messages"), **variants}.items():
        match key, text:
            case (str(singular), str(plural)), (str(one), *others):
                many = [own.get(plural, other) for other in others]
                catalog.add(key, (own.get(singular, one), *many))
            case str(), str():
                catalog.add(key, own.get(key, text))
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


@cache
def read_messages(language: str, name: str) -> Mapping[MessageForms, MessageForms]:
    """The texts of `<name>.po` of a language, by our English text."""
    if language == SOURCE_LANGUAGE:
        return {key: key for key in read_messages(_TRANSLATED[0], name)}
    path = TRANSLATIONS_DIRECTORY / language / "LC_MESSAGES" / f"{name}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalog = read_po(file, language)
    return {_forms(message.id): _forms(message.string) for message in catalog if message.id}


def _forms(text: str | Sequence[str] | None) -> MessageForms:
    return text if isinstance(text, str) else tuple(text or ())


def known_texts() -> frozenset[str]:
    """Every text of pages and emails in English: the keys by which a brand replaces them."""
    keys = read_messages(SOURCE_LANGUAGE, "messages")
    return frozenset(form for key in keys for form in ([key] if isinstance(key, str) else key))


def _accepted_languages() -> Iterator[str]:
    """The supported languages of Accept-Language: `de-CH, fr;q=0.8` is German, then French."""
    supported = (match_language(tag) for tag, quality in request.accept_languages if quality > 0)
    yield from filter(None, supported)


def _prefers_american() -> bool:
    """Whether dates are American: by the contact's locale, else the browser's first language.

    A browser in another language often accepts en-US after it, by default.
    """
    if not has_request_context():
        return False
    known = g.get("contact_language")
    return _is_american(known if match_language(known) else request.accept_languages.best)


def _is_american(tag: str | None) -> bool:
    return (tag or "").replace("_", "-").lower() == "en-us"


def _locale_of(language: str, *, american: bool) -> str:
    """The CLDR locale of dates and lists."""
    if language != SOURCE_LANGUAGE:
        return language
    return _AMERICAN if american else _BRITISH


class _Domain(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    def get_translations(self) -> NullTranslations:
        return current_translations()


class _Babel(Babel):  # type: ignore[misc]  # as above
    @cached_property
    def domain_instance(self) -> _Domain:
        return _Domain()
