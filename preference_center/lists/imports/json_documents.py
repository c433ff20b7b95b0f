"""JSON documents stored with one row per line, so that reading can resume where it stopped.

The stored form is a JSON text sequence (RFC 7464): each row in its own page, an array or an
object with the list that it was in, as an API returns them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any

from preference_center.core.errors import InvalidInput
from preference_center.integrations.registry import load_presets
from preference_center.lists.imports.imports_read_rows import (
    MAX_LINE_BYTES,
    RECORD_SEPARATOR,
    UTF8_BOM,
    is_row_line,
    list_member,
)
from preference_center.lists.imports.json_rows import TOP_LEVEL_LIST, JsonRowParser

MAX_BYTES_WITHOUT_ROW = 8 * 1024 * 1024
"""Bytes of a document that must contain a row: what is read up to there may be in memory."""
_BLOCK = 64 * 1024


def to_row_sequence(blocks: Iterable[bytes], json_rows_path: str) -> Iterator[bytes]:
    """The stored form of a file: the rows of a JSON document; any other file unchanged.

    `json_rows_path` is the preset's, which distinguishes a row from a document. Rows of all
    lists are stored that any preset reads, since the preset may be changed later. Raises
    InvalidInput for a damaged document.
    """
    remaining = iter(blocks)
    head = b""
    for block in remaining:
        head += block
        if len(head) > MAX_LINE_BYTES or b"\n" in head.removeprefix(UTF8_BOM).lstrip():
            break
    text = head.removeprefix(UTF8_BOM)
    begins = text.lstrip()[:1]
    whole = itertools.chain([text], remaining)
    if begins == b"[":
        yield from _encode_rows(whole, {TOP_LEVEL_LIST})
    elif begins == b"{" and not is_row_line(
        text[:MAX_LINE_BYTES].partition(b"\n")[0], json_rows_path
    ):
        yield from _encode_rows(whole, _list_members())
    else:
        yield head
        yield from remaining


@cache
def _list_members() -> frozenset[str]:
    return frozenset(list_member(preset.json_rows_path) for preset in load_presets().values())


def _encode_rows(blocks: Iterable[bytes], lists: Collection[str]) -> Iterator[bytes]:
    yield RECORD_SEPARATOR + b"\n"  # even without rows
    rows, rowless = JsonRowParser(lists), 0
    for block in blocks:
        for at in range(0, len(block), _BLOCK):
            piece = block[at : at + _BLOCK]
            rowless += len(piece)
            for name, row in rows.feed(piece):
                yield _encode_row(name, row)
                rowless = 0
            if rowless > MAX_BYTES_WITHOUT_ROW:
                raise InvalidInput(
                    f"the JSON document has no row in {MAX_BYTES_WITHOUT_ROW // 1024 // 1024} "
                    "MiB: is it a list?"
                )
    rows.close()


def _encode_row(name: str, row: Any) -> bytes:
    page = [row] if name == TOP_LEVEL_LIST else {name: [row]}
    line = RECORD_SEPARATOR + json.dumps(page, ensure_ascii=False).encode(errors="replace") + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise InvalidInput("a row of the JSON document is longer than a mebibyte")
    return line
