"""As much of SOQL as a stand-in for Salesforce needs, and as strict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
_TOKEN = re.compile(
    r"\s*('(?:[^'\\]|\\.)*'|\d{4}-[\dT:.\-]+Z|[A-Za-z]\w*|\d+|!=|>=|>|=|[(),])", re.ASCII
)


class Malformed(Exception):
    """The query can't be read."""


class Query:
    """One query: `fields`, `object`, `matches`, `order` and `limit`."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._take("SELECT")
        self.fields = [self._next()]
        while self._take(",", optional=True):
            self.fields.append(self._next())
        self._take("FROM")
        self.object = self._next()
        self._take("WHERE")
        self.used = set(self.fields)
        self.emails: list[str] = []
        self.matches = self._condition()
        self.order: list[str] = []
        if self._take("ORDER", optional=True):
            self._take("BY")
            self.order.append(self._next())
            while self._take(",", optional=True):
                self.order.append(self._next())
        self.limit = int(self._next()) if self._take("LIMIT", optional=True) else None
        if self._tokens:
            raise Malformed

    def _next(self) -> str:
        if not self._tokens:
            raise Malformed
        return self._tokens.pop(0)

    def _take(self, word: str, *, optional: bool = False) -> bool:
        if self._tokens[:1] == [word]:
            self._tokens.pop(0)
            return True
        if optional:
            return False
        raise Malformed

    def _condition(self) -> Test:
        tests = [self._comparison()]
        joints = []
        while self._tokens[:1] in (["AND"], ["OR"]):
            joints.append(self._next())
            tests.append(self._comparison())
        if len(set(joints)) > 1:
            raise Malformed  # SOQL wants brackets where both are mixed
        every = all if "OR" not in joints else any
        return lambda row: every(test(row) for test in tests)

    def _comparison(self) -> Test:
        if self._take("(", optional=True):
            inner = self._condition()
            self._take(")")
            return inner
        field, operator = self._next(), self._next()
        self.used.add(field)
        if operator == "IN":
            self._take("(")
            values = [_value(self._next())]
            while self._take(",", optional=True):
                values.append(_value(self._next()))
            self._take(")")
            self.emails += values
            wanted = {value.lower() for value in values}
            return lambda row: (row[field] or "").lower() in wanted
        value = _value(self._next())
        match operator:
            case "=":
                return lambda row: bool(row[field] == value)
            case "!=":
                return lambda row: bool(row[field] != value)
            case ">":
                return lambda row: bool(row[field] > value)
            case ">=":
                return lambda row: bool(row[field] >= value)
        raise Malformed


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise Malformed
        tokens.append(found[1])
        position = found.end()
    return tokens


def _value(token: str) -> Any:
    if token.startswith("'"):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if token in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[token]
    try:
        return datetime.fromisoformat(token)
    except ValueError:
        raise Malformed from None
