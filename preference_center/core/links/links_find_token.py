"""Finding a token in a path that a mail program or a person has altered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from preference_center.core.links.offline import SENDER_TOKEN_PREFIX

_INVISIBLE = re.compile(r"(?:=(?=[\r\n]))?[\s\x00-\x1f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
"""White space and zero-width characters; `=` before a line break is RFC 2045 6.7's soft break."""
_MAX_DECODINGS = 2
"""How often a path may have been percent-encoded again, by a redirect or a rewritten link."""


def token_pattern(key_ids: Iterable[str]) -> re.Pattern[str]:
    """The syntax of a token of these keys, or of a sender's (`sealer`, `offline`)."""
    ids = "|".join(map(re.escape, key_ids))
    signed = rf"(?:{ids})\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{{22}}(?![A-Za-z0-9])"
    return re.compile(
        rf"{signed}|{re.escape(SENDER_TOKEN_PREFIX)}[1-9][0-9]{{0,4}}\.[A-Za-z0-9_-]+"
    )


def find_token(pattern: re.Pattern[str], text: str) -> str | None:
    """The first token in `text`. The signature is not checked here."""
    for _ in range(_MAX_DECODINGS):
        text = unquote(text)
    joined = _INVISIBLE.sub("", text)  # a line break may lie inside a token
    found = pattern.search(joined) or pattern.search(text)
    return found[0] if found else None
