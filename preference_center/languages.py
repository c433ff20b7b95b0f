"""Which language a person reads, and our own texts in it.

The texts in code and templates are English; `translations/<language>/LC_MESSAGES/messages.po`
holds them in the others. Only the .po files are kept: they are compiled in memory, so no
compiled file can be older than its source. `make translations` brings them up to date.

What the catalogue says (names, titles) is the company's own and comes in the languages that
the catalogue declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale, refresh
from werkzeug.utils import cached_property

SOURCE_LANGUAGE = "en"
"""Of the texts in code and templates."""

LANGUAGES: Mapping[str, str] = {
    "it": "Italiano",
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
}
"""Tag and own name of every language we speak, in the order of the switch."""

LANGUAGE_PARAMETER = "lang"
"""The query parameter by which a person chooses; it needs no cookie."""

TRANSLATIONS_DIRECTORY = Path(__file__).parent / "translations"


def init_app(app: Flask, default_language: Callable[[], str], time_zone: str) -> None:
    """Have `app` speak all LANGUAGES, and tell dates in `time_zone`.

    `default` is asked for a language tag when nothing tells what the person reads.
    """

    def select_locale() -> str:
        return requested_language() or match_language(default_language()) or SOURCE_LANGUAGE

    _Babel().init_app(
        app,
        default_locale=SOURCE_LANGUAGE,
        default_timezone=time_zone,
        locale_selector=select_locale,
    )


def match_language(tag: str | None) -> str | None:
    """The language of ours that a tag (BCP 47) names: `de` for `de-AT`; None if we lack it."""
    primary = (tag or "").replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else None


def page_language() -> str:
    """The language of the page or mail at hand: the first of these that we speak.

    The person's switch, what is known of the contact, Accept-Language (RFC 9110 12.5.4),
    the catalogue's default; English if there is none.
    """
    locale = get_locale()
    return locale.language if locale else SOURCE_LANGUAGE


def requested_language() -> str | None:
    """The language that this request or its contact asks for, if we speak it.

    It reads no database, so a page that says that the database is away may use it.
    """
    if not has_request_context():
        return None
    return chosen_language() or match_language(g.get("contact_language")) or _accepted_language()


def chosen_language() -> str | None:
    """What the person chose by the switch of the page."""
    return match_language(request.args.get(LANGUAGE_PARAMETER))


def set_contact_language(tag: str | None) -> None:
    """Prefer the language known for the contact in the rest of this request."""
    g.contact_language = tag
    refresh()


@contextmanager
def in_language(tag: str | None) -> Iterator[str]:
    """Speak this language inside, as for a mail; English if it is none of ours.

    Needs an application context. Yields the language.
    """
    language = match_language(tag) or SOURCE_LANGUAGE
    with force_locale(language):
        yield language


def keep_language_parameter(_endpoint: str, values: dict[str, Any]) -> None:
    """For `Blueprint.url_defaults`: links and forms keep the language that was switched to."""
    if has_request_context() and (language := chosen_language()):
        values.setdefault(LANGUAGE_PARAMETER, language)


@cache
def load_translations(language: str) -> NullTranslations:
    """The texts in one of LANGUAGES."""
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    compiled = BytesIO()
    with (TRANSLATIONS_DIRECTORY / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, language))
    compiled.seek(0)
    return Translations(compiled)


def _accepted_language() -> str | None:
    """The best of Accept-Language that we speak: `de-CH, fr;q=0.8` is German."""
    ours = (match_language(tag) for tag, quality in request.accept_languages if quality > 0)
    return next(filter(None, ours), None)


class _Domain(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    def get_translations(self) -> NullTranslations:
        return load_translations(page_language())


class _Babel(Babel):  # type: ignore[misc]
    @cached_property
    def domain_instance(self) -> _Domain:
        return _Domain()
