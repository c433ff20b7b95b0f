"""The formats of a streamed list: what is a row, and how an unreadable row is reported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.errors import UnreadableBody
from preference_center.decisions.api.row_formats import (
    CsvFormat,
    InputRow,
    NdjsonFormat,
    RowFormat,
    open_csv,
)
from preference_center.decisions.rules import Decision, DecisionRule
from preference_center.web.api.streams import MAX_LINE, split_lines


def shown(rows: Sequence[InputRow]) -> list[str]:
    """Recipients unchanged, other rows as their rule."""
    return [
        row if isinstance(row, str) else " ".join(filter(None, [row.rule, row.advisory]))
        for row in rows
    ]


def read(sheet: RowFormat, blocks: Iterator[list[bytes]]) -> list[str]:
    rows = [row for block in blocks for row in sheet.read_rows(block)]
    return shown([*rows, *sheet.flush()])


def ndjson(text: bytes) -> list[str]:
    return read(NdjsonFormat(), split_lines(iter([text])))


def in_csv(text: bytes, column: str | None = None, size: int = 1 << 16) -> list[str]:
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return read(*open_csv(split_lines(pieces), column))


def test_a_line_of_json_is_an_address_or_an_object_with_one() -> None:
    text = (
        b'\xef\xbb\xbf"ada@example.com"\r\n\n  {"id": 7, "recipient": "b\\u0040c.de"}\n"\xc3\xbc"'
    )
    assert ndjson(text) == ["ada@example.com", "b@c.de", "ü"]


@pytest.mark.parametrize(
    "line",
    [
        b"ada@example.com",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"a" "b"',
        b'["ada@example.com"]',
        b'{"recipient": 7}',
        b'{"recipient": "a@example.com", "recipient": "b@example.com"}',
        b'{"recipient": "a@example.com", "\\u0072ecipient": "b@example.com"}',
        b'"\xff"',
        b"[" * 60_000,
        b"1" * 60_000,
        b'"' + b"a" * MAX_LINE + b'"',
    ],
)
def test_a_line_that_names_no_recipient_is_reported_and_stops_nothing(line: bytes) -> None:  # I11
    assert ndjson(b'"a"\n' + line + b'\n"b"') == ["a", "unreadable_line line 2", "b"]


@pytest.mark.parametrize(
    "header, column",
    [
        ("Recipient", None),
        ("id,name,E,Email", None),
        (" address ;name", None),
        ("name\tphone", None),
        ("email,recipient", None),
        ("email,to", "To"),
        ('"email","the ""best"" one"', 'the "best" one'),
    ],
)
def test_the_column_is_found_by_its_name(header: str, column: str | None) -> None:
    delimiter = next((d for d in ";\t" if d in header), ",")
    names = next(csv.reader([header], delimiter=delimiter))
    wanted = (column or "").casefold()
    at = next(
        i
        for name in ([wanted] if wanted else ["email", "recipient", "address", "phone"])
        for i, one in enumerate(names)
        if one.strip().casefold() == name
    )
    row = ["x"] * len(names)
    row[at] = "ada@example.com"
    text = f"\n\ufeff{header}\n{delimiter.join(row)}".replace("\n\ufeff", "\ufeff", 1)
    assert in_csv(text.encode(), column) == ["ada@example.com"]


@pytest.mark.parametrize(
    "text, column, what",
    [
        (b"", None, "empty"),
        (b"\n\r\n  \n", None, "empty"),
        (b"ada@example.com\nbob@example.com\n", None, "has no column with a known name"),
        (b"name,street\n", None, "name it in the URL"),
        (b"email,e-mail\n", "to", "no column with the name"),
        (b"email,EMAIL\n", None, "several columns for the recipient: email, EMAIL"),
        (b'"email\n', None, "not valid CSV"),
        (b"a" * (MAX_LINE + 1) + b",email\n", None, "not valid CSV"),
    ],
)
def test_a_header_without_recipients_names_the_remedy(
    text: bytes, column: str | None, what: str
) -> None:
    with pytest.raises(UnreadableBody, match=what):
        in_csv(text, column)


CELLS = st.text(st.sampled_from('a@,;"\n\r é'), max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.integers(1, 20))
def test_what_a_csv_writer_wrote_is_read_however_it_comes(
    rows: list[tuple[str, str]], size: int
) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("email", "note"), *rows])
    assert in_csv(file.getvalue().encode(), size=size) == [row[0] for row in rows]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_stop_it(data: bytes, size: int) -> None:
    assert in_csv(b"email\n" + data + b'"\n' + b"last@example.com\n", size=size)


def test_quotes_that_never_close_lose_only_their_own_line() -> None:  # I11
    rows = [b"p%d@example.com,x" % number for number in range(9000)]
    rows[3] = b'"p3@example.com,x'
    found = in_csv(b"email,x\n" + b"\n".join(rows))
    assert found[3] == "unreadable_line line 5"
    assert found[:3] + found[4:] == [f"p{n}@example.com" for n in range(9000) if n != 3]


def test_a_row_too_short_or_not_in_utf_8_is_denied_alone() -> None:  # I11
    text = "name,email\nÉ,a@example.com\nonly\nÜ,müller@example.com\n".encode("latin-1")
    sheet, blocks = open_csv(split_lines(iter([text])), None)
    rows = sheet.read_rows(next(blocks))
    assert shown(rows) == ["a@example.com", "unparseable_address", "m\udcfcller@example.com"]
    echoed = sheet.encode_decisions(
        rows, [Decision(allow=False, rule=DecisionRule.UNPARSEABLE_ADDRESS)] * 3
    )
    assert echoed.splitlines()[2].startswith("müller@example.com,false".encode("latin-1"))


def test_answers_are_rows_that_any_reader_takes() -> None:
    rows: list[InputRow] = [
        '"o\nx",@example.com',
        Decision(allow=False, rule=DecisionRule.UNREADABLE_LINE),
    ]
    decisions = [Decision(allow=True, rule=DecisionRule.CONSENTED, scope="acme.news"), rows[1]]
    assert isinstance(decisions[1], Decision)
    encoded = NdjsonFormat().encode_decisions(rows, decisions)  # type: ignore[arg-type]
    as_json = [json.loads(line) for line in encoded.splitlines()]
    assert as_json == [
        {"recipient": rows[0], "allow": True, "rule": "consented", "scope": "acme.news"},
        {"allow": False, "rule": "unreadable_line"},
    ]
    sheet = CsvFormat(b"recipient", None)
    text = sheet.encode_header() + sheet.encode_decisions(rows, decisions)  # type: ignore[arg-type]
    assert [row["allow"] for row in csv.DictReader(io.StringIO(text.decode()))] == ["true", "false"]
