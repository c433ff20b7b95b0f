"""How a brand looks: its logo, and colours that people can read."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

from preference_center.domain.catalogue.reader import Table, quoted
from preference_center.domain.colour_contrast import SHAPE, TEXT, contrast, is_colour

PAPER = {"light": "#ffffff", "dark": "#1a1f26"}
"""The sheet that controls lie on; `static/recipients.css` has the same, which a test holds."""

LARGEST_LOGO = 32 * 1024
"""Octets."""

_DATA = re.compile(
    r"data:(image/svg\+xml|image/png)(?:;charset=utf-8|;utf8)?(;base64)?,(.+)", re.IGNORECASE
)
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = "{http://www.w3.org/2000/svg}svg"
_EXAMPLE = "data:image/png;base64,..."


@dataclass(frozen=True, slots=True)
class Colours:
    """The accent of buttons and marks, and the text on it, as `#rrggbb`."""

    accent: str
    on_accent: str

    def __str__(self) -> str:
        return f"{self.on_accent} on {self.accent}"


@dataclass(frozen=True, slots=True)
class Logo:
    """A small picture; its type is `image/svg+xml` or `image/png`."""

    media_type: str
    content: bytes

    def __str__(self) -> str:
        digest = hashlib.sha256(self.content).hexdigest()[:12]
        return f"{self.media_type} of {len(self.content)} octets, sha256 {digest}"


def read_colours(brand: Table) -> dict[str, Colours]:
    """The colours of a brand for light and dark pages; empty without `colours`.

    Faults colours that are no colours, and those that people could not tell apart.
    """
    table = brand.below("colours", tuple(PAPER))
    if table is None:
        return {}
    found: dict[str, Colours] = {}
    for scheme, paper in PAPER.items():
        colours = _colours(table, scheme)
        if colours:
            found[scheme] = colours
            _check(table, scheme, colours, paper)
    return found


def _colours(table: Table, scheme: str) -> Colours | None:
    one = table.below(scheme, ("accent", "on_accent"), required=True)
    if one is None:
        return None
    values = [_colour(one, "accent", "#1f5c99"), _colour(one, "on_accent", "#ffffff")]
    accent, on_accent = values
    return Colours(accent, on_accent) if accent and on_accent else None


def _colour(table: Table, key: str, example: str) -> str | None:
    found = table.text(key, example, required=True)
    if found is None or is_colour(found):
        return found and found.lower()
    table.fault(f"{key} {quoted(found)} is no colour", f"write {key} = {quoted(example)}", key)
    return None


def _check(table: Table, scheme: str, colours: Colours, paper: str) -> None:
    """Fault a contrast below that of WCAG 2.2 AA."""
    read = contrast(colours.accent, colours.on_accent)
    if read < TEXT:
        table.fault(
            f"{scheme}: text {colours.on_accent} on {colours.accent} has a contrast of "
            f"{_ratio(read)}, below {_ratio(TEXT)} (WCAG 1.4.3)",
            "take colours that lie further apart",
            scheme,
        )
    seen = contrast(colours.accent, paper)
    if seen < SHAPE:
        table.fault(
            f"{scheme}: accent {colours.accent} on the page's {paper} has a contrast of "
            f"{_ratio(seen)}, below {_ratio(SHAPE)} (WCAG 1.4.11)",
            f"take a {'darker' if scheme == 'light' else 'lighter'} accent",
            scheme,
        )


def _ratio(value: float) -> str:
    """As WCAG writes it, cut rather than rounded: 4.499 is not 4.5."""
    return f"{math.floor(value * 100) / 100:g}:1"


def read_logo(brand: Table) -> Logo | None:
    """The logo of a brand, if it has one."""
    text = brand.text("logo", _EXAMPLE)
    if text is None:
        return None
    logo = _decoded(text)
    if logo is None:
        what, remedy = "logo is no PNG or SVG as a data: URI", f"write logo = {quoted(_EXAMPLE)}"
    elif len(logo.content) > LARGEST_LOGO:
        what = f"logo has {len(logo.content)} octets, more than {LARGEST_LOGO}"
        remedy = "make it smaller: it is shown 40 pixels high"
    elif not _is_what_it_says(logo):
        what, remedy = f"logo is no {logo.media_type}", "export it anew, without DOCTYPE"
    else:
        return logo
    brand.fault(what, remedy, "logo")
    return None


def _decoded(text: str) -> Logo | None:
    """The content of a data URI (RFC 2397); it need not be escaped, since no URL reader sees it."""
    match = _DATA.fullmatch(text)
    if match is None:
        return None
    kind, encoded, data = match.groups()
    try:
        content = base64.b64decode(data, validate=True) if encoded else unquote_to_bytes(data)
    except ValueError:
        return None
    return Logo(kind.lower(), content)


def _is_what_it_says(logo: Logo) -> bool:
    if logo.media_type == "image/png":
        return logo.content.startswith(_PNG)
    if b"<!DOCTYPE" in logo.content or b"<!ENTITY" in logo.content:
        return False
    try:
        return ET.fromstring(logo.content).tag == _SVG  # noqa: S314 - no entities, see above
    except ET.ParseError:
        return False
