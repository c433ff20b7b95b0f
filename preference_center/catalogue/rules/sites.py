"""The company's websites, and the cookies that each of them asks consent for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from preference_center.catalogue.rules.reader import HOST_NAME, LocalizedText, TomlTable
from preference_center.core.errors import quote_toml

CONSENT_COOKIE = "pc_consent"
"""The cookie that holds a browser's choices: essential on every site."""

DEFAULT_CONSENT_PATH = "/consent"
"""Where a site mounts the endpoint that passes choices on to this service."""

DEFAULT_CHOICES_PER_MINUTE = 30_000
_MIN_CHOICES, _MAX_CHOICES = 60, 10_000_000

SITE_FIELDS = ("origins", "brand", "path", "choices_per_minute", "categories")
_CATEGORY_FIELDS = ("title", "text", "cookies")
_COOKIE_FIELDS = ("purpose", "provider", "days")

_ORIGIN = re.compile(
    rf"https://{HOST_NAME}(?::[1-9]\d{{0,4}})?"
    r"|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9]\d{0,4})?"
)
_ORIGIN_EXAMPLE = '["https://www.example.com"]'
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
_COOKIE_NAME = re.compile(r"[!#$%&'+.^_`|~A-Za-z0-9-]+\*?")  # RFC 6265 4.1.1, `*` only at the end
_MAX_COOKIES = 24
"""Of a category; the configuration that a page loads stays small."""
_MAX_DAYS = 3_650
_VERSION_LENGTH = 10


class CookieCategory(StrEnum):
    """What people choose about: the cookies of a category are on or off together."""

    ESSENTIAL = "essential"
    """Needed for what the person asked for; always on (ePrivacy directive, art. 5(3))."""
    FUNCTIONAL = "functional"
    """Conveniences: the site works without."""
    STATISTICS = "statistics"
    """Counts of visits and of what is used."""
    ADVERTISING = "advertising"
    """Advertising, and what is shared for it."""

    @property
    def is_required(self) -> bool:
        """Whether nobody is asked."""
        return self is CookieCategory.ESSENTIAL


class CookiePurpose(StrEnum):
    """What a cookie is for. People read it in their language; a change of it asks them again."""

    SESSION = "session"
    SECURITY = "security"
    CONSENT = "consent"
    PREFERENCES = "preferences"
    CHAT = "chat"
    MEDIA = "media"
    STATISTICS = "statistics"
    EXPERIMENTS = "experiments"
    PERSONALISATION = "personalisation"
    ADVERTISING = "advertising"
    AD_MEASUREMENT = "ad_measurement"
    SOCIAL = "social"


@dataclass(frozen=True, slots=True)
class SiteCookie:
    """One cookie, or with `*` at the end of `name` all whose names begin so.

    `days` is how long a browser keeps it; 0 until it is closed. `provider` is who can read it;
    empty where it is the company itself.
    """

    name: str
    purpose: CookiePurpose
    provider: str = ""
    days: int = 0

    def __str__(self) -> str:
        by = f" by {self.provider}" if self.provider else ""
        return f"{self.name} ({self.purpose}{by}, {self.days} days)"


@dataclass(frozen=True, slots=True)
class SiteCategory:
    """What a site uses of one category; without texts of its own it has ours."""

    cookies: tuple[SiteCookie, ...] = ()
    title: LocalizedText = field(default_factory=dict)
    text: LocalizedText = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """One website. Its categories are in the order of `CookieCategory`; essential is always there.

    `path` is where each of its `origins` mounts the endpoint of the consent tool, and
    `choices_per_minute` how many choices it records at most.
    """

    key: str
    origins: tuple[str, ...]
    brand: str
    path: str = DEFAULT_CONSENT_PATH
    choices_per_minute: int = DEFAULT_CHOICES_PER_MINUTE
    categories: Mapping[CookieCategory, SiteCategory] = field(default_factory=dict)

    @property
    def optional(self) -> tuple[CookieCategory, ...]:
        """The categories that people choose about."""
        return tuple(category for category in self.categories if not category.is_required)

    @property
    def version(self) -> str:
        """What a person agrees to, as a short hash: who agreed to another one is asked again.

        It covers the optional categories with the name, purpose, provider and duration of each
        cookie. Texts, languages, the order in the file and essential cookies, which nobody agrees
        to, do not change it.
        """
        agreed = sorted(
            (category.value, cookie.name, cookie.purpose.value, cookie.provider, cookie.days)
            for category in self.optional
            for cookie in self.categories[category].cookies
        )
        named = (sorted(self.optional), agreed)
        return hashlib.sha256(repr(named).encode()).hexdigest()[:_VERSION_LENGTH]

    def describe_categories(self) -> dict[str, str]:
        """Each value of its categories, by its name in the file; and the version they make."""
        found = {"version": self.version}
        for category, declared in self.categories.items():
            name = f"categories.{category}"
            found[f"{name}.cookies"] = ", ".join(map(str, declared.cookies)) or "no cookies"
            for key, texts in (("title", declared.title), ("text", declared.text)):
                found |= {f"{name}.{key}.{tag}": f'"{text}"' for tag, text in texts.items()}
        return found


def parse_sites(file: TomlTable, languages: Collection[str]) -> Mapping[str, Site]:
    """`[sites.<key>]`: the websites that use the consent tool."""
    brands = file.subtable_keys("brands")
    sites: dict[str, Site] = {}
    for key, table in file.subtables("sites", SITE_FIELDS):
        if not _KEY.fullmatch(key):
            remedy = "use 1 to 32 of a-z 0-9 _ - and begin with a letter"
            table.add_error(f"{quote_toml(key)} is no good key", remedy)
        site = Site(
            key=key,
            origins=_parse_origins(table),
            brand=table.get_reference("brand", "brands", brands, required=True) or "",
            path=_parse_path(table),
            choices_per_minute=table.get_int("choices_per_minute", _MIN_CHOICES, _MAX_CHOICES, 600)
            or DEFAULT_CHOICES_PER_MINUTE,
            categories=_parse_categories(table, languages),
        )
        _check_origins(table, site, sites.values())
        sites[key] = site
    return sites


def _parse_origins(site: TomlTable) -> tuple[str, ...]:
    """Its origins (RFC 6454): HTTPS, or plain HTTP on a developer's own machine."""
    found = site.get_value("origins", list, _ORIGIN_EXAMPLE, required=True)
    if found is None:
        return ()
    if not found:
        site.add_error("origins is empty", f"write origins = {_ORIGIN_EXAMPLE}", "origins")
    for origin in found:
        if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
            shown = quote_toml(origin) if isinstance(origin, str) else "a value"
            site.add_error(
                f"origins has {shown}, which is no origin",
                "write it in small letters, with https:// (http:// only for localhost), without"
                f" path or wildcard: {_ORIGIN_EXAMPLE}",
                "origins",
            )
    return tuple(dict.fromkeys(str(origin) for origin in found))


def _check_origins(table: TomlTable, site: Site, others: Collection[Site]) -> None:
    """Fault an origin of two sites: the cookie is one for the whole origin."""
    for other in others:
        for origin in site.origins:
            if origin in other.origins:
                what = f"origins has {quote_toml(origin)}, which is of site {quote_toml(other.key)}"
                table.add_error(what, "name each origin in one site only", "origins")


def _parse_path(site: TomlTable) -> str:
    path = site.get_text("path", DEFAULT_CONSENT_PATH)
    if path is None or _PATH.fullmatch(path):
        return path or DEFAULT_CONSENT_PATH
    remedy = (
        f"write it as in path = {quote_toml(DEFAULT_CONSENT_PATH)}, of letters, digits, - and _"
    )
    site.add_error(f"path {quote_toml(path)} is no path on the site", remedy, "path")
    return DEFAULT_CONSENT_PATH


def _parse_categories(
    site: TomlTable, languages: Collection[str]
) -> Mapping[CookieCategory, SiteCategory]:
    own = SiteCookie(CONSENT_COOKIE, CookiePurpose.CONSENT, days=182)
    found = {CookieCategory.ESSENTIAL: SiteCategory((own,))}
    below = site.subtable("categories", tuple(CookieCategory))
    for category in CookieCategory:
        table = below.subtable(category, _CATEGORY_FIELDS) if below else None
        if table is None:
            continue
        cookies = tuple(_parse_cookies(table))
        if category.is_required:
            cookies = (own, *(each for each in cookies if each.name != CONSENT_COOKIE))
        found[category] = SiteCategory(
            cookies=cookies,
            title=table.get_localized_text("title", languages),
            text=table.get_localized_text("text", languages),
        )
    return found


def _parse_cookies(category: TomlTable) -> Iterator[SiteCookie]:
    """The cookies of a category. An optional one may have none, as for content of others."""
    names = category.subtable_keys("cookies")
    if len(names) > _MAX_COOKIES:
        what = f"cookies has {len(names)}"
        category.add_error(what, f"name at most {_MAX_COOKIES}; join them by prefix*", "cookies")
    for name, table in category.subtables("cookies", _COOKIE_FIELDS):
        if not _COOKIE_NAME.fullmatch(name):
            remedy = 'write it as browsers show it, or its beginning with one * at the end: "_ga*"'
            table.add_error(f"{quote_toml(name)} is no name of a cookie", remedy)
        purpose = table.get_choice("purpose", CookiePurpose, required=True)
        yield SiteCookie(
            name=name,
            purpose=purpose or CookiePurpose.PREFERENCES,
            provider=table.get_text("provider", "Example Tools Inc.") or "",
            days=table.get_int("days", 0, _MAX_DAYS, 30) or 0,
        )
