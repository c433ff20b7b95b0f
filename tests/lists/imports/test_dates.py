"""A dated "no" does not become a "no" of today."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.lists.rules.rows import UnreadableDates, parse_date_format
from tests.clock import START
from tests.lists.imports.importing import imported, instructions_for, planned, stats_of

ALL = ("list", ALL_MARKETING)
pytestmark = pytest.mark.usefixtures("in_force")


@pytest.fixture
def american(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(
        "Email;Unsubscribe Date\n"
        "a@example.com;03/04/2024\n"
        "b@example.com;12/31/2023 6:30 PM\n"
        "c@example.com;never\n"
    )
    return path


def counted_from() -> list[datetime]:
    rows = run_in_transaction(
        lambda c: c.execute("SELECT occurred_at FROM event ORDER BY seq").fetchall()
    )
    return [row[0] for row in rows]


def test_an_ambiguous_date_refuses_the_file_with_an_example(american: Path) -> None:
    # I5: counted from now, the old "no" would outrank what the person did since
    with pytest.raises(InvalidInput) as refused:
        planned(american, instructions_for("generic-list", ALL, only="opt-outs"))
    assert "line 2: 03/04/2024" in str(refused.value)
    assert "2 dates" in str(refused.value)


def test_with_their_format_dates_count_from_when_people_acted(american: Path) -> None:
    formats = tuple(map(parse_date_format, ("%m/%d/%Y", "%m/%d/%Y %I:%M %p")))
    imported(american, instructions_for("generic-list", ALL, only="opt-outs", date_formats=formats))
    assert counted_from() == [
        datetime(2024, 3, 4, 23, 59, 59, tzinfo=UTC),
        datetime(2023, 12, 31, 18, 30, tzinfo=UTC),
        START,
    ]


def test_one_may_decide_that_unreadable_dates_count_from_now(american: Path) -> None:
    given = {"unreadable_dates": UnreadableDates.NOW}
    import_id = imported(american, instructions_for("generic-list", ALL, only="opt-outs", **given))
    assert counted_from() == [START] * 3
    assert stats_of(import_id).undated == 3


def test_dates_of_rows_that_are_left_out_are_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "email,group,date\na@example.com,Old,03/04/2024\nb@example.com,New,2024-04-03\n"
    )
    scopes = (("Old", "leave_out"), ("New", ALL_MARKETING))
    made, _ = planned(path, instructions_for("generic-list", *scopes, only="opt-outs"))
    assert made.stats.total_new == 1


def test_a_plain_list_with_dates_is_not_imported_without_them(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,unsubscribed_at\na@example.com,2024-04-03\n")
    with pytest.raises(InvalidInput, match="generic-list"):
        planned(path, instructions_for("addresses", ALL, only="opt-outs"))


def test_a_date_of_another_name_is_read_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('{"email": "a@example.com", "Since when": "2024-04-03T10:00Z"}\n')
    imported(path, instructions_for("generic-list", ALL, only="opt-outs", date_column="since when"))
    assert counted_from() == [datetime(2024, 4, 3, 10, tzinfo=UTC)]


def test_a_column_that_may_have_the_date_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,Abmeldung,id\na@example.com,2024-04-03,7\n")
    made, _ = planned(
        path, instructions_for("generic-list", ALL, only="opt-outs", group_column="-")
    )
    assert (made.stats.undated, made.unread_columns) == (1, ("Abmeldung", "id"))
    given = {"date_column": "abmeldung", "group_column": "-"}
    made, _ = planned(path, instructions_for("generic-list", ALL, only="opt-outs", **given))
    assert (made.stats.undated, made.unread_columns) == (0, ("id",))


def test_a_date_column_of_a_preset_without_dates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="generic-list"):
        planned(
            tmp_path / "x", instructions_for("addresses", ALL, only="opt-outs", date_column="x")
        )
