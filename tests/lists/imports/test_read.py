"""Odd files: what can be read is read, and nothing is swallowed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset as by_name
from preference_center.lists.imports import sources
from preference_center.lists.imports.read import ResumePoint, read_rows
from preference_center.lists.imports.sources import LocalFile, open_unpacked, unpack_blocks
from preference_center.lists.rules.instructions import ImportInstructions, ScopeMap
from preference_center.lists.rules.rows import FileRow, parse_timestamp

ROME = ZoneInfo("Europe/Rome")
PACKED = gzip.compress(b"address\na@example.com\nb@example.com\n", mtime=0)


def rows(
    path: Path,
    content: bytes,
    preset: str = "generic-list",
    start: ResumePoint | None = None,
    **given: object,
) -> list[FileRow]:
    path.write_bytes(content)
    instructions = ImportInstructions(
        by_name(preset),
        ScopeMap({}),
        meaning_filter=MeaningFilter.OPT_OUTS,
        **given,  # type: ignore[arg-type]
    )
    with open_unpacked(LocalFile(path)) as stream:
        return list(read_rows(stream, instructions, start or ResumePoint()))


def addresses(found: list[FileRow]) -> list[str]:
    return [record.cells["address"] for record in found]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    "content",
    [
        b"address,date\na@example.com,x\nb@example.com,y\n",
        b"\xef\xbb\xbfADDRESS;DATE\r\na@example.com;x\r\nb@example.com;y",
        b"sep=;\r\naddress;date\r\na@example.com;x\r\nb@example.com;y\r\n",
        b"address\tdate\n\na@example.com\tx\n\n\nb@example.com\n",
        b'"address","date"\n"a@example.com","one\ntwo"\nb@example.com,y\n',
        b'{"address": "a@example.com"}\n\n{"address": "b@example.com", "source": [1]}\n',
        b'[{"address": "a@example.com"}, {"address": "b@example.com"}]',
        PACKED,
    ],
)
def test_the_usual_shapes_of_a_list_are_read(file: Path, content: bytes) -> None:
    assert addresses(rows(file, content)) == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    "content, expected_message",
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,town\nAda,London\n", "no column address or email"),
        (b"address\n\xe9ric@example.com\n", "line 2 is not in utf-8"),
        (b'address,date\n"a@example.com,x\nb@example.com,y\n', "line 2: a quotation mark"),
        (b'address,date\na@example.com,"x" y\n', "line 2: a quotation mark"),
        (b"address\n" + b"a" * 1024 * 1025, "longer than a mebibyte"),
        (b'[{"address": "a@example.com"}, {"addr', "damaged after its row 1"),
        (b'{"name": "Ada"}\n{"name": "Grace"}\n', "no column address"),
        (PACKED[:12], "gzip file is damaged or cut short"),
        (PACKED[:-9], "gzip file is damaged or cut short"),
        (PACKED[:-8] + b"\0" * 8, "gzip file is damaged or cut short"),
        (PACKED[:10] + b"\xff" * 40, "gzip file is damaged or cut short"),
        (b"\x1f\x8bno gzip", "gzip file is damaged or cut short"),
    ],
)
def test_a_damaged_file_is_refused_as_a_whole(
    file: Path, content: bytes, expected_message: str
) -> None:
    # A quote that is never closed would swallow the opt-outs below it.
    with pytest.raises(InvalidInput, match=expected_message):
        rows(file, content)


@pytest.mark.parametrize("row", [b"ada@example.com,Ada\n", b"+393331234567,Ada\n"])
def test_a_first_line_that_is_a_row_is_not_repeated(file: Path, row: bytes) -> None:
    # I12
    with pytest.raises(InvalidInput, match="lack a header") as error:
        rows(file, row)
    assert "ada@" not in str(error.value)
    assert "1234" not in str(error.value)


def test_rows_that_can_t_be_read_are_refused_one_by_one(file: Path) -> None:
    (first, second) = rows(file, b"address,date\na@example.com,x,y,z\nb@example.com,x\n")
    assert (first.error, second.error) == ("it has 4 cells where the header has 2", "")

    lines = rows(file, b'{"address": "a@example.com"}\n{"address": \n[1]\n')
    assert [line.error for line in lines] == [
        "",
        "the line is not JSON",
        "the line is not a JSON object",
    ]


@pytest.mark.parametrize("between", [b"", b"\n"])
def test_pages_of_an_api_are_read_one_after_another(file: Path, between: bytes) -> None:
    page = b'{"Suppressions": [{"EmailAddress": "a@example.com", "SuppressionReason": "x"}]}'
    found = rows(file, page + between + page, "postmark-suppressions")
    assert [record.cells["emailaddress"] for record in found] == ["a@example.com"] * 2


def test_lines_are_counted_as_an_editor_does(file: Path) -> None:
    found = rows(file, b'address,date\n\n"a@example.com","1\n2\n3"\nb@example.com,y\n')
    assert [record.line for record in found] == [3, 6]


def test_another_encoding_is_read_once_it_is_named(file: Path) -> None:
    (row,) = rows(file, "address,date\na@example.com,è\n".encode("cp1252"), encoding="cp1252")
    assert row.cells["date"] == "è"


def test_the_first_of_two_columns_of_one_name_counts(file: Path) -> None:
    (row,) = rows(file, b"address,date,Date\na@example.com,1,2\n")
    assert row.cells["date"] == "1"


@pytest.mark.parametrize(
    "content",
    [
        b'address,date\na@example.com,1\n"b@example.com","2\n"\nc@example.com,3\n',
        b"a@example.com\nb@example.com\nc@example.com\n",
        b'{"address": "a@example.com"}\n{"address": "b@example.com"}\n{"address": "c@example.com"}',
        b'[{"address": "a@example.com"}, {"address": "b@example.com"}, {"address": "c@x.com"}]',
        gzip.compress(b"address\na@example.com\nb@example.com\nc@example.com\n", mtime=0),
    ],
)
def test_reading_goes_on_after_any_row_as_if_it_had_never_stopped(
    file: Path, content: bytes
) -> None:
    preset = "addresses" if content.startswith(b"a@") else "generic-list"
    whole = rows(file, content, preset)
    for stopped in range(1, 4):
        last = whole[stopped - 1]
        start = ResumePoint(last.index + 1, last.last_line, last.end_offset)
        assert rows(file, content, preset, start) == whole[stopped:]


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2024-03-01T10:00:00Z", datetime(2024, 3, 1, 10, tzinfo=UTC)),
        ("2024-03-01 10:00:00+02:00", datetime(2024, 3, 1, 8, tzinfo=UTC)),
        ("2024-03-01 10:00", datetime(2024, 3, 1, 9, tzinfo=UTC)),
        ("1410986704", datetime(2014, 9, 17, 20, 45, 4, tzinfo=UTC)),
        ("1586552585.077", datetime(2020, 4, 10, 21, 3, 5, 77000, tzinfo=UTC)),
        ("1410986704000", datetime(2014, 9, 17, 20, 45, 4, tzinfo=UTC)),
        ("Fri, 18 Oct 2024 18:28:14 UTC", datetime(2024, 10, 18, 18, 28, 14, tzinfo=UTC)),
        ("2024-01-02 10:00:00.123456 +0530 IST", datetime(2024, 1, 2, 4, 30, tzinfo=UTC)),
        ("2024-03-01", datetime(2024, 3, 1, 22, 59, 59, tzinfo=UTC)),
        ("03/04/2024", None),
        ("last week", None),
        ("99999999999999999999", None),
        ("0001-01-01 00:00:00", None),
    ],
)
def test_dates_are_read_as_vendors_write_them(text: str, moment: datetime | None) -> None:
    assert parse_timestamp(text, ROME, end_of_day=True) == moment


def test_a_bare_day_is_its_end_for_an_opt_out_and_its_beginning_for_an_opt_in() -> None:
    # I5: where the hour is unknown, the "no" wins the day
    opted_out = parse_timestamp("2024-03-01", UTC, end_of_day=True)
    opted_in = parse_timestamp("2024-03-01", UTC, end_of_day=False)
    assert opted_out is not None
    assert opted_in is not None
    assert opted_in < opted_out


@pytest.mark.parametrize("size", [1, 2, 5, 10_000], ids=str)
@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x1f", id="one byte of it"),
        pytest.param(b"address\na@example.com\n", id="plain"),
        pytest.param(PACKED, id="gzip"),
        pytest.param(PACKED + PACKED, id="two members"),
        pytest.param(PACKED + b"\0" * 9, id="padded"),
    ],
)
def test_blocks_are_unpacked_as_gzip_does_it(file: bytes, size: int) -> None:
    blocks = [file[at : at + size] for at in range(0, len(file), size)]
    expected = gzip.decompress(file) if file.startswith(PACKED[:2]) else file
    assert b"".join(unpack_blocks(blocks)) == expected


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(PACKED[:12], id="cut short"),
        pytest.param(PACKED[:-8] + bytes(8), id="a wrong sum"),
        pytest.param(PACKED + b"more", id="something behind it"),
        pytest.param(b"\x1f\x8bno gzip", id="no gzip"),
    ],
)
def test_damaged_blocks_are_refused(file: bytes) -> None:
    with pytest.raises(InvalidInput, match="gzip file is damaged or cut short"):
        list(unpack_blocks([file]))


def test_a_gzip_file_that_is_made_to_exhaust_us_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "_MIN_UNPACKED_LIMIT", 1024)
    with pytest.raises(InvalidInput, match="unpacks to more than a list can be"):
        list(unpack_blocks([gzip.compress(bytes(10_000_000))]))


def test_a_street_is_not_taken_for_the_address(file: Path) -> None:
    found = rows(file, b"Name,Address,Email\nAda,Main Street 1,a@example.com\n", group_column="-")
    assert addresses(found) == ["a@example.com"]


@pytest.mark.parametrize("name", ["Kontakt", " kon-takt "])
def test_the_address_is_in_the_column_that_is_named(file: Path, name: str) -> None:
    content = b"Kontakt;Email\na@example.com;b@example.com\n"
    assert addresses(rows(file, content, address_column=name)) == ["a@example.com"]


@pytest.mark.parametrize(
    "content, given, what",
    [
        (b"email,e-mail\na@example.com,b@example.com\n", {}, "several columns.*email, e-mail"),
        (b"x,y\n1,2\n", {"address_column": "z"}, "no column of the name.*It has: x, y"),
        (b"email,y\na@example.com,2\n", {"date_column": "z"}, "no column of the name"),
        (b"email,z,Z\na@example.com,2,3\n", {"date_column": "z"}, "several columns of the name"),
    ],
)
def test_a_column_that_is_not_certain_is_asked_for(
    file: Path, content: bytes, given: dict[str, str], what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        rows(file, content, "generic-list", None, **given)


@pytest.mark.parametrize("region, first", [("US", "(202) 555-0114"), ("IT", "0522 123456")])
def test_a_list_without_a_header_begins_with_a_number_of_the_region(
    file: Path, monkeypatch: pytest.MonkeyPatch, region: str, first: str
) -> None:
    settings = SimpleNamespace(phone_region=region)
    monkeypatch.setattr(
        "preference_center.lists.imports.read.services",
        lambda: SimpleNamespace(settings=settings),
    )
    content = f"{first}\n+1 202 555 0115\n".encode()
    found = rows(file, content, "addresses", channel=Channel.SMS)
    assert addresses(found) == [first, "+1 202 555 0115"]
