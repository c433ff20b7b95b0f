"""The colours and corners of a brand: what is set, and what follows from it on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from preference_center.catalogue.rules.colour_contrast import (
    MIN_NON_TEXT_CONTRAST,
    MIN_TEXT_CONTRAST,
    contrast_ratio,
    is_hex_colour,
    mix_colours,
)
from preference_center.catalogue.rules.reader import TomlTable
from preference_center.core.errors import quote_toml

PAGE_BACKGROUND = {"light": "#ffffff", "dark": "#1a1f26"}
"""The sheet that controls lie on; `static/pages.css` has the same, which a test holds."""

PAGE_TEXT = {"light": "#1b1f24", "dark": "#eceff3"}
"""The colour of text on the sheet, as in `static/pages.css`."""

MAX_RADIUS = 24
"""In CSS pixels: more looks no rounder, since a button is 44 high."""

_UNTINTED_GROUND = {"light": "#ffffff", "dark": "#0d1014"}
_GROUND_SHARE = 0.06
_TINT_SHARE = {"light": 0.1, "dark": 0.14}


@dataclass(frozen=True, slots=True)
class BrandColours:
    """The colours of a brand on light or on dark pages, each as `#rrggbb`.

    `accent` fills the main button and marks, with `on_accent` as the text on it; `header` is
    the band at the top of each page, with `on_header` as the text on it.
    """

    accent: str
    on_accent: str
    header: str
    on_header: str

    def __str__(self) -> str:
        return f"{self.on_accent} on {self.accent}, header {self.on_header} on {self.header}"


DEFAULT_COLOURS: Mapping[str, BrandColours] = {
    "light": BrandColours("#0b57a4", "#ffffff", PAGE_BACKGROUND["light"], PAGE_TEXT["light"]),
    "dark": BrandColours("#8fc1ff", "#10202f", PAGE_BACKGROUND["dark"], PAGE_TEXT["dark"]),
}
"""Of a brand without colours; `static/pages.css` has the same."""

DEFAULT_RADIUS = 8
"""Of a brand without `radius`, in CSS pixels; as there."""


def page_colours(colours: BrandColours, scheme: str) -> Mapping[str, str]:
    """Every colour of a page that follows from the brand, by its name in `static/pages.css`.

    The ground and the tint are the page's own with a little of the accent. Links and outlined
    buttons have the accent where it can be read on each of them, else the colour of text.
    """
    ground = mix_colours(colours.accent, _UNTINTED_GROUND[scheme], _GROUND_SHARE)
    tint = mix_colours(colours.accent, PAGE_BACKGROUND[scheme], _TINT_SHARE[scheme])
    surfaces = (PAGE_BACKGROUND[scheme], ground, tint)
    is_readable = all(
        contrast_ratio(colours.accent, each) >= MIN_TEXT_CONTRAST for each in surfaces
    )
    return {
        "accent": colours.accent,
        "on-accent": colours.on_accent,
        "header": colours.header,
        "on-header": colours.on_header,
        "link": colours.accent if is_readable else PAGE_TEXT[scheme],
        "ground": ground,
        "tint": tint,
    }


def parse_colours(brand: TomlTable) -> dict[str, BrandColours]:
    """The colours of a brand for light and dark pages; empty without `colours`.

    Faults colours that are no colours, and those that people could not tell apart.
    """
    table = brand.subtable("colours", tuple(PAGE_BACKGROUND))
    if table is None:
        return {}
    found: dict[str, BrandColours] = {}
    for scheme in PAGE_BACKGROUND:
        colours = _parse_scheme(table, scheme)
        if colours:
            found[scheme] = colours
            _check_contrast(table, scheme, colours)
    return found


def _parse_scheme(table: TomlTable, scheme: str) -> BrandColours | None:
    one = table.subtable(scheme, ("accent", "on_accent", "header", "on_header"), required=True)
    if one is None:
        return None
    accent = _parse_colour(one, "accent", "#1f5c99", required=True)
    on_accent = _parse_colour(one, "on_accent", "#ffffff", required=True)
    has_header = "header" in one or "on_header" in one
    header = _parse_colour(one, "header", "#1f5c99", required=has_header)
    on_header = _parse_colour(one, "on_header", "#ffffff", required=has_header)
    if not (accent and on_accent) or (has_header and not (header and on_header)):
        return None
    return BrandColours(
        accent, on_accent, header or PAGE_BACKGROUND[scheme], on_header or PAGE_TEXT[scheme]
    )


def _parse_colour(table: TomlTable, key: str, example: str, *, required: bool) -> str | None:
    found = table.get_text(key, example, required=required)
    if found is None or is_hex_colour(found):
        return found and found.lower()
    table.add_error(
        f"{key} {quote_toml(found)} is no colour", f"write {key} = {quote_toml(example)}", key
    )
    return None


def _check_contrast(table: TomlTable, scheme: str, colours: BrandColours) -> None:
    """Fault a contrast below that of WCAG 2.2 AA."""
    for ground, text in (
        (colours.accent, colours.on_accent),
        (colours.header, colours.on_header),
    ):
        read = contrast_ratio(ground, text)
        if read < MIN_TEXT_CONTRAST:
            table.add_error(
                f"{scheme}: text {text} on {ground} has a contrast of "
                f"{_format_ratio(read)}, below {_format_ratio(MIN_TEXT_CONTRAST)} (WCAG 1.4.3)",
                "take colours that lie further apart",
                scheme,
            )
    background = PAGE_BACKGROUND[scheme]
    seen = contrast_ratio(colours.accent, background)
    if seen < MIN_NON_TEXT_CONTRAST:
        table.add_error(
            f"{scheme}: accent {colours.accent} on the page's {background} has a contrast of "
            f"{_format_ratio(seen)}, below {_format_ratio(MIN_NON_TEXT_CONTRAST)} (WCAG 1.4.11)",
            f"take a {'darker' if scheme == 'light' else 'lighter'} accent",
            scheme,
        )


def _format_ratio(value: float) -> str:
    """As WCAG writes it, cut rather than rounded: 4.499 is not 4.5."""
    return f"{math.floor(value * 100) / 100:g}:1"


def parse_radius(brand: TomlTable) -> int | None:
    """How round corners are, in CSS pixels; None if it is not set."""
    radius = brand.get_value("radius", int, "8")
    if radius is None or 0 <= radius <= MAX_RADIUS:
        return radius
    brand.add_error(
        f"radius is {radius}", f"write the pixels of a corner, 0 to {MAX_RADIUS}", "radius"
    )
    return None
