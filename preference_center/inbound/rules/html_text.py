"""The text of a mail in HTML, up to what it quotes.

The standard library's parser takes quadratic time on hostile input. This one takes linear time:
it visits each tag once.
"""

from __future__ import annotations

import html
import re

MAX_HTML_CHARACTERS = 64 * 1024
"""Characters that are read."""

_TOKEN = re.compile(r"<(!--)|<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})([^<>]*)>|<[^<>]*>|[^<]+|<")
_CLASS_OR_ID = re.compile(r"""\b(?:class|id)=["']?([^"'<>]{1,200})""", re.IGNORECASE)
_BLOCK_TAGS = {"br", "p", "div", "li", "tr", "table", "h1", "h2", "h3", "ul", "ol"}
_HIDDEN_TAGS = {"style", "script", "head", "title"}
# What mail programs put around, or before, the quoted mail.
_QUOTE_CLASSES = {
    "gmail_quote",
    "gmail_attr",
    "yahoo_quoted",
    "moz-cite-prefix",
    "protonmail_quote",
}
_QUOTE_CLASSES |= {"divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container"}
_QUOTE_CLASSES |= {"tutanota_quote", "zwchr"}
_QUOTE_CLASS_SUFFIX = "yahoo_quoted"  # which Yahoo prefixes with an id of the mail


def html_to_text(html_source: str) -> str:
    """The text up to the first quotation, each block on a line of its own."""
    found: list[str] = []
    position, end, hidden = 0, min(len(html_source), MAX_HTML_CHARACTERS), ""
    while position < end:
        token = _TOKEN.match(html_source, position, end)
        assert token  # one of its branches matches anything
        position = token.end()
        comment, closes, name, rest = token.groups()
        tag = (name or "").lower()
        if comment:
            position = _after_comment(html_source, position)
        elif hidden:
            hidden = "" if closes and tag == hidden else hidden
        elif tag in _HIDDEN_TAGS and not closes:
            hidden = tag
        elif tag == "blockquote" or (tag and _is_quote(rest)):
            break
        elif tag in _BLOCK_TAGS:
            found.append("\n")
        elif token[0][0] != "<":
            found.append(_collapse_whitespace(token[0]))
    return "".join(found)


def _after_comment(page: str, position: int) -> int:
    """Where the text continues; a comment that never ends hides the rest."""
    end = page.find("-->", position)
    return len(page) if end < 0 else end + 3


def _is_quote(attributes: str) -> bool:
    return any(
        word in _QUOTE_CLASSES or word.endswith(_QUOTE_CLASS_SUFFIX)
        for found in _CLASS_OR_ID.finditer(attributes)
        for word in found[1].lower().split()
    )


def _collapse_whitespace(text: str) -> str:
    """Text as it is shown: white space becomes one space, or "" if there is nothing else."""
    shown = html.unescape(text).replace("\xa0", " ")
    words = " ".join(shown.split())
    return f"{words} " if words else " " * bool(shown)
