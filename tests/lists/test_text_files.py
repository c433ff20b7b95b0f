"""Imports and scrubs read the same files: encodings, line ends, separators and marks."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.lists.text_files import read_plain_text, to_plain_text
from tests.lists.imports.importing import (
    allows,
    books,
    email,
    imported,
    instructions_for,
)

if TYPE_CHECKING:
    from flask import Flask

PEOPLE = 'email;source\nada@example.com;Jürgen\n\nbob@example.com;"a\nb"\n'
SHAPES = {
    "utf8": (PEOPLE.encode(), "utf-8"),
    "mark": (PEOPLE.encode("utf-8-sig"), "utf-8"),
    "mark_outranks": (PEOPLE.encode("utf-8-sig"), "cp1252"),
    "cp1252": (PEOPLE.encode("cp1252"), "cp1252"),
    "utf16": (PEOPLE.encode("utf-16"), "utf-8"),
    "utf16_be": (b"\xfe\xff" + PEOPLE.encode("utf-16-be"), "cp1252"),
    "cr": (PEOPLE.replace("\n", "\r").encode(), "utf-8"),
    "cr_with_lf_in_cells": (b'email;source\rada@example.com;"x\ny"\rbob@example.com;\r', "utf-8"),
    "utf16_cr": (PEOPLE.replace("\n", "\r").encode("utf-16"), "utf-8"),
    "crlf": (PEOPLE.replace("\n", "\r\n").encode(), "utf-8"),
    "tabs": (PEOPLE.replace(";", "\t").encode("utf-16"), "utf-8"),
    "bars": (PEOPLE.replace(";", "|").encode(), "utf-8"),
    "sep": (b"sep=;\r\nemail;source\r\nada@example.com;x,y,z\r\nbob@example.com;\r\n", "utf-8"),
    "empty_lines_first": (b"\n \n" + PEOPLE.encode(), "utf-8"),
    "no_line_end_at_the_end": (PEOPLE.rstrip().encode(), "utf-8"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("packed", [False, True])
def test_imports_and_scrubs_read_the_same_list(
    in_force: Flask, tmp_path: Path, shape: str, *, packed: bool
) -> None:
    content, encoding = SHAPES[shape]
    path = tmp_path / ("list.csv.gz" if packed else "list.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    given = {"only": "opt-outs", "encoding": encoding}
    listed = instructions_for("generic-list", ("list", ALL_MARKETING), **given)
    with in_force.app_context():
        imported(path, listed)
        assert len(books()) == 2
        assert not allows(email("ada"), "offers.weekly")
        assert not allows(email("bob"), "offers.weekly")

    clean, removed = tmp_path / "clean.csv", tmp_path / "removed.csv"
    words = ["scrub", path, "--message-type", "offers.weekly", "-o", clean, "--removed", removed]
    words += ["--encoding", encoding]
    result = in_force.test_cli_runner().invoke(args=[*map(str, words)])
    assert result.exit_code == 0, result.output
    assert "2 rows: 0 may be sent to, 2 not." in result.output
    assert "opted_out_of_all_marketing" in removed.read_text("utf-8")


def test_a_list_in_another_encoding_is_scrubbed_into_utf8(in_force: Flask, tmp_path: Path) -> None:
    path, clean = tmp_path / "list.csv", tmp_path / "clean.csv"
    path.write_bytes("email;name\neve@example.com;Jürgen\n".encode("cp1252"))
    words = ["scrub", path, "--message-type", "offers.weekly", "-o", clean]
    words += ["--removed", tmp_path / "removed.csv"]
    runner = in_force.test_cli_runner()
    assert "not UTF-8" in runner.invoke(args=[*map(str, words)]).output
    assert runner.invoke(args=[*map(str, words), "--encoding", "cp1252"]).exit_code == 0
    assert clean.read_text("utf-8") == "email;name\neve@example.com;Jürgen\n"


@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_a_text_is_converted_in_blocks_of_any_size(size: int) -> None:
    content = PEOPLE.encode("utf-16")
    blocks = (content[at : at + size] for at in range(0, len(content), size))
    assert b"".join(to_plain_text(blocks)) == PEOPLE.encode("utf-8-sig")


def test_a_converted_text_can_be_read_from_any_byte() -> None:
    text = read_plain_text(io.BytesIO(PEOPLE.encode("utf-16")))
    expected = PEOPLE.encode("utf-8-sig")
    for at in (30, 7, 0, len(expected)):
        text.seek(at)
        assert text.read() == expected[at:]


def test_a_damaged_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not in utf-16"):
        list(to_plain_text([PEOPLE.encode("utf-16")[:-1]]))
