"""A brand has pictures, a font, colours and corners; pages follow from them.

Each file is a data: URI of the catalogue. So a catalogue stays one text, and a version of it is
whole. `inline_files` puts in the files that the company keeps next to the catalogue.

`contrast_ratio` computes the contrast of colours as WCAG defines it. `page_colours` computes what
follows on a page from the colours that are set.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

from preference_center.catalogue.rules.reader import TomlTable
from preference_center.core.errors import CatalogueError, quote_toml

MAX_PICTURE_BYTES = {"logo": 32 * 1024, "favicon": 16 * 1024, "illustration": 48 * 1024}
"""In bytes, by the brand's key."""


MAX_FONT_BYTES = 96 * 1024
"""In bytes: the Latin letters of a variable font fit, those of all languages do not."""


MIN_WEIGHT, MAX_WEIGHT = 1, 1000
"""Of a font, as CSS counts: 400 is regular, 700 bold."""


_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png", "woff2": "font/woff2"}


_DATA_URI = re.compile(
    r"data:(image/svg\+xml|image/png|font/woff2)(?:;charset=utf-8|;utf8)?(;base64)?,(.+)",
    re.IGNORECASE,
)


_FILE_VALUE = re.compile(r"""(?<==)\s*(?P<quote>["'])file:(?P<path>[^"'\n]+)(?P=quote)""")


_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "font/woff2": b"wOF2"}


_SVG_ROOT = "{http://www.w3.org/2000/svg}svg"


_PICTURE_EXAMPLE = "file:logo.svg"


_FONT_EXAMPLE = "file:font.woff2"


class FontFallback(StrEnum):
    """What is shown until the font is there, and for letters that it lacks."""

    SANS_SERIF = "sans-serif"
    SERIF = "serif"


@dataclass(frozen=True)  # without slots, so that its version is computed once
class BrandFile:
    """A file that pages load; its type is `image/svg+xml`, `image/png` or `font/woff2`."""

    media_type: str
    content: bytes

    @cached_property
    def version(self) -> str:
        """Names the content: what has another version has other bytes."""
        return hashlib.sha256(self.content).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.media_type} of {len(self.content)} bytes, sha256 {self.version}"


@dataclass(frozen=True, slots=True)
class BrandLogo:
    """The logo on the header of light and of dark pages."""

    light: BrandFile
    dark: BrandFile

    def __str__(self) -> str:
        return str(self.light) if self.light == self.dark else f"{self.light}; dark {self.dark}"


@dataclass(frozen=True, slots=True)
class BrandFont:
    """A font of a brand's own, for all text; `weights` are the least and the most it has."""

    file: BrandFile
    weights: tuple[int, int]
    fallback: FontFallback

    def __str__(self) -> str:
        least, most = self.weights
        return f"{self.file}, weights {least} to {most}, else {self.fallback}"


def inline_files(text: str, read: Callable[[str], bytes]) -> str:
    """A catalogue with the file in the place of each value `"file:PATH"`, as a data: URI.

    Lines keep their numbers. `read` gets the path as written. Raises CatalogueError with every
    file that `read` raises OSError for, and with every one of a type that no brand can use.
    """
    problems: list[str] = []
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if "file:" in line and not line.lstrip().startswith("#"):
            try:
                lines[index] = _FILE_VALUE.sub(
                    lambda match: _read_as_uri(match["path"], read), line
                )
            except CatalogueError as error:
                problems += [f"line {index + 1}: {problem}" for problem in error.problems]
    if problems:
        raise CatalogueError(problems)
    return "\n".join(lines)


def _read_as_uri(path: str, read: Callable[[str], bytes]) -> str:
    media_type = _MEDIA_TYPES.get(path.rpartition(".")[2].lower())
    if media_type is None:
        types = ", .".join(_MEDIA_TYPES)
        remedy = f"name a file that ends in .{types}"
        raise CatalogueError([f"file:{path} has no type that we serve; {remedy}"])
    try:
        content = base64.b64encode(read(path)).decode("ascii")
    except OSError as error:
        remedy = "write its path from the folder of the catalogue"
        raise CatalogueError([f"file:{path} can't be read: {error.strerror}; {remedy}"]) from error
    return f' "data:{media_type};base64,{content}"'


def parse_logo(brand: TomlTable) -> BrandLogo | None:
    """The logo of a brand, if it has one: one for all pages, or one each for light and dark."""
    if brand.is_table("logo"):
        table = brand.subtable("logo", ("light", "dark"))
        if table is None:
            return None
        light, dark = (
            _parse_picture(table, key, "logo", required=True) for key in ("light", "dark")
        )
        return BrandLogo(light, dark) if light and dark else None
    logo = _parse_picture(brand, "logo", "logo")
    return BrandLogo(logo, logo) if logo else None


def parse_picture(brand: TomlTable, key: str) -> BrandFile | None:
    """The `favicon` or the `illustration` of a brand, if it has one."""
    return _parse_picture(brand, key, key)


def _parse_picture(
    table: TomlTable, key: str, kind: str, *, required: bool = False
) -> BrandFile | None:
    text = table.get_text(key, _PICTURE_EXAMPLE, required=required)
    if text is None:
        return None
    picture = _decode_data_uri(text)
    limit = MAX_PICTURE_BYTES[kind]
    if picture is None or picture.media_type == "font/woff2":
        what = f"{key} is no PNG or SVG"
        remedy = f"write {key} = {quote_toml(_PICTURE_EXAMPLE)}, or a data: URI"
    elif len(picture.content) > limit:
        what = f"{key} has {len(picture.content)} bytes, more than {limit}"
        remedy = "make it smaller: phones load it, too"
    elif not _matches_media_type(picture):
        what, remedy = (
            f"{key} is no {picture.media_type}",
            "export it again, in UTF-8 and without DOCTYPE",
        )
    else:
        return picture
    table.add_error(what, remedy, key)
    return None


def parse_font(brand: TomlTable) -> BrandFont | None:
    """The font of a brand, if it has one."""
    table = brand.subtable("font", ("file", "weights", "fallback"))
    if table is None:
        return None
    file = _parse_font_file(table)
    weights = _parse_weights(table)
    fallback = table.get_choice("fallback", FontFallback) or FontFallback.SANS_SERIF
    return BrandFont(file, weights, fallback) if file else None


def _parse_font_file(table: TomlTable) -> BrandFile | None:
    text = table.get_text("file", _FONT_EXAMPLE, required=True)
    if text is None:
        return None
    font = _decode_data_uri(text)
    if font is None or font.media_type != "font/woff2" or not _matches_media_type(font):
        what = "file is no WOFF2 font"
        remedy = f"write file = {quote_toml(_FONT_EXAMPLE)}, or a data: URI"
    elif len(font.content) > MAX_FONT_BYTES:
        what = f"file has {len(font.content)} bytes, more than {MAX_FONT_BYTES}"
        remedy = "leave out letters that your languages do not use (pyftsubset does it)"
    else:
        return font
    table.add_error(what, remedy, "file")
    return None


def _parse_weights(table: TomlTable) -> tuple[int, int]:
    """The range that a variable font has; without, a browser makes bold from the regular one."""
    regular = (400, 400)
    found = table.get_value("weights", list, "[400, 700]")
    if found is None:
        return regular
    match found:
        case [int(least), int(most)] if MIN_WEIGHT <= least <= most <= MAX_WEIGHT:
            return least, most
    table.add_error(
        "weights are no range", "write the least and the most: weights = [400, 700]", "weights"
    )
    return regular


def _decode_data_uri(text: str) -> BrandFile | None:
    """The content of a data URI (RFC 2397); it need not be escaped, since no URL reader sees it."""
    match = _DATA_URI.fullmatch(text)
    if match is None:
        return None
    kind, encoded, data = match.groups()
    try:
        content = base64.b64decode(data, validate=True) if encoded else unquote_to_bytes(data)
    except ValueError:
        return None
    return BrandFile(kind.lower(), content)


def _matches_media_type(file: BrandFile) -> bool:
    signature = _SIGNATURES.get(file.media_type)
    if signature is not None:
        return file.content.startswith(signature)
    try:
        text = file.content.decode()  # pages get it as UTF-8, whatever it declares
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return False
        return ET.fromstring(text).tag == _SVG_ROOT  # noqa: S314 - no entities, see above
    except (UnicodeDecodeError, ET.ParseError):
        return False


STORED_FOLDER = "stored"
"""The folder that files of a catalogue seem to lie in while somebody edits it."""


_INLINED = re.compile(r'(?<==) "data:(image/svg\+xml|image/png|font/woff2);base64,([^"\n]+)"')


def fold_files(text: str) -> tuple[str, dict[str, bytes]]:
    """A catalogue to edit: each file that `inline_files` put in is `"file:stored/VERSION.svg"`.

    Returns it with the content of each of these files, by its path: what `inline_files` reads to
    make the same text again. Lines keep their numbers.
    """
    files: dict[str, bytes] = {}

    def fold(match: re.Match[str]) -> str:
        try:
            file = BrandFile(match[1], base64.b64decode(match[2], validate=True))
        except ValueError:  # not as `inline_files` writes it
            return match[0]
        ending = next(each for each, media_type in _MEDIA_TYPES.items() if media_type == match[1])
        path = f"{STORED_FOLDER}/{file.version}.{ending}"
        files[path] = file.content
        return f' "file:{path}"'

    return _INLINED.sub(fold, text), files


MIN_TEXT_CONTRAST = 4.5
"""Least contrast of text on its ground (WCAG 2.2, 1.4.3, level AA)."""


MIN_NON_TEXT_CONTRAST = 3.0
"""Least contrast of a control's shape on the page (WCAG 2.2, 1.4.11)."""


_LINEAR_LIMIT = 0.04045
"""Below it, sRGB is linear."""


_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def is_hex_colour(text: str) -> bool:
    """Whether `text` is a colour as we read it: `#rrggbb`."""
    return _COLOUR.fullmatch(text) is not None


def contrast_ratio(first: str, second: str) -> float:
    """The contrast ratio of two colours `#rrggbb`: from 1 (the same) to 21.

    (L1 + 0.05) / (L2 + 0.05), with L1 the lighter one's luminance; see
    https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def mix_colours(first: str, second: str, share: float) -> str:
    """`first` laid over `second` with an opacity of `share`, 0 to 1, in sRGB."""
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(
        f"{round(over * share + under * (1 - share)):02x}" for over, under in pairs
    )


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    red, green, blue = (_linearize(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _linearize(channel: float) -> float:
    """A channel of sRGB, 0 to 1, without its gamma."""
    if channel <= _LINEAR_LIMIT:
        return channel / 12.92
    return float(((channel + 0.055) / 1.055) ** 2.4)


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
