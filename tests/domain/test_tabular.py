"""Every reader of lists finds the same columns."""

from __future__ import annotations

import pytest

from preference_center.api.row_formats import CsvFormat
from preference_center.domain.addresses import Channel
from preference_center.domain.imports.plain_presets import PRESETS
from preference_center.domain.imports.row_statements import cell_text
from preference_center.domain.tabular import (
    ADDRESS_COLUMN_NAMES,
    detect_delimiter,
    find_address_column,
    normalize_column_name,
)

NAMES = [name for groups in ADDRESS_COLUMN_NAMES.values() for group in groups for name in group]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found_by_every_reader(name: str) -> None:
    written = name.title().replace(" ", "_")
    channel = next(
        channel
        for channel, groups in ADDRESS_COLUMN_NAMES.items()
        if any(name in group for group in groups)
    )
    assert find_address_column(["id", written], None, channel) == 1
    assert CsvFormat(f"id,{written}".encode(), None).read_rows([b"1,x\n"]) == ["x"]
    for preset in PRESETS:
        if not preset.is_hashed:
            cells = {normalize_column_name(written): "x"}
            assert cell_text(cells, preset.address_columns) == "x"


@pytest.mark.parametrize(
    "line, delimiter", [("a;b,c;d", ";"), ("a\tb", "\t"), ("a|b|c", "|"), ("a", ","), ("", ",")]
)
def test_the_most_frequent_delimiter_is_taken(line: str, delimiter: str) -> None:
    assert detect_delimiter(line) == delimiter


def test_a_likely_name_comes_before_a_vague_one() -> None:
    assert find_address_column(["Address", "E-Mail"], None, Channel.EMAIL) == 1
