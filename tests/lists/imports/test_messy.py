"""Lists as they are found: what was not read, and why, is reported."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, MissingScopes
from preference_center.core.events import ALL_MARKETING
from preference_center.lists.rules.translator import RowRefusal
from tests.lists.imports.importing import allows, email, imported, instructions_for, planned

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


ADA = [
    "ada@example.com  ", "\u00a0ada@example.com\u00a0", "ada\u200b@example.com",
    "\u2060ada@example.com", "mailto:ada@example.com?subject=x", "Ada L <ada@example.com>",
    '"L, Ada" <ada@example.com>', "L, Ada <ada@example.com>", "ada@example.com;", "ADA@EXAMPLE.COM",
    '"ada@example.com"', '""ada@example.com""', "\u201cada@example.com\u201d",
    "ada@example.com (old)",
    '="ada@example.com"', '=HYPERLINK("mailto:ada@example.com","ada@example.com")',
    "ada\uff20example.com", "Ada ada@example.com", "ada@example.com.",
]  # fmt: skip
ADA_AND_BOB = [
    "ada@example.com;bob@example.com", "ada@example.com, bob@example.com",
    "ada@example.com bob@example.com", "Ada <ada@example.com>, Bob <bob@example.com>",
    "ada@example.com\nbob@example.com",
]  # fmt: skip


@pytest.mark.parametrize("cell", [*ADA, *ADA_AND_BOB])
def test_an_opt_out_is_of_every_address_in_its_cell(tmp_path: Path, cell: str) -> None:  # I5, I9
    path = tmp_path / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["email"], [cell], ["eve@example.com"]])
    listed = instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    made, refusals = planned(path, listed)
    several = int(cell in ADA_AND_BOB)
    assert (made.stats.total_new, made.stats.other_readings) == (2 + several, several)
    assert refusals == []
    imported(path, listed)
    assert not allows(email("ada"), "offers.weekly")
    assert allows(email("bob"), "offers.weekly") is not bool(several)


def test_more_addresses_in_a_cell_than_event_ids_are_refused_and_no_other_row_is_lost(
    tmp_path: Path,
) -> None:  # I1, I5
    path = tmp_path / "list.csv"
    cells = [";".join(f"p{n}@example.com" for n in range(most)) for most in (17, 16)]
    path.write_text("\n".join(["email", *cells, "eve@example.com"]))
    listed = instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    made, (refusal,) = planned(path, listed)
    assert refusal == RowRefusal(
        2, "the cell has more than 16 addresses: write one address in each row"
    )
    assert made.stats.total_new == 17
    imported(path, listed)
    off = [name for name in ("p0", "p15", "p16", "eve") if not allows(email(name), "offers.weekly")]
    assert off == ["p0", "p15", "eve"]


def test_more_statements_in_a_row_than_event_ids_are_refused(tmp_path: Path) -> None:  # I1, I5
    path = tmp_path / "list.json"
    topics = [{"TopicName": "Sports", "SubscriptionStatus": "OPT_OUT"}] * 1025
    rows = [
        {"EmailAddress": "ada@example.com", "TopicPreferences": topics},
        {"EmailAddress": "eve@example.com", "TopicPreferences": topics[1:]},
    ]
    path.write_text(json.dumps({"Contacts": rows}))
    _, (refusal,) = planned(path, instructions_for("ses-contacts", ("Sports", ALL_MARKETING)))
    assert refusal.reason == ("the row states more than 1,024 groups: divide it into several rows")


def test_nobody_is_subscribed_by_a_cell_of_several_addresses(tmp_path: Path) -> None:  # I11
    path = tmp_path / "list.csv"
    path.write_text('email,status,source\n"a@example.com,b@example.com",subscribed,shop\n')
    made, (refusal,) = planned(path, instructions_for("generic", ("list", "acme.offers")))
    assert made.stats.total_new == 0
    assert "several addresses" in refusal.reason


@pytest.mark.parametrize(
    "cell, reason",
    [
        ("ada @example.com", "email address"),
        ("ada@example.com; bob@example", "email address"),
        ("Total: 2", "@"),
        ("email", "@"),
        ("ada(at)example.com", "@"),
    ],
)
def test_what_is_no_address_is_refused_with_its_line(
    tmp_path: Path, cell: str, reason: str
) -> None:  # I11: totals, a header in the middle, and what nobody can read
    path = tmp_path / "list.csv"
    path.write_text(f"email;source\neve@example.com;x\n{cell};x\n".replace("; b", ", b"))
    made, (refusal,) = planned(
        path, instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    )
    assert (made.stats.total_new, refusal.line) == (1, 3)
    assert reason in refusal.reason


@pytest.mark.parametrize("cell", ["393331234567.0", "+39 333 1234567", '="+393331234567"'])
def test_a_phone_number_is_found_as_spreadsheets_write_it(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["mobile"], [cell]])
    given = {"only": "opt-outs", "channel": Channel.SMS}
    imported(path, instructions_for("generic-list", ("list", ALL_MARKETING), **given))
    assert not allows(parse_address("+393331234567", Channel.SMS), "offers.flash")


@pytest.mark.parametrize("status", ["Subscription cancelled", "consent withdrawn", "sub_removed"])
def test_a_status_that_only_begins_like_a_subscription_is_none(
    tmp_path: Path, status: str
) -> None:  # I11
    path = tmp_path / "list.csv"
    path.write_text(f"email,status\nada@example.com,{status}\n")
    _, (refusal,) = planned(path, instructions_for("generic", ("list", "acme.offers")))
    assert "status" in refusal.reason


def test_empty_cells_beyond_the_header_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email;source\nada@example.com;x;;\nbob@example.com;x;y\n")
    made, (refusal,) = planned(
        path, instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    )
    assert (made.stats.total_new, refusal.line) == (1, 3)


@pytest.mark.parametrize("header", ["email,list,list", "email,list,"])
def test_a_column_that_is_there_twice_or_has_no_name_is_asked_about(
    tmp_path: Path, header: str
) -> None:  # I10
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\nada@example.com,,Weekly\n")
    given = instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs")
    if header.endswith(","):
        made, _ = planned(path, given)
        assert made.unread_columns == ("column 3",)
        return
    with pytest.raises(InvalidInput, match="several columns of one name"):
        planned(path, given)
