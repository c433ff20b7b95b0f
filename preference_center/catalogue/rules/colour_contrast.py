"""Colours: their contrast, as WCAG defines it, and mixtures of them."""

from __future__ import annotations

import re

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
