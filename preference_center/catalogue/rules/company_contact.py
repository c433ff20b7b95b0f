"""Whom people can write to: a brand's own contacts and pages, or those of the company."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from email.utils import parseaddr

from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress, quote_toml

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
