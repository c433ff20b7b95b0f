"""What people read of cookies, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from babel.units import format_unit
from flask_babel import get_locale, lazy_gettext
from flask_babel import gettext as _

from preference_center.domain.catalogue import CookieCategory, CookiePurpose, Site
from preference_center.pages.rendering import CatalogueText

_TITLES: Mapping[CookieCategory, Any] = {
    CookieCategory.ESSENTIAL: lazy_gettext("Essential"),
    CookieCategory.FUNCTIONAL: lazy_gettext("Functional"),
    CookieCategory.ADVERTISING: lazy_gettext("Advertising"),
}
_TEXTS: Mapping[CookieCategory, Any] = {
    CookieCategory.ESSENTIAL: lazy_gettext(
        "The site doesn’t work without them: they keep a basket, a log-in and this choice."
    ),
    CookieCategory.FUNCTIONAL: lazy_gettext(
        "They remember settings, count visits and load content such as videos and maps."
    ),
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


def category_title(site: Site, category: CookieCategory, text: CatalogueText) -> str:
    """The site's own title of a category, or ours."""
    return text(site.categories[category].title) or str(_TITLES[category])


def category_text(site: Site, category: CookieCategory, text: CatalogueText) -> str:
    """What the category is for: in the site's own words, or in ours."""
    return text(site.categories[category].text) or str(_TEXTS[category])


def purpose_text(purpose: CookiePurpose) -> str:
    """What a cookie is for."""
    return str(_PURPOSES[purpose])


def duration_text(days: int) -> str:
    """How long a cookie stays: in years or months where that is exact or nearly, else in days."""
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
