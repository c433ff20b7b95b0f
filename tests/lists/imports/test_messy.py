"""Lists as they are found: what was not read, and why, is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput, MissingScopes
from preference_center.core.events import ALL_MARKETING
from tests.lists.imports.importing import instructions_for, planned

pytestmark = pytest.mark.usefixtures("in_force")


@pytest.mark.parametrize(
    "status, shown",
    [("Active", '"Active"'), ("ada@example.com", ""), ("+39 333 123", ""), ("", "")],
)
def test_an_unknown_status_is_shown_if_it_is_a_word(
    tmp_path: Path, status: str, shown: str
) -> None:  # I12: columns are mixed up at times
    path = tmp_path / "list.csv"
    path.write_text(f"address,status\nada@example.com,{status}\n")
    _, refusals = planned(path, instructions_for("generic", ("list", ALL_MARKETING)))
    (refusal,) = refusals
    assert "status" in refusal.reason
    assert shown in refusal.reason
    assert "example.com" not in refusal.reason
    assert "333" not in refusal.reason


@pytest.mark.parametrize("column", ["Group Name", "List name", "LIST", "group"])
def test_the_column_of_the_list_is_found_as_tools_call_it(tmp_path: Path, column: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"address,status,{column}\nada@example.com,unsubscribed,Weekly\n")
    with pytest.raises(MissingScopes, match="Weekly"):
        planned(path, instructions_for("generic"))


def test_an_empty_cell_is_not_filled_from_another_column(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("Email,Old address,Address\n,old@example.com,street@example.com\n")
    given = {"only": "opt-outs", "address_column": "Email", "group_column": "-"}
    made, (refusal,) = planned(
        path, instructions_for("generic-list", ("list", ALL_MARKETING), **given)
    )
    assert made.stats.total_new == 0
    assert "empty" in refusal.reason


def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"email,list\nada@example.com,\0Weekly\n")
    with pytest.raises(InvalidInput, match="line 2 has a zero byte"):
        planned(path, instructions_for("generic-list", only="opt-outs"))


def test_a_zero_byte_in_json_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "list.ndjson"
    path.write_text('{"email": "ada@example.com", "list": "\\u0000Weekly"}\n')
    given = {"only": "opt-outs"}
    made, refusals = planned(
        path, instructions_for("generic-list", ("Weekly", ALL_MARKETING), **given)
    )
    assert (made.stats.total_new, refusals) == (1, [])


def test_phone_numbers_that_the_region_had_to_complete_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("Mobile\n333 1234567\n+39 333 1234568\n0049 171 1234567\n+1 202 555 0123\n")
    given = {"only": "opt-outs", "channel": Channel.SMS}
    made, refusals = planned(
        path, instructions_for("generic-list", ("list", ALL_MARKETING), **given)
    )
    assert refusals == []
    assert (made.stats.total_new, made.stats.without_country_code) == (4, 2)
    assert any("PHONE_REGION" in line for line in made.stats.report_lines())


def test_a_second_column_of_addresses_is_reported_as_not_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("Email;Mobile\na@example.com;+393331234567\n")
    made, _ = planned(
        path, instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    )
    assert made.unread_columns == ("Mobile",)
