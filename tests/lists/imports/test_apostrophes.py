"""I5, I11: the apostrophe that a spreadsheet puts before text loses no opt-out."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING
from tests.lists.imports.importing import allows, email, imported, instructions_for, planned

pytestmark = pytest.mark.usefixtures("in_force")

LISTED = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")


@pytest.mark.parametrize(
    "cell", ["'ada@example.com", "\u2019ada@example.com", " ''ada@example.com "]
)
def test_an_opt_out_counts_with_and_without_the_apostrophe(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"email\n{cell}\n")
    made, refusals = planned(path, LISTED)
    assert (made.stats.rows, made.stats.total_new, made.stats.other_readings) == (1, 2, 1)
    assert refusals == []
    assert any("apostrophe" in line for line in made.stats.report_lines())
    imported(path, LISTED)
    assert not allows(email("ada"), "offers.weekly")
    assert not allows(email(cell.strip().partition("@")[0]), "offers.weekly")


def test_an_apostrophe_on_both_sides_is_a_quotation_mark(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\n'ada@example.com'\no'neil@example.com\n")
    made, refusals = planned(path, LISTED)
    assert (made.stats.total_new, made.stats.other_readings, refusals) == (2, 0, [])
    imported(path, LISTED)
    assert not allows(email("ada"), "offers.weekly")
    assert not allows(email("o'neil"), "offers.weekly")


def test_nobody_is_subscribed_by_an_address_that_may_be_two(tmp_path: Path) -> None:  # I11
    path = tmp_path / "list.csv"
    path.write_text("email,date\n'ada@example.com,2024-01-02\n")
    given = {"source": "shop", "wording": "Yes.", "language": "en", "legal_basis": "consent"}
    made, (refusal,) = planned(
        path, instructions_for("generic-list", ("list", "acme.news"), only="subscriptions", **given)
    )
    assert made.stats.total_new == 0
    assert "apostrophe" in refusal.reason


def test_a_bounce_is_of_the_address_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,status\n'ada@example.com,bounced\n")
    imported(path, instructions_for("generic"))
    assert allows(email("ada"), "offers.weekly")
    assert not allows(email("'ada"), "offers.weekly")


def test_a_phone_number_has_no_apostrophe(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("mobile\n'+39 333 1234567\n")
    given = {"only": "opt-outs", "channel": Channel.SMS}
    made, refusals = planned(path, instructions_for("addresses", ("list", ALL_MARKETING), **given))
    assert (made.stats.total_new, refusals) == (1, [])


def test_a_hash_has_no_apostrophe(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"'{'a' * 64}\n")
    made, refusals = planned(path, instructions_for("hashes", ("list", ALL_MARKETING)))
    assert (made.stats.total_new, refusals) == (1, [])


@pytest.mark.parametrize("first", ["ada@exa mple.com", "ada@example.com/bob@example.com"])
def test_a_first_row_that_cannot_be_read_is_no_header(tmp_path: Path, first: str) -> None:  # I11
    path = tmp_path / "list.csv"
    path.write_text(f"{first}\nbob@example.com\n")
    made, (refusal,) = planned(path, LISTED)
    assert (made.stats.rows, refusal.line) == (2, 1)
