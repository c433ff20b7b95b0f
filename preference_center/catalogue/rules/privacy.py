"""Who is responsible for the data, which rights people have, and how long what is kept."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.catalogue.rules.wording import (
    CompanyContact,
    check_url,
    parse_contact,
    parse_email,
    parse_urls,
)
from preference_center.core.errors import did_you_mean, quote_toml


class Law(StrEnum):
    """The laws whose deadlines are known."""

    GDPR = "gdpr"
    UK_GDPR = "uk_gdpr"
    CCPA = "ccpa"
    LGPD = "lgpd"


_CONTROLLER_FIELDS = (
    "name", "address", "privacy_contact", "officer", "privacy_notice", "accessibility", "timezone",
    "authorities", "contact",
)  # fmt: skip
_RIGHTS_FIELDS = ("laws", "target_days", "closing")
_RETENTION_FIELDS = ("days", "ground")
_DESTINATION_FIELDS = ("title", "company", "country", "role")
_COUNTRY = re.compile(r"[A-Z]{2}")  # ISO 3166-1 alpha-2
_MAX_RETENTION_DAYS = 36_525
_MAX_TARGET_DAYS = 30
_MAX_AGE = 21


class AccountClosing(StrEnum):
    """Who closes an account when the person asks for it."""

    HERE = "here"
    """This service does, at once."""
    ASK = "ask"
    """The company does: a webhook asks it, and it answers by the API."""


class RecipientRole(StrEnum):
    """What the company behind a destination is in law (GDPR art. 4)."""

    PROCESSOR = "processor"
    CONTROLLER = "controller"
    JOINT_CONTROLLER = "joint_controller"


class RetainedData(StrEnum):
    """Kinds of data whose retention a catalogue can limit, and from when it counts."""

    EVIDENCE = "evidence"
    """Evidence of events that a newer event of their scope has replaced; from that event."""
    DELIVERIES = "deliveries"
    """Tools' acknowledgements; from the delivery."""
    SUPPRESSED_ADDRESSES = "suppressed_addresses"
    """Readable addresses that get no marketing and are no contact's; from their last event."""
    CLOSED_ACCOUNTS = "closed_accounts"
    """Contacts whose account is closed; from the closing. They are erased (`account`)."""
    AUDIT = "audit"
    """What staff did; from the entry."""
    BROWSER_CONSENTS = "browser_consents"
    """Choices of browsers about cookies; from when a newer one or half a year has ended them."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A supervisory authority, to whom people can complain."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Controller:
    """The company that is responsible for the data (GDPR art. 13(1)).

    `privacy_contact` and `officer` are email addresses. `privacy_notice` and `accessibility`,
    the accessibility statement, are a URL per language.
    """

    name: LocalizedText
    address: str
    privacy_contact: str
    officer: str | None = None
    privacy_notice: LocalizedText = field(default_factory=dict)
    accessibility: LocalizedText = field(default_factory=dict)
    authorities: Mapping[Law, Authority] = field(default_factory=dict)
    timezone: str = "UTC"
    """IANA name: days and months of deadlines are its."""
    contact: CompanyContact | None = None
    """Of brands that have none of their own."""


@dataclass(frozen=True, slots=True)
class RightsPolicy:
    """Which laws' deadlines count, and how requests are handled."""

    laws: tuple[Law, ...] = (Law.GDPR,)
    target: timedelta = timedelta(days=7)
    closing: AccountClosing = AccountClosing.HERE
    minors_under: int = 18
    """Years. Whom the company does not accept without a parent."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long one kind of data is kept, and why that long."""

    duration: timedelta
    ground: LocalizedText


DEFAULT_RETENTION: Mapping[RetainedData, RetentionRule] = {
    RetainedData.BROWSER_CONSENTS: RetentionRule(
        timedelta(days=396),
        {"en": "13 months: to prove the choices of the last year, and a month to ask"},
    )
}
"""Of kinds that do not stay for ever without a rule of the catalogue."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient of the data, as people are informed of it (GDPR art. 15(1)(c))."""

    title: LocalizedText
    company: str
    country: str
    """ISO 3166-1 alpha-2."""
    role: RecipientRole = RecipientRole.PROCESSOR


def parse_controller(file: TomlTable, languages: Collection[str]) -> Controller | None:
    """`[controller]`, or None without it: then the rights pages only say whom to write to."""
    table = file.subtable("controller", _CONTROLLER_FIELDS)
    if table is None:
        return None
    return Controller(
        name=table.get_localized_text("name", languages, required=True, allow_plain=True),
        address=table.get_text("address", "Via Roma 1, 20121 Milano", required=True) or "",
        privacy_contact=parse_email(table, "privacy_contact", required=True) or "",
        officer=parse_email(table, "officer"),
        privacy_notice=parse_urls(table, "privacy_notice", languages),
        accessibility=parse_urls(table, "accessibility", languages),
        authorities=_parse_authorities(table),
        timezone=_parse_timezone(table),
        contact=parse_contact(table, languages),
    )


def parse_rights(file: TomlTable) -> RightsPolicy:
    """`[rights]` and `[minors]`; the defaults where the file has no value."""
    default = RightsPolicy()
    minors = file.subtable("minors", ("age",))
    age = minors.get_int("age", 1, _MAX_AGE, default.minors_under) if minors else None
    table = file.subtable("rights", _RIGHTS_FIELDS)
    if table is None:
        return RightsPolicy(minors_under=age or default.minors_under)
    days = table.get_int("target_days", 1, _MAX_TARGET_DAYS, default.target.days)
    return RightsPolicy(
        laws=_parse_laws(table) or default.laws,
        target=default.target if days is None else timedelta(days=days),
        closing=table.get_choice("closing", AccountClosing) or default.closing,
        minors_under=age or default.minors_under,
    )


def parse_retention(
    file: TomlTable, languages: Collection[str]
) -> Mapping[RetainedData, RetentionRule]:
    """`[retention.<kind>]`; a kind without a rule is kept as long as the service runs."""
    kinds = tuple(kind.value for kind in RetainedData)
    below = file.subtable("retention", kinds)
    rules: dict[RetainedData, RetentionRule] = {}
    for kind in RetainedData:
        table = below.subtable(kind, _RETENTION_FIELDS) if below else None
        if table is None:
            continue
        days = table.get_value("days", int, "730", required=True)
        if days is not None:
            days = table.get_int("days", 1, _MAX_RETENTION_DAYS, 730)
        ground = table.get_localized_text("ground", languages, required=True, allow_plain=True)
        if days is not None and ground:
            rules[kind] = RetentionRule(timedelta(days=days), ground)
    return rules


def parse_recipients(file: TomlTable, languages: Collection[str]) -> Mapping[str, Recipient]:
    """`[destinations.<name>]`: the destinations as people are informed of them."""
    return {
        name: Recipient(
            title=table.get_localized_text("title", languages, required=True, allow_plain=True),
            company=table.get_text("company", "Example Tools Inc.", required=True) or "",
            country=_parse_country(table),
            role=table.get_choice("role", RecipientRole) or RecipientRole.PROCESSOR,
        )
        for name, table in file.subtables("destinations", _DESTINATION_FIELDS)
    }


def _parse_authorities(table: TomlTable) -> Mapping[Law, Authority]:
    laws = tuple(law.value for law in Law)
    below = table.subtable("authorities", laws)
    found: dict[Law, Authority] = {}
    for law in Law:
        authority = below.subtable(law, ("name", "url")) if below else None
        if authority is None:
            continue
        name = authority.get_text("name", "Garante per la protezione dei dati", required=True)
        url = authority.get_text("url", "https://www.garanteprivacy.it", required=True)
        if name and url:
            check_url(authority, "url", url)
            found[law] = Authority(name, url)
    return found


def _parse_timezone(table: TomlTable) -> str:
    name = table.get_text("timezone", "Europe/Rome")
    if name is None or name in zoneinfo.available_timezones():
        return name or "UTC"
    near = did_you_mean(name, zoneinfo.available_timezones())
    table.add_error(
        f"timezone {quote_toml(name)} is not known", near or 'write "Europe/Rome"', "timezone"
    )
    return "UTC"


def _parse_laws(table: TomlTable) -> tuple[Law, ...]:
    example = '["gdpr", "ccpa"]'
    found = table.get_value("laws", list, example)
    if found is None:
        return ()
    words = [law.value for law in Law]
    for word in found:
        if word not in words:
            near = did_you_mean(word, words) if isinstance(word, str) else None
            shown = quote_toml(word) if isinstance(word, str) else "a value"
            remedy = near or f"choose among {', '.join(words)}"
            table.add_error(f"laws has {shown}, which is no known law", remedy, "laws")
    if not found:
        table.add_error("laws is empty", f"write laws = {example}", "laws")
    return tuple(dict.fromkeys(Law(word) for word in found if word in words))


def _parse_country(table: TomlTable) -> str:
    country = table.get_text("country", "US", required=True)
    if country is None or _COUNTRY.fullmatch(country):
        return country or ""
    remedy = 'write its two letters of ISO 3166, such as "US" or "IT"'
    table.add_error(f"country {quote_toml(country)} is no country code", remedy, "country")
    return ""
