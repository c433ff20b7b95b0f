"""The language of a request, and the translations of our own texts.

The texts in code and templates are English; `translations/<language>/LC_MESSAGES/messages.po`
has the other languages. Only the .po files are stored: they are compiled in memory, so no
compiled file can be older than its source. `make translations` updates them.

The catalogue's texts (names, titles) are the company's own, in the languages that the
catalogue declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale, refresh
from werkzeug.utils import cached_property

SOURCE_LANGUAGE = "en"
"""The language of the texts in code and templates."""

LANGUAGES: Mapping[str, str] = {
    "it": "Italiano",
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
}
"""Tag and native name of every language of the pages, in the order of the switch."""

LANGUAGE_PARAMETER = "lang"
"""The query parameter of the language switch; it needs no cookie."""

TRANSLATIONS_DIRECTORY = Path(__file__).parent / "translations"


def init_app(app: Flask, default_language: Callable[[], str], time_zone: str) -> None:
    """Set up translations in all LANGUAGES, and dates in `time_zone`.

    `default_language` returns a language tag for requests that name no supported language.
    """

    def select_locale() -> str:
        return requested_language() or match_language(default_language()) or SOURCE_LANGUAGE

    _Babel().init_app(
        app,
        default_locale=SOURCE_LANGUAGE,
        default_timezone=time_zone,
        locale_selector=select_locale,
    )
    app.jinja_env.filters["text_direction"] = text_direction


def match_language(tag: str | None) -> str | None:
    """The supported language of a BCP 47 tag: `de` for `de-AT`; None if there is none."""
    primary = (tag or "").replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else None


def text_direction(tag: str) -> str:
    """How a language is written, for the `dir` attribute: `ltr` or `rtl`."""
    return str(Locale.parse(tag, sep="-").text_direction)


def page_language() -> str:
    """The language of the current page or email: the first of these that is supported.

    The language switch, the contact's locale, Accept-Language (RFC 9110 12.5.4), the
    catalogue's default; English if there is none.
    """
    locale = get_locale()
    return locale.language if locale else SOURCE_LANGUAGE


def requested_language() -> str | None:
    """The language of this request or its contact, if supported.

    It reads no database, so the error page for an unavailable database may use it.
    """
    if not has_request_context():
        return None
    return chosen_language() or match_language(g.get("contact_language")) or _accepted_language()


def chosen_language() -> str | None:
    """The language chosen with the page's switch."""
    return match_language(request.args.get(LANGUAGE_PARAMETER))


def set_contact_language(tag: str | None) -> None:
    """Prefer the contact's language for the rest of this request."""
    g.contact_language = tag
    refresh()


@contextmanager
def in_language(tag: str | None) -> Iterator[str]:
    """Use this language inside, as for an email; English if it is not supported.

    Needs an application context. Yields the language.
    """
    language = match_language(tag) or SOURCE_LANGUAGE
    with force_locale(language):
        yield language


def keep_language_parameter(_endpoint: str, values: dict[str, Any]) -> None:
    """For `Blueprint.url_defaults`: links and forms keep the chosen language."""
    if has_request_context() and (language := chosen_language()):
        values.setdefault(LANGUAGE_PARAMETER, language)


@cache
def load_translations(language: str) -> NullTranslations:
    """The translations of one of LANGUAGES."""
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    compiled = BytesIO()
    with (TRANSLATIONS_DIRECTORY / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, language))
    compiled.seek(0)
    return Translations(compiled)


def _accepted_language() -> str | None:
    """The best supported language of Accept-Language: `de-CH, fr;q=0.8` is German."""
    supported = (match_language(tag) for tag, quality in request.accept_languages if quality > 0)
    return next(filter(None, supported), None)


class _Domain(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    def get_translations(self) -> NullTranslations:
        return load_translations(page_language())


class _Babel(Babel):  # type: ignore[misc]
    @cached_property
    def domain_instance(self) -> _Domain:
        return _Domain()
