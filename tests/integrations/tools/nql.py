"""As much of NQL, the language of Ghost's filters, as the tests need.

`+` is and, `,` is or and binds less. Texts are compared as SQLite does: `=` minds the case,
`~^` (starts with) and `~$` (ends with) lower the text that is sought as JavaScript does, and
what is sought in, in ASCII only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<key>[a-zA-Z_][\w.]*):|(?P<text>'(?:\\['"]|[^'"])+?')|(?P<word>[a-z_0-9]+)"""
    r"""|(?P<sign>~\^|~\$|>=|<=|[-+,()\[\]<>])"""
)
Row = Mapping[str, str]
Test = Callable[[Row], bool]


class BadFilter(ValueError):
    """What Ghost answers by 400."""


def matcher(text: str) -> Test:
    """Whether a row meets a filter. Raises BadFilter."""
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise BadFilter(at)
        tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
        at = found.end()
    reader = _Reader(tokens)
    test = reader.either()
    if reader.at < len(tokens):
        raise BadFilter("more than a filter")
    return test


@dataclass
class _Reader:
    tokens: Sequence[tuple[str, str]]
    at: int = field(default=0)

    def either(self) -> Test:
        parts = [self.both()]
        while self.takes(","):
            parts.append(self.both())
        return lambda row: any(part(row) for part in parts)

    def both(self) -> Test:
        parts = [self.one()]
        while self.takes("+"):
            parts.append(self.one())
        return lambda row: all(part(row) for part in parts)

    def one(self) -> Test:
        if self.takes("("):
            inner = self.either()
            self.expect(")")
            return inner
        key = self.take("key")
        for sign in ("~^", "~$", ">=", "<=", ">", "<"):
            if self.takes(sign):
                return _comparison(key, sign, self.value())
        if self.takes("["):
            values = [self.value()]
            while self.takes(","):
                values.append(self.value())
            self.expect("]")
            return lambda row: row.get(key) in values
        return _comparison(key, "=", self.value())

    def value(self) -> str:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind not in {"text", "word"}:
            raise BadFilter(f"{text} is no value")
        self.at += 1
        return re.sub(r"""\\(['"])""", r"\1", text[1:-1]) if kind == "text" else text

    def take(self, kind: str) -> str:
        found, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if found != kind:
            raise BadFilter(f"{text} is no {kind}")
        self.at += 1
        return text

    def takes(self, sign: str) -> bool:
        if self.tokens[self.at : self.at + 1] == [("sign", sign)]:
            self.at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.takes(sign):
            raise BadFilter(f"no {sign}")


def _comparison(key: str, sign: str, value: str) -> Test:
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda held: held == value,
        "~^": lambda held: _lower(held).startswith(value.lower()),
        "~$": lambda held: _lower(held).endswith(value.lower()),
        ">": lambda held: held > value,
        "<": lambda held: held < value,
        ">=": lambda held: held >= value,
        "<=": lambda held: held <= value,
    }
    return lambda row: key in row and tests[sign](row[key])


def _lower(text: str) -> str:
    return "".join(each.lower() if each.isascii() else each for each in text)
