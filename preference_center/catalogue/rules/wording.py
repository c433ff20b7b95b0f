"""A brand's wording states how it addresses people, which texts it replaces, and its contacts.

The key of a text is the English text itself, as gettext has it. So what a replacement must
keep, its placeholders and tags, is checked against the key alone; whether a text of that key
exists depends on the version of the service, and is checked before a catalogue is applied,
never when the one in force is loaded (docs/decisions/0009).

People can write to a brand's own contacts and pages, or to those of the company.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from enum import StrEnum
from functools import reduce

from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress, did_you_mean, quote_toml


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """What follows from a language of our own texts."""

    native_name: str
    informal: str = ""
    """The informal "you", where there is a formal one, too."""


LANGUAGE_RULES: Mapping[str, LanguageRules] = {
    "it": LanguageRules("Italiano", "tu"),
    "en": LanguageRules("English"),
    "de": LanguageRules("Deutsch", "du"),
    "fr": LanguageRules("Français", "tu"),
    "es": LanguageRules("Español", "tú"),
}
"""The languages of our own texts, in the order of the language switch."""

PAGE_LANGUAGES = tuple(LANGUAGE_RULES)
INFORMAL_LANGUAGES = tuple(tag for tag, rules in LANGUAGE_RULES.items() if rules.informal)


MIN_TEXT_LIMIT = 80


MAX_TEXT_RATIO = 3
"""A text may have as many characters as the larger of MIN_TEXT_LIMIT, and this times its key."""


_VARIABLE = re.compile(r"%\(\w+\)[sd]")


_TAG = re.compile(r"</?\w+>")


_UNSAFE = re.compile(r'[<>"]|&(?! )')


class AddressForm(StrEnum):
    """How people are addressed, in languages that have two forms."""

    FORMAL = "formal"
    INFORMAL = "informal"


@dataclass(frozen=True, slots=True)
class Wording:
    """How pages and emails are worded, beyond their language."""

    fallback_language: str | None = None
    """The language for people whose browser names none of PAGE_LANGUAGES; None: English."""
    informal: frozenset[str] = frozenset()
    """The languages in which people are addressed informally."""
    texts: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By language: our English text, and the text instead of its translation."""

    def replaced_texts(self, language: str) -> frozenset[tuple[str, str]]:
        """The replaced texts of one language."""
        return self.texts.get(language, frozenset())

    def describe(self) -> dict[str, str]:
        """The settings by the name they have in the file."""
        named = {f"address.{language}": AddressForm.INFORMAL.value for language in self.informal}
        if self.fallback_language:
            named["fallback_language"] = self.fallback_language
        for language, texts in self.texts.items():
            named |= {
                f"texts.{language}.{quote_toml(key)}": quote_toml(text)
                for key, text in sorted(texts)
            }
        return named


def shared_wording(wordings: Collection[Wording]) -> Wording:
    """What these have in common: the wording of a page or an email of several brands."""
    return reduce(_intersect, wordings) if wordings else Wording()


def _intersect(one: Wording, other: Wording) -> Wording:
    same_fallback = one.fallback_language == other.fallback_language
    return Wording(
        fallback_language=one.fallback_language if same_fallback else None,
        informal=one.informal & other.informal,
        texts={
            language: texts & other.texts[language]
            for language, texts in one.texts.items()
            if language in other.texts
        },
    )


def parse_wording(brand: TomlTable, known_texts: Collection[str] | None) -> Wording:
    """The `fallback_language`, `address` and `texts` of a brand.

    `known_texts` are the keys that exist; None: do not check that they do.
    """
    return Wording(
        fallback_language=_parse_fallback(brand),
        informal=_parse_address(brand),
        texts=dict(_parse_texts(brand, known_texts)),
    )


def _parse_fallback(brand: TomlTable) -> str | None:
    found = brand.get_text("fallback_language", PAGE_LANGUAGES[0])
    if found is None or found in PAGE_LANGUAGES:
        return found
    brand.add_error(
        f"fallback_language {quote_toml(found)} is none of our pages' languages",
        f"choose one of {', '.join(PAGE_LANGUAGES)}",
        "fallback_language",
    )
    return None


def _parse_address(brand: TomlTable) -> frozenset[str]:
    """One form for all languages, or one for each."""
    if "address" in brand and isinstance(brand.get_raw("address"), str):
        form = brand.get_choice("address", AddressForm)
        return frozenset(INFORMAL_LANGUAGES if form is AddressForm.INFORMAL else ())
    table = brand.subtable("address", INFORMAL_LANGUAGES)
    return frozenset(
        language
        for language in INFORMAL_LANGUAGES
        if table and table.get_choice(language, AddressForm) is AddressForm.INFORMAL
    )


def _parse_texts(
    brand: TomlTable, known_texts: Collection[str] | None
) -> Iterator[tuple[str, frozenset[tuple[str, str]]]]:
    tables = brand.subtable("texts", PAGE_LANGUAGES)
    if tables is None:
        return
    for language in PAGE_LANGUAGES:
        keys = tables.subtable_keys(language)
        if table := tables.subtable(language, keys):
            found = {key: table.get_text(key, key) for key in keys}
            for key, text in found.items():
                _check_text(table, key, text or "", known_texts)
            yield language, frozenset((key, text) for key, text in found.items() if text)


def _check_text(table: TomlTable, key: str, text: str, known_texts: Collection[str] | None) -> None:
    if known_texts is not None and key not in known_texts:
        remedy = did_you_mean(key, known_texts) or "`flask catalogue texts` lists the keys"
        table.add_error(f"there is no text {quote_toml(key)}", remedy, key)
    elif text and (fault := text_fault(key, text)):
        table.add_error(f"the text for {quote_toml(key)} {fault[0]}", fault[1], key)


def text_fault(key: str, text: str) -> tuple[str, str] | None:
    """What keeps `text` from replacing the text `key`, and the remedy; None if nothing does.

    Pages insert it as HTML, also into attributes, so nothing that HTML reads may be added.
    """
    placeholders, tags = set(_VARIABLE.findall(key)), _TAG.findall(key)
    limit = max(MIN_TEXT_LIMIT, MAX_TEXT_RATIO * len(key))
    fault = None
    if set(_VARIABLE.findall(text)) != placeholders:
        wanted = ", ".join(sorted(placeholders)) or "none"
        fault = "has other placeholders than its key", f"use exactly these: {wanted}"
    elif "%" in _VARIABLE.sub("", text).replace("%%", "" if "%%" in key else "%"):
        fault = "has a % that begins no placeholder", "write it as a word"
    elif _TAG.findall(text) != tags:
        wanted = " ".join(tags) or "none"
        fault = "has other tags than its key", f"use exactly these, in this order: {wanted}"
    elif _UNSAFE.search(_TAG.sub("", text)):
        fault = 'has one of < > " or a & without a space', "write “ ” for quotes, & between spaces"
    elif len(text) > limit:
        fault = f"has {len(text)} characters", f"shorten it to {limit}"
    return fault


_CONTACT_FIELDS = ("email", "phone", "url")


_EMAIL_EXAMPLE = "Example Customer Care <care@example.com>"


_PHONE_EXAMPLE = "+39 02 1234 5678"


@dataclass(frozen=True, slots=True)
class CompanyContact:
    """A mailbox that people of the company read, and other ways to reach them.

    `email` may have a name before the address; `url` is a page per language.
    """

    email: str
    phone: str | None = None
    url: LocalizedText = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The address of `email`, without its name."""
        return parseaddr(self.email)[1]

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.email, self.phone, *dict.fromkeys(self.url.values()))))


@dataclass(frozen=True, slots=True)
class ContactDetails:
    """What a page or an email says of how to reach who wrote it; empty where nothing is known."""

    contact: CompanyContact | None = None
    privacy_contact: str | None = None
    privacy_notice: LocalizedText = field(default_factory=dict)
    """A URL per language."""
    closing_url: LocalizedText = field(default_factory=dict)
    """Where the account can be closed, per language; empty where our own page does it."""


def parse_contact(table: TomlTable, languages: Collection[str]) -> CompanyContact | None:
    """`contact` of a brand or of `[controller]`, if it has one."""
    below = table.subtable("contact", _CONTACT_FIELDS)
    if below is None:
        return None
    email = below.get_text("email", _EMAIL_EXAMPLE, required=True)
    if email is not None and _read_address(email) is None:
        _refuse_email(below, "email", _EMAIL_EXAMPLE)
    return CompanyContact(
        email=email or "",
        phone=_parse_phone(below),
        url=parse_urls(below, "url", languages),
    )


def parse_sender(brand: TomlTable) -> str | None:
    """The From address of the brand's marketing, with or without a name."""
    example = "Example <news@example.com>"
    sender = brand.get_text("sender", example)
    if sender is None or _read_address(sender):
        return sender
    remedy = f"write sender = {quote_toml(example)}"
    brand.add_error("sender is no address to send from", remedy, "sender")
    return None


def parse_email(table: TomlTable, key: str, *, required: bool = False) -> str | None:
    """A bare email address."""
    example = "privacy@example.com"
    text = table.get_text(key, example, required=required)
    address = text and _read_address(text)
    if text and not address:
        _refuse_email(table, key, example)
    return address or None


def parse_urls(table: TomlTable, key: str, languages: Collection[str]) -> LocalizedText:
    """A web address per language; one text counts for all."""
    urls = table.get_localized_text(key, languages, allow_plain=True)
    for url in dict.fromkeys(urls.values()):
        check_url(table, key, url)
    return urls


def check_url(table: TomlTable, key: str, url: str) -> None:
    """Fault what no browser could follow safely."""
    if not url.startswith("https://"):
        table.add_error(f"{key} {quote_toml(url)} is no web address", "begin it with https://", key)


def _read_address(text: str) -> str | None:
    try:
        return parse_address(text, Channel.EMAIL).exact
    except InvalidAddress:
        return None


def _refuse_email(table: TomlTable, key: str, example: str) -> None:
    table.add_error(f"{key} is no email address", f"write {key} = {quote_toml(example)}", key)


def _parse_phone(table: TomlTable) -> str | None:
    """A number as the company writes it, which must be one that can be dialled from anywhere."""
    phone = table.get_text("phone", _PHONE_EXAMPLE)
    if phone is None:
        return None
    try:
        parse_address(phone if phone.startswith("+") else "", Channel.PHONE)
    except InvalidAddress:
        remedy = f"write it with its country code, such as {quote_toml(_PHONE_EXAMPLE)}"
        table.add_error(f"phone {quote_toml(phone)} is no phone number", remedy, "phone")
    return phone
