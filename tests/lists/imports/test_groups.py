"""I5, I10: which group a row is of is in the file or stated, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.core.errors import InvalidInput, MissingScopes
from preference_center.core.events import ALL_MARKETING
from preference_center.integrations.registry import load_presets
from preference_center.lists.rules.instructions import ImportInstructions
from tests.lists.imports.importing import imported, instructions_for, planned, stats_of

pytestmark = pytest.mark.usefixtures("in_force")

NEWS, OFFERS = ("News", "acme.news"), ("Offers", "acme.offers")


def two_lists(tmp_path: Path, column: str, *, sent: str = "created") -> Path:
    path = tmp_path / "list.csv"
    path.write_text(
        f"email,{column},{sent}\na@example.com,News,1410986704\nb@example.com,Offers,1410986704\n"
    )
    return path


def scopes_found(path: Path, instructions: ImportInstructions) -> set[str]:
    stats = stats_of(imported(path, instructions))
    return {scope for _, scope in stats.new}


@pytest.mark.parametrize("column", ["group", "Gruppenname", "Liste", "nom du groupe", "Lista"])
def test_two_groups_of_sendgrid_stay_two_whatever_their_column_is_called(
    tmp_path: Path, column: str
) -> None:  # I10
    path = two_lists(tmp_path, column)
    with pytest.raises(MissingScopes, match='"Offers"'):
        planned(path, instructions_for("sendgrid-groups"))
    found = scopes_found(path, instructions_for("sendgrid-groups", NEWS, OFFERS))
    assert found == {"acme.news", "acme.offers"}


@pytest.mark.parametrize("preset", ["sendgrid-groups", "sendgrid-unsubscribes"])
def test_an_unknown_column_of_groups_is_named(tmp_path: Path, preset: str) -> None:
    path = two_lists(tmp_path, "Rubrik")
    found = scopes_found(path, instructions_for(preset, NEWS, OFFERS, group_column="rubrik"))
    assert found == {"acme.news", "acme.offers"}


def test_without_a_column_of_groups_the_message_names_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Rubrik, created") as error:
        planned(two_lists(tmp_path, "Rubrik"), instructions_for("sendgrid-groups"))
    assert "--group-column" in str(error.value)


@pytest.mark.parametrize("preset", ["generic-list", "addresses"])
@pytest.mark.parametrize("column", ["Liste", "Verteiler", "Rubrik"])
def test_a_list_of_no_tool_is_not_taken_for_one_group(
    tmp_path: Path, preset: str, column: str
) -> None:  # I10
    path = two_lists(tmp_path, column, sent="source")
    given = instructions_for(preset, ("list", ALL_MARKETING), only="opt-outs")
    with pytest.raises(InvalidInput, match=f"{column}|News"):
        planned(path, given)


def test_a_list_without_a_header_is_not_taken_for_one_group(tmp_path: Path) -> None:  # I10
    path = tmp_path / "list.csv"
    path.write_text("a@example.com;News\nb@example.com;Offers\n")
    with pytest.raises(InvalidInput, match="column 2"):
        planned(path, instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs"))
    named = instructions_for("addresses", NEWS, OFFERS, only="opt-outs", group_column="column 2")
    assert scopes_found(path, named) == {"acme.news", "acme.offers"}


def test_a_column_that_only_later_rows_have_is_not_left_out(tmp_path: Path) -> None:  # I10
    path = tmp_path / "list.ndjson"
    path.write_text('{"email": "a@example.com"}\n{"email": "b@example.com", "rubric": "Offers"}\n')
    with pytest.raises(InvalidInput, match="rubric"):
        planned(path, instructions_for("generic-list", ("list", ALL_MARKETING), only="opt-outs"))


def test_two_columns_that_may_be_the_group_are_asked_about(tmp_path: Path) -> None:
    path = two_lists(tmp_path, "List", sent="Group")
    with pytest.raises(InvalidInput, match="List, Group"):
        planned(path, instructions_for("generic-list", only="opt-outs"))
    with pytest.raises(MissingScopes, match='"News"'):
        planned(path, instructions_for("generic-list", only="opt-outs", group_column="List"))


def test_all_rows_are_of_one_group_if_that_is_stated(tmp_path: Path) -> None:
    given = {"only": "opt-outs", "group_column": "-"}
    made, _ = planned(
        two_lists(tmp_path, "First name"),
        instructions_for("generic-list", ("list", ALL_MARKETING), **given),
    )
    assert made.stats.total_new == 2


@pytest.mark.parametrize("preset", ["addresses", "generic-list", "sendgrid-groups"])
def test_a_group_column_that_the_file_does_not_have_is_refused(tmp_path: Path, preset: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("a@example.com\n" if preset == "addresses" else "email\na@example.com\n")
    with pytest.raises(InvalidInput, match="no column of the name"):
        planned(path, instructions_for(preset, only="opt-outs", group_column="Liste"))


def test_a_group_is_asked_for_where_its_cell_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,group\na@example.com,News\nb@example.com,\n")
    with pytest.raises(MissingScopes, match="no group"):
        planned(path, instructions_for("sendgrid-groups", NEWS))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, preset in load_presets().items()
        if preset.has_groups
        and not preset.is_hashed
        and not name.startswith(("hubspot", "listmonk-subs", "ses"))
    ],
)
def test_no_preset_makes_one_group_of_a_file_with_a_column_of_lists(
    tmp_path: Path, name: str
) -> None:  # I10
    preset = load_presets()[name]
    columns = [preset.address_columns[0], *(names[0] for names in preset.required_columns)]
    row = ["a@example.com", *("unsubscribed" for _ in columns[1:])]
    path = tmp_path / "list.csv"
    path.write_text(f"{','.join(columns)},Verteiler\n{','.join(row)},Offers\n")
    groups = ["group", "list", "(no group)", *(m.default_group for m in preset.meanings)]
    scopes = [(group, ALL_MARKETING) for group in dict.fromkeys(filter(None, groups))]
    with pytest.raises(InvalidInput, match=r"Verteiler|Offers"):
        planned(path, instructions_for(name, *scopes, only="opt-outs"))
