"""JSON documents are kept as rows, and read as if they had been kept as they came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset as by_name
from preference_center.lists.imports import uploads
from preference_center.lists.imports.read import MAX_LINE_BYTES, ResumePoint, read_rows
from preference_center.lists.imports.sources import LocalFile, open_unpacked
from preference_center.lists.imports.uploads import to_row_sequence
from preference_center.lists.rules.instructions import NO_GROUP_COLUMN, ImportInstructions, ScopeMap
from preference_center.lists.rules.rows import FileRow

GENERIC, MAILGUN = "generic-list", "mailgun-unsubscribes"
LIST = b'[{"address": "\xc3\xa9ric@example.com"},\n 7, {"address": "b@example.com", "x": [1.5]}]'
PAGE = (
    b'{"paging": {"items": []}, "items": [{"address": "a@example.com", "tags": ["*"]},'
    b' {"address": "b@x.com", "tags": ["*"]}]}'
)
INDENTED = json.dumps(json.loads(PAGE), indent=1).encode()


def instructions(preset: str) -> ImportInstructions:
    given = {"meaning_filter": MeaningFilter.OPT_OUTS, "group_column": NO_GROUP_COLUMN}
    return ImportInstructions(by_name(preset), ScopeMap({}), **given)  # type: ignore[arg-type]


def kept(content: bytes, preset: str, size: int = 7) -> bytes:
    """What an upload that comes in blocks of `size` bytes leaves."""
    blocks = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(to_row_sequence(blocks, instructions(preset).preset.json_rows_path))


def read(
    path: Path, content: bytes, preset: str, start: ResumePoint | None = None
) -> list[FileRow]:
    path.write_bytes(content)
    with open_unpacked(LocalFile(path)) as stream:
        return list(read_rows(stream, instructions(preset), start or ResumePoint()))


DOCUMENTS = pytest.mark.parametrize(
    "preset, content",
    [
        pytest.param(GENERIC, LIST, id="a list"),
        pytest.param(GENERIC, b"\xef\xbb\xbf\n " + LIST, id="with a mark"),
        pytest.param(GENERIC, LIST + b"\n" + LIST, id="two lists"),
        pytest.param(MAILGUN, PAGE, id="a page"),
        pytest.param(MAILGUN, INDENTED, id="indented"),
        pytest.param(MAILGUN, PAGE + PAGE, id="two pages"),
        pytest.param(GENERIC, b"[]", id="no rows"),
        pytest.param(GENERIC, INDENTED, id="another preset's"),
    ],
)


@DOCUMENTS
@pytest.mark.parametrize("size", [pytest.param(1, id="byte by byte"), pytest.param(999, id="one")])
def test_a_document_is_read_as_if_it_had_been_kept_as_it_came(
    tmp_path: Path, preset: str, content: bytes, size: int
) -> None:
    found = read(tmp_path / "kept", kept(content, preset, size), preset)
    expected = read(tmp_path / "sent", content, preset)
    assert [replace(record, end_offset=0) for record in found] == expected


@DOCUMENTS
def test_reading_goes_on_after_any_row_at_the_byte(
    tmp_path: Path, preset: str, content: bytes
) -> None:
    stored = kept(content, preset)
    whole = read(tmp_path / "kept", stored, preset)
    for done, last in enumerate(whole, start=1):
        start = ResumePoint(last.index + 1, last.last_line, last.end_offset)
        assert 0 < last.end_offset <= len(stored)
        assert read(tmp_path / "kept", stored, preset, start) == whole[done:]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"address\na@example.com\n", id="CSV"),
        pytest.param(b'{"address": "a@example.com"}\n{"address": "b@example.com"}', id="NDJSON"),
        pytest.param(b'{"address": "a@example.com", "items": [1]}\n', id="NDJSON with a list"),
        pytest.param(b"\xff\xfe[\0]\0", id="UTF-16"),
    ],
)
def test_any_other_file_is_kept_as_it_comes(content: bytes) -> None:
    assert kept(content, GENERIC) == content


def test_another_preset_may_be_named_later(tmp_path: Path) -> None:
    stored = kept(INDENTED, GENERIC)
    assert read(tmp_path / "kept", stored, GENERIC) == []
    assert len(read(tmp_path / "kept", stored, MAILGUN)) == 2


@pytest.mark.parametrize(
    "content, expected_message",
    [
        pytest.param(LIST[:-1], "damaged after its row 3", id="cut short"),
        pytest.param(LIST + b"]", "damaged after its row 3", id="something behind it"),
        pytest.param(b'["\xff"]', "damaged after its row 0", id="no UTF-8"),
        pytest.param(b"[INSERT]\n", "damaged after its row 0", id="no JSON"),
    ],
)
def test_a_damaged_document_is_refused(content: bytes, expected_message: str) -> None:
    with pytest.raises(InvalidInput, match=expected_message):
        kept(content, GENERIC)


def test_a_row_that_is_longer_than_a_line_may_be_is_refused() -> None:
    row = b'["' + b"a" * MAX_LINE_BYTES + b'"]'
    with pytest.raises(InvalidInput, match="longer than a mebibyte"):
        kept(row, GENERIC, size=MAX_LINE_BYTES)


@pytest.mark.parametrize("begins", [pytest.param(b"[", id="list"), pytest.param(b"{", id="object")])
def test_a_document_that_is_nested_without_end_is_refused(
    tmp_path: Path, begins: bytes
) -> None:  # it cost 200 GB where ijson kept the path of each level
    content = (begins + b'"a":') * 200_000 if begins == b"{" else begins * 200_000
    with pytest.raises(InvalidInput, match="more than 100 levels"):
        kept(content, MAILGUN, size=100_000)
    with pytest.raises(InvalidInput, match="more than 100 levels"):
        read(tmp_path / "sent", content, MAILGUN)


def test_a_document_that_holds_no_rows_is_not_read_to_its_end() -> None:
    came = 0

    def endless() -> Iterator[bytes]:
        nonlocal came
        yield b'["'
        while True:
            came += 100_000
            yield b"a" * 100_000

    with pytest.raises(InvalidInput, match="no row in 8 MiB"):
        list(to_row_sequence(endless(), "item"))
    assert came <= uploads.MAX_BYTES_WITHOUT_ROW + 200_000


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"\x1e[{}, {}]\n", id="two rows"), pytest.param(b"\x1e7\n", id="a number")],
)
def test_a_sequence_that_is_not_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    # Reading could not go on between two rows of one line.
    with pytest.raises(InvalidInput, match="send its rows as NDJSON"):
        read(tmp_path / "sent", content, "addresses")
