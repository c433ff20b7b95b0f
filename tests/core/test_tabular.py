"""Every reader of lists finds the same columns."""

from __future__ import annotations

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.tabular import (
    address_column_names,
    detect_delimiter,
    find_address_column,
    find_likely_columns,
    normalize_column_name,
)
from preference_center.decisions.api.row_formats import CsvFormat
from preference_center.integrations.base.presets import PRESETS
from preference_center.lists.imports.read import NamedColumns
from preference_center.lists.rules.instructions import ImportInstructions, ScopeMap
from preference_center.lists.rules.rows import cell_text
from preference_center.rights.requests.agent_lists import read_agent_list
from preference_center.rights.rules.new_request import Agent

NAMES = [name for group in address_column_names() for name in group]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found_by_every_reader(name: str) -> None:
    written = name.title().replace(" ", "_")
    channel = next(
        channel
        for channel in Channel
        if any(name in group for group in address_column_names(channel))
    )
    assert find_address_column(["id", written], None, channel) == 1
    assert CsvFormat(f"id,{written}".encode(), None).read_rows([b"1,x\n"]) == ["x"]
    for preset in PRESETS:
        if not preset.is_hashed:
            cells = {normalize_column_name(written): "x"}
            assert cell_text(cells, preset.address_columns) == "x"


@pytest.mark.parametrize(
    "name",
    [
        *(" E-Mail\u00a0Address ", '"E_MAIL"', "E\u2011Mail*", "Contact: E-mail", "\ufeffEmail."),
        *("E-Mail-Adresse", "Adresse e-mail", "Indirizzo e-mail", "Correo Electr\u00f3nico"),
    ],
)
def test_what_exports_add_to_a_name_is_ignored(name: str) -> None:
    assert find_address_column(["id", name, "city"], None, Channel.EMAIL) == 1
    assert find_address_column(["id", name, "city"], None, None) == 1


@pytest.mark.parametrize("name", ["Email 2", "Emailed at", "Email opt-in", "Street"])
def test_another_name_is_no_address_column(name: str) -> None:
    assert find_likely_columns(["id", name], Channel.EMAIL) == []


@pytest.mark.parametrize(
    "line, delimiter", [("a;b,c;d", ";"), ("a\tb", "\t"), ("a|b|c", "|"), ("a", ","), ("", ",")]
)
def test_the_most_frequent_delimiter_is_taken(line: str, delimiter: str) -> None:
    assert detect_delimiter(line) == delimiter


@pytest.mark.parametrize("other", ["Address", "Recipient", "Phone"])
def test_the_same_column_of_several_is_taken_everywhere(other: str) -> None:
    header, row = f"{other};E-Mail;kind", "Main Street 1;ada@example.com;object"
    assert find_address_column(header.split(";"), None, Channel.EMAIL) == 1
    assert CsvFormat(header.encode(), None).read_rows([f"{row}\n".encode()]) == ["ada@example.com"]
    for preset in PRESETS:
        if preset.detects_address:
            columns = NamedColumns(ImportInstructions(preset, ScopeMap({})))
            cells = dict(
                zip(map(normalize_column_name, header.split(";")), row.split(";"), strict=True)
            )
            assert cell_text(columns.add_names(cells), preset.address_columns) == "ada@example.com"


def test_a_list_of_an_agent_may_use_the_same_names() -> None:
    lines = ["E-Mail;Kind;External ID", "ada@example.com;object;7"]
    (row,) = read_agent_list(lines, Agent("A", "a@example.com"), "en", "IT")
    assert row.request
    assert row.request.addresses[0].exact == "ada@example.com"
    assert row.request.external_ids == ("7",)


def test_a_list_of_two_channels_is_read_on_the_one_that_is_asked_for() -> None:
    cells = {"email": "ada@example.com", "mobile": "+393331234567"}
    preset = next(each for each in PRESETS if each.name == "generic-list")
    columns = NamedColumns(ImportInstructions(preset, ScopeMap({}), channel=Channel.SMS))
    assert cell_text(columns.add_names(cells), preset.address_columns) == "+393331234567"


def test_a_likely_name_comes_before_a_vague_one() -> None:
    assert find_address_column(["Address", "E-Mail"], None, Channel.EMAIL) == 1
