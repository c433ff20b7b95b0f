"""A topic's frequencies in the catalogue's file."""

from __future__ import annotations

import pytest

from preference_center.catalogue import diff_catalogues, parse_catalogue, removed_frequencies
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

DESCRIPTION = 'description = { it = "Ogni mese", en = "Every month" }\n'
WEEKLY = 'frequencies.weekly = { it = "Ogni settimana", en = "Weekly" }\n'
MONTHLY = 'frequencies.monthly = { it = "Ogni mese", en = "Monthly" }\n'


def with_lines(*lines: str) -> str:
    return edited((DESCRIPTION, DESCRIPTION + "".join(lines)))


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text)
    return [problem.split(": ", 1)[1] for problem in caught.value.problems]


def test_frequencies_keep_the_order_of_the_file_and_the_first_is_the_default() -> None:
    topic = parse_catalogue(with_lines(WEEKLY, MONTHLY)).topics["acme.news"]
    assert list(topic.frequencies) == ["weekly", "monthly"]
    assert topic.frequencies["monthly"]["it"] == "Ogni mese"
    assert topic.default_frequency == "weekly"


def test_the_file_can_name_another_default() -> None:
    text = with_lines(WEEKLY, MONTHLY, 'default_frequency = "monthly"\n')
    assert parse_catalogue(text).topics["acme.news"].default_frequency == "monthly"


def test_a_topic_offers_no_choice_unless_the_file_does() -> None:
    topic = parse_catalogue(SMALL).topics["acme.news"]
    assert (topic.frequencies, topic.default_frequency) == ({}, "")


@pytest.mark.parametrize(
    "lines, problem",
    [
        ((WEEKLY,), "frequencies offers no choice"),
        ((WEEKLY, MONTHLY, 'default_frequency = "weekley"\n'), 'did you mean "weekly"?'),
        (('default_frequency = "weekly"\n',), "default_frequency without frequencies"),
        ((WEEKLY, 'frequencies.monthly = { it = "Ogni mese" }\n'), "has no en"),
        ((WEEKLY, MONTHLY.replace("monthly", "Monthly")), '"Monthly" is no good key'),
        (('frequencies = ["weekly"]\n',), "frequencies is a list, not a table"),
    ],
)
def test_a_fault_names_its_remedy(lines: tuple[str, ...], problem: str) -> None:
    found = problems(with_lines(*lines))
    assert len(found) == 1
    assert problem in found[0]


def test_a_difference_shows_the_order_and_each_title() -> None:
    old = parse_catalogue(with_lines(WEEKLY, MONTHLY))
    swapped = parse_catalogue(with_lines(MONTHLY, WEEKLY))
    lines = diff_catalogues(old, swapped).format_lines()
    assert "    frequencies: weekly, monthly -> monthly, weekly" in lines
    assert "    default_frequency: weekly -> monthly" in lines
    added = diff_catalogues(parse_catalogue(SMALL), old).format_lines()
    assert '    frequencies.monthly.en: none -> "Monthly"' in added


def test_a_removed_frequency_is_named_with_what_replaces_it() -> None:
    daily = 'frequencies.daily = { it = "Ogni giorno", en = "Daily" }\n'
    old = parse_catalogue(with_lines(daily, WEEKLY, MONTHLY))
    new = parse_catalogue(with_lines(WEEKLY, MONTHLY))
    (removed,) = removed_frequencies(diff_catalogues(old, new))
    assert (removed.topic, removed.key, removed.default) == ("acme.news", "daily", "weekly")
    (one, two, three) = removed_frequencies(diff_catalogues(old, parse_catalogue(SMALL)))
    assert {each.default for each in (one, two, three)} == {""}
