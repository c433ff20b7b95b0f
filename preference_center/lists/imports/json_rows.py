"""The rows of JSON documents, incrementally, with bounded memory and stack."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import ijson

from preference_center.core.errors import InvalidInput

TOP_LEVEL_LIST = ""
"""The name for a document that is itself the list."""
MAX_DEPTH = 100
"""Levels of a document. ijson's own `items` keeps the path of each level, which needs memory in
proportion to their square."""
_START_EVENTS = frozenset({"start_map", "start_array"})
_END_EVENTS = frozenset({"end_map", "end_array"})
_START_OR_END_EVENTS = _START_EVENTS | _END_EVENTS


class JsonRowParser:
    """Parses documents, one after another (pages of an API), for the rows of their lists.

    `lists` are the members of a document that are lists, or TOP_LEVEL_LIST. Raises InvalidInput
    where a document is damaged or nested deeper than MAX_DEPTH.
    """

    def __init__(self, lists: Collection[str]) -> None:
        self._lists = lists
        self._events: list[tuple[str, Any]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events, multiple_values=True, use_float=True)
        self._depth = 0
        self._member = TOP_LEVEL_LIST
        self._row_depth = -1
        """The level of a row in the current list; -1 outside of any."""
        self._row: ijson.ObjectBuilder | None = None
        self._count = 0

    def feed(self, block: bytes) -> Iterator[tuple[str, Any]]:
        """Parse a block: each row that ends in it, and the list that it is in."""
        damage: Exception | None = None
        try:
            self._parser.send(block)
        except (ijson.JSONError, UnicodeDecodeError) as error:  # the latter: no UTF-8
            damage = error
        events = self._events.copy()
        self._events.clear()
        yield from self._rows_in(events)
        if damage:
            raise self._damaged_error() from None

    def close(self) -> None:
        """Check that the last document ends here."""
        try:
            self._parser.close()
        except (ijson.JSONError, UnicodeDecodeError):
            raise self._damaged_error() from None

    def _damaged_error(self) -> InvalidInput:
        return InvalidInput(f"the JSON document is damaged after its row {self._count}")

    def _rows_in(self, events: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for event, value in events:
            if self._row and event not in _START_OR_END_EVENTS:
                self._row.event(event, value)
                continue
            self._depth -= event in _END_EVENTS
            for row in self._completed_row(event, value):
                self._count += 1
                yield self._member, row
            self._depth += event in _START_EVENTS
            if self._depth > MAX_DEPTH:
                raise InvalidInput(f"the JSON document has more than {MAX_DEPTH} levels")

    def _completed_row(self, event: str, value: Any) -> tuple[Any, ...]:
        """The row that ends with this event, if one does."""
        if self._row:
            self._row.event(event, value)
            if self._depth > self._row_depth:
                return ()
            value, self._row = self._row.value, None
            return (value,)
        if event in _END_EVENTS:
            if self._depth < self._row_depth:
                self._row_depth = -1
        elif self._depth != self._row_depth:
            self._track_lists(event, value)
        elif event in _START_EVENTS:
            self._row = ijson.ObjectBuilder()
            self._row.event(event, value)
        else:
            return (value,)
        return ()

    def _track_lists(self, event: str, value: Any) -> None:
        """Track where a list begins that is read."""
        if self._depth == 0:
            self._member = TOP_LEVEL_LIST
        elif self._depth == 1 and event == "map_key":
            self._member = value
        if self._depth <= 1 and event == "start_array" and self._member in self._lists:
            self._row_depth = self._depth + 1
