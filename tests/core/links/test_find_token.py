"""A token is found in what a mail program or a person made of its link."""

from __future__ import annotations

import pytest

from preference_center.core.links import find_token, token_pattern

SHAPE = token_pattern(["k1", "k-2"])
SIGNED = "k-2.Yz_-0Bt4." + "Ab_-" * 5 + "xy"
SENT = "~12.Yz_-0Bt4q"

AROUND = {
    "nothing": "{}", "full stop": "{}.", "bracket": "{}>", "parenthesis": "({})", "comma": "{},",
    "slash": "{}/", "blank": "{} ", "escaped blank": "{}%20", "line break": "{}\r\n",
    "no-break space": "{}\u00a0", "zero width space": "{}\u200b", "byte order mark": "\ufeff{}",
    "quotes": '"{}"', "curly quotes": "\u201c{}\u201d", "asterisks": "**{}**",
    "angle brackets": "<{}>", "escaped brackets": "%3C{}%3E", "escaped twice": "%253C{}%253E",
    "exclamation": "{}!", "semicolon": "{};", "entity": "{}&gt;", "query": "{}&utm_source=x",
    "path": "/u/{}", "host": "/https://prefs.example.com/u/{}", "field": "token={}",
}  # fmt: skip


@pytest.mark.parametrize("token", [SIGNED, SENT], ids=["ours", "a sender's"])
@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
def test_what_cannot_belong_to_a_token_is_cut(text: str, token: str) -> None:
    assert find_token(SHAPE, text.format(token)) == token


@pytest.mark.parametrize(
    "gap",
    ["\n", "\r\n", "%0D%0A", "=\r\n", " ", "%20", "\u200b", "\u00ad", "\u2060"],
    ids=["LF", "CRLF", "escaped", "soft", "blank", "%20", "zero width", "soft hyphen", "joiner"],
)
@pytest.mark.parametrize("token", [SIGNED, SENT], ids=["ours", "a sender's"])
def test_what_lies_inside_of_a_token_is_cut(token: str, gap: str) -> None:
    assert find_token(SHAPE, f"{token[:8]}{gap}{token[8:]}") == token


def test_a_signature_ends_by_itself() -> None:
    for rest in ("_", "-", ".", "._", " and more", ".And more"):
        assert find_token(SHAPE, SIGNED + rest) == SIGNED


@pytest.mark.parametrize(
    "text",
    [
        "", "k1", "k1.", "k1.a.", "k1.a.b", "k3." + SIGNED[4:], SIGNED[:-1], f"{SIGNED}a",
        SIGNED.replace(".", ","), "~.abc", "~0.abc", "~1", "{{token}}", "*|TOKEN|*",
    ],
    ids=lambda text: text[:30] or "empty",
)  # fmt: skip
def test_what_is_none_is_not_found(text: str) -> None:
    assert find_token(SHAPE, text) is None
