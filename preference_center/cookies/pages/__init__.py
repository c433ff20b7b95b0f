"""The pages and texts of the consent tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from babel.units import format_unit
from flask_babel import get_locale, lazy_gettext
from flask_babel import gettext as _

from preference_center.catalogue import Brand, CookieCategory, CookiePurpose, Site, SiteCookie
from preference_center.infra.context import services
from preference_center.web.pages.rendering import CatalogueText, catalogue_or_empty

_TITLES: Mapping[CookieCategory, Any] = {
    CookieCategory.ESSENTIAL: lazy_gettext("Essential"),
    CookieCategory.FUNCTIONAL: lazy_gettext("Functional"),
    CookieCategory.STATISTICS: lazy_gettext("Statistics"),
    CookieCategory.ADVERTISING: lazy_gettext("Advertising"),
}
_TEXTS: Mapping[CookieCategory, Any] = {
    CookieCategory.ESSENTIAL: lazy_gettext(
        "The site doesn’t work without them: they keep a basket, a log-in and this choice."
    ),
    CookieCategory.FUNCTIONAL: lazy_gettext(
        "They remember settings and load content such as videos and maps."
    ),
    CookieCategory.STATISTICS: lazy_gettext("They count visits and what is used."),
    CookieCategory.ADVERTISING: lazy_gettext(
        "They show ads by interests, here and on other sites, and measure whether ads work."
        " Data is shared with advertising partners for this."
    ),
}
_PURPOSES: Mapping[CookiePurpose, Any] = {
    CookiePurpose.SESSION: lazy_gettext("Keeps a log-in or a basket"),
    CookiePurpose.SECURITY: lazy_gettext("Protects the site from misuse"),
    CookiePurpose.CONSENT: lazy_gettext("Remembers this choice"),
    CookiePurpose.PREFERENCES: lazy_gettext("Remembers settings"),
    CookiePurpose.CHAT: lazy_gettext("Keeps a chat with customer care open"),
    CookiePurpose.MEDIA: lazy_gettext("Plays videos, shows maps and other content"),
    CookiePurpose.STATISTICS: lazy_gettext("Counts visits and what is used"),
    CookiePurpose.EXPERIMENTS: lazy_gettext("Compares versions of a page"),
    CookiePurpose.PERSONALISATION: lazy_gettext("Selects content by earlier visits"),
    CookiePurpose.ADVERTISING: lazy_gettext("Shows ads by interests"),
    CookiePurpose.AD_MEASUREMENT: lazy_gettext("Measures whether ads work"),
    CookiePurpose.SOCIAL: lazy_gettext("Connects with social networks"),
}
_DAYS_OF_YEAR, _DAYS_OF_MONTH = 365, 30


def describe_category(site: Site, category: CookieCategory, text: CatalogueText) -> dict[str, Any]:
    """A category with its cookies, in the site's own words or in ours; as JSON has it."""
    declared = site.categories[category]
    company = text(catalogue_or_empty().brands[site.brand].name)
    return {
        "key": category.value,
        "title": text(declared.title) or str(_TITLES[category]),
        "text": text(declared.text) or str(_TEXTS[category]),
        "required": category.is_required,
        "cookies": [
            {
                "name": cookie.name,
                "purpose": str(_PURPOSES[cookie.purpose]),
                "duration": _duration_text(cookie.days),
                "provider": cookie.provider or company,
            }
            for cookie in declared.cookies
        ],
    }


def describe_question(site: Site, text: CatalogueText) -> str:
    """What the first layer of the banner asks for: purposes and partners of what is optional.

    They stand before the buttons, as the Garante (guidelines of 10 June 2021, 7.1) and the CNIL
    (recommendation of 17 September 2020, 2.1) ask.
    """
    described: list[str] = []
    partners: dict[str, None] = {}
    for category in site.optional:
        declared = site.categories[category]
        partners |= dict.fromkeys(each.provider for each in declared.cookies if each.provider)
        if declared.cookies:
            title = text(declared.title) or str(_TITLES[category])
            purposes = _describe_purposes(declared.cookies)
            described.append(_("%(category)s: %(purposes)s.", category=title, purposes=purposes))
    if partners:
        described.append(_("Partners: %(names)s.", names=", ".join(partners).rstrip(".")))
    needed = _(
        "Some cookies are needed for this site to work. Others are used only with your consent."
    )
    change = _("You can change this choice at any time, at the end of every page.")
    return " ".join([needed, *described, change])


def _describe_purposes(cookies: Sequence[SiteCookie]) -> str:
    """Each purpose once, as part of a sentence."""
    purposes = dict.fromkeys(str(_PURPOSES[cookie.purpose]) for cookie in cookies)
    return ", ".join(purpose[:1].lower() + purpose[1:] for purpose in purposes)


def notice_url(brand: Brand, text: CatalogueText) -> str:
    """Where the brand's privacy notice is; our page of rights where it names none."""
    found = text(catalogue_or_empty().contact_details(brand).privacy_notice)
    return found or f"{services().links.base_url(brand.host)}/rights"


def _duration_text(days: int) -> str:
    """In years or months where that is exact or nearly, else in days."""
    if not days:
        return str(_("Until the browser is closed"))
    years, rest = divmod(days, _DAYS_OF_YEAR)
    if not rest:
        return _in_unit(years, "duration-year")
    months, rest = divmod(days, _DAYS_OF_MONTH)
    if months and rest <= months // 2:
        return _in_unit(months, "duration-month")
    return _in_unit(days, "duration-day")


def gpc_text() -> str:
    """What people must see where the signal was followed (11 CCR 7025(c)(6))."""
    return str(
        _(
            "Opt-out honoured: this browser sends the Global Privacy Control signal, so"
            " advertising stays off."
        )
    )


def _in_unit(number: int, unit: str) -> str:
    return format_unit(number, unit, length="long", locale=get_locale() or "en_GB")
