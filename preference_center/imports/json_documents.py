"""JSON documents, kept as a row to a line: so that reading goes on where it stopped.

What is kept is a JSON text sequence (RFC 7464): each row in a page of its own, an array
or an object with the list that it was in, as an API gives them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from preference_center.errors import InvalidInput
from preference_center.imports.json_rows import ARRAY, Rows
from preference_center.imports.read_rows import LONGEST_LINE, RECORD, UTF8_MARK, is_row, list_of
from preference_center.integrations.import_presets import PRESETS

ROWLESS = 8 * 1024 * 1024
"""Bytes of a document in which there must be a row: what is read meanwhile may be held."""
_BLOCK = 64 * 1024
_LISTS = frozenset(list_of(preset.json_list) for preset in PRESETS.values())


def kept_by_rows(blocks: Iterable[bytes], json_list: str) -> Iterator[bytes]:
    """A file as it is to be kept: of a JSON document, its rows; any other as it comes.

    `json_list` is that of the preset, by which a row is told from a document. The rows of all
    lists are kept that any preset reads, since another one may be named later.
    Raises InvalidInput for a document that is damaged.
    """
    remaining = iter(blocks)
    head = b""
    for block in remaining:
        head += block
        if len(head) > LONGEST_LINE or b"\n" in head.removeprefix(UTF8_MARK).lstrip():
            break
    text = head.removeprefix(UTF8_MARK)
    begins = text.lstrip()[:1]
    whole = itertools.chain([text], remaining)
    if begins == b"[":
        yield from _lines(whole, {ARRAY})
    elif begins == b"{" and not is_row(text[:LONGEST_LINE].partition(b"\n")[0], json_list):
        yield from _lines(whole, _LISTS)
    else:
        yield head
        yield from remaining


def _lines(blocks: Iterable[bytes], lists: Collection[str]) -> Iterator[bytes]:
    yield RECORD + b"\n"  # also where there are no rows
    rows, rowless = Rows(lists), 0
    for block in blocks:
        for at in range(0, len(block), _BLOCK):
            piece = block[at : at + _BLOCK]
            rowless += len(piece)
            for name, row in rows.add(piece):
                yield _line(name, row)
                rowless = 0
            if rowless > ROWLESS:
                raise InvalidInput(
                    f"the JSON document has no row in {ROWLESS // 1024 // 1024} MiB: is it a list?"
                )
    rows.end()


def _line(name: str, row: Any) -> bytes:
    page = [row] if name == ARRAY else {name: [row]}
    line = RECORD + json.dumps(page, ensure_ascii=False).encode(errors="replace") + b"\n"
    if len(line) > LONGEST_LINE:
        raise InvalidInput("a row of the JSON document is longer than a mebibyte")
    return line
