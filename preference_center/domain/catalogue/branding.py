"""How a brand looks: its logo, and colours that people can read."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

from preference_center.domain.catalogue.reader import TomlTable, quote_toml
from preference_center.domain.colour_contrast import (
    MIN_NON_TEXT_CONTRAST,
    MIN_TEXT_CONTRAST,
    contrast_ratio,
    is_hex_colour,
)

PAGE_BACKGROUND = {"light": "#ffffff", "dark": "#1a1f26"}
"""The sheet that controls lie on; `static/pages.css` has the same, which a test holds."""

MAX_LOGO_BYTES = 32 * 1024
"""In bytes."""

_DATA_URI = re.compile(
    r"data:(image/svg\+xml|image/png)(?:;charset=utf-8|;utf8)?(;base64)?,(.+)", re.IGNORECASE
)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SVG_ROOT = "{http://www.w3.org/2000/svg}svg"
_LOGO_EXAMPLE = "data:image/png;base64,..."


@dataclass(frozen=True, slots=True)
class BrandColours:
    """The accent of buttons and marks, and the text on it, as `#rrggbb`."""

    accent: str
    on_accent: str

    def __str__(self) -> str:
        return f"{self.on_accent} on {self.accent}"


@dataclass(frozen=True, slots=True)
class BrandLogo:
    """A small picture; its type is `image/svg+xml` or `image/png`."""

    media_type: str
    content: bytes

    def __str__(self) -> str:
        digest = hashlib.sha256(self.content).hexdigest()[:12]
        return f"{self.media_type} of {len(self.content)} bytes, sha256 {digest}"


def parse_colours(brand: TomlTable) -> dict[str, BrandColours]:
    """The colours of a brand for light and dark pages; empty without `colours`.

    Faults colours that are no colours, and those that people could not tell apart.
    """
    table = brand.subtable("colours", tuple(PAGE_BACKGROUND))
    if table is None:
        return {}
    found: dict[str, BrandColours] = {}
    for scheme, paper in PAGE_BACKGROUND.items():
        colours = _parse_scheme(table, scheme)
        if colours:
            found[scheme] = colours
            _check_contrast(table, scheme, colours, paper)
    return found


def _parse_scheme(table: TomlTable, scheme: str) -> BrandColours | None:
    one = table.subtable(scheme, ("accent", "on_accent"), required=True)
    if one is None:
        return None
    values = [_parse_colour(one, "accent", "#1f5c99"), _parse_colour(one, "on_accent", "#ffffff")]
    accent, on_accent = values
    return BrandColours(accent, on_accent) if accent and on_accent else None


def _parse_colour(table: TomlTable, key: str, example: str) -> str | None:
    found = table.get_text(key, example, required=True)
    if found is None or is_hex_colour(found):
        return found and found.lower()
    table.add_error(
        f"{key} {quote_toml(found)} is no colour", f"write {key} = {quote_toml(example)}", key
    )
    return None


def _check_contrast(table: TomlTable, scheme: str, colours: BrandColours, background: str) -> None:
    """Fault a contrast below that of WCAG 2.2 AA."""
    read = contrast_ratio(colours.accent, colours.on_accent)
    if read < MIN_TEXT_CONTRAST:
        table.add_error(
            f"{scheme}: text {colours.on_accent} on {colours.accent} has a contrast of "
            f"{_format_ratio(read)}, below {_format_ratio(MIN_TEXT_CONTRAST)} (WCAG 1.4.3)",
            "take colours that lie further apart",
            scheme,
        )
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


def parse_logo(brand: TomlTable) -> BrandLogo | None:
    """The logo of a brand, if it has one."""
    text = brand.get_text("logo", _LOGO_EXAMPLE)
    if text is None:
        return None
    logo = _decode_data_uri(text)
    if logo is None:
        what, remedy = (
            "logo is no PNG or SVG as a data: URI",
            f"write logo = {quote_toml(_LOGO_EXAMPLE)}",
        )
    elif len(logo.content) > MAX_LOGO_BYTES:
        what = f"logo has {len(logo.content)} bytes, more than {MAX_LOGO_BYTES}"
        remedy = "make it smaller: it is shown 40 pixels high"
    elif not _matches_media_type(logo):
        what, remedy = f"logo is no {logo.media_type}", "export it again, without DOCTYPE"
    else:
        return logo
    brand.add_error(what, remedy, "logo")
    return None


def _decode_data_uri(text: str) -> BrandLogo | None:
    """The content of a data URI (RFC 2397); it need not be escaped, since no URL reader sees it."""
    match = _DATA_URI.fullmatch(text)
    if match is None:
        return None
    kind, encoded, data = match.groups()
    try:
        content = base64.b64decode(data, validate=True) if encoded else unquote_to_bytes(data)
    except ValueError:
        return None
    return BrandLogo(kind.lower(), content)


def _matches_media_type(logo: BrandLogo) -> bool:
    if logo.media_type == "image/png":
        return logo.content.startswith(_PNG_SIGNATURE)
    if b"<!DOCTYPE" in logo.content or b"<!ENTITY" in logo.content:
        return False
    try:
        return ET.fromstring(logo.content).tag == _SVG_ROOT  # noqa: S314 - no entities, see above
    except ET.ParseError:
        return False
