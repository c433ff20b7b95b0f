"""Finds text that a template shows without asking for its translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from jinja2 import Environment, nodes

TRANSLATORS = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
READ_ALOUD = {"alt", "title", "aria-label", "aria-description", "placeholder", "content"}
OF_MACHINES = {"viewport", "color-scheme", "robots", "theme-color"}
"""`<meta name=...>` whose content nobody reads."""

_EMAILS = re.compile(r"[^\W\d_]{2,}")
_SENTENCE = re.compile(r"[A-Z][^\W\d_]+$|[^\W\d_]+[,.:]? [^\W\d_]+")
"""What a string in code looks like if it is meant for people, unlike keys and names."""


def untranslated(source: str) -> list[str]:
    """The texts of one template that people would read in English whatever their language."""
    page = _Page()
    page.feed(_without_translated(source))
    page.close()
    return [*page.found, *_bare_strings(source)]


def _without_translated(source: str) -> str:
    """The HTML of the template: no Jinja, and nothing inside {% trans %}."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    html, inside, block = "", False, False
    for _, kind, value in environment.lex(source):
        if kind == "block_begin":
            block = True
        elif block and kind == "name":
            inside = value in {"trans", "pluralize"} or (inside and value != "endtrans")
            block = False
        elif kind == "data" and not inside:
            html += value
    return html


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if _EMAILS.search(data):
            self.found.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta" and dict(attrs).get("name") in {*OF_MACHINES, None}:
            return
        for name, value in attrs:
            if name in READ_ALOUD and _EMAILS.search(value or ""):
                self.found.append(value or "")


def _bare_strings(source: str) -> Iterator[str]:
    """Strings for people in expressions, outside of `_()`."""
    tree = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(source)
    translated = {
        id(constant)
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in TRANSLATORS
        for constant in call.find_all(nodes.Const)
    }
    for constant in tree.find_all(nodes.Const):
        value = constant.value
        if isinstance(value, str) and id(constant) not in translated and _SENTENCE.match(value):
            yield value
